"""The documents that leave the core: what `--json` prints, the wire carries and screens draw.

One shape for all three, as plain JSON types, so that the embedded and the socket client can't
differ. Keys are only ever added. Times are ISO 8601 UTC strings, sizes bytes.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class AttemptDoc(TypedDict):
    id: str
    node: str
    gpus: list[str]
    state: str
    exit_code: int | None
    signal: int | None
    reason: str
    why: str
    placed_at: str
    started_at: str | None
    ended_at: str | None
    revision: int
    cpus: float
    memory_bytes: int
    share: NotRequired[int]
    """thousandths of its one GPU; 0: whole GPUs"""
    gpu_memory_bytes: NotRequired[int]
    """a share's limit of GPU memory; 0 for whole GPUs"""
    cpu_set: NotRequired[list[int]]
    """CPUs near its GPUs that it is pinned to"""
    gang: NotRequired[str]
    """shared by the ranks that were started together"""
    replaced: bool
    limit: str
    last_lines: str
    """the end of its output, when it failed"""


class TaskDoc(TypedDict):
    index: int
    state: str
    reason: str
    reason_code: str
    node: str | None
    not_before: str | None
    retired: NotRequired[bool]
    """no longer wanted: the job was scaled down, or the node needs none"""
    attempts: list[AttemptDoc]


class JobDoc(TypedDict):
    id: str
    name: str
    type: str
    owner: str
    project: str | None
    state: str
    reason: str
    revision: int
    priority: int
    count: int
    nodes: NotRequired[int]
    """the nodes of a gang; 1 for anything else"""
    resources: dict[str, Any]
    submitted_at: str
    begin_at: NotRequired[str | None]
    """it doesn't start before"""
    deadline_at: NotRequired[str | None]
    """it must have ended by then"""
    stops_at: NotRequired[str | None]
    """somebody stops it: at this time; `stop --undo` till then"""
    held: NotRequired[str]
    """who holds it back; "" for nobody"""
    ended_at: str | None
    exit_code: int | None
    tasks: list[TaskDoc]
    spec: NotRequired[dict[str, Any]]
    groups: NotRequired[list[str]]
    """the owner's, when it was submitted; beside the spec"""


class ProcessDoc(TypedDict):
    pid: int
    user: str
    name: str
    command: str
    memory_bytes: int | None
    owner: Literal["flextui", "foreign"]
    job: str | None
    attempt: str | None
    container: str | None
    true_owner: str | None
    utilization: int | None
    """percent of the time that it had work on the device"""
    cpu: float | None
    """of the machine's cores: 1.0 is one"""
    host_memory_bytes: int | None
    ran_s: int | None
    """since it was started"""


class GpuDoc(TypedDict):
    uuid: str
    index: int
    """the GPU's number; its slices have it too"""
    model: str
    mig: str
    """the profile of a MIG slice, such as 1g.10gb; "" for a whole GPU"""
    parent: str
    """the UUID of the GPU that a slice is part of; "" for a whole GPU"""
    memory_bytes: int
    memory_used_bytes: int | None
    utilization: int | None
    memory_utilization: int | None
    """percent of the time that its memory was read or written"""
    temperature_c: int | None
    power_w: float | None
    power_limit_w: float | None
    fan: int | None
    """percent; None for cards that are cooled by their box"""
    clock_mhz: int | None
    clock_max_mhz: int | None
    throttle: list[str] | None
    """what keeps its clock down, in words; None where the driver doesn't tell"""
    pcie: str
    """generation and lanes of its link now, 4x16; "" where it isn't told"""
    pcie_max: str
    """the same at most, by card and slot"""
    ecc_uncorrected: int | None
    xid: int | None
    state: str
    """free, used (a job of ours), foreign, cordoned, lost, error"""
    cordoned: bool
    """whatever its state: one that is lost may be cordoned or not"""
    reason: str
    jobs: list[str]
    """full names of the jobs that hold it"""
    processes: list[ProcessDoc]


class OrphanDoc(TypedDict):
    attempt: str
    job: str
    state: str
    gpus: list[str]


