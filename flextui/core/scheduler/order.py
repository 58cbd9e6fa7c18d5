"""Who goes first, and who may take whose place: what the inventory's policy makes of a snapshot.

One `Ranking` serves one pass. Nothing is worked out before it is asked for, and what it answers
follows from the snapshot, the instant and what the pass has told it of its placements.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import inf

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Attempt, AttemptState, Job, Now, Snapshot, Task
from flextui.core.scheduler.fairness import Shares
from flextui.core.scheduler.need import Need
from flextui.core.scheduler.overdue import Turns
from flextui.core.scheduler.policies import (
    Factor,
    FairShare,
    Fifo,
    Key,
    Multifactor,
    Policy,
    Shortest,
    account_of,
)
from flextui.core.scheduler.runtimes import Outlook

__all__ = ["Factor", "Key", "Ranking", "account_of"]

_GOING = frozenset({AttemptState.STARTING, AttemptState.RUNNING, AttemptState.PLACED})


class Ranking:
    """The order of one pass. `outlook` is kept between passes; it changes no answer."""

    def __init__(self, snapshot: Snapshot, now: Now, outlook: Outlook | None = None) -> None:
        self._snapshot, self._now = snapshot, now
        self._preemption = snapshot.inventory.policy.preemption
        self._shares = Shares(snapshot, now)
        self._turns = Turns(snapshot, now)
        self._policy = self._made(outlook)

    def _made(self, outlook: Outlook | None) -> Policy:
        snapshot, now = self._snapshot, self._now
        name = snapshot.inventory.policy.queue
        if name == "fifo":
            return Fifo(snapshot, now)
        if name == "fair-share":
            return FairShare(snapshot, now, self._shares)
        if name == "shortest":
            return Shortest(snapshot, now, self._turns, outlook or Outlook())
        return Multifactor(snapshot, now, self._shares)

    @property
    def order(self) -> Hashable | None:
        """Equal to an earlier pass's: any two groups compare as they did then. None: unknown."""
        return self._policy.steady

    def group(self, job: Job, task: Task, need: Need | None = None) -> Hashable:
        """Tasks of one group stay in the order (ready_at, seq, index), and the key of the first
        of them stands for the group."""
        return self._policy.group(job, task)

    def key(self, job: Job, task: Task) -> Key:
        """The smallest goes first; no two tasks have the same."""
        return self._policy.key(job, task)

    def owed(self) -> tuple[TaskKey, ...]:
        """Tasks whose turn it is before everything else in the order, the oldest first."""
        return self._turns.owed if isinstance(self._policy, Shortest) else ()

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        """What decided about the place of a task, in the order in which it counts."""
        return self._policy.factors(job, task)

    def placed(self, job: Job, need: Need | None = None, nodes: int = 1) -> tuple[Account, ...]:
        """Book a placement of this pass (`nodes` negative: one that was taken back). Returns the
        accounts whose groups are to be compared anew."""
        if not self._policy.fair:
            return ()
        account = account_of(job)
        self._shares.placed(account, job, nodes)
        if isinstance(self._policy, Multifactor):
            self._policy.moved()
        return (account,)

    def may_preempt(
        self, job: Job, task: Task, victim_job: Job, victim_task: Task, victim_attempt: Attempt
    ) -> bool:
        """Whether a waiting task may take the place of a running one.

        Strict: at one instant nobody may, through others or directly, take the place of who may
        take theirs. Time limits and grace are the caller's.
        """
        if not self._preemption or victim_job.spec.preempt == "never":
            return False
        if victim_attempt.stop is not None or victim_attempt.state not in _GOING:
            return False
        if victim_job.id == job.id or victim_attempt.replaced:
            return False
        return self._policy.preempts(job, task, victim_job, victim_task, victim_attempt)

    def worth(self, job: Job, task: Task, attempt: Attempt) -> float:
        """Of several that may be preempted, those with the least go first."""
        if isinstance(self._policy, Shortest):
            return self._policy.longest_first(job, task, attempt)
        return 0.0

    @property
    def wake(self) -> float | None:
        """The next wall time at which the order changes by time alone in a way that can matter.
        Ask only while something waits."""
        policy = self._policy
        if not isinstance(policy, Shortest):
            return None
        at = self._turns.wake
        if self._preemption:
            at = min(at, self._next_growth(policy))
        return at if at < inf else None

    def _next_growth(self, policy: Shortest) -> float:
        snapshot, at = self._snapshot, inf
        for live in snapshot.by_node.values():
            for key in live:
                attempt = snapshot.attempts[key]
                job, task = snapshot.jobs.get(attempt.task.job), snapshot.tasks.get(attempt.task)
                if job is not None and task is not None:
                    at = min(at, policy.grows(job, task, attempt))
        return at


Account = tuple[str, str]
