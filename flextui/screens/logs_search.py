"""Looking for something in logs: found where they lie, shown alone or marked among all lines."""

from __future__ import annotations

import asyncio
import re
import time

from textual import work

from flextui.core.commands import CommandError, LogSearch
from flextui.core.logbook.hits import Hit, HitPages, Hits, fill, left_to_python, wish
from flextui.core.logbook.levels import ERRORS, level
from flextui.core.logbook.lines import Line
from flextui.screens.logs_window import Windows
from flextui.screens.widgets.logpaint import TooSlow, bounded
from flextui.screens.widgets.logview import compiled

LONG_S = 2.0
"""A search that takes longer says how long it has taken."""
TYPING_S = 0.25
"""So long after the last letter the search begins."""
LATELY = 500
"""Lines before those that came, in which what stands around a new match is looked for."""
LIVE_S = 0.05
"""Processor time that a pattern gets for the lines that came in a moment."""


class Searching(Windows):
    """The windows, and what is looked for in them."""

    def begin(self, words: tuple[str, ...]) -> None:
        super().begin(words)
        self.context = 0
        self.what: LogSearch | None = None
        self.hits: Hits | None = None
        self.alone = True
        """Whether only what was found is shown."""
        self.slow = False
        """The pattern takes too long for lines as they come."""
        self._began = 0.0
        """When the search began, on the monotonic clock."""
        self._errors: Hits | None = None

    # ── what is looked for ──

    def look_for(self, pattern: str) -> None:
        """Begin to look for a pattern; "" is the end of it."""
        self.what = wish(pattern) if pattern else None
        self.slow = False
        manner = self.log_view.manner
        manner.pattern = None
        if self.what is None:
            self.hits = None
            self._show_all()
        else:
            if not self.what.inverse:
                found = compiled(self.what.pattern, ignore_case=self.what.ignore_case)
                manner.pattern = found
            self._search()
        self.log_view.restyle()

    @work(exclusive=True, group="search")
    async def _search(self) -> None:
        what = self.what
        if what is None:
            return
        await asyncio.sleep(TYPING_S)
        hits = self.hits = Hits()
        self._began = time.monotonic()
        if not await self._fill(hits, what) or self.what is not what:
            return
        if self.alone:
            self.show_hits(self._here())
        else:
            self.action_hit(-1)
        self.refresh_view()

    async def _fill(self, hits: Hits, what: LogSearch) -> bool:
        client = self.app.client
        try:
            if client is None:
                raise ConnectionError("no core is in reach")
            await fill(hits, client, self.keys(), what, self._counted)
        except (CommandError, ConnectionError) as error:
            self.trouble = str(error)
            return False
        finally:
            hits.done = True
        if hits.notes:
            self.trouble = hits.notes[-1]
            hits.notes.clear()
        return True

    def _counted(self) -> None:
        self.app.changed()

    def search_words(self) -> str:
        """What was found."""
        if self.what is None or self.hits is None:
            return ""
        words = f"{self.hits.count:,} {'hit' if self.hits.count == 1 else 'hits'}"
        if not self.hits.done:
            took = time.monotonic() - self._began
            if took < LONG_S:
                return f"{words} so far …"
            slow = ", a slow pattern: grep can't say it" if left_to_python(self.what) else ""
            return f"{words} so far, {took:.0f}s{slow} …"
        here = self.log_view.cursor_line
        if here is not None and not self.log_view.following:
            number = self.hits.number(here[:4])
            if number <= len(self.hits.places) and self.hits.places[number - 1] == here[:4]:
                words = f"{number:,} of {words}"
        if self.context and self.only is not None:
            words += f", {self.context} around"
        return words + (", marked as it comes no more: too slow" if self.slow else "")

    # ── what came just now ──

    def opened(self) -> None:
        self._errors = None
        if self.what is not None:
            self._search()

    def printed(self, lines: list[Line]) -> None:
        if self._errors is not None:
            bad = [it for it in lines if it.stream != "note" and level(it.text) == "error"]
            self._errors.come(bad)
        if self.hits is None or self.what is None or self.slow:
            return
        regex = compiled(self.what.pattern, ignore_case=self.what.ignore_case)
        found = self._matching(lines, regex) if regex is not None else []
        self.hits.come(found)
        if self.only is not None and self.log_view.lines is self.only.lines:
            following = self.log_view.following
            cursor = self.log_view.cursor_line
            lately = self.tail.book.lines[-len(lines) - LATELY :] if self.only.context else ()
            if self.only.come(found, lately):
                if following:
                    self.log_view.changed()
                else:
                    self.log_view.inserted(0, cursor)

    def _matching(self, lines: list[Line], regex: re.Pattern[str]) -> list[Line]:
        assert self.what is not None
        inverse = self.what.inverse
        try:
            with bounded(LIVE_S + len(lines) * 1e-5):
                return [
                    it for it in lines
                    if it.stream != "note" and (regex.search(it.text) is not None) != inverse
                ]  # fmt: skip
        except TooSlow:
            self.slow = True
            return []

    # ── alone, or among all lines ──

    @work(exclusive=True, group="jump")
    async def show_hits(self, at: Hit | None) -> None:
        if self.hits is None:
            return
        only = HitPages(lambda: self.app.client, self.hits, self.context, self.streams)
        try:
            await only.open_at(at, max(20, self.log_view.size.height))
        except (CommandError, ConnectionError) as error:
            self.app.tell(str(error), bad=True)
            return
        self.only = only
        self.take_notes(only)
        if at is None:
            self.log_view.show(only.lines, breaks=only.breaks)
        else:
            index = next((n for n, it in enumerate(only.lines) if it[:4] >= at), len(only.lines))
            self.log_view.show(only.lines, index, centre=True, breaks=only.breaks)
        self.draw_bar()

    def _here(self) -> Hit | None:
        line = self.log_view.cursor_line
        return None if self.log_view.following or line is None else line[:4]

    def _show_all(self) -> None:
        """All lines again, around the line where one is."""
        was, here = self.only, self.log_view.cursor_line
        self.only = None
        if was is None:
            return
        if self.log_view.following or here is None:
            self.pages = self.tail
            self.log_view.show(self.tail.book.lines)
        else:
            self._jump_to(here[:4])

    def _jump_to(self, hit: Hit) -> None:
        at, attempt, stream, pos = hit
        self.jump(at, {(attempt, stream): pos}, (attempt, stream, pos))

    def action_only(self) -> None:
        if self.what is None:
            self.app.tell("look for something first: /")
            return
        self.alone = not self.alone
        if self.alone:
            self.show_hits(self._here())
        else:
            self._show_all()

    def context_changed(self) -> None:
        """Other lines around what was found."""
        if self.only is not None:
            self.show_hits(self._here())

    # ── from one to the next ──

    def action_hit(self, step: int) -> None:
        """To the next thing found, or the one before."""
        if self.hits is None:
            self.app.tell("look for something first: /")
            return
        self._step(self.hits, step, "hit")

    @work(exclusive=True, group="errors")
    async def action_error(self, step: int) -> None:
        """To the next error, or the one before, whatever was looked for."""
        if self._errors is None:
            errors = Hits()
            if not await self._fill(errors, LogSearch(ERRORS)):
                return
            self._errors = errors
        if self.only is not None:
            self.alone = False
            self.only = None
        self._step(self._errors, step, "error")

    def _step(self, hits: Hits, step: int, word: str) -> None:
        places = hits.places
        if not places:
            self.app.tell(f"no {word}" if hits.done else f"no {word} so far")
            return
        here = self.log_view.cursor_line
        at = here[:4] if here is not None else places[-1]
        if self.log_view.following and step < 0:
            at = (float("inf"), "", "", 0)
        found = hits.next(at) if step > 0 else hits.previous(at)
        again = ""
        if found is None:
            found = places[0] if step > 0 else places[-1]
            again = f", from the {'first' if step > 0 else 'last'} on again"
        self._show(found)
        self.app.tell(f"{word} {hits.number(found):,} of {hits.count:,}{again}")

    def _show(self, hit: Hit) -> None:
        index = self.log_view.find(hit[1:])
        if index is not None:
            self.log_view.go(index)
        elif self.only is not None:
            self.show_hits(hit)
        else:
            self._jump_to(hit)
