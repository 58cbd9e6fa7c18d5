"""One job on a page: what it is, how each attempt went, and what is in its way. Pure, but for
`look`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flextui.cli import clock, output, text
from flextui.cli.output import paint
from flextui.cli.table import Cell, Column, cut, render
from flextui.cli.text import clean
from flextui.core.model.docs import AttemptDoc, JobDoc, TaskDoc
from flextui.core.model.units import format_duration
from flextui.screens import format as fmt
from flextui.screens.waiting import expected_text, place_text

_UUID = 12
"""Characters of a GPU's UUID that tell it from others, where a person looks."""
_ATTEMPTS = (
    Column("ATTEMPT"),
    Column("NODE", shrink=1),
    Column("GPUS", shrink=2),
    Column("STATE"),
    Column("EXIT", right=True),
    Column("STARTED"),
    Column("RAN", right=True),
    Column("REASON", shrink=3),
)


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is drawn. `width` None: nothing is cut; `now` is Unix seconds."""

    glyph: bool
    width: int | None
    colour: bool
    now: float


def look() -> Look:
    """How pages are drawn on this stdout, now."""
    return Look(
        glyph=output.is_terminal(sys.stdout),
        width=output.width(),
        colour=output.colour_on(sys.stdout),
        now=clock.now(),
    )


def nodes_of(job: JobDoc) -> list[str]:
    """Where its live attempts are; where its last ones were once it has ended."""
    attempts = [task["attempts"][-1] for task in job["tasks"] if task["attempts"]]
    live = [attempt["node"] for attempt in attempts if fmt.is_live(attempt["state"])]
    if job["ended_at"] is not None:
        live = [attempt["node"] for attempt in attempts]
    return list(dict.fromkeys(live))


def job_page(job: JobDoc, look: Look) -> Iterator[str]:
    """All that is known of a job."""
    yield _heading(job, look)
    for name, value in _facts(job, look.now):
        yield f"  {name:<10}{clean(value)}"
    for task in job["tasks"]:
        reason = f": {clean(fmt.local_times(task['reason']))}" if task["reason"] else ""
        yield ""
        yield f"  task {task['index']}  {_state(task['state'], look)}{reason}"
        if task["attempts"]:
            rows = [_attempt(it, look) for it in task["attempts"]]
            room = look.width - 4 if look.width else None
            for line in render(_ATTEMPTS, rows, width=room, colour=look.colour):
                yield f"    {line}"
            yield from _last_words(task["attempts"][-1])


def _last_words(attempt: AttemptDoc) -> Iterator[str]:
    """The end of the output of an attempt that failed."""
    if attempt["last_lines"]:
        yield f"    last lines of {attempt['id']}:"
        for line in attempt["last_lines"].splitlines():
            yield f"      {clean(line)}"


def _heading(job: JobDoc, look: Look) -> str:
    name = clean(f"{job['owner']}/{job['name']}")
    return f"{name}  {job['id']}  {job['type']}  {_state(job['state'], look)}"


def _state(state: str, look: Look) -> str:
    word, colour = text.state(state, glyph=look.glyph)
    return paint(word, colour) if look.colour else word


def _facts(job: JobDoc, now: float) -> Iterator[tuple[str, str]]:
    if reason := fmt.job_reason(job):
        yield "reason", reason
    spec = job.get("spec") or {}
    if "run" in spec:
        command = spec["run"]
        yield "runs", command if isinstance(command, str) else shlex.join(command)
    yield "asks", text.resources(job["resources"])
    if job["type"] == "service":
        running, wanted = fmt.live_tasks(job)
        yield "replicas", f"{running} of {wanted} run"
    yield "priority", f"{job['priority']}, revision {job['revision']}"
    if job["project"]:
        yield "project", job["project"]
    if (nodes := job.get("nodes", 1)) > 1:
        yield "gang", f"{nodes} nodes at once, each as above"
    yield "submitted", _when(job["submitted_at"], now)
    if begin := job.get("begin_at"):
        yield "begin", text.clock(begin)
    if deadline := job.get("deadline_at"):
        yield "deadline", text.clock(deadline)
    if job["ended_at"]:
        yield "ended", _when(job["ended_at"], now)
    if job["exit_code"] is not None:
        yield "exit", str(job["exit_code"])
    yield from _spec_facts(spec)


def _spec_facts(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the spec says besides, where it says more than its type does by itself."""
    if where := _where_words(spec.get("where") or {}):
        yield "where", where
    if workdir := spec.get("workdir"):
        yield "workdir", workdir
    if env := spec.get("env"):
        yield "env", " ".join(f"{name}={value}" for name, value in env.items())
    if limit := spec.get("time_limit"):
        yield "limit", format_duration(limit)
    restart = spec.get("restart") or {}
    if restart.get("on", "never") != "never":
        within = format_duration(restart["within"])
        yield "restarts", f"on {restart['on']}, {restart['attempts']} times within {within}"
    loss = spec.get("on_node_loss") or {}
    if loss.get("then", "wait") != "wait":
        after = f" after {format_duration(loss['after'])}" if loss.get("after") else ""
        yield "node loss", f"{loss['then']}{after}{', fenced' if loss.get('fence') else ''}"


