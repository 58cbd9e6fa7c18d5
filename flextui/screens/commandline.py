"""Pure: the command line that does the same as what was done in the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from flextui.core.commands import (
    Check,
    Command,
    Cordon,
    DeclareLost,
    Drain,
    History,
    LogRequest,
    Plan,
    Restart,
    Revisions,
    Revise,
    Scale,
    SetPriority,
    Show,
    Stop,
    Submit,
    TakeOver,
    Why,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A command of flextui, and what goes into its standard input."""

    argv: tuple[str, ...]
    stdin: str = ""

    def shell(self, before: Sequence[str] = ()) -> str:
        """As it is typed into a shell; `before` are options before the command."""
        text = shlex.join(["flextui", *before, *self.argv])
        if not self.stdin:
            return text
        mark = "EOF"
        while mark in self.stdin:
            mark += "_"
        return f"{text} <<'{mark}'\n{self.stdin.rstrip()}\n{mark}"


def line(command: Command | LogRequest) -> Line | None:
    """The command line of a command; None for what only the terminal asks to draw itself."""
    match command:
        case Stop(jobs, why):
            return Line(("stop", "--yes", *_why(why), *jobs))
        case Restart(jobs):
            return Line(("restart", "--yes", *jobs))
        case Scale(job, count):
            return Line(("scale", job, str(count)))
        case SetPriority(job, priority):
            return Line(("priority", job, str(priority)))
        case Drain(node, on, why):
            return Line(("drain" if on else "undrain", *_why(why if on else ""), node))
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
        case Revisions(job):
            return Line(("revisions", job))
        case History(node, job):
            return Line(("history", *((node,) if node else ("--job", job))))
        case Why(job):
            return Line(("why", job))
        case Check(nodes):
            return Line(("check", *nodes))
        case LogRequest():
            return Line(("logs", *_logs(command)))
    return None


def _why(text: str) -> tuple[str, ...]:
    return ("--why", text) if text else ()


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
