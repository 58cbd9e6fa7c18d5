"""Another program in this terminal, and back: the screens wait, the core goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from textual import work
from textual.app import SuspendNotSupported

from flextui.screens.journal import Journal
from flextui.screens.line import Line
from flextui.screens.painted import Painted

STAY = "\nEnter goes back to flextui "
QUICK_S = 2.0
"""What failed so soon has said why, and that is to be read."""


class Outside(Painted):
    """Knows how to hand the terminal over."""

    journal: Journal
    _handed = False
    """A program has the terminal, or is about to."""

    def tell(self, text: str, *, bad: bool = False) -> None:
        """A line that goes by itself."""
        raise NotImplementedError

    @property
    def link_words(self) -> tuple[str, ...]:
        """Options that lead a command line to the same core."""
        return ()

    def outside(self, line: Line, *, stay: bool = False) -> None:
        """Run a command of flextui here, over the same core. With `stay` its output stands until
        Enter is pressed. What is typed from now on is for the command."""
        if not self.away:
            self.away = True
            self._outside(line, stay)

    @work(exclusive=True, group="outside")
    async def _outside(self, line: Line, stay: bool) -> None:
        argv = [sys.executable, "-m", "flextui", *self.link_words, *line.argv]
        number = self.journal.begin(self.clock(), line)
        status = await self.hand_over(argv, STAY if stay else "", failed=STAY)
        if status is None:
            self.journal.end(number, "this terminal can't be handed over", bad=True)
            self.tell("this terminal can't be handed over", bad=True)
        else:
            self.journal.end(number, f"exit {status}" if status else "done", bad=False)

    async def hand_over(self, argv: Sequence[str], stay: str = "", failed: str = "") -> int | None:
        """Run a program in this terminal to its end; its exit status, None where that can't be.
        Enter is waited for, with these words, where it is to `stay` or has `failed` at once."""
        if self._handed:
            return None
        self._handed = True
        try:
            with self.suspend(), self._blind():
                begun = time.monotonic()
                process = await asyncio.create_subprocess_exec(*argv)
                status = await process.wait()
                soon = time.monotonic() < begun + QUICK_S
                if words := stay or (failed if status and soon else ""):
                    await _entered(words)
                return status
        except SuspendNotSupported:
            return None
        finally:
            self._handed = self.away = False
            self.action_redraw()

    @contextlib.contextmanager
    def _blind(self) -> Iterator[None]:
        """Nothing is painted, and Ctrl-C is the program's alone."""
        self.away = True
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


async def _entered(text: str) -> None:
    """A line was typed, or the terminal is gone."""
    sys.stdout.write(text)
    sys.stdout.flush()
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    with contextlib.suppress(OSError):
        os.read(sys.stdin.fileno(), 4096)
