"""What people can ask of a core. One frozen record per verb; the answers are JSON documents.

The command line, the screens and the socket all speak these. `JOB` selectors are an id, a name or
owner/name, resolved by the core for the caller. Who may do what is decided in the core, from the
identity that the kernel gives, never from a field in here.
"""

from __future__ import annotations

from dataclasses import dataclass

from flextui.core.refusal import CommandError as CommandError
from flextui.core.refusal import ErrorCode as ErrorCode


@dataclass(frozen=True, slots=True)
class Source:
    """A spec file as the user wrote it; problems are told with its name, line and column."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Submit:
    """→ {"jobs": [{"id","name","owner","revision","state","reason","diff"}]}: all or none."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Revise:
    """Make a live job run as this text says. → {"job","action","diff","restarts":[index]}: a new
    revision, or nothing where the text says what holds already."""

    job: str
    source: Source
    base: int = 0
    """The revision that the text was made from: another one by now is refused. 0: whichever."""


@dataclass(frozen=True, slots=True)
class Plan:
    """→ {"jobs": [{"name","action","tasks":[{"index","node","gpus","reason",…}],"warnings"}]}."""

    sources: tuple[Source, ...]
    job: str | None = None
    """The live job that the text is to be a new revision of; None: it is to be submitted."""


@dataclass(frozen=True, slots=True)
class Stop:
    """→ {"jobs": [{"id","name","owner","state"}]}. Ended jobs are left as they are."""

    jobs: tuple[str, ...]
    why: str = ""
    after_s: float = 0.0
    """Seconds until it is done: till then `Unstop` takes it back. Nothing of it starts then."""


@dataclass(frozen=True, slots=True)
class Unstop:
    """Take back stops that aren't done yet. → as Stop."""

    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Start nothing more of these jobs; what runs goes on. → as Stop."""

    jobs: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """Let held jobs start again. → as Stop."""

    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restart:
    """Stop and start the live tasks anew, crash-looped or failed ones too. → as Stop."""

    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """→ {"id","name","count"}."""

    job: str
    count: int


@dataclass(frozen=True, slots=True)
class SetPriority:
    job: str
    priority: int


@dataclass(frozen=True, slots=True)
class Why:
    """→ {"job": JobDoc, "tasks": [{"index","state","summary","blocks":[…],"position","factors",
    "expected","would_help":[…]}]}."""

    job: str


@dataclass(frozen=True, slots=True)
class Show:
    """→ JobDoc with spec."""

    job: str


@dataclass(frozen=True, slots=True)
class ListJobs:
    """→ {"jobs": [JobDoc]}: live ones, then ended ones newest first; with their specs on demand."""

    ended: bool = True
    limit: int | None = None
    spec: bool = False


@dataclass(frozen=True, slots=True)
class ListQueue:
    """→ {"queue": [{"position","id","owner","name","asks","factors","reason","expected",…}],
    "waiting"}: what waits for a place, in the order in which it gets one."""

    limit: int = 100
    forecast: bool = True
    """Whether `expected` is told, which takes longer; without it is null."""


@dataclass(frozen=True, slots=True)
class ListPlacement:
    """→ PlacementDoc: when what holds GPUs ends, what has to end before a waiting job starts."""

    job: str = ""


@dataclass(frozen=True, slots=True)
class ListNodes:
    """→ {"nodes": [NodeDoc], "fleet": FleetDoc}."""


@dataclass(frozen=True, slots=True)
class ListProblems:
    """→ {"problems": [ProblemDoc]}: everything that is wrong now, the worst first."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Hear no more of problems that are known, for a while: they are shown, but not counted.
    → {"problems": [id], "until"}."""

    problems: tuple[str, ...]
    """Ids, or what only one id begins with."""
    for_s: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unsilence:
    """Hear of them again. → {"problems": [id]}."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """No new work and let what runs end elsewhere: batch finishes, services move. → {"node"}."""

    node: str
    on: bool = True
    why: str = ""
    after_s: float = 0.0
    """Seconds until services move: till then undraining leaves everything where it is."""


@dataclass(frozen=True, slots=True)
class Cordon:
    """No new work on a node, or on one of its GPUs (index or UUID). → {"node","gpu"}."""

    node: str
    gpu: str | None = None
    on: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class DeclareLost:
    """The operator confirms that a silent node is gone: replacement needn't wait. → {"node"}."""

    node: str


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Become the driver of nodes that another core drives (and fence it). → {"nodes"}."""

    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep nodes (or `("all",)`), or GPUs of them, for somebody. → {"reservation": WindowDoc}."""

    name: str
    who: tuple[str, ...]
    """Users, group:NAME and project:NAME."""
    nodes: tuple[str, ...]
    end: str
    """An ISO time, or a duration from `begin`."""
    begin: str = ""
    """An ISO time, or a duration from now; now if empty."""
    gpus: tuple[int, ...] = ()
    """Indices; empty: the nodes whole."""
    every: str | None = None
    until: str | None = None
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Unreserve:
    """End a reservation that a command made. → {"name"}."""

    name: str


