"""How values read on a line, and log text on its way to a terminal. Pure.

States, sizes and ages read as they do on the screens (`screens/format.py`); here is what only
lines of text need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flextui.core.model.terminal import neutralise
from flextui.screens import format as fmt

NOTHING = "-"
"""Stands in an empty cell, so that columns keep their number."""

_COLOURS = {"ok": "green", "bad": "red", "warn": "yellow", "busy": "yellow", "dim": "dim"}
_HELD = 4096
"""The longest escape sequence that is waited for, in characters."""
_BEGUN = re.compile(
    r"(?:\x1b(?:\[[0-?]*[ -/]*|[ -/]*|[\]PX^_][^\x07\x1b\x9c\n]*\x1b?)?"
    r"|\x9b[0-?]*[ -/]*|[\x9d\x90\x98\x9e\x9f][^\x07\x1b\x9c\n]*\x1b?|\r)\Z"
)
_SGR = re.compile(r"\x1b\[[0-9;:]*m")


def clean(text: str) -> str:
    """One line that can't drive a terminal, whoever wrote it."""
    if text.isascii() and text.isprintable():
        return text
    return " ".join(neutralise(text, colours=False).split("\n")).replace("\t", " ")


class LogText:
    """Log text made safe for a terminal piece by piece: an escape sequence that the end of a piece
    cut in two is still known as one. SGR colours pass unless `colour` is off, and a carriage
    return still begins the line anew, for progress bars."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._held = ""
        self._coloured = False

    def feed(self, text: str) -> str:
        """The safe form of what can be judged by now."""
        text = self._held + text
        begun = _BEGUN.search(text, max(0, len(text) - _HELD))
        self._held = text[begun.start() :] if begun else ""
        return self._safe(text[: begun.start()] if begun else text)

    def finish(self) -> str:
        """What was held back, and an end to colours that were let through."""
        rest, self._held = self._safe(self._held), ""
        reset = "\x1b[0m" if self._coloured else ""
        self._coloured = False
        return rest + reset

    def _safe(self, text: str) -> str:
        lines = text.replace("\r\n", "\n").split("\n")
        safe = "\n".join(
            "\r".join(neutralise(part, colours=self._colour) for part in line.split("\r"))
            for line in lines
        )
        self._coloured = self._coloured or (self._colour and _SGR.search(safe) is not None)
        return safe


def state(word: str, *, glyph: bool, label: str = "") -> tuple[str, str]:
    """A state's text, with its glyph where a person looks, and the colour that repeats it."""
    mark, name = fmt.state_cell(word, label or None)
    return f"{mark.text}{name.text}" if glyph else name.text, _COLOURS.get(mark.role, "")


def clock(when: str | None) -> str:
    """A time to compare with others: local, to the second."""
    if not when:
        return NOTHING
    return datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ran(start: str | None, end: str | None, now: float) -> str:
    """How long something took, or takes so far."""
    began, ended = fmt.parse_time(start), fmt.parse_time(end)
    return NOTHING if began is None else fmt.long_span(max(0.0, (ended or now) - began))


def count(number: int, noun: str) -> str:
    """`1 job`, `3 jobs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def joined(names: Iterable[str]) -> str:
    """Names of a cell, each once, in their order."""
    return ",".join(dict.fromkeys(names)) or NOTHING


def number(value: float) -> str:
    """A count that may be fractional: `8`, `0.5`."""
    return f"{value:g}"


def share(asked: float | int) -> str:
    """A part of a GPU: `0.5`, or `10 GiB`."""
    return number(asked) if asked < 1 else fmt.size(int(asked))


def resources(asked: Mapping[str, Any]) -> str:
    """What a task asks for, on one line."""
    parts = []
    part = asked.get("gpu_share")
    if part or asked.get("gpus"):
        models: str | Sequence[str] = asked.get("gpu_model") or ()
        wanted = [models] if isinstance(models, str) else list(models)
        if memory := asked.get("gpu_memory"):
            wanted.append(f"≥ {fmt.size(memory)}")
        gpus = f"{share(part)} of a GPU" if part else count(asked["gpus"], "GPU")
        parts.append(gpus + (f" ({', '.join(wanted)})" if wanted else ""))
    if cpus := asked.get("cpus"):
        parts.append(f"{number(cpus)} CPU" + ("" if cpus == 1 else "s"))
    if memory := asked.get("memory"):
        parts.append(f"{fmt.size(memory)} memory")
    return ", ".join(parts) or "nothing reserved"
