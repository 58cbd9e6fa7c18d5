"""What a search found over all streams of a selection, in time order, and pages of just that."""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence, Set

from flextui.agent import ere
from flextui.core.client import Client
from flextui.core.commands import LogPiece, LogRequest, LogSearch, Offset
from flextui.core.logbook.lines import Cutter, Key, Line
from flextui.core.logbook.reader import pieces
from flextui.core.model.docs import LogEvent

MOST = 100_000
"""Lines that are known by their places, the newest of each stream; the others are counted."""

Hit = tuple[float, str, str, int]
"""(Unix ms, attempt, stream, position): sorts as lines do."""


class Hits:
    """Where something was found."""

    def __init__(self) -> None:
        self.done = False
        self.notes: list[str] = []
        self._found: list[Hit] = []
        self._counts: dict[Key, int] = {}
        self._sorted = True

    @property
    def count(self) -> int:
        """All lines that match, also those over the bound."""
        return sum(self._counts.values())

    @property
    def places(self) -> list[Hit]:
        """In time order."""
        if not self._sorted:
            self._found.sort()
            self._sorted = True
        return self._found

    def take(self, event: LogEvent) -> None:
        """What a search tells."""
        if event["kind"] == "notice":
            self.notes.append(event["text"])
        elif event["kind"] == "hits":
            key = (event["attempt"], event["stream"])
            self._counts[key] = event["count"]
            self._found += [(at, *key, int(pos)) for pos, at in event["hits"]]
            self._sorted = self._sorted and not event["hits"]

    def come(self, lines: Iterable[Line]) -> None:
        """Lines that were printed meanwhile and match."""
        for line in lines:
            key = (line.attempt, line.stream)
            self._counts[key] = self._counts.get(key, 0) + 1
            self._found.append(line[:4])
            self._sorted = False

    def next(self, after: Hit) -> Hit | None:
        at = bisect_right(self.places, after)
        return self._found[at] if at < len(self._found) else None

    def previous(self, before: Hit) -> Hit | None:
        at = bisect_left(self.places, before)
        return self._found[at - 1] if at else None

    def number(self, hit: Hit) -> int:
        """The how manieth it is, from 1, of all that are known by their places."""
        return bisect_left(self.places, hit) + 1


def smart_case(pattern: str) -> bool:
    """Whether to ignore case: a pattern without capitals does, but for those of escapes."""
    return not any(char.isupper() for char in re.sub(r"\\.|\(\?P?<?\w*", "", pattern))


def wish(text: str, *, most: int = MOST) -> LogSearch:
    """What a typed pattern asks for: `!` in front looks for all but that; what is no regex is
    looked for as it is written."""
    inverse = text.startswith("!") and len(text) > 1
    pattern = text[1:] if inverse else text
    try:
        re.compile(pattern)
    except re.error:
        pattern = re.escape(pattern)
    return LogSearch(pattern, smart_case(pattern), inverse, most)


def left_to_python(what: LogSearch) -> bool:
    """Whether grep can't say the pattern: then it takes some ten times as long."""
    return ere.translated(what.pattern) is None


async def search(
    client: Client, keys: Iterable[Key], what: LogSearch, told: Callable[[], None] | None = None
) -> Hits:
    """Look for it in streams; `told` is called at each step. Raises CommandError,
    ConnectionError."""
    hits = Hits()
    await fill(hits, client, keys, what, told)
    return hits


async def fill(
    hits: Hits,
    client: Client,
    keys: Iterable[Key],
    what: LogSearch,
    told: Callable[[], None] | None = None,
) -> None:
    """Put into `hits` what is found."""
    request = LogRequest("", pieces=tuple(LogPiece(*key) for key in keys), search=what)
    if request.pieces:
        async with contextlib.aclosing(client.logs(request)) as events:  # type: ignore[type-var]
            async for event in events:
                hits.take(event)
                if told is not None:
                    told()
    hits.done = True


