"""What an order of those that wait is made of, and what a task has to say for its place.

A policy tells where a waiting task stands (`key`, the smallest first), which tasks always stand
to each other as they came (`group`), and why (`factors`). Inside a group the order is by when a
task began to wait, then by when its job was submitted.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple, Protocol

from flextui.core.model.state import Attempt, Job, Task
from flextui.core.model.units import format_duration

Key = tuple[float, ...]
FULL_PRIORITY = 100


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


class ByGroup:
    """Each group in a lane of its own."""

    def group(self, job: Job, task: Task) -> Hashable:
        raise NotImplementedError

    def lane(self, job: Job, task: Task) -> Hashable:
        return self.group(job, task)

    def level(self, job: Job, task: Task) -> float:
        return 0.0

    def leans(self, job: Job) -> tuple[str, ...]:
        return ()


class ByPriority(ByGroup):
    """Only those of higher priority take a place."""

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        return Right(job.priority)

    def yields(self, has: Right, wants: Right) -> bool:
        return wants.priority > has.priority


def age_text(seconds: float) -> str:
    return f"waits for {format_duration(max(0.0, seconds))}"
