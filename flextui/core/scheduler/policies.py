"""The four orders that `policy.queue` names, and for each: what it promises to those who wait.

A policy tells where a waiting task stands (`key`, the smallest first), which tasks always stand
to each other as they came (`group`), and why (`factors`). Inside a group the order is by when a
task began to wait, then by when its job was submitted.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import inf, log
from typing import NamedTuple, Protocol

from flextui.core.model.state import Attempt, Job, Now, Snapshot, Task
from flextui.core.model.units import format_duration
from flextui.core.scheduler.fairness import Shares
from flextui.core.scheduler.overdue import Turns, served_by
from flextui.core.scheduler.runtimes import (
    Outlook,
    expected,
    kinds_of,
    next_step,
    part_of,
    size_of,
    step_of,
)

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


class Right(NamedTuple):
    """What a task has to say for itself: for a place that it wants, or for the one that it has."""

    priority: int
    turn: bool = False
    """It is its turn; or, where it has a place, it is being paid (`overdue`)."""
    resumes: bool = False
    measured: bool = False
    """It is likely to end, and so the others count."""
    level: int = 0
    """Where it stands among those that are measured."""
    left: float = 0.0
    """GPU-seconds."""
    limited: bool = False
    size: float = 0.0
    """GPUs."""


def willing(rights: Iterable[Right]) -> Right | None:
    """One that gives its place up wherever one of these does."""
    each = list(rights)
    if not each:
        return None
    return Right(
        min(it.priority for it in each),
        all(it.turn for it in each),
        any(it.resumes for it in each),
        any(it.measured for it in each),
        max(it.level for it in each),
        max(it.left for it in each),
        any(it.limited for it in each),
        min(it.size for it in each),
    )


class Policy(Protocol):
    """What an order is made of."""

    fair: bool
    """Accounts matter: placing something moves the others of its account."""
    steady: Hashable | None
    """Equal in two passes: any two groups compare alike in both. None: unknown."""

    def group(self, job: Job, task: Task) -> Hashable:
        """Tasks of one group never change places. Follows from the job and the task alone."""

    def lane(self, job: Job, task: Task) -> Hashable:
        """Groups of one lane stand to each other by their levels. Follows from the group."""

    def level(self, job: Job, task: Task) -> float:
        """Of the group in its lane. Follows from it and from the records that it leans on."""

    def leans(self, job: Job) -> tuple[str, ...]:
        """The keys of these records of run times."""

    def key(self, job: Job, task: Task) -> Key:
        """The smallest goes first."""

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        """What decides, for people."""

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        """What a task has to say for itself, once for all whom it is compared with. `attempt`:
        where it runs."""

    def yields(self, has: Right, wants: Right) -> bool:
        """Whether a place goes from one to the other, as far as the order goes. Strict."""


def account_of(job: Job) -> tuple[str, str]:
    """The (project, user) that a job is charged to."""
    return job.project, job.owner


class _ByGroup:
    """Each group in a lane of its own."""

    def group(self, job: Job, task: Task) -> Hashable:
        raise NotImplementedError

    def lane(self, job: Job, task: Task) -> Hashable:
        return self.group(job, task)

    def level(self, job: Job, task: Task) -> float:
        return 0.0

    def leans(self, job: Job) -> tuple[str, ...]:
        return ()


class _ByPriority(_ByGroup):
    """Only those of higher priority take a place."""

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        return Right(job.priority)

    def yields(self, has: Right, wants: Right) -> bool:
        return wants.priority > has.priority


def _age_text(seconds: float) -> str:
    return f"waits for {format_duration(max(0.0, seconds))}"


class Fifo(_ByGroup):
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

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        return Right(0)

    def yields(self, has: Right, wants: Right) -> bool:
        return False


class Multifactor(_ByPriority):
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
        score = weights.priority * job.priority / _FULL_PRIORITY
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
            Factor("priority", weights.priority, job.priority / _FULL_PRIORITY, "its own priority"),
            Factor("age", weights.age, self._age(task), _age_text(self._now - task.ready_at)),
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


class FairShare(_ByPriority):
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

    def lane(self, job: Job, task: Task) -> Hashable:
        return job.priority

    def level(self, job: Job, task: Task) -> float:
        return self._class(job, task.served_s) if job.type == "batch" else -inf

    def leans(self, job: Job) -> tuple[str, ...]:
        if job.type != "batch":
            return ()
        kinds, known = kinds_of(job), self._snapshot.runtimes
        keys = kinds.seconds if kinds.limit is None else kinds.parts
        first = next((at for at, key in enumerate(keys) if key in known), len(keys) - 1)
        return keys[: first + 1]

    def key(self, job: Job, task: Task) -> Key:
        level = self.level(job, task)
        return (-job.priority, level, task.ready_at, job.seq, task.key.index)

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

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        if attempt is None:
            served, turn = task.served_s, task.key in self._turns.owed
        else:
            served, turn = served_by(task, attempt, self._now), self._turns.paid(job.id)
        if job.type != "batch":
            return Right(job.priority, turn)
        kinds, resumes = kinds_of(job), job.spec.preempt == "resume"
        level, left = self._measured(job, served)
        limited = kinds.limit is not None
        return Right(job.priority, turn, resumes, True, level, left, limited, kinds.size)

    def yields(self, has: Right, wants: Right) -> bool:
        if has.turn:
            return False
        if wants.turn:
            return has.resumes
        if wants.priority != has.priority:
            return wants.priority > has.priority
        if not has.resumes or not wants.measured or wants.level >= has.level:
            return False
        margin = SURE if wants.limited and has.limited else MARGIN
        return wants.left * margin + COST * has.size < has.left

    def grows(self, job: Job, task: Task, attempt: Attempt) -> float:
        """The wall time at which a running job is next thought to have longer to go; never, where
        a limit says how long."""
        if job.spec.preempt != "resume" or kinds_of(job).limit is not None:
            return inf
        served = served_by(task, attempt, self._now)
        return self._now + max(1.0, next_step(served) - served)

    def _measured(self, job: Job, served: float) -> tuple[int, float]:
        """What is left, in classes and in GPU-seconds: as a sum of what a group has in common."""
        kinds, runtimes = kinds_of(job), self._snapshot.runtimes
        if kinds.limit is None:
            left = self._outlook.left(runtimes, job, served)
            return _class(left), left
        part = self._outlook.part_left(runtimes, kinds, part_of(kinds, served))
        whole = kinds.limit * kinds.size
        return _class(whole) + _class(part), whole * part

    def _class(self, job: Job, served: float) -> int:
        return self._measured(job, served)[0]

    def _left(self, job: Job, served: float) -> float:
        return self._measured(job, served)[1]


_STEP = log(1.05)


def _class(amount: float) -> int:
    """Amounts within a twentieth of each other are alike: among them, the older goes first."""
    return round(log(amount) / _STEP)
