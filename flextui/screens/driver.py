"""Textual's driver for a terminal that may be gone the next moment, as at the end of an SSH line.

Textual writes from a thread of its own. When the terminal hangs up, that thread dies of the
error, its queue fills, and the app waits for ever where it should hand over and end. Here writes
into nowhere are dropped.
"""

from __future__ import annotations

from typing import IO, Any, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


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
        if not self._app._exit:
            super().start_application_mode()  # type: ignore[no-untyped-call]

    def take_mouse(self, on: bool) -> None:
        """Hear of the mouse, or leave it to the terminal's own selection."""
        if on:
            self._mouse = True
            self._enable_mouse_support()
        else:
            self._disable_mouse_support()
            self._mouse = False
