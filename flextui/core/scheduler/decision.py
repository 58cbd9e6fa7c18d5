"""What the scheduler answers with: data only, for the engine to recheck, commit and carry out.

Entry points (all pure):

- `plan(snapshot, now) -> Decision`                   flextui.core.scheduler.plan
- `after_attempt(job, task, attempt, now) -> Task`    flextui.core.scheduler.restart
- `explain(snapshot, task_key, now) -> Explanation`   flextui.core.scheduler.explain
- `trial(snapshot, job, now) -> Trial`               flextui.core.scheduler.trial (for `plan FILE`)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flextui.core.model.ids import TaskKey
from flextui.core.model.records import quick
from flextui.core.model.state import Job, StopRequest, Task
from flextui.core.model.tree import Steps

if TYPE_CHECKING:
    from flextui.core.scheduler.order import Factor


@quick
@dataclass(frozen=True, slots=True)
class Placement:
    """Start the task's next attempt there, with these devices."""

    task: TaskKey
    revision: int
    node: str
    gpus: tuple[str, ...]
    cpus: float
    memory_bytes: int
    share: int = 0
    """Thousandths of the one device; 0: whole devices."""
    gpu_memory_bytes: int = 0
    """A share's limit."""
    cpu_set: tuple[int, ...] = ()
    gang: str = ""
    """Equal for the ranks of one gang: all of them start or none does."""
    master: str = ""
    borrowed: bool = False
    """See `Attempt.borrowed`."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A live attempt that must end (durable: it is owed even when its node is away)."""

    attempt: str
    stop: StopRequest


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A live attempt on a lost node that no longer counts: mark `replaced`, owe its kill."""

    attempt: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth an event in the history."""

    kind: str
    text: str
    job: str | None = None
    task: int | None = None
    attempt: str | None = None
    node: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that should change now. Records are whole replacements."""

    jobs: tuple[Job, ...] = ()
    tasks: tuple[Task, ...] = ()
    """New and changed tasks (state, reason, retired …). Written before placements: a task that is
    placed is among them only if it is new or was reset, and the placement sets the rest."""
    placements: tuple[Placement, ...] = ()
    kills: tuple[Kill, ...] = ()
    give_ups: tuple[GiveUp, ...] = ()
    notes: tuple[Note, ...] = ()
    suspended: bool = False
    """Replacement pauses: half of the nodes vanished within a minute and none answered since. The
    new value: it follows from the nodes alone (`down_mono`, `up_mono`)."""
    next_wall: float | None = None
    """Wall time at which to decide again although nothing happened (restart delays)."""
    next_mono: float | None = None
    """The same on the awake clock (node loss)."""


@dataclass(frozen=True, slots=True)
class Block:
    """One thing in the way, told about a node (or several alike, folded) or about the job."""

    code: str
    """e.g. cpus, memory, gpus_busy, gpus_foreign, gpus_cordoned, gpu_model, gpu_memory, labels,
    node_down, node_drained, node_cordoned, delay, order, too_big"""
    text: str
    nodes: tuple[str, ...] = ()
    device: str | None = None
    held_by: tuple[str, ...] = ()
    """jobs (owner/name) or foreign processes (user: name, GiB) that hold what is needed"""
    clears: str = ""
    """when it is expected to clear, in words; empty if unknown"""


@dataclass(frozen=True, slots=True)
class Expected:
    """When a task is expected to start. Times are wall times."""

    at: float | None
    """None: nobody knows."""
    latest: float | None
    """It certainly starts by then, unless somebody comes before it or a node fails."""
    sureness: str
    """certain, likely, rough, unknown"""
    text: str = ""
    """on what that rests, or why nobody knows"""


Taken = tuple[tuple[Steps, Any], ...]
"""Fields of a spec and what they become; None: they are left out."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task isn't running now."""

    task: TaskKey
    summary: str
    code: str
    blocks: tuple[Block, ...] = ()
    would_help: tuple[str, ...] = ()
    """smallest changes that would let it start, e.g. 'with 1 GPU instead of 2: now'"""
    takes: tuple[Taken, ...] = ()
    """what the first of these change in the spec, in their order"""
    feasible_ever: bool = True
    position: int | None = None
    """place in the queue, 1 is next"""
    waiting: int = 0
    """how many are in the queue"""
    ahead: tuple[str, ...] = ()
    """jobs before it in the queue, the nearest first; not all of a long queue"""
    behind: str = ""
    """what put it behind the nearest of them"""
    factors: tuple[Factor, ...] = ()
    """what gave it its place"""
    expected: Expected | None = None


@dataclass(frozen=True, slots=True)
class TrialTask:
    """Where a task of a spec not yet submitted would go, or why it would wait."""

    index: int
    node: str | None
    gpus: tuple[str, ...] = ()
    share: int = 0
    """thousandths of its one device; 0: whole ones"""
    reason: str = ""
    """the short one that it would carry with it"""
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    tasks: tuple[TrialTask, ...]
    warnings: tuple[str, ...] = ()
    """e.g. 'may run twice until NODE answers' for reschedule without fence"""
