"""What the core knows at one instant: frozen records and the Snapshot that holds them.

The engine is the only writer; it replaces records and publishes a new Snapshot with a higher
revision. Scheduler, screens and commands only read. Wall times are Unix seconds and survive a
restart of the core; fields that end in `_mono` are seconds of the core's awake clock and don't.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from flextui.core.model.ids import TaskKey
from flextui.core.model.node import (
    Facts,
    Gpu,
    GpuPlace,
    GpuProcess,
    Mark,
    Node,
    NodeStatus,
    Orphan,
    Sample,
    Use,
)
from flextui.core.model.records import quick

if TYPE_CHECKING:
    from flextui.core.model.inventory import Inventory, Reservation
    from flextui.core.model.journal import Journal
    from flextui.core.model.silences import Silence
    from flextui.core.model.spec import JobSpec


__all__ = [
    "KEPT_RUNTIMES",
    "Account",
    "Attempt",
    "AttemptState",
    "Facts",
    "Gpu",
    "GpuPlace",
    "GpuProcess",
    "Identity",
    "Job",
    "JobState",
    "Mark",
    "Meter",
    "Node",
    "NodeStatus",
    "Now",
    "Orphan",
    "RunTimes",
    "Sample",
    "Snapshot",
    "StopRequest",
    "Task",
    "Use",
]


def _empty() -> MappingProxyType[Any, Any]:
    return MappingProxyType({})


class JobState(StrEnum):
    """States of a job and of a task."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    def __init__(self, value: str) -> None:
        self.ended = value in ("succeeded", "failed", "stopped")


class AttemptState(StrEnum):
    """States of an attempt. `unknown`: its node can't be asked; it may well be running."""

    PLACED = "placed"
    STARTING = "starting"
    RUNNING = "running"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    KILLED = "killed"
    LOST = "lost"

    def __init__(self, value: str) -> None:
        self.live = value in ("placed", "starting", "running", "unknown")


class Now(NamedTuple):
    """The instant a decision is made at: wall clock, and the clock that only counts while awake."""

    wall: float
    mono: float


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, as the kernel says it."""

    user: str
    uid: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Somebody (or a rule) wants it ended."""

    by: str
    at: float
    """From when on; till then it can be taken back."""
    why: str
    code: str = ""
    """Why, for rules: preempted, quota, idle, share; "" when somebody asked for it."""


@dataclass(frozen=True)
class Job:
    """What a user submitted. `spec_json` is the canonical text; `spec` parses it once, lazily."""

    id: str
    seq: int
    name: str
    owner: str
    owner_uid: int
    type: str
    revision: int
    spec_json: str
    submitted_at: float
    priority: int
    count: int
    state: JobState = JobState.PENDING
    reason: str = ""
    ended_at: float | None = None
    stop: StopRequest | None = None
    groups: tuple[str, ...] = ()
    """The owner's groups when it was submitted, for reservations for `group:NAME`."""
    project: str = ""
    """The project that is charged; "" for none."""
    begin_at: float | None = None
    """Wall time before which it doesn't start."""
    deadline_at: float | None = None
    """Wall time by which it must have ended."""
    hold: Mark | None = None
    """Somebody holds it back: nothing more of it starts."""

    @cached_property
    def spec(self) -> JobSpec:
        from flextui.core.model.spec import spec_from_text

        return spec_from_text(self.spec_json)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def stops(self, wall: float) -> bool:
        """Whether it is to end now: a stop may be asked for a while ahead, and taken back."""
        return self.stop is not None and self.stop.at <= wall


@quick
@dataclass(frozen=True, slots=True)
class Task:
    """One replica. `node` is set for a system job's task: the only node it may run on."""

    key: TaskKey
    state: JobState = JobState.PENDING
    reason: str = ""
    reason_code: str = ""
    node: str | None = None
    attempts: int = 0
    """Attempts made so far; the next one gets this number plus one."""
    active: str | None = None
    """The attempt that counts for this task now: live, or the last that ended."""
    failures: tuple[float, ...] = ()
    """Wall times of the counted failures that still matter for the restart window."""
    not_before: float | None = None
    """Wall time before which no new attempt starts (restart delay)."""
    ready_at: float = 0.0
    """Wall time since which the task waits for a place."""
    retired: bool = False
    """Scaled away or replaced by a node's leaving: ended, kept for its history."""
    restart: StopRequest | None = None
    """An operator asked for a restart: the active attempt is stopped, a new one follows."""
    ended_at: float | None = None
    exit_code: int | None = None
    served_s: float = 0.0
    """Seconds that preempted attempts ran whose work the job keeps (`preempt: resume`)."""


@quick
@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a task on one node; never reused."""

    id: str
    task: TaskKey
    number: int
    revision: int
    node: str
    host_id: str
    boot: str
    root_id: str
    gpus: tuple[str, ...]
    cpus: float
    memory_bytes: int
    state: AttemptState
    placed_at: float
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    """waitpid's truth, a signal N as 128+N; None while live and when lost."""
    signal: int | None = None
    reason: str = ""
    why: str = ""
    """Who ended it: exit, time_limit, memory, stopped, lease, supervisor_lost, boot, device_lost,
    refused (never ran: the node said no), never (never ran: abandoned)."""
    stop: StopRequest | None = None
    """Durable: a kill that is owed, also to an absent node."""
    replaced: bool = False
    """Given up (node loss): its late result is recorded and changes nothing."""
    acked: bool = False
    """The node may forget the exit record."""
    lease_s: float | None = None
    last_lines: str = ""
    """The end of its output when it failed, so that it shows when the node is gone."""
    limit: str = ""
    """How memory is limited on the node: scope, soft or nothing."""
    nonce: str = ""
    """Random, made when placed: tells this attempt from another of the same id that a state of
    ours which was since replaced by a backup may have left on a node. "" from older versions."""
    share: int = 0
    """Thousandths of its one device that it holds; 0: whole devices."""
    gpu_memory_bytes: int = 0
    """The most that a share may use of its device's memory; 0 for whole devices."""
    cpu_set: tuple[int, ...] = ()
    """The CPUs near its devices that it is pinned to; empty: any."""
    gang: str = ""
    """Shared by the ranks of a gang that were placed together; "" for anything else."""
    master: str = ""
    """host:port of rank 0, for the ranks of a gang."""
    borrowed: bool = False
    """Let in by a learned run time before somebody that it would be in the way of: it makes room
    if it stays longer."""

    def owns(self, nonce: str) -> bool:
        """Whether a node's record with this nonce is of this attempt; older ones have none."""
        return not nonce or nonce == self.nonce


