"""The four orders that `policy.queue` names, and for each: what it promises to those who wait.

A policy tells where a waiting task stands (`key`, the smallest first), which tasks always stand
to each other as they came (`group`), and why (`factors`). Inside a group the order is by when a
task began to wait, then by when its job was submitted.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import inf, log
from typing import NamedTuple, Protocol

from flextui.core.model.state import Attempt, Job, Now, Snapshot, Task
from flextui.core.model.units import format_duration
from flextui.core.scheduler.fairness import Shares
from flextui.core.scheduler.overdue import Turns, served_by
from flextui.core.scheduler.runtimes import Outlook, expected, kinds_of, next_step, part_of, step_of

Key = tuple[float, ...]
SURE, MARGIN = 1.05, 1.25
"""So many times longer a running job must have to go for a shorter one to take its place: where
limits say how long, and where that is learned."""
COST = 60.0
"""Seconds that stopping and resuming a job is thought to cost it."""
_FULL_PRIORITY = 100


class Factor(NamedTuple):
    """One of the things that decide about a task's place, from 0 to 1 times its weight."""

    name: str
    weight: float
    value: float
    text: str


class Policy(Protocol):
    """What an order is made of."""

    fair: bool
    """Accounts matter: placing something moves the others of its account."""
    steady: Hashable | None
    """Equal in two passes: any two groups compare alike in both. None: unknown."""

    def group(self, job: Job, task: Task) -> Hashable:
        """Tasks of one group never change places. Follows from the job and the task alone."""

    def key(self, job: Job, task: Task) -> Key:
        """The smallest goes first."""

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        """What decides, for people."""

    def preempts(self, job: Job, task: Task, other: Job, victim: Task, attempt: Attempt) -> bool:
        """Whether one may take the place of the other, as far as the order goes. Strict."""


def account_of(job: Job) -> tuple[str, str]:
    """The (project, user) that a job is charged to."""
    return job.project, job.owner


def _by_priority(job: Job, other: Job) -> bool:
    return job.priority > other.priority


def _age_text(seconds: float) -> str:
    return f"waits for {format_duration(max(0.0, seconds))}"


class Fifo:
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
        return (Factor("age", 1.0, 1.0, _age_text(self._now - task.ready_at)),)

    def preempts(self, job: Job, task: Task, other: Job, victim: Task, attempt: Attempt) -> bool:
        return False


class Multifactor:
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
        return job.priority, account, kinds_of(job).size if self._weights.size else 0.0

    def key(self, job: Job, task: Task) -> Key:
        weights = self._weights
        score = weights.priority * job.priority / _FULL_PRIORITY
        score += weights.age * self._age(task)
        if self.fair:
            score += weights.fair_share * self._fair(job)
        if weights.size:
            score += weights.size * self._size(job)
        return (-score, task.ready_at, job.seq, task.key.index)

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        weights, size = self._weights, kinds_of(job).size
        whose = f"{job.owner}'s part in {job.project}" if job.project else f"{job.owner}'s part"
        had = f"{whose}: 1 is unused, 0.5 used as is due"
        all_factors = (
            Factor("priority", weights.priority, job.priority / _FULL_PRIORITY, "its own priority"),
            Factor("age", weights.age, self._age(task), _age_text(self._now - task.ready_at)),
            Factor("fair share", weights.fair_share, self._fair(job), had),
            Factor("size", weights.size, self._size(job), f"asks for {size:g} GPUs"),
        )
        return tuple(it for it in all_factors if it.weight)

    def preempts(self, job: Job, task: Task, other: Job, victim: Task, attempt: Attempt) -> bool:
        return _by_priority(job, other)

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
        return min(1.0, kinds_of(job).size / self._gpus)


class FairShare:
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
        waits = _age_text(self._now - task.ready_at)
        return (
            Factor("project", 1.0, project, f"GPUs for the weight of {whose}, the past included"),
            Factor("user", 1.0, user, f"GPUs of {job.owner} there, the past included"),
            Factor("priority", 1.0, job.priority / _FULL_PRIORITY, "its own priority"),
            Factor("age", 1.0, 1.0, waits),
        )

    def preempts(self, job: Job, task: Task, other: Job, victim: Task, attempt: Attempt) -> bool:
        return _by_priority(job, other)


