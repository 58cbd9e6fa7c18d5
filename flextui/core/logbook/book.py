"""Pure: a window on merged logs that grows at either end, page by page, in time order.

Each stream is known from `top` to `bottom`, in bytes. What was fetched of it and can't be shown
yet, since an earlier (or later) line of another stream may still be missing, waits in `above` and
`below`. So a quiet stream's old lines never stand next to a busy one's new ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from flextui.core.logbook.lines import Cutter, Key, Line, merged

PAGE = 64 << 10
MOST = 60_000
"""Lines of a window; over it, those at the end that isn't read leave it."""
SPARE = 10_000


class Source:
    """One stream of one attempt."""

    def __init__(self, key: Key, began: float) -> None:
        self.key = key
        self.top = self.bottom = 0
        """What is fetched, in bytes."""
        self.at_top = self.at_bottom = False
        """Whether nothing is before or after that."""
        self.above: list[Line] = []
        """Ascending; the last goes first."""
        self.below: list[Line] = []
        """Descending; the last goes first."""
        self.page = PAGE
        """Bytes that are asked for at once, going down."""
        self.began = began
        self.cutter = Cutter(began)
        """Of what comes at the bottom: it may be in the middle of a line."""


class Book:
    """The lines of a window, and the streams that they are of."""

    def __init__(self) -> None:
        self.sources: dict[Key, Source] = {}
        self.lines: list[Line] = []

    def source(self, key: Key, began: float = 0.0) -> Source:
        """The stream of that key, new if it wasn't there."""
        if key not in self.sources:
            self.sources[key] = Source(key, began)
        return self.sources[key]

    # ── upwards ──

    def lacking_above(self) -> list[Source]:
        """Streams whose earlier lines have to be fetched before more can be shown."""
        return [it for it in self.sources.values() if not it.above and not it.at_top]

    def take_above(self, count: int) -> list[Line]:
        """Up to so many earlier lines, as far as it is sure which they are: ascending. They are
        still to be put in front."""
        taken: list[Line] = []
        if self.lacking_above():
            return taken
        heads = [(_Descending(it.above[-1]), it.key) for it in self.sources.values() if it.above]
        heapq.heapify(heads)
        while heads and len(taken) < count:
            source = self.sources[heads[0][1]]
            taken.append(source.above.pop())
            if source.above:
                heapq.heapreplace(heads, (_Descending(source.above[-1]), source.key))
            else:
                heapq.heappop(heads)
                if not source.at_top:
                    break
        taken.reverse()
        return taken

    # ── downwards ──

    def lacking_below(self) -> list[Source]:
        """Streams whose later lines have to be fetched before more can be shown."""
        return [it for it in self.sources.values() if not it.below and not it.at_bottom]

    def take_below(self, count: int) -> list[Line]:
        """Show up to so many later lines, as far as it is sure which they are: ascending."""
        taken: list[Line] = []
        if self.lacking_below():
            return taken
        heads = [(it.below[-1], it.key) for it in self.sources.values() if it.below]
        heapq.heapify(heads)
        while heads and len(taken) < count:
            _, key = heads[0]
            source = self.sources[key]
            taken.append(source.below.pop())
            if source.below:
                heapq.heapreplace(heads, (source.below[-1], key))
            else:
                heapq.heappop(heads)
                if not source.at_bottom:
                    break
        self.lines += taken
        return taken

    # ── following ──

    def come(self, lines: Iterable[Line]) -> int:
        """Lines that were printed just now; from which index on the window has changed."""
        return merged(self.lines, list(lines))

    def trim_top(self) -> int:
        """Drop the earliest lines over the bound; how many. They can be fetched again."""
        surplus = len(self.lines) - MOST
        if surplus <= 0:
            return 0
        surplus = min(len(self.lines), surplus + SPARE)
        gone = {(it.attempt, it.stream) for it in self.lines[:surplus]}
        del self.lines[:surplus]
        for source in self.sources.values():
            if source.key in gone or source.above:
                source.above.clear()
                source.at_top = False
                source.top = source.bottom
                gone.add(source.key)
        for line in self.lines:
            if not gone:
                break
            key = (line.attempt, line.stream)
            if key in gone:
                gone.discard(key)
                self.sources[key].top = line.pos
        return surplus


class _Descending:
    """A line that sorts the other way."""

    __slots__ = ("line",)

    def __init__(self, line: Line) -> None:
        self.line = line

    def __lt__(self, other: _Descending) -> bool:
        return self.line > other.line