@dataclass(frozen=True, slots=True)
class Account:
    """What one user has of GPUs for one project, now and in the past. Durable but for `gpus`,
    which follows from the live attempts."""

    project: str
    user: str
    used: float = 0.0
    """GPU-seconds as of `at`, decayed by `policy.half_life`; shares count as their part."""
    at: float = 0.0
    """The wall time that `used` and `hours` are brought up to."""
    gpus: int = 0
    """Thousandths of GPUs that live attempts hold since `at`."""
    hours: Mapping[int, float] = field(default_factory=dict)
    """Hour (Unix time // 3600) → GPU-seconds in it, undecayed, as far back as a quota looks."""


@dataclass(frozen=True, slots=True)
class Meter:
    """How a live attempt has used its GPUs, as telemetry tells it. Durable are `since` and
    `models`: the time that is charged never depends on telemetry."""

    since: float
    """Wall time up to which its usage is in the store's own table."""
    models: tuple[str, ...] = ()
    """The models of its devices, in the order of `Attempt.gpus`."""
    idle_s: float = 0.0
    """Seconds of idle devices since then; a share's count as its part."""
    seen_at: float | None = None
    """Wall time of the last sample that told of its devices."""
    idle_at: float | None = None
    """Wall time since which all its devices are idle, as far as telemetry tells; None: in use."""
    warned_at: float | None = None
    """When its owner was warned that it is idle."""
    over_at: float | None = None
    """Wall time since which it uses more device memory than its share."""
    over_told: bool = False
    """Its owner was told so."""


KEPT_RUNTIMES = 4096
"""Kinds of jobs whose run times are kept: those that ended last."""


@dataclass(frozen=True, slots=True)
class RunTimes:
    """How long jobs of a kind run. The lists by level are a life table's: see
    `scheduler.lifetable`."""

    samples: tuple[float, ...] = ()
    """Run times in seconds of the last that ran to their own end, oldest first."""
    reached: tuple[float, ...] = ()
    """Level → how many runs got there; fractions for those that were cut off in it."""
    ended: tuple[float, ...] = ()
    """Level → how many ended in it."""
    chance: tuple[float, ...] = ()
    """Level → the part that ends in it, with what is known of more general kinds."""


@quick
@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything, at one revision.

    `jobs` are those that haven't ended; `recent` those that ended lately (bounded; older ones are
    in the store). `tasks` and `attempts` belong to either. `by_job` lists a job's task keys,
    `by_node` a node's live attempts.
    """

    revision: int
    inventory: Inventory
    jobs: Mapping[str, Job] = field(default_factory=_empty)
    recent: Mapping[str, Job] = field(default_factory=_empty)
    tasks: Mapping[TaskKey, Task] = field(default_factory=_empty)
    attempts: Mapping[str, Attempt] = field(default_factory=_empty)
    nodes: Mapping[str, Node] = field(default_factory=_empty)
    by_job: Mapping[str, tuple[TaskKey, ...]] = field(default_factory=_empty)
    by_node: Mapping[str, frozenset[str]] = field(default_factory=_empty)
    suspended_until_answer: bool = False
    """Half of the nodes vanished at once: replacement pauses."""
    lease_mono: Mapping[str, float] = field(default_factory=_empty)
    """Attempts under a lease → awake time at which this core last heard what proves that the
    lease runs: placed, started or asked for a renewal that was granted. An attempt that isn't in
    here may run under a lease that a clean shutdown suspended."""
    accounts: Mapping[tuple[str, str], Account] = field(default_factory=_empty)
    """By (project, user)."""
    runtimes: Mapping[str, RunTimes] = field(default_factory=_empty)
    """What is learned of run times; the keys are `scheduler.runtimes.keys_of`'s."""
    demand: Mapping[tuple[int, ...], float] = field(default_factory=_empty)
    """What jobs have lately asked for: shape → how often. See `scheduler.demand`."""
    reservations: Mapping[str, Reservation] = field(default_factory=_empty)
    """Those made by command, by name; the inventory has more."""
    silences: Mapping[str, Silence] = field(default_factory=_empty)
    """By the problem's id."""
    meters: Mapping[str, Meter] = field(default_factory=_empty)
    """By live attempt that holds GPUs."""
    named: Mapping[tuple[str, str], tuple[tuple[int, ...], ...]] = field(default_factory=_empty)
    """(owner, name) → `seq` of live jobs that nobody has stopped: see `livejobs`."""
    live_counts: Mapping[tuple[str, str], int] = field(default_factory=_empty)
    """("user", name) and ("project", name) → how many live jobs they have."""
    journal: Journal | None = field(default=None, compare=False, repr=False)
    """What changed from one snapshot to the next; None: nobody wrote it down."""
    mark: int = field(default=0, compare=False, repr=False)
    """How far the journal had grown."""
