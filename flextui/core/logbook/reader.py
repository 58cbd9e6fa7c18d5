"""Fills a window on logs from a client: at the tail, around a time or a place, further up or down.

Every method that fetches returns when what was asked for is there, or can't be had; what can't
is told as a line.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from flextui.core.client import Client
from flextui.core.commands import LogPiece, LogRequest, Offset
from flextui.core.logbook.book import PAGE, Book, Source
from flextui.core.logbook.lines import Cutter, Key, Line
from flextui.core.model.docs import LogEvent

MOST_PAGE = 8 << 20
"""The same in the middle of a line that has no end."""
PAGE_UP = 1 << 20
FETCHES = 4
"""So often more is asked for before what there is is shown."""
LEAST = 40
"""Lines of a stream in one page going up, at the least."""
MARGIN = 1.5


async def pieces(client: Client, asked: Iterable[LogPiece]) -> AsyncIterator[LogEvent]:
    """What a client tells of parts of logs. Raises CommandError, ConnectionError."""
    request = LogRequest("", pieces=tuple(asked))
    if not request.pieces:
        return
    async with contextlib.aclosing(client.logs(request)) as events:  # type: ignore[type-var]
        async for event in events:
            yield event


class LogPages:
    """Pages of a `Book` over one client."""

    def __init__(self, client: Callable[[], Client | None]) -> None:
        self._client = client
        self.book = Book()
        self.notes: list[str] = []
        """What couldn't be read, since it was last looked at."""

    # ── opening ──

    async def open_tail(
        self,
        keys: Mapping[Key, float],
        *,
        lines: int | None,
        since: float | None = None,
        shown: int,
    ) -> None:
        """The end of each stream (`keys`: when it began), and the last `shown` lines in view.

        `since` (Unix ms): also all that came from then on.
        """
        book = Book()
        of_each = None if lines is None else max(LEAST, int(MARGIN * lines / max(1, len(keys))))
        begin = None if since is None else Offset(max(0, int(since)))
        asked = [
            LogPiece(*key, lines=of_each, since=begin, limit=Offset(8 * PAGE_UP)) for key in keys
        ]
        for key, began in keys.items():
            book.source(key, began)
        told = await self._fetch(asked, {key: it.cutter for key, it in book.sources.items()})
        for key, source in book.sources.items():
            found, span = told.get(key, ([], None))
            source.above = found
            source.at_bottom = True
            source.top, source.bottom = span or (0, 0)
            source.at_top = span is None or span[0] == 0
        self.book = book
        await self.up(shown, FETCHES)

    async def open_at(
        self,
        keys: Mapping[Key, float],
        at_ms: float,
        *,
        exact: Mapping[Key, int] | None = None,
        shown: int,
    ) -> int:
        """A window around a time; the index of the first line that came then or later.

        `exact`: streams of which the position is known.
        """
        book = Book()
        places = exact or {}
        when = Offset(max(0, int(at_ms)))
        asked = []
        for key, began in keys.items():
            book.source(key, began)
            place = places.get(key)
            begin = None if place is None else Offset(place)
            since = when if place is None else None
            asked.append(LogPiece(*key, begin=begin, since=since, limit=Offset(PAGE)))
        told = await self._fetch(asked, {key: it.cutter for key, it in book.sources.items()})
        for key, source in book.sources.items():
            found, span = told.get(key, ([], None))
            source.below = found[::-1]
            source.top, source.bottom = span or (0, 0)
            source.at_top = span is None or span[0] == 0
            source.at_bottom = span is None or span[0] == span[1]
        self.book = book
        await self.down(shown, FETCHES)
        await self.up(shown, FETCHES)
        first = (at_ms, "", "", 0)
        return next((n for n, line in enumerate(book.lines) if line[:4] >= first), len(book.lines))

    def finish(self, attempts: Iterable[str]) -> None:
        """Nothing more comes of these: show also a last line that has no end."""
        over = set(attempts)
        for (attempt, _), source in self.book.sources.items():
            if attempt in over:
                self.book.come(source.cutter.flush())

    def unfinished(self) -> list[Line]:
        """Lines that have no end yet, as they look now: prompts and progress bars."""
        found = (it.cutter.open_lines() for it in self.book.sources.values())
        return sorted(line for lines in found for line in lines)

    # ── further ──

    async def up(self, count: int, fetches: int = 1 << 30) -> int:
        """Up to so many earlier lines; how many came, none at the beginning. `fetches`: so often
        they are asked for at the most, for who wants to see something first."""
        book = self.book
        came: list[Line] = []
        while len(came) < count:
            if lacking := book.lacking_above():
                if not fetches:
                    break
                fetches -= 1
                await self._fetch_above(lacking, count - len(came), len(book.sources))
            taken = book.take_above(count - len(came))
            came[:0] = taken
            if not taken and not book.lacking_above():
                break
        book.lines[:0] = came
        return len(came)

    async def down(self, count: int, fetches: int = 1 << 30) -> int:
        """Up to so many later lines; how many came, none at the end for now."""
        book, came = self.book, 0
        while came < count:
            if lacking := book.lacking_below():
                if not fetches:
                    break
                fetches -= 1
                await self._fetch_below(lacking)
            taken = len(book.take_below(count - came))
            came += taken
            if not taken and not book.lacking_below():
                break
        return came

    def look_again(self) -> None:
        """Something may have been printed since the end was reached."""
        for source in self.book.sources.values():
            source.at_bottom = False

    async def _fetch_above(self, lacking: list[Source], count: int, of: int) -> None:
        lines = max(LEAST, int(MARGIN * count / max(1, of)))
        asked = [
            LogPiece(*it.key, end=Offset(it.top), lines=lines, limit=Offset(PAGE_UP))
            for it in lacking
        ]
        cutters = {it.key: Cutter(it.began) for it in lacking}
        told = await self._fetch(asked, cutters)
        for source in lacking:
            found, span = told.get(source.key, ([], None))
            source.above = found + cutters[source.key].flush()
            if span is None or span[0] >= source.top:
                source.at_top = True
            else:
                source.top = span[0]
                source.at_top = span[0] == 0

    async def _fetch_below(self, lacking: list[Source]) -> None:
        asked = [
            LogPiece(*it.key, begin=Offset(it.bottom), limit=Offset(it.page)) for it in lacking
        ]
        told = await self._fetch(asked, {it.key: it.cutter for it in lacking})
        for source in lacking:
            found, span = told.get(source.key, ([], None))
            source.below = found[::-1]
            source.page = PAGE if found else min(MOST_PAGE, 4 * source.page)
            if span is None or span[1] <= source.bottom:
                source.at_bottom = True
                source.below = source.cutter.flush()[::-1]
            else:
                source.bottom = span[1]

    async def _fetch(
        self, asked: list[LogPiece], cutters: Mapping[Key, Cutter]
    ) -> dict[Key, tuple[list[Line], tuple[int, int] | None]]:
        """Lines and extents, by stream. Raises CommandError, ConnectionError."""
        client = self._client()
        if client is None:
            raise ConnectionError("no core is in reach")
        found: dict[Key, list[Line]] = {}
        spans: dict[Key, tuple[int, int]] = {}
        async for event in pieces(client, asked):
            key = (event["attempt"], event["stream"])
            if event["kind"] == "notice":
                self.notes.append(event["text"])
            elif event["kind"] == "eof":
                for stream, (begin, end) in event.get("told", {}).items():
                    spans[event["attempt"], stream] = (begin, end)
            elif key in cutters:
                found.setdefault(key, []).extend(cutters[key].feed(event))
        return {key: (found.get(key, []), spans.get(key)) for key in {*found, *spans}}
