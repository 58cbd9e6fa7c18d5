"""The terminal in a real pseudo-terminal: what it sends, and that it ends when its line is cut."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.app import App

from flextui.screens.driver import TerminalDriver

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
SGR = re.compile(rb"\x1b\[([0-9;]*)m")


class Line:
    """The other end of the terminal."""

    def __init__(self, end: int, process: subprocess.Popen[bytes]) -> None:
        self._end = end
        self.process = process
        self.seen = b""

    def read(self, until: float) -> bytes:
        ready, _, _ = select.select([self._end], [], [], max(0.0, until - time.monotonic()))
        data = os.read(self._end, 1 << 16) if ready else b""
        self.seen += data
        return data

    def wait(self, text: bytes) -> None:
        end = time.monotonic() + WITHIN_S
        while text not in self.seen:
            assert time.monotonic() < end, self.seen[-2000:]
            self.read(end)

    def listen(self, seconds: float) -> bytes:
        """What comes in this time."""
        end, heard = time.monotonic() + seconds, b""
        while time.monotonic() < end:
            heard += self.read(end)
        return heard

    def press(self, keys: bytes) -> None:
        os.write(self._end, keys)

    def cut(self) -> None:
        """The terminal is gone."""
        os.close(self._end)
        self._end = -1


@contextmanager
def opened(
    *words: str, size: tuple[int, int] = (120, 40), env: dict[str, str] | None = None
) -> Iterator[Line]:
    mine, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    ours = ("NO_COLOR", "COLORTERM", "LINES", "COLUMNS")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **(env or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.screens.child", *words],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=ROOT,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    line = Line(mine, process)
    try:
        yield line
    finally:
        process.kill()
        process.wait()
        if line._end >= 0:
            os.close(line._end)


def words_of(data: bytes) -> str:
    return re.sub(rb"\x1b\[[0-9;?>]*[a-zA-Z]|\x1b\][^\x07]*(\x07|\x1b\\)", b"", data).decode()


def codes(data: bytes) -> set[str]:
    """The SGR codes that were sent."""
    return {code for it in SGR.findall(data) for code in it.decode().split(";")}


def test_an_idle_fleet_sends_less_than_two_kilobytes_a_second() -> None:
    with opened("busy", "colours=truecolor") as line:
        line.wait(b"node35")
        line.listen(2.0)
        sent = len(line.listen(10.0))
        assert 0 < sent / 10 < 2000


def test_a_slow_line_sends_at_most_once_a_second() -> None:
    with opened("busy", "slow=true") as line:
        line.wait(b"node35")
        line.listen(2.0)
        begin = time.monotonic()
        paints = 0
        while time.monotonic() - begin < 5:
            if line.read(begin + 5):
                paints += 1
                line.listen(0.1)
        assert paints <= 6


def test_no_color_sends_no_colour() -> None:
    with opened("colours=none", "theme=ansi-dark", env={"NO_COLOR": "1"}) as line:
        line.wait(b"gpu5")
        line.press(b"2s")
        line.wait(b"Stop web/chat-api")
        assert codes(line.seen) <= {"", "0", "1", "2", "3", "4", "7", "39", "49"}
        assert "7" in codes(line.seen), "the cursor shows without colour"


def test_sixteen_colours_are_the_terminals_own() -> None:
    with opened("colours=16", "theme=ansi-dark") as line:
        line.wait(b"gpu5")
        line.press(b"2s")
        line.wait(b"Stop web/chat-api")
        assert {"31", "32"} <= codes(line.seen)
        assert not {"38", "48"} & codes(line.seen)


def test_ascii_sends_nothing_but_ascii() -> None:
    with opened("ascii_only=true") as line:
        line.wait(b"gpu5")
        for keys in (b"\r", b"2", b"\r", b"l", b"\x1b", b"?", b"?", b"4", b"ou", b":", b"\x1b"):
            line.press(keys)
            line.listen(0.3)
        assert words_of(line.seen).isascii()


@pytest.mark.parametrize("size", [(20, 5), (1, 1), (80, 24)])
def test_no_window_is_too_small(size: tuple[int, int]) -> None:
    with opened(size=size) as line:
        line.listen(1.0)
        for keys in (b"2", b"\r", b"l", b"?", b"?", b"4", b"oi", b":jobs\r", b"f", b"\x1b", b"n"):
            line.press(keys)
            line.listen(0.2)
        assert line.process.poll() is None, words_of(line.seen)[-2000:]


def test_a_terminal_that_is_cut_hands_over_and_ends(tmp_path: Path) -> None:
    note = tmp_path / "left"
    with opened("holds", "busy", str(note)) as line:
        line.wait(b"node35")
        line.cut()
        line.process.wait(WITHIN_S)
        assert note.read_text() == "left: True"


def test_a_shell_that_fails_says_why_and_a_key_pressed_twice_opens_one(tmp_path: Path) -> None:
    env = {"FLEXTUI_STATE_DIR": str(tmp_path), "HOME": str(tmp_path)}
    with opened(env=env) as line:
        line.wait(b"gpu5")
        line.press(b"ss")
        line.wait(b"Enter goes back to flextui")
        assert b"flextui: error: no core runs" in line.seen
        line.seen = b""
        line.press(b"\r")
        line.wait(b"\x1b[?1049h")
        line.wait(b"gpu5")
        line.press(b"2")
        line.wait(b"owner")
        assert b"Enter goes back" not in line.seen


def test_what_cannot_be_drawn_on_is_not() -> None:
    mine, theirs = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "flextui"], stdin=theirs, stdout=theirs, text=True, check=False,
            stderr=subprocess.PIPE, env={**os.environ, "TERM": "dumb", "PYTHONPATH": str(ROOT)},
            timeout=WITHIN_S,
        )  # fmt: skip
        assert done.returncode == 2
        assert "can't be drawn on (TERM=dumb)" in done.stderr
    finally:
        os.close(mine)
        os.close(theirs)


def test_the_window_is_as_large_as_it_is_whatever_was_exported_once() -> None:
    with opened(size=(100, 30), env={"COLUMNS": "40", "LINES": "10"}) as line:
        line.wait(b"\x1b[30;")
        line.wait(b"gpu5")


def test_a_terminal_that_was_stopped_is_drawn_whole_again() -> None:
    with opened() as line:
        line.wait(b"gpu5")
        line.press(b"2")
        line.wait(b"owner")
        for _ in range(2):
            line.seen = b""
            os.kill(line.process.pid, signal.SIGTSTP)
            line.wait(b"\x1b[?1049l")
            os.waitid(os.P_PID, line.process.pid, os.WSTOPPED)
            line.seen = b""
            os.kill(line.process.pid, signal.SIGCONT)
            for text in (b"owner", b"chat-api", b"vision-lab"):
                line.wait(text)


def test_what_a_bad_line_sends_is_no_key_and_ends_nothing() -> None:
    """Bytes that are no text, answers that come late, numbers that mean nothing."""
    with opened() as line:
        line.wait(b"gpu5")
        line.press(b"\xff\xe9\x1b[M\x20\xf1\xf2\x1b[0n\x1b[1114112u\xe2\x82")
        line.press(b"\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\\x1bP1+r636f\x1b\\\x1b[?64;1;2c")
        line.press(b"2")
        line.wait(b"owner")
        assert line.process.poll() is None


def test_yank_goes_through_the_terminal() -> None:
    with opened() as line:
        line.wait(b"gpu5")
        line.press(b"y")
        line.wait(b"\x1b]52;c;Z3B1MQ==")


async def test_nothing_takes_the_terminal_after_the_end() -> None:
    app: App[None] = App()
    driver = TerminalDriver(app)
    app.exit()
    driver.resume_application_mode()
    assert driver._writer_thread is None
    assert driver._key_thread is None
