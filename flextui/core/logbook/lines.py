"""Pure: pieces of bytes become lines, each with its origin, its position and when it came.

Times come from the marks that the node keeps beside what the workload wrote; nothing is added to
the bytes themselves. A carriage return goes back over a line as a terminal would.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

from flextui.core.model.docs import LogEvent

LONGEST = 8_192
"""Characters of a line that are kept; one of 100 MB shows its beginning and its size."""
HELD = 4 * LONGEST
"""Bytes of a line without an end that are kept while it grows."""

Key = tuple[str, str]
"""(attempt, stream)"""


class Line(NamedTuple):
    """A line of a log. Sorting puts lines of all origins in time order."""

    at: float
    """Unix milliseconds when it came; 0: not known."""
    attempt: str
    stream: str
    """out, err, or note for words that no workload wrote."""
    pos: int
    """Where it begins in the stream, in bytes."""
    text: str
    node: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What names this line, whatever is loaded around it."""
        return self.attempt, self.stream, self.pos


class _Open:
    """One stream: the line that has no end yet, and the times of what comes."""

    __slots__ = ("at", "marks", "next", "opened", "pos", "rest", "size")

    def __init__(self, at: float) -> None:
        self.rest = b""
        self.size = 0
        """Bytes of the open line, kept or not."""
        self.pos = 0
        self.next = -1
        self.at = self.opened = at
        self.marks: list[list[float]] = []


class Cutter:
    """Cuts what comes of several streams, each in order. `since` is when nothing is known."""

    def __init__(self, since: float = 0.0) -> None:
        self._since = since
        self._open: dict[Key, _Open] = {}
        self.jumps: set[tuple[str, str, int]] = set()
        """Lines before which something is left out; pieces may overlap."""

    def feed(self, event: LogEvent) -> list[Line]:
        """The lines that this event completes."""
        attempt, stream, node = event["attempt"], event["stream"], event["node"]
        if event["kind"] == "data":
            return self._data(event)
        if event["kind"] == "gap":
            lines = self.flush(attempt, stream)
            gone = event["to"] - event["at"]
            state = self._state((attempt, stream))
            state.next = state.pos = event["to"]
            text = f"── gap: {gone:,} bytes of {stream} dropped by rotation ──"
            return [*lines, Line(state.at, attempt, "note", event["at"], text, node)]
        if event["kind"] == "notice":
            at = max((it.at for key, it in self._open.items() if key[0] == attempt), default=0.0)
            return [Line(at, attempt, "note", 0, f"── {event['text']} ──", node)]
        return []

    def position(self, key: Key) -> int:
        """Where the line begins that has no end yet, or the next one."""
        return self._state(key).pos

    def open_lines(self) -> list[Line]:
        """What has no end yet, as it looks now: prompts and progress bars."""
        return [
            Line(it.opened, *key, it.pos, _text(it.rest, it.size))
            for key, it in self._open.items()
            if it.rest.strip()
        ]

    def flush(self, attempt: str = "", stream: str = "") -> list[Line]:
        """What is left without an end, of one stream or of all."""
        lines = []
        for key, it in self._open.items():
            if it.rest and attempt in ("", key[0]) and stream in ("", key[1]):
                lines.append(Line(it.opened, *key, it.pos, _text(it.rest, it.size)))
                it.rest, it.size = b"", 0
        return lines

    def _state(self, key: Key) -> _Open:
        if key not in self._open:
            self._open[key] = _Open(self._since)
        return self._open[key]

    def _data(self, event: LogEvent) -> list[Line]:
        key = (event["attempt"], event["stream"])
        state = self._state(key)
        lines: list[Line] = []
        if state.next != event["at"]:
            if state.rest:
                lines = self.flush(*key)
            state.pos = event["at"]
            if max(0, state.next) < state.pos:
                self.jumps.add((*key, state.pos))
        state.next = event["to"]
        state.marks = event.get("marks") or state.marks
        if not state.size:
            state.opened = self._time(state, state.pos)
        first, *whole = raw(event).split(b"\n")
        if not whole:
            self._grow(state, first)
            return lines
        node, rest = event["node"], whole.pop()
        pos, size = state.pos, state.size + len(first)
        self._grow(state, first)
        lines.append(Line(state.opened, *key, pos, _text(state.rest, size), node))
        pos += size + 1
        for line in whole:
            lines.append(Line(self._time(state, pos), *key, pos, _text(line, len(line)), node))
            pos += len(line) + 1
        state.pos, state.rest, state.size = pos, b"", 0
        if rest:
            state.opened = self._time(state, pos)
            self._grow(state, rest)
        return lines

    def _grow(self, state: _Open, data: bytes) -> None:
        """More of a line without an end. What a progress bar wrote over isn't kept."""
        state.size += len(data)
        rest = state.rest + data[-HELD:] if b"\r" in data else state.rest + data
        if b"\r" in rest[:-1]:
            head, _, last = rest.rstrip(b"\r").rpartition(b"\r")
            rest = head.rpartition(b"\r")[2] + b"\r" + last if last else head
        state.rest = rest[:HELD]

    def _time(self, state: _Open, pos: int) -> float:
        """When the byte at `pos` came; positions only grow."""
        marks = state.marks
        passed = 0
        while passed < len(marks) and marks[passed][0] <= pos:
            state.at = marks[passed][1]
            passed += 1
        if passed:
            state.marks = marks[passed:]
        return state.at


def raw(event: LogEvent) -> bytes:
    """The bytes of a piece, as the workload wrote them."""
    if encoded := event.get("b64"):
        return base64.b64decode(encoded)
    return event["text"].encode("utf-8", "surrogatepass")


def _text(data: bytes, size: int) -> str:
    """A line as it is shown: folded, and bounded with its size told."""
    text = data.decode("utf-8", "replace")
    if "\r" in text:
        text = folded(text)
    if size <= LONGEST:
        return text
    return f"{text[:LONGEST]} … ({size:,} bytes in this line)" if len(text) >= LONGEST else text


def folded(text: str) -> str:
    """A line over which carriage returns went back, as a terminal shows it in the end."""
    shown = ""
    for part in text.split("\r"):
        over = "" if "\x1b" in part or "\x1b" in shown else shown[len(part) :]
        shown = part + over if part else shown
    return shown.rstrip(" ")


def merged(lines: list[Line], fresh: Sequence[Line]) -> int:
    """Put lines into their places in time; from which index on the list has changed."""
    if not fresh:
        return len(lines)
    fresh = sorted(fresh)
    first = fresh[0]
    at = len(lines)
    while at and lines[at - 1] > first:
        at -= 1
    if at == len(lines):
        lines += fresh
    else:
        lines[at:] = sorted([*lines[at:], *fresh])
    return at
