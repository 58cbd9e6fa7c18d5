"""Textual's driver for a terminal that may be gone the next moment, as at the end of an SSH line.

Textual writes from a thread of its own. When the terminal hangs up, that thread dies of the
error, its queue fills, and the app waits for ever where it should hand over and end. Here writes
into nowhere are dropped. Another thread reads; bytes that are no UTF-8 would end it, and the app.
"""

from __future__ import annotations

import os
import select
import time
from codecs import getincrementaldecoder
from typing import IO, Any, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from flextui.screens.keyboard import Keyboard

CHUNK = 1 << 16
LOOK_S = 0.1
"""How often the reading thread looks whether it is to end."""


class _Lossy:
    """A file that forgets what can't be written any more."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> int:
        if not self._gone:
            try:
                return self._file.write(text)
            except OSError:
                self._gone = True
        return len(text)

    def flush(self) -> None:
        if not self._gone:
            try:
                self._file.flush()
            except OSError:
                self._gone = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class TerminalDriver(LinuxDriver):
    """A terminal, for as long as it is there."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = cast("Any", _Lossy(cast("IO[str]", self._file)))

    def start_application_mode(self) -> None:
        """Take the terminal. Not once the app has been told to end, as when another program had
        the terminal and both end with it: nobody would stop the threads that read and write."""
        if self._app._exit:
            return
        super().start_application_mode()  # type: ignore[no-untyped-call]
        taken = getattr(self._app, "terminal_taken", None)
        if taken is not None:
            self._loop.call_soon_threadsafe(taken)

    def _get_terminal_size(self) -> tuple[int, int]:
        """As it is: COLUMNS and LINES may tell what it was once."""
        try:
            columns, lines = os.get_terminal_size(self.fileno)
        except OSError:
            columns = lines = 0
        return (columns, lines) if columns and lines else super()._get_terminal_size()

    def run_input_thread(self) -> None:
        """Read what the terminal sends until told to end, or until it is gone."""
        keyboard = Keyboard(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        for message in keyboard.feed(decode(self._heard()), time.monotonic()):
            self.process_message(message)
        while not self.exit_event.is_set():
            ready, _, _ = select.select([self.fileno], [], [], LOOK_S)
            now = time.monotonic()
            if not ready:
                found = keyboard.tick(now) if keyboard.pending else []
            elif data := self._read():
                found = keyboard.feed(decode(data), now)
            else:
                self._loop.call_soon_threadsafe(self._gone)
                return
            for message in found:
                self.process_message(message)

    def _heard(self) -> bytes:
        """What was typed while the program was imported; once."""
        heard: bytes = getattr(self._app, "heard", b"")
        if heard:
            self._app.heard = b""  # type: ignore[attr-defined]
        return heard

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, CHUNK)
        except OSError:  # it hung up
            return b""

    def _gone(self) -> None:
        getattr(self._app, "leave_at_once", self._app.exit)()

    def take_mouse(self, on: bool) -> None:
        """Hear of the mouse, or leave it to the terminal's own selection."""
        if on:
            self._mouse = True
            self._enable_mouse_support()
        else:
            self._disable_mouse_support()
            self._mouse = False