def _where_words(where: Mapping[str, Any]) -> str:
    """`rack=a, not node gpu1`."""
    parts = []
    for name, value in where.items():
        if value in (None, {}, [], ""):
            continue
        if name in ("not", "prefer"):
            inner = _where_words(value)
            parts += [f"{name} {inner}"] if inner else []
        elif name == "node":
            parts.append(f"node {' or '.join(value)}")
        else:
            parts.append(f"{name}={value}")
    return ", ".join(parts)


def _when(at: str, now: float) -> str:
    return f"{text.clock(at)} ({fmt.age(at, now)} ago)"


def _attempt(attempt: AttemptDoc, look: Look) -> list[Cell | str]:
    reason = attempt["reason"] or ("replaced" if attempt["replaced"] else "")
    return [
        attempt["id"],
        attempt["node"],
        _gpus(attempt, look),
        Cell(*text.state(attempt["state"], glyph=look.glyph)),
        fmt.exit_text(attempt["exit_code"], attempt["signal"]),
        text.clock(attempt["started_at"]),
        text.ran(attempt["started_at"], attempt["ended_at"], look.now),
        Cell(reason, "red" if attempt["state"] in ("failed", "lost") else ""),
    ]


def _gpus(attempt: AttemptDoc, look: Look) -> str:
    """Its devices; of a share, how much of one."""
    names = text.joined(uuid if look.width is None else uuid[:_UUID] for uuid in attempt["gpus"])
    share = attempt.get("share", 0)
    return f"{share / 1000:.3g} of {names}" if share else names


def why_page(answer: Mapping[str, Any], look: Look) -> Iterator[str]:
    """What is in the way of each task that doesn't run."""
    job = cast(JobDoc, answer["job"])
    yield f"{_heading(job, look)}  needs {text.resources(job['resources'])}"
    tasks = answer["tasks"]
    known = {task["index"]: task for task in job["tasks"]}
    for task in tasks:
        name = f"task {task['index']}: " if len(tasks) > 1 else ""
        summary = clean(fmt.local_times(task["summary"]))
        yield f"  {name}{summary or _how_it_is(task, known.get(task['index']), look)}"
        yield from (f"  {line}" for line in waiting_lines(task, look))
    if not tasks and (reason := fmt.job_reason(job)):
        yield f"  {clean(reason)}"


def _how_it_is(task: Mapping[str, Any], known: TaskDoc | None, look: Look) -> str:
    """Of a task that waits for nothing: where it runs, or how it ended."""
    attempts = known["attempts"] if known else []
    if not attempts or not fmt.is_live(attempts[-1]["state"]):
        return _state(task["state"], look)
    last = attempts[-1]
    ran = text.ran(last["started_at"], None, look.now)
    return f"{_state(last['state'], look)} on {clean(last['node'])} for {ran}"


def waiting_lines(task: Mapping[str, Any], look: Look) -> Iterator[str]:
    """Why a task waits: what is in the way, its place, when it may start, what would help."""
    yield from _blocks(task["blocks"], look.width)
    if place := place_text(task):
        yield f"  place: {clean(place)}"
    if task.get("ahead"):
        yield f"  ahead: {clean(', '.join(task['ahead']))}"
    if start := expected_text(task.get("expected"), look.now):
        yield f"  start: {clean(start)}"
    for help_ in task["would_help"]:
        yield f"  would help: {clean(help_)}"


def _blocks(blocks: list[dict[str, Any]], width: int | None) -> Iterator[str]:
    """Each thing in the way: where, what, whose, until when."""
    names = [_where(block) for block in blocks]
    room = max((len(name) for name in names), default=0)
    for name, block in zip(names, blocks, strict=True):
        parts = [fmt.local_times(block["text"])]
        held_by = [name for name in block.get("held_by") or () if name not in block["text"]]
        if held_by:
            parts.append(f"held by {', '.join(held_by)}")
        if clears := block.get("clears"):
            parts.append(clears)
        line = f"  {name:<{room}}  {clean(' · '.join(parts))}"
        yield line if width is None else cut(line, width - 2)


def _where(block: Mapping[str, Any]) -> str:
    nodes = list(block.get("nodes") or ())
    if len(nodes) > 3:
        nodes = [*nodes[:2], f"and {len(nodes) - 2} more"]
    device = f":{block['device']}" if block.get("device") and len(nodes) == 1 else ""
    return clean(", ".join(nodes) + device) or "job"
