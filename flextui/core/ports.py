"""What the engine needs from the world, as protocols: nodes, store, clock.

The engine knows only these; adapters implement them, tests give small fakes of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol

from flextui.core.events import NodeEvent
from flextui.core.model.docs import CheckDoc, EventDoc, JobDoc, LogEvent, RevisionDoc
from flextui.core.model.inventory import NodeSpec, Reservation
from flextui.core.model.records import quick
from flextui.core.model.revisions import Revision
from flextui.core.model.silences import Silence
from flextui.core.model.state import Account, Attempt, Job, Meter, Node, Now, RunTimes, Task
from flextui.core.model.usage import UsageKey, UsageQuery, UsageRow, Used

# ── effects: what the engine tells a node, after the intent is durable ─────────────────────────


@quick
@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Run this. Idempotent on the node: the same attempt never starts twice."""

    attempt: str
    boot: str
    job: str
    task: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    workdir: str | None
    time_limit_s: float | None
    grace_s: float
    memory_bytes: int | None
    lease_s: float | None
    devices: tuple[tuple[str, float], ...]
    """(UUID, amount): 1.0 is the whole device."""
    nonce: str = ""
    cpu_set: tuple[int, ...] = ()
    """The CPUs that it may run on, as far as its account may use them; empty: all of these."""


@dataclass(frozen=True, slots=True)
class StopAttempt:
    attempt: str
    grace_s: float
    why: str
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class AbandonAttempt:
    """Make sure it never runs: tombstone, unless it exists already (then it is reported)."""

    attempt: str
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class AckAttempts:
    """The results are durable here; the node may forget its records."""

    attempts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrantLease:
    attempt: str
    seq: int


Effect = StartAttempt | StopAttempt | AbandonAttempt | AckAttempts | GrantLease


@dataclass(frozen=True, slots=True)
class TailRequest:
    """Log bytes of one attempt. `start` is a byte offset per stream; else the last lines before
    `until`, or what came from `since_ms` (Unix) on, whichever is more."""

    attempt: str
    streams: tuple[str, ...] = ("out", "err")
    start: Mapping[str, int] | None = None
    last_lines: int | None = None
    follow: bool = False
    until: Mapping[str, int] | None = None
    since_ms: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class SpotsRequest:
    """The lines at these positions of a stream, each with those around it, and those around
    these times (Unix ms)."""

    attempt: str
    stream: str
    spots: tuple[int, ...]
    times: tuple[int, ...] = ()
    context: int = 0


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Where in the logs of these attempts, all of this node, lines match; see `LogSearch`."""

    attempts: tuple[str, ...]
    streams: tuple[str, ...]
    pattern: str
    ignore_case: bool = False
    inverse: bool = False
    most: int = 0


LogAsk = TailRequest | SpotsRequest | SearchRequest


@dataclass(frozen=True, slots=True)
class CoreIdentity:
    """Who drives: goes into every hello."""

    core_id: str
    epoch: int
    owner: str
    """user@host, shown to others."""
    adopt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """Something to run on a node for somebody who sits there."""

    argv: tuple[str, ...] = ()
    """Empty: a shell of the account's own."""
    attempt: str = ""
    """The running attempt whose folder and environment it has; empty: as after a login."""
    term: str = ""
    """Kind of terminal; empty: none."""
    columns: int = 80
    lines: int = 24


class RunningProgram(Protocol):
    """A program that was started; over when it is closed."""

    def output(self) -> AsyncIterator[tuple[Literal["out", "err"], bytes]]:
        """What it writes, until it ends. Raises ConnectionError when the link breaks."""

    async def write(self, data: bytes) -> None:
        """To its stdin; waits while it doesn't read."""

    def end_input(self) -> None:
        """Its stdin is at its end."""

    def resize(self, columns: int, lines: int) -> None:
        """Its terminal has another size."""

    def signal(self, name: str) -> None:
        """Send it a signal, such as INT."""

    async def wait(self) -> int:
        """Its exit status, a signal N as 128+N. Raises ConnectionError when the link broke."""

    async def close(self) -> None:
        """End it, if it hasn't ended."""


class NodeSession(Protocol):
    """The lasting link to one node. It connects, reconnects and reports until closed.

    Effects given while there is no link are dropped: the engine sends again what still matters
    after the next NodeReady.
    """

    @property
    def name(self) -> str: ...

    def send(self, effect: Effect) -> None:
        """Hand over an effect; never blocks. What happened comes back as an event."""

    def tail(self, request: LogAsk) -> AsyncIterator[LogEvent]:
        """Stream log bytes; ends at eof or when the link breaks (raises ConnectionError)."""

    async def check(self) -> list[CheckDoc]:
        """Preflight: link, host key, Python, driver, disk, clock, cgroups. Never raises."""

    async def run(self, program: Program) -> RunningProgram:
        """Start a program, on a connection of its own. Raises ConnectionError."""

    def retry_now(self) -> None:
        """Don't wait for the backoff (an operator asked)."""

    def take_over(self) -> None:
        """Connect anew and become the node's driver."""

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        """Say bye and end. Workloads keep running."""


