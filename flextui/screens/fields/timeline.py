"""Pure: the lives of a job's tasks on one line each, from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from flextui.core.model.docs import AttemptDoc, JobDoc, NodeDoc, TaskDoc
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span

ZOOMS: tuple[tuple[str, float | None], ...] = (
    ("all of it", None), ("the last day", 86400.0), ("the last 6 hours", 21600.0),
    ("the last hour", 3600.0), ("the last 10 minutes", 600.0),
)  # fmt: skip
NAME = 7
TAIL = 25
SHORTEST_S = 30.0
"""A time line of less than this would be of hops."""

_GLYPHS = {
    "pending": ("·", "dim"), "backoff": ("-", "warn"), "starting": ("▒", "busy"),
    "running": ("█", "ok"), "unknown": ("?", "warn"), "after": (" ", ""),
}  # fmt: skip
_WEIGHT = {"after": 0, "pending": 1, "backoff": 2, "starting": 3, "running": 4, "unknown": 5}
LEGEND = (
    "on a time line: · pending   - delayed before it starts again   ▒ starting   █ running   "
    "? not to be asked",
    "✓ succeeded   ✗ failed or lost   ■ killed, with the exit code or the signal after it",
)


class Piece(NamedTuple):
    """A part of a task's life. Unix seconds."""

    start: float
    end: float
    what: str


class Mark(NamedTuple):
    """How an attempt ended."""

    at: float
    glyph: str
    role: str
    text: str


class Window(NamedTuple):
    """What the lines show of time."""

    start: float
    end: float


def window(job: JobDoc, now: float, zoom: int) -> Window:
    """From when to when the lines are drawn."""
    begin = fmt.parse_time(job["submitted_at"]) or now
    end = max(fmt.parse_time(job["ended_at"]) or now, begin + SHORTEST_S)
    seconds = ZOOMS[zoom][1]
    return Window(begin if seconds is None else max(begin, end - seconds), end)


def life(
    job: JobDoc, task: TaskDoc, now: float, nodes: Mapping[str, NodeDoc]
) -> tuple[list[Piece], list[Mark]]:
    """A task from its submission to its end."""
    at = fmt.parse_time(job["submitted_at"]) or now
    end = fmt.parse_time(job["ended_at"]) or now
    pieces: list[Piece] = []
    marks: list[Mark] = []
    waits = "pending"
    for attempt in task["attempts"]:
        placed = fmt.parse_time(attempt["placed_at"]) or at
        started = fmt.parse_time(attempt["started_at"])
        stop = fmt.parse_time(attempt["ended_at"]) or (now if _live(attempt) else placed)
        if placed > at:
            pieces.append(Piece(at, placed, waits))
        pieces.append(Piece(placed, min(started or stop, stop), "starting"))
        if started is not None:
            pieces += _ran(attempt, started, stop, nodes)
        if not _live(attempt):
            marks.append(_mark(attempt, stop))
        waits = "backoff" if attempt["state"] == "failed" else "pending"
        at = max(at, stop)
    if task["state"] == "pending" and at < end:
        delay = fmt.parse_time(task["not_before"])
        pieces.append(Piece(at, end, "backoff" if delay and delay > now else "pending"))
    return pieces, marks


def _live(attempt: AttemptDoc) -> bool:
    return fmt.is_live(attempt["state"])


def _ran(
    attempt: AttemptDoc, started: float, stop: float, nodes: Mapping[str, NodeDoc]
) -> list[Piece]:
    """Running, and since its node can't be asked, nobody knows."""
    node = nodes.get(attempt["node"])
    since = fmt.parse_time(node["since"]) if node is not None else None
    if attempt["state"] != "unknown" or since is None or not started < since < stop:
        what = "unknown" if attempt["state"] == "unknown" else "running"
        return [Piece(started, stop, what)]
    return [Piece(started, since, "running"), Piece(since, stop, "unknown")]


def _mark(attempt: AttemptDoc, at: float) -> Mark:
    glyph, role = {"succeeded": ("✓", "ok"), "killed": ("■", "warn")}.get(
        attempt["state"], ("✗", "bad")
    )
    code, signal = attempt["exit_code"], attempt["signal"]
    text = "lost" if attempt["state"] == "lost" else f"s{signal}" if signal else str(code or "")
    return Mark(at, glyph, role, text)