class Shortest:
    """`shortest`: what is likely to end soonest for what it takes goes first, own priority ahead.

    What counts are GPU-seconds that are left: from the time limit where limits have proved true,
    else from what is learned of run times. A job that isn't as short as was thought falls back as
    it runs, and with preemption makes room for shorter ones where it can resume. Nothing waits
    beyond the bound of `overdue`: `longest_wait`, and then instalments. Services, which don't end,
    aren't measured: they go first.
    """

    fair = False
    steady: Hashable | None = None

    def __init__(self, snapshot: Snapshot, now: Now, turns: Turns, outlook: Outlook) -> None:
        self._snapshot, self._now = snapshot, now.wall
        self._turns, self._outlook = turns, outlook

    def group(self, job: Job, task: Task) -> Hashable:
        if job.type != "batch":
            return job.priority
        kinds = kinds_of(job)
        if kinds.limit is None:
            return job.priority, *kinds.seconds[:2], step_of(task.served_s)
        whole = _class(kinds.limit * kinds.size)
        return job.priority, kinds.parts[0], whole, part_of(kinds, task.served_s)

    def key(self, job: Job, task: Task) -> Key:
        place = (task.ready_at, job.seq, task.key.index)
        if job.type != "batch":
            return (-job.priority, -1.0, *place)
        return (-job.priority, self._class(job, task.served_s), *place)

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        told = expected(self._snapshot.runtimes, job, task.served_s)
        about = f"about {format_duration(told.seconds)} more, from {told.basis}"
        left = self._left(job, task.served_s) / 3600 if job.type == "batch" else 0.0
        found = [
            Factor("priority", 1.0, job.priority / _FULL_PRIORITY, "its own priority"),
            Factor("GPU hours left", 1.0, left, about),
            Factor("age", 1.0, 1.0, _age_text(self._now - task.ready_at)),
        ]
        if task.key in self._turns.owed:
            found.insert(0, Factor("turn", 1.0, 1.0, "has waited so long that it is its turn"))
        return tuple(found)

    def preempts(self, job: Job, task: Task, other: Job, victim: Task, attempt: Attempt) -> bool:
        resumes = other.spec.preempt == "resume"
        if task.key in self._turns.owed:
            return resumes and not self._turns.paid(other.id)
        if job.priority != other.priority:
            return _by_priority(job, other) and not self._turns.paid(other.id)
        if not resumes or other.type != "batch" or job.type != "batch":
            return False
        if self._turns.paid(other.id):
            return False
        theirs = self._left(other, served_by(victim, attempt, self._now))
        mine = self._left(job, task.served_s)
        if self._class(job, task.served_s) >= self._class(
            other, served_by(victim, attempt, self._now)
        ):
            return False
        sure = kinds_of(job).limit is not None and kinds_of(other).limit is not None
        return mine * (SURE if sure else MARGIN) + COST * kinds_of(other).size < theirs

    def grows(self, job: Job, task: Task, attempt: Attempt) -> float:
        """The wall time at which a running job is next thought to have longer to go; never, where
        a limit says how long."""
        if job.spec.preempt != "resume" or kinds_of(job).limit is not None:
            return inf
        served = served_by(task, attempt, self._now)
        return self._now + max(1.0, next_step(served) - served)

    def longest_first(self, job: Job, task: Task, attempt: Attempt) -> float:
        return -self._left(job, served_by(task, attempt, self._now))

    def _class(self, job: Job, served: float) -> int:
        """What is left, in classes: as a sum of what a group has in common."""
        kinds, runtimes = kinds_of(job), self._snapshot.runtimes
        if kinds.limit is None:
            return _class(self._outlook.left(runtimes, job, served))
        part = self._outlook.part_left(runtimes, kinds, part_of(kinds, served))
        return _class(kinds.limit * kinds.size) + _class(part)

    def _left(self, job: Job, served: float) -> float:
        return self._outlook.left(self._snapshot.runtimes, job, served)


_STEP = log(1.05)


def _class(amount: float) -> int:
    """Amounts within a twentieth of each other are alike: among them, the older goes first."""
    return round(log(amount) / _STEP)