@dataclass(frozen=True, slots=True)
class ListReservations:
    """→ {"reservations": [WindowDoc]}: reservations and maintenance, the soonest first."""


@dataclass(frozen=True, slots=True)
class Check:
    """Preflight. → {"checks": [CheckDoc]}."""

    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListEvents:
    """→ {"events": [EventDoc]} oldest first: all, or those of a job, of a node, by a user, or
    (`audit`) only what people did."""

    after: int = 0
    job: str | None = None
    limit: int = 1000
    node: str | None = None
    actor: str | None = None
    audit: bool = False


@dataclass(frozen=True, slots=True)
class Revisions:
    """→ {"job": id, "name", "owner", "revisions": [RevisionDoc]}: the specs that a job has had, of
    a batch job those of its owner's runs of that name, newest first."""

    job: str


@dataclass(frozen=True, slots=True)
class History:
    """What a node (`node`), or a job's attempts (`job`), used of late. → HistoryDoc.

    `after`: only samples of a node later than this `until` of an earlier answer.
    """

    node: str = ""
    job: str = ""
    after: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """GPU hours: held, used, wasted. → UsageDoc."""

    by: str = "user"
    """user, project, job, node, model"""
    since: str = "7d"
    """An ISO time, or so long ago; the hour that it lies in counts whole."""
    until: str = ""
    """The same; now if empty."""


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """→ {"user","uid","groups","admin","core","projects" (one's own),"volumes"}."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the core; workloads keep running. → {}."""


Command = (
    Submit
    | Revise
    | Plan
    | Stop
    | Unstop
    | Hold
    | Release
    | Restart
    | Scale
    | SetPriority
    | Why
    | Show
    | ListJobs
    | ListQueue
    | ListPlacement
    | ListNodes
    | ListProblems
    | Silence
    | Unsilence
    | Drain
    | Cordon
    | DeclareLost
    | TakeOver
    | Reserve
    | Unreserve
    | ListReservations
    | Check
    | ListEvents
    | Revisions
    | History
    | Usage
    | WhoAmI
    | Shutdown
)


class Offset(int):
    """A position in a log, in bytes, or a time in Unix milliseconds: larger than other numbers."""


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A part of one stream of an attempt's log.

    From `begin` to `end`; without `begin` the last `lines` before `end`, or what came from `since`
    on, whichever is more; with `spots` the lines at these positions, and `context` lines around;
    with `times` the `context` lines before and after these.
    """

    attempt: str
    stream: str
    begin: Offset | None = None
    end: Offset | None = None
    lines: int | None = None
    since: Offset | None = None
    """Unix milliseconds."""
    limit: Offset | None = None
    """Bytes at most."""
    spots: tuple[Offset, ...] = ()
    times: tuple[Offset, ...] = ()
    """Unix milliseconds."""
    context: int = 0


@dataclass(frozen=True, slots=True)
class LogSearch:
    """A regular expression, looked for where the logs lie."""

    pattern: str
    ignore_case: bool = False
    inverse: bool = False
    most: int = 100_000
    """Lines of a stream that are told with their positions, the newest; the others are counted."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Logs of a job's tasks (all, or those given), of every attempt or of the newest only.

    With `pieces` just these parts, of any jobs' attempts; if it follows, where it begins in them.
    With `search` as well: where in the streams of these something is found.
    """

    job: str
    tasks: tuple[int, ...] = ()
    attempt: str | None = None
    streams: tuple[str, ...] = ("out", "err")
    last_lines: int | None = None
    follow: bool = False
    node: str = ""
    """Only what runs on this node."""
    pieces: tuple[LogPiece, ...] = ()
    search: LogSearch | None = None


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """A program on a node, or in a running attempt of a job: its folder, environment and GPUs."""

    node: str = ""
    job: str = ""
    task: int = -1
    """-1: the first that runs."""
    argv: tuple[str, ...] = ()
    """Empty: the account's shell."""
    term: str = ""
    """The kind of terminal that it talks to; empty: none, but three plain streams."""
    columns: int = 80
    lines: int = 24
