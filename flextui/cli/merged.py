"""Logs of several tasks as lines of text: merged in time order, or only what was looked for."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flextui.cli import output
from flextui.cli.stream import write_all
from flextui.cli.text import clean
from flextui.core.client import Client
from flextui.core.commands import LogSearch
from flextui.core.logbook import levels, times
from flextui.core.logbook.hits import HitPages, search
from flextui.core.logbook.lines import Cutter, Key, Line
from flextui.core.logbook.live import Live
from flextui.core.logbook.reader import LogPages
from flextui.core.logbook.selection import Selection, labels, select
from flextui.core.model.docs import JobDoc
from flextui.core.model.terminal import neutralise
from flextui.core.model.times import iso

STEP = 2000
MOST = 1_000_000
"""Lines that a search lists, the newest of each stream."""
GATHER_S = 0.2
"""What is printed within so long is put in order before it is told."""
BEGINNING = 1.0
_COLOURS = {"error": "red", "warning": "yellow", "debug": "dim"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    streams: tuple[str, ...] = ("out", "err")
    lines: int | None = None
    since: float | None = None
    """Unix milliseconds."""
    pattern: str | None = None
    ignore_case: bool = False
    inverse: bool = False
    context: int = 0
    stamps: str | None = None
    as_json: bool = False
    every: bool = False
    follow: bool = False

    @property
    def plain(self) -> bool:
        """Whether a single stream of bytes is all that is asked for."""
        told = (self.since, self.pattern, self.stamps)
        return told == (None, None, None) and not (self.as_json or self.every)


async def tell(
    client: Client, jobs: Mapping[str, JobDoc], words: Sequence[str], wanted: Wanted
) -> None:
    """Write the lines of a selection. Raises StdoutClosed."""
    chosen = select(jobs, words, every=wanted.every)
    if not chosen.origins:
        output.say("flextui: nothing of it has run yet" if words else "flextui: nothing runs there")
    for text in _remarks(chosen):
        output.say(f"flextui: {text}")
    keys = {(it.attempt, s): it.began for it in chosen.origins.values() for s in wanted.streams}
    writer = Writer(chosen, wanted)
    pages = LogPages(lambda: client)
    if wanted.pattern is not None:
        await _found(client, keys, wanted, writer)
        await pages.open_tail(keys, lines=0, shown=0)
    elif wanted.lines is not None or wanted.since is not None:
        await _tail(pages, keys, wanted, writer)
    else:
        await _whole(pages, keys, wanted, writer)
    for note in pages.notes:
        output.say(f"flextui: {clean(note)}")
    if wanted.follow:
        await _follow(client, chosen, pages, wanted, writer)


def _remarks(chosen: Selection) -> Iterable[str]:
    if chosen.left_out:
        yield f"{chosen.left_out} jobs are left out: name fewer at once"
    if chosen.older:
        yield f"{chosen.older} older attempts are left out: --all-attempts"


async def _whole(
    pages: LogPages, keys: Mapping[Key, float], wanted: Wanted, writer: Writer
) -> None:
    await pages.open_at(keys, BEGINNING, shown=STEP)
    while True:
        await writer.write(pages.book.lines)
        pages.book.lines.clear()
        if not await pages.down(STEP):
            return


async def _tail(pages: LogPages, keys: Mapping[Key, float], wanted: Wanted, writer: Writer) -> None:
    """The last lines, or what came since a time, whichever is more."""
    if wanted.since is not None:
        await pages.open_at(keys, wanted.since, shown=STEP)
        early = [it for it in pages.book.lines if it.at < wanted.since]
        del pages.book.lines[: len(early)]
        if wanted.lines is not None:
            missing = wanted.lines - await _count_down(pages, wanted.lines)
            if missing > 0:
                pages.book.lines[:0] = early
                await pages.up(missing - len(early))
                del pages.book.lines[: max(0, len(early) - missing)]
        while True:
            await writer.write(pages.book.lines)
            pages.book.lines.clear()
            if not await pages.down(STEP):
                return
    await pages.open_tail(keys, lines=wanted.lines, shown=wanted.lines or 0)
    pages.finish(attempt for attempt, _ in keys if not wanted.follow)
    while (missing := (wanted.lines or 0) - len(pages.book.lines)) > 0:
        if not await pages.up(missing):
            break
    await writer.write(pages.book.lines[-(wanted.lines or 0) :] if wanted.lines else [])


async def _count_down(pages: LogPages, enough: int) -> int:
    """Read on until there are enough lines, or no more; how many there are."""
    while len(pages.book.lines) < enough and await pages.down(STEP):
        pass
    return len(pages.book.lines)


async def _found(client: Client, keys: Mapping[Key, float], wanted: Wanted, writer: Writer) -> None:
    """What a search finds, from the first on."""
    assert wanted.pattern is not None
    what = LogSearch(wanted.pattern, wanted.ignore_case, wanted.inverse, MOST)
    hits = await search(client, keys, what)
    for note in hits.notes:
        output.say(f"flextui: {clean(note)}")
    places = [it for it in hits.places if wanted.since is None or it[0] >= wanted.since]
    if wanted.lines is not None:
        places = places[-wanted.lines :] if wanted.lines else []
    if hits.count > len(hits.places):
        output.say(f"flextui: {hits.count:,} lines match; the newest {len(hits.places):,} are told")
    if not places:
        return
    pages = HitPages(lambda: client, hits, wanted.context, wanted.streams)
    pages.begin_at(places[0])
    while await pages.down(STEP):
        await writer.write(pages.lines)
        pages.lines.clear()


async def _follow(
    client: Client, chosen: Selection, pages: LogPages, wanted: Wanted, writer: Writer
) -> None:
    """What is printed from now on."""
    came = asyncio.Event()

    def cutter(key: Key, node: str) -> Cutter:
        return pages.book.source(key, time.time() * 1000).cutter

    live = Live(cutter, came.set)
    read = {key: it.bottom for key, it in pages.book.sources.items()}
    follows = [replace(it, streams=wanted.streams) for it in chosen.follows]
    running = asyncio.ensure_future(live.run(client, follows, read))
    running.add_done_callback(lambda _: came.set())
    keep = _Filter(wanted)
    try:
        while not running.done() or live.waiting:
            await came.wait()
            came.clear()
            await asyncio.sleep(GATHER_S)
            await writer.write(keep.of(sorted(live.take())))
        await running
    finally:
        running.cancel()


class _Filter:
    """Of lines as they come, those that match, and those around them."""

    def __init__(self, wanted: Wanted) -> None:
        self._inverse = wanted.inverse
        self._regex = None
        if wanted.pattern is not None:
            self._regex = re.compile(wanted.pattern, re.IGNORECASE if wanted.ignore_case else 0)
        self._before: deque[Line] = deque(maxlen=wanted.context)
        self._after = wanted.context
        self._owed = 0

    def of(self, lines: Sequence[Line]) -> list[Line]:
        if self._regex is None:
            return list(lines)
        found: list[Line] = []
        for line in lines:
            if (self._regex.search(line.text) is not None) != self._inverse:
                found += [*self._before, line]
                self._before.clear()
                self._owed = self._after
            elif self._owed:
                self._owed -= 1
                found.append(line)
            else:
                self._before.append(line)
        return found


class Writer:
    """Lines to stdout; notes to stderr."""

    def __init__(self, chosen: Selection, wanted: Wanted) -> None:
        if sys.stdout is None:
            raise output.StdoutClosed
        self._fd = sys.stdout.fileno()
        self._terminal = output.is_terminal(sys.stdout)
        self._colour = output.colour_on(sys.stdout)
        self._wanted = wanted
        self._origins = chosen.origins
        named = self._terminal or wanted.stamps is not None
        self._labels = labels(chosen.origins.values()) if len(chosen.origins) > 1 and named else {}

    async def write(self, lines: Iterable[Line]) -> None:
        """Raises StdoutClosed."""
        parts = []
        for line in lines:
            if line.stream == "note":
                output.say(f"flextui: {clean(line.text.strip('─ '))}")
            else:
                parts.append(self._json(line) if self._wanted.as_json else self._text(line))
        if parts:
            text = "\n".join(parts) + "\n"
            await write_all(self._fd, text.encode("utf-8", "replace"))

    def _text(self, line: Line) -> str:
        text = line.text
        if self._terminal:
            text = neutralise(text, colours=self._colour)
            bad = levels.level(line.text)
            if self._colour and bad in _COLOURS:
                text = output.paint(text, _COLOURS[bad])
        head = []
        if self._wanted.stamps not in (None, "off"):
            head.append(times.stamp(line.at, self._wanted.stamps, time.time()).strip())
        if label := self._labels.get(line.attempt):
            head.append(clean(label))
        return " ".join([*head, text])

    def _json(self, line: Line) -> str:
        origin = self._origins.get(line.attempt)
        doc = {
            "at": iso(line.at / 1000) if line.at else None,
            "job": origin.job if origin else line.attempt.partition(".")[0],
            "name": origin.name if origin else None,
            "task": origin.task if origin else None,
            "attempt": line.attempt,
            "node": origin.node if origin else line.node,
            "stream": line.stream,
            "level": levels.level(line.text) or None,
            "text": line.text,
        }
        return json.dumps(doc)