class NodeDoc(TypedDict):
    name: str
    host: str
    transport: str
    state: str
    """ready, connecting, observed, lost, unreachable; see also drained and cordoned"""
    reason: str
    since: str
    drained: bool
    drains_at: NotRequired[str | None]
    """from when on services move off it; undraining till then leaves all as it is"""
    cordoned: bool
    driver: str
    labels: dict[str, str]
    cpus: float
    cpus_used: float
    """promised to live attempts"""
    memory_bytes: int
    memory_promised_bytes: int
    memory_used_bytes: int
    cpu: float | None
    load: list[float]
    disk_bytes: int
    disk_free_bytes: int
    gpus: list[GpuDoc]
    jobs: list[str]
    """full names of jobs with a live attempt here"""
    orphans: list[OrphanDoc]
    facts: dict[str, Any]
    nvml: str


class FleetDoc(TypedDict):
    """The top line of every screen."""

    fleet: str
    inventory: str
    core: str
    """user@host of the core"""
    core_pid: int
    version: str
    headless: bool
    started_at: str
    read_only: str
    """empty, or why no effects happen (a commit failed)"""
    replacement_paused: str
    """empty, or why lost nodes' work isn't replaced"""
    gpus_total: int
    gpus_used: int
    pending: int
    running: int
    problems: int
    simulated: NotRequired[bool]
    """its nodes aren't there: `flextui --demo`"""


SpanDoc = TypedDict("SpanDoc", {"from": str, "to": str})

WindowDoc = TypedDict(
    "WindowDoc",
    {
        "name": str,
        "kind": Literal["reservation", "maintenance"],
        "source": Literal["inventory", "command"],
        "for": list[str],
        "nodes": str | list[str],
        "gpus": list[int] | None,
        "from": str,
        "to": str,
        "every": str | None,
        "until": str | None,
        "timezone": str | None,
        "next": SpanDoc | None,
        "active": bool,
    },
)
"""A reservation or maintenance. `from`, `to` and `until` are as they were written, in the time of
`timezone`; `nodes` is "all" or names; `gpus` None: the nodes whole. `next` is the occurrence that
holds now (`active`) or comes next."""


ACTOR = "flextui"
"""The actor of events that nobody asked for."""


class EventDoc(TypedDict):
    seq: int
    at: str
    kind: str
    """e.g. job.submitted, attempt.started, attempt.ended, node.lost, gpu.cordoned, audit.stop"""
    actor: str
    """who caused it: a user, or `flextui`"""
    job: str | None
    task: int | None
    attempt: str | None
    node: str | None
    text: str


class RevisionDoc(TypedDict):
    """A spec that a job has had; of a batch job, one of the runs of its name."""

    id: str
    revision: int
    at: str | None
    by: str
    state: str
    """of the job, where it is that job's newest spec; "" for one that was replaced"""
    spec: dict[str, Any]
    diff: list[dict[str, Any]]
    """[{"field","old","new"}]: what it changed in the one before it"""


class PastDoc(TypedDict):
    """What a node was doing lately. Series are oldest first, one value each `every_s` up to
    `until`, None where nothing was told; all of an answer are of equal length."""

    every_s: float
    until: int
    """the time of the last value, in `every_s` since the epoch"""
    node: dict[str, list[float | None]]
    """cpu, memory, disk (percent), load"""
    gpus: dict[str, dict[str, list[float | None]]]
    """by UUID: busy, memory (percent), temperature (degrees), power (watts)"""


class TrackDoc(TypedDict):
    """What an attempt used, over all its life."""

    attempt: str
    node: str
    since: str
    every_s: float
    series: dict[str, list[float | None]]
    """cpu (cores), memory (bytes), busy (percent of its GPUs), gpu_memory (bytes on its GPUs)"""


class HistoryDoc(TypedDict):
    """Of a node `past`, of a job `tracks`: the newest attempt first."""

    past: NotRequired[PastDoc]
    tracks: NotRequired[list[TrackDoc]]


class EndDoc(TypedDict):
    """When a live attempt ends."""

    at: str | None
    """expected; None: nobody knows"""
    latest: str | None
    """certainly by then; None: it has no limit"""
    sureness: str


