"""Out of the logs screen: to a time, to a file, to $PAGER, to the clipboard."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
import time
from pathlib import Path
from typing import IO

from textual import work

from flextui.core.commands import CommandError
from flextui.core.logbook import times
from flextui.core.logbook.lines import Line
from flextui.core.logbook.reader import LogPages
from flextui.core.model.terminal import neutralise
from flextui.screens.ask import Ask
from flextui.screens.logs_search import Searching

CLIPBOARD = 70_000
"""Characters that terminals take through OSC 52; many drop what is longer."""
STEP = 5_000
SAID_EVERY = 100_000


class Out(Searching):
    """The windows, what is looked for, and what is taken out."""

    def begin(self, words: tuple[str, ...]) -> None:
        super().begin(words)
        self.marked: list[Line] = []

    # ── to a time ──

    def action_jump(self) -> None:
        """Ask for a time, and go there."""
        here = self.log_view.cursor_line
        near = here.at / 1000 if here is not None and here.at else 0.0
        utc = self.log_view.manner.stamps == "utc"

        def found(text: str) -> float:
            return times.moment(text, self.app.clock(), near=near, utc=utc)

        def wrong(text: str) -> str:
            try:
                found(text)
            except ValueError as error:
                return str(error)
            return ""

        def taken(text: str | None) -> None:
            if text is not None:
                self.jump(found(text) * 1000)

        what = "14:02, 14:02:11, 2026-11-23 14:02, or 10m for ten minutes ago"
        self.app.push_screen(Ask("Jump to which time?", what, wrong=wrong), taken)

    def action_last(self) -> None:
        """Ask how far back, and show from there."""

        def wrong(text: str) -> str:
            try:
                times.last(text)
            except ValueError as error:
                return str(error)
            return ""

        def taken(text: str | None) -> None:
            if text is not None:
                self.show_last(*times.last(text))

        what = "10m, or 500 lines, or both, and then whichever is more: 10m 500"
        self.app.push_screen(Ask("From where on?", what, "10m 500", wrong), taken)

    # ── to the clipboard ──

    def action_yank(self) -> None:
        lines = self._between() if len(self.marked) == 2 else [self.log_view.cursor_line]
        found = [it for it in lines if it is not None]
        if found:
            self._yank(found)
        else:
            self.app.tell("no line from mark to mark is loaded here: S saves them")

    def action_yank_all(self) -> None:
        self._yank(self.log_view.lines)

    def _yank(self, lines: list[Line]) -> None:
        text = self.log_view.text(lines)
        what = f"{len(lines):,} line{'' if len(lines) == 1 else 's'}"
        if len(text) > CLIPBOARD:
            text = text[-CLIPBOARD:].partition("\n")[2]
            kept = text.count("\n") + 1
            what = f"the last {kept:,} of {what}: a clipboard takes no more (S saves)"
        self.app.yank(text, what=what)

    def _between(self) -> list[Line]:
        """The lines that are loaded from one mark to the other."""
        first, last = sorted(self.marked)
        return [it for it in self.log_view.lines if first <= it <= last]

    # ── to $PAGER ──

    @work(exclusive=True, group="pager")
    async def action_pager(self) -> None:
        """The lines that are loaded, with their colours, at the line where one is."""
        lines = self._between() if len(self.marked) == 2 else self.log_view.lines
        here = self.log_view.cursor_line
        at = next((n for n, it in enumerate(lines, 1) if it is here), 1)
        said = os.environ.get("PAGER", "")
        try:
            pager = shlex.split(said) or ["less"]
        except ValueError as error:
            self.app.tell(f"PAGER is {said!r}: {error}", bad=True)
            return
        with tempfile.NamedTemporaryFile(
            "w", suffix=".log", prefix="flextui-", encoding="utf-8"
        ) as file:
            for line in lines:
                file.write(self._written(line) + "\n")
            file.flush()
            less = Path(pager[0]).name == "less"
            options = ["-R", f"+{at}g"] if less else []
            try:
                status = await self.app.hand_over([*pager, *options, file.name])
            except OSError as error:
                self.app.tell(f"{pager[0]}: {error.strerror}: set PAGER", bad=True)
                return
        if status is None:
            self.app.tell("this terminal can't be handed over", bad=True)

    def _written(self, line: Line) -> str:
        """A line for a file: its time and origin where it isn't clear, its text as it was."""
        manner = self.log_view.manner
        kind = "utc" if manner.stamps == "utc" else "local"
        parts = (
            [f"{times.day(line.at, kind)[4:]} {times.stamp(line.at, kind, 0)}"] if line.at else []
        )
        if len(self.chosen.origins) > 1:
            parts.append(manner.labels.get(line.attempt, line.attempt))
        return " ".join([*parts, neutralise(line.text)])

    # ── to a file ──

    def action_save(self) -> None:
        """Ask for a file, and write all of it there, or from mark to mark."""
        name = self.place_title.partition(" ")[0].replace("/", "-").lstrip("@")
        path = Path.home() / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.log"

        def wrong(text: str) -> str:
            chosen = Path(text).expanduser()
            if chosen.exists():
                return f"{chosen} exists already"
            return "" if chosen.parent.is_dir() else f"there is no folder {chosen.parent}"

        def taken(text: str | None) -> None:
            if text is not None:
                self._save(Path(text).expanduser())

        what = "from mark to mark" if len(self.marked) == 2 else "all that is kept of it"
        if self.only is not None and len(self.marked) != 2:
            what = "only what was found"
        question = f"Save to which file? ({what})"
        self.app.push_screen(
            Ask(question, "on the machine where this runs", str(path), wrong), taken
        )

    def _save(self, path: Path) -> None:
        """It goes on when one leaves the logs meanwhile."""
        self.app.run_worker(self._saved(path), group="save")

    async def _saved(self, path: Path) -> None:
        try:
            with path.open("x", encoding="utf-8", errors="replace") as file:
                try:
                    written = await self._write(file)
                except asyncio.CancelledError:
                    path.unlink()  # a part would be taken for all of it
                    raise
        except (OSError, CommandError, ConnectionError) as error:
            self.app.tell(f"{path}: {error}", bad=True)
            return
        self.app.tell(f"{written:,} lines are in {path}")

    async def _write(self, file: IO[str]) -> int:
        """Only what was found, or all, or what lies between the marks; how many lines."""
        first, last = sorted(self.marked) if len(self.marked) == 2 else (None, None)
        if self.only is not None and first is None:
            while await self.only.up(STEP):
                pass
            file.writelines(self._written(line) + "\n" for line in self.only.lines)
            if self.is_attached:
                self.log_view.restyle()
            return len(self.only.lines)
        pages, written, more = LogPages(lambda: self.app.client), 0, True
        await pages.open_at(self.keys(), first.at if first else 1.0, shown=1)
        while more:
            lines = pages.book.lines
            for line in lines:
                if (first is None or line >= first) and (last is None or line <= last):
                    file.write(self._written(line) + "\n")
                    written += 1
            ended = last is not None and bool(lines) and lines[-1] > last
            lines.clear()
            more = not ended and bool(await pages.down(STEP))
            if written % SAID_EVERY < STEP and written > STEP:
                self.app.tell(f"{written:,} lines so far")
        return written
