"""The orders by age, by priority and by fair share, and for each: what it promises to those who
wait. `shortest` has a module of its own."""

from __future__ import annotations

from collections.abc import Hashable

from flextui.core.model.state import Attempt, Job, Now, Snapshot, Task
from flextui.core.scheduler.fairness import Shares
from flextui.core.scheduler.policy import (
    FULL_PRIORITY,
    ByGroup,
    ByPriority,
    Factor,
    Key,
    Right,
    account_of,
    age_text,
)
from flextui.core.scheduler.runtimes import size_of


class Fifo(ByGroup):
    """First come, first served. A task waits for those that came before it, and for no other:
    nothing that comes later moves it back."""

    fair = False
    steady: Hashable | None = "fifo"

    def __init__(self, snapshot: Snapshot, now: Now) -> None:
        self._now = now.wall

    def group(self, job: Job, task: Task) -> Hashable:
        return ()

    def key(self, job: Job, task: Task) -> Key:
        return (task.ready_at, job.seq, task.key.index)

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        return (Factor("age", 1.0, 1.0, age_text(self._now - task.ready_at)),)

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        return Right(0)

    def yields(self, has: Right, wants: Right) -> bool:
        return False


class Multifactor(ByPriority):
    """`priority`: a weighted sum of own priority, age, fair share and size.

    Once a task has waited for `age_full`, none that came later and isn't ahead of it by
    `weights.age` or more in the other factors passes it. Own priority and fair share can be worth
    more than that: for those the bound is theirs who set priorities and weights, and the decay,
    which gives an account that holds nothing its fair share back within a few `half_life`.
    """

    steady: Hashable | None = None

    def __init__(self, snapshot: Snapshot, now: Now, shares: Shares) -> None:
        policy = snapshot.inventory.policy
        self._snapshot, self._now, self._shares = snapshot, now.wall, shares
        self._weights, self._age_full = policy.weights, policy.age_full
        self.fair = policy.weights.fair_share > 0
        self._factors: dict[tuple[str, str], float] = {}
        self._gpus = 0

    def group(self, job: Job, task: Task) -> Hashable:
        account = account_of(job) if self.fair else None
        return job.priority, account, size_of(job) if self._weights.size else 0.0

    def key(self, job: Job, task: Task) -> Key:
        weights = self._weights
        score = weights.priority * job.priority / FULL_PRIORITY
        score += weights.age * self._age(task)
        if self.fair:
            score += weights.fair_share * self._fair(job)
        if weights.size:
            score += weights.size * self._size(job)
        return (-score, task.ready_at, job.seq, task.key.index)

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        weights, size = self._weights, size_of(job)
        whose = f"{job.owner}'s part in {job.project}" if job.project else f"{job.owner}'s part"
        had = f"{whose}: 1 is unused, 0.5 used as is due"
        all_factors = (
            Factor("priority", weights.priority, job.priority / FULL_PRIORITY, "its own priority"),
            Factor("age", weights.age, self._age(task), age_text(self._now - task.ready_at)),
            Factor("fair share", weights.fair_share, self._fair(job), had),
            Factor("size", weights.size, self._size(job), f"asks for {size:g} GPUs"),
        )
        return tuple(it for it in all_factors if it.weight)

    def moved(self) -> None:
        """The pass has placed something: fair shares are others."""
        self._factors.clear()

    def _age(self, task: Task) -> float:
        return max(0.0, min(1.0, (self._now - task.ready_at) / self._age_full))

    def _fair(self, job: Job) -> float:
        account = account_of(job)
        factor = self._factors.get(account)
        if factor is None:
            factor = self._factors[account] = self._shares.factor(account)
        return factor

    def _size(self, job: Job) -> float:
        self._gpus = self._gpus or sum(len(it.gpus) for it in self._snapshot.nodes.values()) or 1
        return min(1.0, size_of(job) / self._gpus)


class FairShare(ByPriority):
    """`fair-share`: who has the least for their weight goes first, projects before their users.

    What an account holds counts at once, so nobody fills a fleet in one pass while others wait,
    and what it held before counts for less and less. An account that waits and holds nothing goes
    down to the least there is: it waits until each other account has got what it has had itself,
    at most a few `half_life` long, and inside an account the higher own priority goes first, then
    who came first.
    """

    fair = True
    steady: Hashable | None = None

    def __init__(self, snapshot: Snapshot, now: Now, shares: Shares) -> None:
        self._now, self._shares = now.wall, shares

    def group(self, job: Job, task: Task) -> Hashable:
        return account_of(job), job.priority

    def key(self, job: Job, task: Task) -> Key:
        project, user = self._shares.full(account_of(job))
        return (project, user, -job.priority, task.ready_at, job.seq, task.key.index)

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        project, user = self._shares.full(account_of(job))
        whose = job.project or "all without a project"
        waits = age_text(self._now - task.ready_at)
        return (
            Factor("project", 1.0, project, f"GPUs for the weight of {whose}, the past included"),
            Factor("user", 1.0, user, f"GPUs of {job.owner} there, the past included"),
            Factor("priority", 1.0, job.priority / FULL_PRIORITY, "its own priority"),
            Factor("age", 1.0, 1.0, waits),
        )
