"""Pure: the command line that does the same as what was done in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from flextui.core.commands import (
    Check,
    Command,
    Cordon,
    DeclareLost,
    Drain,
    History,
    Hold,
    ListEvents,
    ListJobs,
    ListNodes,
    ListPlacement,
    ListProblems,
    ListQueue,
    ListReservations,
    LogRequest,
    Plan,
    Release,
    Reserve,
    Restart,
    Revise,
    Revisions,
    Scale,
    SetPriority,
    Show,
    Shutdown,
    Silence,
    Stop,
    Submit,
    TakeOver,
    Unreserve,
    Unsilence,
    Unstop,
    Usage,
    WhoAmI,
    Why,
)
from flextui.core.model.units import format_duration, parse_duration
from flextui.screens.line import Line


def line(command: Command | LogRequest) -> Line | None:
    """The command line of a command; None for what only the terminal asks to draw itself."""
    match command:
        case Stop(jobs, why, after):
            return Line(("stop", "--yes", *_in(after), *_why(why), *jobs))
        case Unstop(jobs):
            return Line(("stop", "--undo", *jobs))
        case Hold(jobs, why):
            return Line(("hold", *_why(why), *jobs))
        case Release(jobs):
            return Line(("release", *jobs))
        case Restart(jobs):
            return Line(("restart", "--yes", *jobs))
        case Scale(job, count):
            return Line(("scale", job, str(count)))
        case SetPriority(job, priority):
            return Line(("priority", job, str(priority)))
        case Drain(node, on, why, after):
            how = (*_in(after), *_why(why)) if on else ()
            return Line(("drain" if on else "undrain", *how, node))
        case Silence(problems, for_s, why):
            return Line(("silence", "--for", span(for_s), *_why(why), *problems))
        case Unsilence(problems):
            return Line(("unsilence", *problems))
        case Cordon(node, gpu, on, why):
            device = f"{node}:{gpu}" if gpu else node
            return Line(("cordon" if on else "uncordon", *_why(why if on else ""), device))
        case DeclareLost(node):
            return Line(("declare-lost", "--yes", node))
        case TakeOver(nodes):
            return Line(("takeover", "--yes", *(nodes or ("--all",))))
        case Submit(sources):
            return Line(("submit", "-"), "\n---\n".join(it.text for it in sources))
        case Revise(job, source, base):
            words = ("--base", str(base)) if base else ()
            return Line(("edit", "--yes", *words, "-f", "-", job), source.text)
        case Plan(sources, None):
            return Line(("plan", "-"), "\n---\n".join(it.text for it in sources))
        case Show(job):
            return Line(("show", job))
        case ListEvents():
            return Line(("events", *_events(command)))
        case Revisions(job):
            return Line(("revisions", job))
        case History(node, job):
            return Line(("history", *((node,) if node else ("--job", job))))
        case ListPlacement(job):
            return Line(("placement", *((job,) if job else ())))
        case Why(job):
            return Line(("why", job))
        case Check(nodes):
            return Line(("check", *nodes))
        case Reserve():
            return Line(("reserve", *_reserve(command)))
        case Unreserve(name):
            return Line(("unreserve", name))
        case Usage(by, since, until):
            return Line(("usage", "--by", by, "--since", since, *_given("--until", until)))
        case ListQueue(limit):
            return Line(("queue", "--limit", str(limit)))
        case ListJobs(_, limit):
            return Line(("jobs", *_given("--limit", limit)))
        case ListNodes() | ListProblems() | ListReservations() | WhoAmI() | Shutdown():
            return Line((_PLAIN[type(command)],))
        case LogRequest():
            return Line(("logs", *_logs(command)))
    return None


_PLAIN: dict[type, str] = {
    ListNodes: "nodes",
    ListProblems: "problems",
    ListReservations: "reservations",
    WhoAmI: "whoami",
    Shutdown: "shutdown",
}


def _given(option: str, value: str | int | None) -> tuple[str, ...]:
    return (option, str(value)) if value not in (None, "") else ()


def _reserve(command: Reserve) -> list[str]:
    words = [command.name]
    for node in command.nodes:
        words += ["--node", node]
    for gpu in command.gpus:
        words += ["--gpu", str(gpu)]
    for who in command.who:
        words += ["--for", who]
    words += [*_given("--from", command.begin), *_given("--to", command.end)]
    words += [*_given("--every", command.every), *_given("--until", command.until)]
    return [*words, *_given("--timezone", command.timezone)]


def _in(seconds: float) -> tuple[str, ...]:
    return ("--in", f"{seconds:g}s") if seconds else ()


def _events(query: ListEvents) -> tuple[str, ...]:
    asked = (("--job", query.job), ("--node", query.node), ("--user", query.actor))
    words = [word for option, value in asked if value is not None for word in (option, value)]
    return (*words, *(("--audit",) if query.audit else ()))


def span(seconds: float) -> str:
    """A duration as it is typed: short where that is exact."""
    short = format_duration(seconds)
    return short if parse_duration(short) == seconds else f"{seconds:g}s"


def _why(text: str) -> tuple[str, ...]:
    return ("--why", text) if text else ()


def logs_line(words: Sequence[str]) -> Line:
    """The command line that follows a selection of jobs, tasks, attempts and nodes (`@gpu1`)."""
    nodes = [part for it in words if it.startswith("@") for part in ("--node", it[1:])]
    return Line(("logs", "-f", *nodes, *(it for it in words if not it.startswith("@"))))


def _logs(request: LogRequest) -> tuple[str, ...]:
    words = ["-f"] if request.follow else []
    if request.last_lines is not None:
        words += ["-n", str(request.last_lines)]
    for task in request.tasks:
        words += ["--task", str(task)]
    if request.attempt is not None:
        words += ["--attempt", request.attempt]
    if len(request.streams) == 1:
        words += ["--stream", request.streams[0]]
    return (*words, request.job)