class PlaceDoc(TypedDict):
    """Where a waiting task is expected to go."""

    node: str
    gpus: list[str]
    at: str | None
    ends: list[str]
    """the attempts that have to end before"""


class WantDoc(TypedDict):
    """What a waiting job waits for."""

    id: str
    summary: str
    blocks: list[dict[str, Any]]
    expected: dict[str, Any] | None
    would_help: list[str]
    places: list[PlaceDoc]
    """of its first task that waits, of a gang of all; empty: nobody knows"""


class PlacementDoc(TypedDict):
    ends: dict[str, EndDoc]
    """by live attempt that holds GPUs"""
    wants: WantDoc | None
    """of the job that was asked about, where it waits"""


class CheckDoc(TypedDict):
    node: str
    name: str
    ok: bool | None
    """None: a warning"""
    text: str


class UsageRowDoc(TypedDict):
    name: str
    """the user, project, job (owner/name), node or model; "" where there is none"""
    gpu_hours: float
    """held, from the start of attempts to their end"""
    used_hours: float
    wasted_hours: float
    """held and idle"""
    wasted_percent: float


class UsageDoc(TypedDict):
    by: str
    since: str
    until: str
    """the whole hours that are told"""
    rows: list[UsageRowDoc]
    """the most first"""
    total: UsageRowDoc


class SilenceDoc(TypedDict):
    """Who wants to hear no more of a problem, until when, and why."""

    by: str
    until: str
    why: str


class ProblemDoc(TypedDict):
    """One thing that is wrong now. `id` stays for as long as it lasts."""

    id: str
    kind: str
    """which rule found it: node, gpu, fallen, waits …"""
    severity: Literal["critical", "warning", "notice"]
    since: str
    what: str
    touches: str
    """who suffers from it; "" for nobody yet"""
    next: str
    """the next step in words"""
    action: str
    """what a screen's key does for it: logs, why, uncordon …; "" for nothing"""
    command: str
    """the same as words after `flextui`; "" for nothing"""
    node: str | None
    gpu: str | None
    """its index"""
    job: str | None
    """its id"""
    attempt: str | None
    silenced: SilenceDoc | None
    """somebody knows of it: it isn't counted"""


class ShellEvent(TypedDict):
    """What a program says, how much of its input it took, or its end."""

    kind: Literal["open", "out", "err", "taken", "exit", "lost"]
    b64: NotRequired[str]
    """bytes that it wrote"""
    status: NotRequired[int]
    """its exit status, a signal N as 128+N"""
    text: NotRequired[str]
    """where it runs (open); why the connection broke (lost)"""


class ShellInput(TypedDict):
    """What a program is told. Each piece of data is answered by one `taken`, once it is read."""

    kind: Literal["data", "size", "signal", "end"]
    b64: NotRequired[str]
    columns: NotRequired[int]
    lines: NotRequired[int]
    name: NotRequired[str]
    """of a signal: INT, TERM …"""


class Delta(TypedDict):
    """A change of the view since the last one; the first holds everything (`full`)."""

    revision: int
    full: bool
    fleet: NotRequired[FleetDoc]
    jobs: dict[str, JobDoc | None]
    """by id; None: it left the view"""
    nodes: dict[str, NodeDoc | None]
    """by name"""
    problems: NotRequired[list[ProblemDoc]]
    """all that there are, the worst first; left out while they are the same"""


class LogEvent(TypedDict):
    """A piece of log, a gap, the end, or what a search found. `b64` where bytes aren't UTF-8."""

    kind: Literal["data", "gap", "eof", "notice", "hits"]
    attempt: str
    node: str
    stream: str
    at: int
    to: int
    text: str
    b64: NotRequired[str]
    marks: NotRequired[list[list[float]]]
    """[position, Unix ms]: when the bytes from there on came"""
    told: NotRequired[dict[str, list[int]]]
    """of an end: stream → from where to where it told"""
    hits: NotRequired[list[list[float]]]
    """[position, Unix ms] of lines that a search found in this stream"""
    count: NotRequired[int]
    """how many such lines it has seen there so far"""
    whole: NotRequired[bool]
    """the stream is searched to its end"""
