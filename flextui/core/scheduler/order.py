"""Who goes first, and who may take whose place: what the inventory's policy makes of a snapshot.

One `Ranking` serves one pass. Nothing is worked out before it is asked for, and what it answers
follows from the snapshot, the instant and what the pass has told it of its placements.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from math import inf

from flextui.core.model.ids import TaskKey
from flextui.core.model.records import changed
from flextui.core.model.state import Attempt, AttemptState, Job, Now, Snapshot, Task
from flextui.core.model.usage import WHOLE
from flextui.core.scheduler.accounts import held_milli
from flextui.core.scheduler.fairness import Shares
from flextui.core.scheduler.overdue import Turns, served_by
from flextui.core.scheduler.policies import FairShare, Fifo, Multifactor
from flextui.core.scheduler.policy import Factor, Key, Policy, Right, account_of, willing
from flextui.core.scheduler.runtimes import Outlook
from flextui.core.scheduler.shortest import Shortest

__all__ = ["Factor", "Key", "Ranking", "Right", "account_of", "willing"]

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

    def group(self, job: Job, task: Task) -> Hashable:
        """Tasks of one group stay in the order (ready_at, seq, index), and the key of the first
        of them stands for the group."""
        return self._policy.group(job, task)

    def lane(self, job: Job, task: Task) -> Hashable:
        """Groups of one lane stand to each other by their levels."""
        return self._policy.lane(job, task)

    def level(self, job: Job, task: Task) -> float:
        """Where the group of a task stands in its lane."""
        return self._policy.level(job, task)

    def leans(self, job: Job) -> tuple[str, ...]:
        """The keys of the records of run times that the level follows from."""
        return self._policy.leans(job)

    def key(self, job: Job, task: Task) -> Key:
        """The smallest goes first; no two tasks have the same."""
        return self._policy.key(job, task)

    def owed(self) -> tuple[TaskKey, ...]:
        """Tasks whose turn it is before everything else in the order, the oldest first."""
        return self._turns.owed if isinstance(self._policy, Shortest) else ()

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        """What decided about the place of a task, in the order in which it counts."""
        return self._policy.factors(job, task)

    def placed(self, job: Job, gpus: float) -> tuple[Account, ...]:
        """Book a placement of this pass, of so many GPUs in all (negative: it was taken back).
        Returns the accounts whose groups are to be compared anew."""
        if not self._policy.fair:
            return ()
        account = account_of(job)
        self._shares.placed(account, gpus)
        self._moved()
        return (account,)

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        """What a task has to say for the place that it wants, or for the one that it has."""
        return self._policy.right(job, task, attempt)

    def yields(self, has: Right, wants: Right) -> bool:
        """Whether the order gives the place of one to the other."""
        return self._policy.yields(has, wants)

    def if_stopped(self, job: Job, task: Task, attempt: Attempt) -> Key:
        """The key of a running task if it had to wait again."""
        if job.spec.preempt == "resume":
            task = changed(task, served_s=served_by(task, attempt, self._now.wall))
        return self._policy.key(job, task)

    def may_preempt(
        self, job: Job, task: Task, victim_job: Job, victim_task: Task, victim_attempt: Attempt
    ) -> bool:
        """Whether a waiting task may take the place of a running one.

        Strict: at one instant nobody may, through others or directly, take the place of who may
        take theirs. Time limits and grace are the caller's.
        """
        if victim_job.id == job.id or not self.may_stop(victim_job, victim_attempt):
            return False
        has = self._policy.right(victim_job, victim_task, victim_attempt)
        wants = self._policy.right(job, task)
        if not self._policy.yields(has, wants):
            return False
        stopped = self.if_stopped(victim_job, victim_task, victim_attempt)
        return wants.turn or self._policy.key(job, task) < stopped

    def may_stop(self, job: Job, attempt: Attempt) -> bool:
        """Whether a running task may be made to go at all."""
        if not self._preemption or job.spec.preempt == "never":
            return False
        return attempt.stop is None and attempt.state in _GOING and not attempt.replaced

    @contextmanager
    def without(self, running: Iterable[tuple[Job, Attempt]]) -> Iterator[bool]:
        """The order as it would be if these held nothing. Yields whether that changes it."""
        if not self._policy.fair:
            yield False
            return
        held: dict[Account, float] = {}
        for job, attempt in running:
            account = account_of(job)
            held[account] = held.get(account, 0.0) + held_milli(attempt) / WHOLE
        with self._shares.without(held):
            self._moved()
            yield True
        self._moved()

    def _moved(self) -> None:
        if isinstance(self._policy, Multifactor):
            self._policy.moved()

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