def bar(pieces: Sequence[Piece], marks: Sequence[Mark], span: Window, width: int) -> list[Span]:
    """A life in so many cells. Of what shares a cell the most telling shows; an end always does,
    and its code after it, where nothing ran by then."""
    per = (span.end - span.start) / max(1, width)
    cells = [("after", " ", "")] * width
    for piece in pieces:
        first = int((piece.start - span.start) / per)
        last = int((piece.end - span.start) / per - 1e-9)
        glyph, role = _GLYPHS[piece.what]
        for at in range(max(0, first), min(width - 1, last) + 1):
            if _WEIGHT[piece.what] > _WEIGHT[cells[at][0]]:
                cells[at] = (piece.what, glyph, role)
    for mark in marks:
        at = min(width - 1, int((mark.at - span.start) / per))
        if at < 0:
            continue
        cells[at] = ("end", mark.glyph, mark.role)
        room = cells[at + 1 : at + 1 + len(mark.text)]
        if len(room) == len(mark.text) and all(_WEIGHT.get(it[0], 9) < 3 for it in room):
            for offset, letter in enumerate(mark.text, at + 1):
                cells[offset] = ("end", letter, mark.role)
    return joined([Span(glyph, role) for _, glyph, role in cells])


def joined(cells: Sequence[Span]) -> list[Span]:
    """Neighbours of one role as one span."""
    found: list[Span] = []
    for it in cells:
        if found and found[-1].role == it.role:
            found[-1] = Span(found[-1].text + it.text, it.role)
        else:
            found.append(it)
    return found


def line(
    job: JobDoc, task: TaskDoc, span: Window, width: int, now: float, nodes: Mapping[str, NodeDoc]
) -> Cell:
    """A task: its index, its life, how it is."""
    pieces, marks = life(job, task, now, nodes)
    room = max(10, width - NAME - TAIL)
    drawn = bar(pieces, marks, span, room)
    return (Span(f"{task['index']:>{NAME - 1}} ", "dim"), *drawn, Span(" "), *tail(task, now))


def tail(task: TaskDoc, now: float) -> Cell:
    """`● running 12m  3 tries`, `✗ failed 137`."""
    attempts = task["attempts"]
    delay = fmt.parse_time(task["not_before"])
    if task["state"] == "pending" and delay is not None and delay > now:
        state = fmt.state_cell("restarting", f"again in {fmt.span_of(delay - now)}")
    elif attempts and _live(attempts[-1]):
        since = fmt.age(attempts[-1]["started_at"] or attempts[-1]["placed_at"], now)
        state = fmt.state_cell(attempts[-1]["state"], f"{attempts[-1]['state']} {since}")
    else:
        code = attempts[-1]["exit_code"] if attempts and task["state"] == "failed" else None
        state = fmt.state_cell(task["state"], f"{task['state']} {code}" if code else None)
    tries = Span(f"  {len(attempts)} tries" if len(attempts) > 1 else "", "dim")
    return (*state, tries)


def scale(span: Window, width: int) -> Cell:
    """The line above: when the left edge is, when the right one, and what lies between."""
    room = max(10, width - NAME - TAIL)
    text = [" "] * room
    step = _step(span.end - span.start, room)
    at = -(-span.start // step) * step
    put(text, 0, stamp(span.start, span))
    while at < span.end:
        spot = int((at - span.start) / (span.end - span.start) * room)
        words = "|" + stamp(at, span)
        if spot + len(words) < room - 9:
            put(text, spot, words)
        at += step
    last = stamp(span.end, span)
    put(text, room - len(last), last)
    return (Span(" " * NAME), Span("".join(text), "dim"))


_STEPS = (5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800,
          604800)  # fmt: skip


def _step(seconds: float, room: int) -> float:
    wanted = seconds / max(1, room // 16)
    return next((float(it) for it in _STEPS if it >= wanted), 604800.0 * 4)


def stamp(at: float, span: Window) -> str:
    """A local time, as exact as the lines are."""
    seconds = span.end - span.start
    form = "%H:%M:%S" if seconds < 1200 else "%H:%M" if seconds < 172_800 else "%m-%d %H:%M"
    return datetime.fromtimestamp(at).strftime(form)


def put(text: list[str], at: int, words: str) -> None:
    """Write over what is blank; where something stands already, nothing is written."""
    if at < 0 or at + len(words) > len(text):
        return
    if all(it == " " for it in text[max(0, at - 1) : at + len(words) + 1]):
        text[at : at + len(words)] = words