class SessionFactory(Protocol):
    """Makes the session of a node; bound to one event loop."""

    def open(
        self,
        node: NodeSpec,
        identity: CoreIdentity,
        root: tuple[str, str] | None,
        emit: Callable[[NodeEvent], None],
    ) -> NodeSession:
        """`root` is (path, root_id) as stored at the first hello, None before it."""

    async def close(self) -> None: ...


# ── store ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything one turn of the engine makes durable, in one transaction."""

    jobs: Sequence[Job] = ()
    tasks: Sequence[Task] = ()
    attempts: Sequence[Attempt] = ()
    nodes: Sequence[Node] = ()
    events: Sequence[EventDoc] = ()
    revisions: Sequence[Revision] = ()
    """The first one written of a number stays."""
    accounts: Sequence[Account] = ()
    runtimes: Mapping[str, RunTimes] = field(default_factory=dict)
    reservations: Mapping[str, Reservation | None] = field(default_factory=dict)
    """None: dropped."""
    silences: Sequence[Silence] | None = None
    """All of them; None: as they were."""
    meters: Mapping[str, Meter | None] = field(default_factory=dict)
    """Their durable half, by attempt; None: dropped."""
    usage: Mapping[UsageKey, Used] = field(default_factory=dict)
    """To be added to what the rows hold."""

    def __bool__(self) -> bool:
        return self.silences is not None or any(getattr(self, it.name) for it in fields(self))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a core finds at its start: live jobs and the newest ended ones, with their parts."""

    core_id: str
    epoch: int
    adopt: tuple[str, ...]
    next_job_seq: int
    next_event_seq: int
    jobs: Sequence[Job] = ()
    tasks: Sequence[Task] = ()
    attempts: Sequence[Attempt] = ()
    nodes: Mapping[str, NodeRecord] = field(default_factory=dict)
    accounts: Sequence[Account] = ()
    """Without `gpus` and `hours`."""
    hours: Mapping[tuple[str, str], Mapping[int, float]] = field(default_factory=dict)
    """(project, user) → hour → GPU-seconds in the rows of usage, as far back as was asked."""
    runtimes: Mapping[str, RunTimes] = field(default_factory=dict)
    reservations: Mapping[str, Reservation] = field(default_factory=dict)
    silences: Mapping[str, Silence] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """The durable half of a Node."""

    name: str
    host_id: str = ""
    root_path: str = ""
    root_id: str = ""
    drain: tuple[str, float, str] | None = None
    cordon: tuple[str, float, str] | None = None
    cordoned_gpus: Mapping[str, tuple[str, float, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events are wanted."""

    after: int = 0
    """Later than this one; 0: the newest."""
    job: str | None = None
    """An id."""
    node: str | None = None
    actor: str | None = None
    audit: bool = False
    """Only what people did."""
    limit: int = 1000


class Store(Protocol):
    """Durable state. commit() returns when the bytes are on disk; it raises StoreError."""

    def load(self, hours_since: int | None = None) -> Loaded:
        """Open, check version and integrity, raise the epoch (committed), read the live state.

        `hours_since`: the first hour (Unix time // 3600) that `Loaded.hours` tells; None: no hour.
        """

    async def commit(self, changes: Changes) -> None: ...

    async def ended_jobs(self, *, limit: int | None = None, spec: bool = False) -> list[JobDoc]:
        """Jobs that ended, newest first, without their specs unless asked for."""

    async def job(self, job_id: str) -> JobDoc | None:
        """One job with spec, from the tables."""

    async def named(self, name: str) -> list[tuple[str, str]]:
        """(id, owner) of all jobs of this name, newest first."""

    async def ended_attempts(self, ids: tuple[str, ...]) -> Mapping[str, str]:
        """Those of these attempts that are known to have ended, with their nonces."""

    async def revisions(self, job_id: str) -> list[RevisionDoc]:
        """The specs of a job, of a batch job those of its owner's runs of that name as well:
        newest first, each with what it changed."""

    async def events(self, query: EventQuery) -> list[EventDoc]:
        """Oldest first; without `after`, the newest of them."""

    async def usage(self, query: UsageQuery, now: float) -> list[UsageRow]:
        """GPU-seconds held and idle, summed by what the query asks for."""

    async def prune(self, *, before: float, before_iso: str, usage_before: float) -> None:
        """Drop ended jobs, events and usage older than this; events beyond a bound as well."""

    async def close(self) -> None: ...


class StoreError(Exception):
    """The store can't be used; the text says what to do."""


class Clock(Protocol):
    """Time as the engine sees it."""

    watching: bool
    """Set while `now` is called at least once a second: a long gap then means a stall."""

    def now(self) -> Now: ...

    def stalled(self) -> bool:
        """True once after the process was stopped or the machine slept for more than 5 s."""
