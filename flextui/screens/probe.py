"""Questions to the terminal before the screen is taken: its background, and how far away it is.

Both are asked before the slow imports and read after them, so that the answers cost no time. Every
terminal answers a device status report; one that came back says that an answer about the
background would have come before it. Source: xterm's control sequences (OSC 11, DSR 5).
"""

from __future__ import annotations

import os
import re
import select
import termios
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

_ASK = b"\x1b]11;?\x1b\\\x1b[5n"
_BACKGROUND = re.compile(rb"\x1b\]11;rgba?:([0-9a-f]+)/([0-9a-f]+)/([0-9a-f]+)", re.IGNORECASE)
_STATUS = re.compile(rb"\x1b\[\d*n")
PATIENCE_S = 1.0
"""How long an answer is waited for. One that comes later is dropped."""
FAR_S = 0.15
"""A terminal whose answer takes longer than this is at the end of a slow line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the terminal said; None for what it didn't."""

    light: bool | None = None
    delay_s: float | None = None

    @property
    def far(self) -> bool:
        return self.delay_s is not None and self.delay_s > FAR_S


class Probe:
    """Asks on entry; on leaving it waits for what is left of the patience, and the terminal is as
    it was before. `said` is the answer."""

    def __init__(self, keyboard: int, screen: int) -> None:
        self._keyboard = keyboard
        self._screen = screen
        self._data = b""
        self._delay: float | None = None
        self._asked = 0.0
        self._before: list[Any] | None = None
        self._thread: threading.Thread | None = None
        self.said = Answer()
        self.heard = b""
        """All that came: the answers, and what was typed meanwhile."""

    @classmethod
    def of(cls, keyboard: TextIO, screen: TextIO) -> Probe:
        """Of a terminal's two ends."""
        return cls(keyboard.fileno(), screen.fileno())

    def __enter__(self) -> Probe:
        try:
            self._before = termios.tcgetattr(self._keyboard)
        except termios.error:
            return self  # no terminal: nobody answers
        raw = termios.tcgetattr(self._keyboard)
        raw[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self._keyboard, termios.TCSANOW, raw)
        self._asked = time.monotonic()
        os.write(self._screen, _ASK)
        self._thread = threading.Thread(target=self._read, daemon=True, name="probe")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None and self._before is not None:
            self._thread.join()
            termios.tcsetattr(self._keyboard, termios.TCSANOW, self._before)
            self.said = understood(self._data, self._delay)
            self.heard = self._data.replace(b"\n", b"\r")  # Enter, as the terminal was set

    def _read(self) -> None:
        end = self._asked + PATIENCE_S
        while (rest := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._keyboard], [], [], rest)
            if not ready:
                continue
            data = os.read(self._keyboard, 1024)
            if not data:
                return
            self._data += data
            if _STATUS.search(self._data):
                self._delay = time.monotonic() - self._asked
                return


def understood(data: bytes, delay_s: float | None) -> Answer:
    """The meaning of what came."""
    found = _BACKGROUND.search(data)
    light = None
    if found is not None:
        red, green, blue = (int(it, 16) / (16 ** len(it) - 1) for it in found.groups())
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
    return Answer(light, delay_s)


def light_by_environment(environ: Mapping[str, str]) -> bool | None:
    """COLORFGBG, as rxvt and others set it: its last field is the background's colour."""
    last = environ.get("COLORFGBG", "").rpartition(";")[2]
    return last in ("7", "15") if last.isdigit() else None
