"""The windows of the logs screen: the end, which is followed, and others that were jumped to."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.timer import Timer

from flextui.core.client import Client
from flextui.core.commands import CommandError, Show
from flextui.core.logbook.book import MOST
from flextui.core.logbook.hits import HitPages
from flextui.core.logbook.lines import Cutter, Key, Line
from flextui.core.logbook.live import Live
from flextui.core.logbook.reader import LogPages
from flextui.core.logbook.selection import Selection, colours, labels, select
from flextui.core.model.docs import JobDoc
from flextui.screens.place import Place
from flextui.screens.widgets.logview import LogView

LINES = 2000
"""Lines that are read at first."""
BARS = 8
"""Lines without an end, such as progress bars, that are shown below the others."""
WORK = ("search", "jump", "errors", "further")
LAG_S = 3.0
"""Who falls back further than this while following is brought to the end."""
BEGINNING = 1.0
"""A time before every log, in ms."""


class Windows(Place):
    """What is read of the logs, and what of that is shown."""

    PAGES_UP: ClassVar[int] = 4

    def begin(self, words: tuple[str, ...]) -> None:
        """Before anything is read."""
        self.words = words
        self.chosen = Selection()
        self.every: bool | None = None
        self.streams: tuple[str, ...] = ("out", "err")
        self.trouble = ""
        self.cut_off = False
        """What was followed ended with the core; it goes on with the next one."""
        self.ended = False
        self.log_view = LogView(id="log")
        self.tail = LogPages(lambda: self.app.client)
        """The window at the end."""
        self.pages: LogPages = self.tail
        """The one that all lines are shown of."""
        self.only: HitPages | None = None
        """The one that only what was found is shown of, while it is."""
        self.live = Live(self._cutter, self._came)
        self._old: dict[str, JobDoc] = {}
        """Jobs that have left the view."""
        self._seen: list[JobDoc | None] = []
        self._drain_timer: Timer | None = None
        self._drained = 0.0
        self._lag = float("inf")
        self._opening = False

    @property
    def thinking(self) -> bool:
        """Whether something that was asked for isn't there yet."""
        return self._opening or any(
            it.node is self and it.group in WORK and it.is_running for it in self.app.workers
        )

    # ── what is chosen ──

    def jobs(self) -> dict[str, JobDoc]:
        """Jobs by id, those that left the view too."""
        return {**self._old, **self.app.view.jobs}

    def keys(self) -> dict[Key, float]:
        """Each stream that is read, and when it began."""
        return {
            (it.attempt, stream): it.began
            for it in self.chosen.origins.values()
            for stream in self.streams
        }

    def chosen_changed(self) -> None:
        """Look whether the selection means other attempts by now, and whether the core is back."""
        view = self.app.view
        if self.cut_off and view.live and self.log_view.following:
            self.open_tail()
        by_node = any(word.startswith("@") for word in self.words)
        names = list(view.jobs) if by_node else [word.partition(".")[0] for word in self.words]
        seen = [view.jobs.get(name) for name in names]
        if len(seen) == len(self._seen) and all(
            a is b for a, b in zip(seen, self._seen, strict=True)
        ):
            return
        self._seen = seen
        before = self.chosen
        self.chosen = select(self.jobs(), self.words, every=self.every)
        if self.chosen.origins.keys() != before.origins.keys():
            self._label()
        asked = {(it.job, it.tasks, it.attempt) for it in before.follows}
        more = {(it.job, it.tasks, it.attempt) for it in self.chosen.follows} - asked
        if more and before.origins and by_node:
            self.open_tail()

    def _label(self) -> None:
        manner = self.log_view.manner
        manner.labels = labels(self.chosen.origins.values())
        manner.colours = colours(self.chosen.origins.values())
        manner.several_streams = len(self.streams) > 1
        self.log_view.restyle()

    async def _find_old(self, client: Client) -> None:
        """Jobs that ended so long ago that the view has dropped them."""
        for word in self.words:
            name = word.partition(".")[0]
            if not word.startswith("@") and name not in self.app.view.jobs:
                answer = await client.call(Show(name))
                if "tasks" in answer:
                    self._old[name] = answer  # type: ignore[assignment]

    # ── the end ──

    @work(exclusive=True, group="tail")
    async def open_tail(self) -> None:
        """Read the end anew and follow."""
        client = self.app.client
        self.trouble, self.ended, self.cut_off = "", False, False
        self._opening = True
        try:
            if client is None:
                raise ConnectionError("no core is in reach")
            await self._find_old(client)
            self.chosen = select(self.jobs(), self.words, every=self.every)
            self._label()
            shown = 3 * max(20, self.log_view.size.height)
            tail = LogPages(lambda: self.app.client)
            await tail.open_tail(self.keys(), lines=LINES, shown=shown)
            self.tail = self.pages = tail
            tail.finish(it.attempt for it in self.chosen.origins.values() if it.ended)
            self.take_notes(tail)
            self.live = Live(self._cutter, self._came)
            if self.only is None:
                self.log_view.show(tail.book.lines)
                self.log_view.changed(open_lines=tail.unfinished()[-BARS:])
            self.opened()
            self._opening = False
            read = {key: it.bottom for key, it in tail.book.sources.items()}
            follows = [replace(it, streams=self.streams) for it in self.chosen.follows]
            await self.live.run(client, follows, read)
            self.ended = True
        except (CommandError, ConnectionError, ExceptionGroup) as error:
            if isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            self.cut_off = isinstance(error, ConnectionError)
            more = "goes on when the core is back" if self.cut_off else "G tries again"
            self.trouble = f"{error}; {more}"
            self._opening = False
        self.draw_bar()

    def opened(self) -> None:
        """The end was read anew."""

    def draw_bar(self) -> None:
        """Say where one is."""
        raise NotImplementedError

    @work(exclusive=True, group="jump")
    async def show_last(self, seconds: float | None, lines: int | None) -> None:
        """From where the last minutes or lines begin, whichever is more."""
        book = self.tail.book
        try:
            if lines is not None and len(book.lines) < lines:
                await self.tail.up(lines - len(book.lines))
        except (CommandError, ConnectionError) as error:
            self.app.tell(str(error), bad=True)
            return
        since = float("inf") if seconds is None else (self.app.clock() - seconds) * 1000
        if book.lines and since < book.lines[0].at:
            self.jump(since)
            return
        by_time = next((n for n, it in enumerate(book.lines) if it.at >= since), len(book.lines))
        by_lines = len(book.lines) if lines is None else max(0, len(book.lines) - lines)
        self.only, self.pages = None, self.tail
        self.log_view.show(book.lines, min(by_time, by_lines))
        self.draw_bar()

    def _cutter(self, key: Key, node: str) -> Cutter:
        origin = self.chosen.origins.get(key[0])
        source = self.tail.book.source(key, origin.began if origin else time.time() * 1000)
        source.at_top = source.at_top or not source.bottom
        source.at_bottom = True
        return source.cutter

    def _came(self) -> None:
        """Lines wait: take them soon, but not more often than the screen is painted."""
        if self._drain_timer is None and self.is_attached:
            wait = self._drained + min(0.25, self.app.look.interval) - time.monotonic()
            self._drain_timer = self.set_timer(max(0.005, wait), self._drain)

    def _drain(self) -> None:
        self._drain_timer = None
        self._drained = time.monotonic()
        book = self.tail.book
        following = self.log_view.following
        if len(book.lines) > MOST and not following:
            return  # nobody looks there: the nodes keep the rest
        lines = self.live.take()
        for key in {(it.attempt, it.stream) for it in lines}:
            source = book.source(key)
            source.bottom = max(source.bottom, source.cutter.position(key))
        cursor = self.log_view.cursor_line
        at = book.come(lines)
        if following:
            book.trim_top()
        if self.log_view.lines is book.lines:
            if following:
                self.log_view.changed(open_lines=self.tail.unfinished()[-BARS:])
            else:
                self.log_view.inserted(at, cursor)
        self.printed(lines)
        if following and self._lags(lines):
            self.trouble = "skipped ahead: it prints faster than it can be sent"
            self.open_tail()
        self.draw_bar()

    def printed(self, lines: list[Line]) -> None:
        """These came just now."""

    def _lags(self, lines: list[Line]) -> bool:
        """Whether what comes is older and older."""
        if not lines or not lines[-1].at:
            return False
        lag = time.time() - lines[-1].at / 1000
        self._lag = min(self._lag, lag)
        return lag > self._lag + LAG_S and self.live.waiting > 0

    # ── further ──

    @on(LogView.Edge)
    def _edge(self, message: LogView.Edge) -> None:
        if message.up or self.log_view.lines is not self.tail.book.lines:
            self._further(message.up)

    @work(exclusive=False, group="further")
    async def _further(self, up: bool) -> None:
        if self._loading:
            return
        self._loading = True
        lines = self.log_view.lines
        pages = self.only or self.pages
        many = self.PAGES_UP * max(20, self.log_view.size.height)
        try:
            if up:
                came = await pages.up(many)
                if self.log_view.lines is lines and came:
                    self.log_view.changed(above=came)
            else:
                if isinstance(pages, LogPages):
                    pages.look_again()
                if await pages.down(many) and self.log_view.lines is lines:
                    self.log_view.changed()
        except (CommandError, ConnectionError) as error:
            self.trouble = str(error)
        finally:
            self._loading = False
        self.take_notes(pages)
        self.draw_bar()

    _loading = False

    def take_notes(self, pages: LogPages | HitPages) -> None:
        """Tell what couldn't be read."""
        notes = pages.notes if isinstance(pages, LogPages) else pages.hits.notes
        if notes:
            self.trouble = notes[-1]
            notes.clear()

    @on(LogView.Wanted)
    def _wanted(self, message: LogView.Wanted) -> None:
        if message.top and self.only is not None:
            places = self.only.hits.places
            self.show_hits(places[0] if places else None)
        elif message.top:
            self.jump(BEGINNING)
        elif self.only is not None:
            self.show_hits(None)
        elif self.trouble or self.live.full or len(self.tail.book.lines) > MOST:
            self.open_tail()
        else:
            self.pages = self.tail
            self.log_view.show(self.tail.book.lines)
            self._came()
        self.draw_bar()

    def show_hits(self, at: tuple[float, str, str, int] | None) -> object:
        """Only what was found, around a place; None: at its end."""
        raise NotImplementedError

    @work(exclusive=True, group="jump")
    async def jump(
        self, at_ms: float, exact: dict[Key, int] | None = None, key: object = None
    ) -> None:
        """All lines around a time, or around the line `key`."""
        far = LogPages(lambda: self.app.client)
        shown = 3 * max(20, self.log_view.size.height)
        try:
            index = await far.open_at(self.keys(), at_ms, exact=exact, shown=shown)
        except (CommandError, ConnectionError) as error:
            self.app.tell(str(error), bad=True)
            return
        self.only = None
        self.pages = far
        self.take_notes(far)
        lines = far.book.lines
        if key is not None:
            index = next((n for n, line in enumerate(lines) if line.key == key), index)
        self.log_view.show(lines, index, centre=at_ms > BEGINNING)
        self.draw_bar()

    def _end_words(self) -> str:
        """That nothing more comes; of one job how it ended."""
        found = {it.job for it in self.chosen.origins.values()}
        job = self.jobs().get(found.pop()) if len(found) == 1 else None
        if job is None or not job["ended_at"]:
            return "ended"
        exits = f", exit {job['exit_code']}" if job["exit_code"] else ""
        return f"ended: {job['state']}{exits}"

    def follow_words(self) -> str:
        """Whether it is followed."""
        if self.log_view.following:
            return self._end_words() if self.ended and not self.live.left else "follow ▾"
        here = self.log_view.lines is self.tail.book.lines
        more = self.live.waiting + (self.log_view.below if here else 0)
        return f"paused, {more:,}{'+' if self.live.full else ''} below" if more else "paused"
