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
from flextui.core.model.records import quick

if TYPE_CHECKING:
    from flextui.core.model.inventory import Inventory, NodeSpec, Reservation
    from flextui.core.model.journal import Journal
    from flextui.core.model.silences import Silence
    from flextui.core.model.spec import JobSpec


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


class NodeStatus(StrEnum):
    """How the session to a node stands.

    `lost` is silence on a link that worked or can't be made (loss time runs); `unreachable` is a
    definite complaint (authentication, host key, Python, disk, state folder): never loss.
    `observed`: another core drives the node; telemetry only.
    """

    CONNECTING = "connecting"
    READY = "ready"
    OBSERVED = "observed"
    LOST = "lost"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Mark:
    """A cordon, drain or hold: who, from when on and why."""

    by: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory of a device."""

    pid: int
    user: str
    name: str
    command: str
    memory_bytes: int | None
    attempt: str | None
    container: str | None = None
    owner: str | None = None
    """The true owner when it runs in a container."""
    utilization: int | None = None
    """Percent of the time that it had work on the device; None where the driver doesn't tell."""
    cpu: float | None = None
    """Of the machine's cores; 1.0 is one."""
    host_memory_bytes: int | None = None
    ran_s: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device as NVML reports it; None where the driver doesn't support the query."""

    uuid: str
    index: int
    model: str
    memory_bytes: int
    memory_used_bytes: int | None
    utilization: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    ecc_uncorrected: int | None = None
    recovery_action: int | None = None
    state: str = "ok"
    text: str = ""
    processes: tuple[GpuProcess, ...] = ()
    declared: bool = False
    """From the inventory, of a box without a driver."""
    mig: str = ""
    """The profile of a MIG slice (1g.10gb); "" for a whole GPU."""
    parent: str = ""
    """The UUID of the GPU that a MIG slice is cut from. Slices have its index, model and state; it
    isn't listed itself, unless it has no slices."""
    memory_utilization: int | None = None
    fan: int | None = None
    """Percent."""
    clock_mhz: int | None = None
    clock_max_mhz: int | None = None
    throttle: int | None = None
    """NVML's mask of clock event reasons."""
    pcie: tuple[int, int] | None = None
    """Generation and lanes of its link to the host, as it is now."""
    pcie_max: tuple[int, int] | None = None
    """The same at most, by card and slot."""


@dataclass(frozen=True, slots=True)
class GpuPlace:
    """Where a device sits in its node. It doesn't change while the node runs."""

    numa: int | None = None
    """Its NUMA node; None where the platform doesn't say."""
    cpus: tuple[int, ...] = ()
    """The CPUs near it; empty where NVML doesn't say."""
    near: Mapping[str, int] = field(default_factory=dict)
    """Other devices by UUID → nearness: 100 and more NVLink (100 + links), then what PCIe path
    they share: 50 one board, 40 one switch, 30 several switches, 20 one host bridge, 10 one NUMA
    node, 0 across sockets."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node said of itself at hello."""

    host_id: str
    boot: str
    root_path: str
    root_id: str
    hostname: str
    user: str
    uid: int
    cpus: float
    memory_bytes: int
    python: str = ""
    kernel: str = ""
    os: str = ""
    driver_version: str | None = None
    cgroup: str = "soft"
    linger: bool | None = None
    kill_user_processes: bool | None = None
    agent: str = ""
    clock_ahead_s: float | None = None
    """How far its clock was ahead of this machine's at hello, but for how long that took; None:
    it didn't say."""


class Use(NamedTuple):
    """What an attempt uses of its node."""

    cpu: float | None
    """1.0 is one core; None until there are two measurements."""
    memory_bytes: int | None
    active_ago_s: float | None = None
    """Seconds since a terminal of it saw input or output or a notebook kernel of it was busy; None
    where it has neither."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The last telemetry of a node, without its GPUs."""

    cpu: float | None = None
    load: tuple[float, ...] = ()
    memory_bytes: int = 0
    memory_used_bytes: int = 0
    disk_bytes: int = 0
    disk_free_bytes: int = 0
    uptime_s: float = 0.0
    nvml: str = ""
    attempts: Mapping[str, Use] = field(default_factory=dict)
    """By attempt id."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An attempt of ours on a node that this core doesn't know; shown, never killed by itself."""

    attempt: str
    job: str
    state: str
    gpus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the inventory. The second half is durable, the rest is made anew by a session."""

    name: str
    spec: NodeSpec
    status: NodeStatus = NodeStatus.CONNECTING
    reason: str = ""
    status_at: float = 0.0
    down_mono: float | None = None
    """Since when it is lost, on the awake clock; begins anew at a stall of the core."""
    up_mono: float | None = None
    """When it last became ready, on the awake clock; None: not since the core's start."""
    declared_lost: bool = False
    """An operator confirmed the loss."""
    driver: str = ""
    """Who drives it, when we don't."""
    facts: Facts | None = None
    gpus: tuple[Gpu, ...] = ()
    sampled: bool = False
    """A first sample of this session has arrived: the GPUs are known."""
    sample: Sample = Sample()
    orphans: tuple[Orphan, ...] = ()
    places: Mapping[str, GpuPlace] = field(default_factory=dict)
    """Device → where it sits."""
    xids: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Device → last XID and when."""
    claims: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """Device → who has claimed it (another core or user), and until when (wall) we leave it."""
    # durable
    host_id: str = ""
    root_path: str = ""
    root_id: str = ""
    drain: Mark | None = None
    cordon: Mark | None = None
    cordoned_gpus: Mapping[str, Mark] = field(default_factory=dict)
    """By UUID; that of a GPU holds for the slices that are cut from it as well."""

    def drains(self, wall: float) -> bool:
        """Whether what runs is to leave: new work is kept away even before."""
        return self.drain is not None and self.drain.at <= wall

    def cordon_of(self, gpu: Gpu) -> Mark | None:
        """The mark that keeps new work from a device of this node."""
        return self.cordoned_gpus.get(gpu.uuid) or self.cordoned_gpus.get(gpu.parent)


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