class HitPages:
    """A window that shows only what was found, each line with those around it."""

    def __init__(
        self,
        client: Callable[[], Client | None],
        hits: Hits,
        context: int,
        streams: tuple[str, ...] = ("out", "err"),
    ) -> None:
        self._client = client
        self._streams = streams
        self.hits = hits
        self.context = context
        self.lines: list[Line] = []
        self._low: Hit | None = None
        self._high: Hit | None = None
        self._known: set[tuple[str, str, int]] = set()
        self._came: set[tuple[str, str, int]] = set()
        """What was printed and found since it was opened."""
        self.breaks: set[tuple[str, str, int]] = set()
        """Lines before which some are left out that stand between found ones."""

    async def open_at(self, hit: Hit | None, shown: int) -> None:
        """Around a place; None: at the end."""
        self.lines.clear()
        self._known.clear()
        self._came.clear()
        self.breaks.clear()
        places = self.hits.places
        middle = len(places) if hit is None else bisect_left(places, hit)
        self._low = self._high = None
        if middle < len(places):
            self._low = self._high = places[middle]
            await self._load(places[middle : middle + shown])
            self._high = places[min(len(places), middle + shown) - 1]
        await self.up(shown)

    def begin_at(self, hit: Hit) -> None:
        """What `down` brings begins with this one."""
        at = bisect_left(self.hits.places, hit)
        before = (hit[0] - 1, "", "", 0)
        self._low = self._high = self.hits.places[at - 1] if at else before

    async def up(self, count: int) -> int:
        """Up to so many earlier lines that match; how many lines came."""
        places = self.hits.places
        at = len(places) if self._low is None else bisect_left(places, self._low)
        wanted = places[max(0, at - count) : at]
        if not wanted:
            return 0
        self._low = wanted[0]
        self._high = self._high or wanted[-1]
        return await self._load(wanted)

    async def down(self, count: int) -> int:
        """Up to so many later lines that match; how many lines came."""
        places = self.hits.places
        at = len(places) if self._high is None else bisect_right(places, self._high)
        wanted = places[at : at + count]
        if not wanted:
            return 0
        self._high = wanted[-1]
        return await self._load(wanted)

    def come(self, found: Sequence[Line], lately: Sequence[Line] = ()) -> list[Line]:
        """Lines that were printed just now and match; those that are new here. `lately` are the
        newest lines, found or not: those around what was found are taken from them."""
        lines: Iterable[Line] = found
        if self.context:
            self._came = {it.key for it in lately if it.key in self._came}
            self._came.update(it.key for it in found)
            lines = self._with_breaks(lately, self._came) if self._came else ()
        fresh = [line for line in lines if line.key not in self._known]
        if fresh:
            self._known.update(line.key for line in fresh)
            self.lines += fresh
            self.lines.sort()
        if found:
            self._high = max(line[:4] for line in found)
        return fresh

    def _with_breaks(
        self,
        lines: Iterable[Line],
        hits: Set[tuple[str, str, int]],
        jumps: Set[tuple[str, str, int]] = frozenset(),
    ) -> list[Line]:
        """What was found of these, with the lines around it; and where some are left out."""
        kept, begins = around(lines, hits, self.context, jumps)
        inner = {it.key for it in kept} - begins
        self.breaks.update(begins - self._known)
        self.breaks -= inner
        return kept

    async def _load(self, wanted: list[Hit]) -> int:
        client = self._client()
        if client is None:
            raise ConnectionError("no core is in reach")
        spots: dict[Key, list[Offset]] = {}
        for _, attempt, stream, pos in wanted:
            spots.setdefault((attempt, stream), []).append(Offset(pos))
        asked = [LogPiece(*key, spots=tuple(of), context=self.context) for key, of in spots.items()]
        asked += self._beside(wanted)
        cutters: dict[Key, Cutter] = {(it.attempt, it.stream): Cutter() for it in asked}
        fresh: list[Line] = []
        async for event in pieces(client, asked):
            key = (event["attempt"], event["stream"])
            if event["kind"] == "data" and key in cutters:
                fresh += cutters[key].feed(event)
            elif event["kind"] == "notice":
                self.hits.notes.append(event["text"])
        for cutter in cutters.values():
            fresh += cutter.flush()
        if self.context:
            jumps = set[tuple[str, str, int]]().union(*(it.jumps for it in cutters.values()))
            fresh = self._with_breaks(fresh, {hit[1:] for hit in wanted}, jumps)
        known = {line.key: line for line in fresh if line.key not in self._known}
        self._known.update(known)
        self.lines += known.values()
        self.lines.sort()
        return len(known)

    def _beside(self, wanted: Iterable[Hit]) -> Iterable[LogPiece]:
        """What the other streams of the same attempts printed around these times."""
        if not self.context:
            return
        moments: dict[Key, list[Offset]] = {}
        for at, attempt, stream, _ in wanted:
            for other in self._streams:
                if other != stream:
                    moments.setdefault((attempt, other), []).append(Offset(at))
        for (attempt, other), when in moments.items():
            yield LogPiece(attempt, other, times=tuple(when), context=self.context)


def around(
    lines: Iterable[Line],
    hits: Set[tuple[str, str, int]],
    context: int,
    jumps: Set[tuple[str, str, int]] = frozenset(),
) -> tuple[list[Line], set[tuple[str, str, int]]]:
    """Of lines, those that were found and so many of the same attempt on either side; and the keys
    of those with which a group of neighbours begins. `jumps`: those that don't follow on the line
    of their stream that stands before them here."""
    kept: list[Line] = []
    begins: set[tuple[str, str, int]] = set()
    of_attempt: dict[str, dict[tuple[str, str, int], Line]] = {}
    for line in lines:
        of_attempt.setdefault(line.attempt, {})[line.key] = line
    for known in of_attempt.values():
        ordered = sorted(known.values())
        near: set[int] = set()
        for n, line in enumerate(ordered):
            if line.key in hits:
                near.update(range(max(0, n - context), min(len(ordered), n + context + 1)))
        kept += [ordered[n] for n in sorted(near)]
        begins.update(ordered[n].key for n in near if n - 1 not in near or ordered[n].key in jumps)
    return kept, begins
