"""One who types into a program in a pseudo-terminal and reads off the screen when it has answered.

The screen is kept as a grid of letters and grounds from what the program sends: cursor jumps,
colours and text, which is all that flextui paints with.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

_PIECES = re.compile(
    rb"\x1b\[(?P<line>\d*);?(?P<column>\d*)H"
    rb"|\x1b\[(?P<style>[\d;]*)m"
    rb"|\x1b\[[0-?]*[ -/]*[@-~]"
    rb"|\x1b[\]P_^X](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\)"
    rb"|\x1b[()][A-Z0-9]|\x1b[=>78cMDEH]"
    rb"|(?P<control>[\x00-\x1a\x1c-\x1f])"
    rb"|(?P<text>[^\x1b\x00-\x1f]+)"
)
_GROUND = re.compile(r"(?:^|;)(?:48;2;(\d+;\d+;\d+)|48;5;(\d+)|(0|49))(?=;|$)")


def size_of(text: str) -> tuple[int, int]:
    """Columns and lines of a window that is given as 120x40. Raises ValueError."""
    columns, _, lines = text.partition("x")
    return int(columns), int(lines)


class Screen:
    """Letters and grounds, line by line."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.letters = [[" "] * columns for _ in range(lines)]
        self.grounds = [[""] * columns for _ in range(lines)]
        self._x = self._y = 0
        self._ground = ""
        self._left = b""

    def feed(self, data: bytes) -> None:
        """What the program has sent; what is cut in the middle waits for its rest."""
        data = self._left + data
        at = 0
        for it in _PIECES.finditer(data):
            if it.start() != at:
                break
            if it.end() == len(data) and it["text"] is not None and data[-1] >= 0x80:
                break  # perhaps half a letter
            self._take(it)
            at = it.end()
        self._left = data[at:] if len(data) - at < 4096 else b""

    def _take(self, it: re.Match[bytes]) -> None:
        if it["line"] is not None:
            self._y = int(it["line"] or 1) - 1
            self._x = int(it["column"] or 1) - 1
        elif it["style"] is not None:
            for found in _GROUND.finditer(it["style"].decode() or "0"):
                self._ground = found[1] or found[2] or ""
        elif it["control"] is not None:
            self._x, self._y = {
                b"\r": (0, self._y), b"\n": (self._x, self._y + 1), b"\b": (self._x - 1, self._y),
            }.get(it["control"], (self._x, self._y))  # fmt: skip
        elif it["text"] is not None:
            self._write(it["text"].decode(errors="replace"))

    def _write(self, text: str) -> None:
        if not 0 <= self._y < self.lines:
            return
        room = max(0, self.columns - self._x)
        end = min(len(text), room)
        self.letters[self._y][self._x : self._x + end] = text[:end]
        self.grounds[self._y][self._x : self._x + end] = [self._ground] * end
        self._x += end

    def line(self, y: int) -> str:
        """A line's letters."""
        return "".join(self.letters[y])

    def text(self) -> str:
        """All of it."""
        return "\n".join(self.line(y) for y in range(self.lines))


class Typist:
    """A program in a pseudo-terminal, from `with` to its end."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], size: tuple[int, int] = (120, 40)
    ) -> None:
        self._argv, self._size = list(argv), size
        self._env = {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._env.pop("NO_COLOR", None)
        self.sent = 0
        """Bytes that came."""
        self.screen = Screen(*size)

    def __enter__(self) -> Self:
        self._mine, theirs = pty.openpty()
        columns, lines = self._size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            self._argv, stdin=theirs, stdout=theirs, stderr=theirs, env=self._env,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._mine)

    def press(self, keys: str) -> None:
        os.write(self._mine, keys.encode())

    def read(self, until: float) -> bool:
        """Take what comes by then; at once when something came. Whether it did."""
        ready, _, _ = select.select([self._mine], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._mine, 1 << 16)
        except OSError as error:
            raise RuntimeError(f"the program ended:\n{self.screen.text()}") from error
        self.sent += len(data)
        self.screen.feed(data)
        return True

    def drain(self, seconds: float) -> int:
        """Read for a while; how many bytes came."""
        before, end = self.sent, time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(end)
        return self.sent - before

    def wait(self, shown: Callable[[Screen], bool], within: float = 30.0) -> float:
        """Seconds until the screen is so. Raises TimeoutError."""
        begin = time.monotonic()
        while not shown(self.screen):
            if time.monotonic() - begin > within:
                raise TimeoutError(f"not within {within} s:\n{self.screen.text()}")
            self.read(begin + within + 0.01)
        return time.monotonic() - begin

    def until(self, text: str, within: float = 30.0) -> float:
        """Seconds until the text shows somewhere. Raises TimeoutError."""
        return self.wait(lambda screen: text in screen.text(), within)

    # ── what it costs ──

    def cpu(self) -> float:
        """Seconds of processor that the program has used."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()

    def memory(self) -> float:
        """MB."""
        text = self._proc("status")
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000  # type: ignore[index]
