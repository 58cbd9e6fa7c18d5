"""What was done in this terminal, as the command lines that do the same."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass

from flextui.screens.line import Line

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done."""

    number: int
    at: float
    """Unix seconds."""
    line: Line
    outcome: str
    """`done`, `shown`, or what went wrong; `…` until it is known."""
    bad: bool = False


class Journal:
    """The newest entries. Looking at the same thing again and again is one entry."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._count = 0

    @property
    def entries(self) -> dict[str, Entry]:
        """By their numbers."""
        return {str(it.number): it for it in self._entries}

    def begin(self, at: float, line: Line, outcome: str = "…") -> int:
        """Something is done; the number to `end` it with."""
        if self._entries and self._entries[-1].line == line and outcome == "shown":
            self._entries.pop()
        self._count += 1
        self._entries.append(Entry(self._count, at, line, outcome))
        return self._count

    def end(self, number: int, outcome: str, *, bad: bool = False) -> None:
        """How it went."""
        for index, entry in enumerate(self._entries):
            if entry.number == number:
                self._entries[index] = dataclasses.replace(entry, outcome=outcome, bad=bad)
