"""Signs that somebody works with an attempt by hand: terminals and notebooks' kernels."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flextui.agent import activity
from flextui.agent.activity import Activity
from flextui.agent.usage import stat

TICKS = os.sysconf("SC_CLK_TCK")
NO_TERMINAL, TERMINAL = 0, 136 << 8 | 7


class Attempt:
    """An attempt of processes that a test makes up, on a clock of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = 1000.0
        self.processes: dict[int, list[int]] = {}
        (folder / "pts").mkdir()
        self.activity = Activity(str(folder), str(folder / "pts"))
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: 5e8 + self.now)
        monkeypatch.setattr(time, "clock_gettime", lambda clock: self.now)

    def run(
        self, pid: int, *command: str, session: int = 1, tty: int = NO_TERMINAL, start: int = 0
    ) -> None:
        """A process appears, by default one that has run for long."""
        (self.folder / str(pid)).mkdir(exist_ok=True)
        text = b"\0".join(word.encode() for word in command) + b"\0"
        (self.folder / str(pid) / "cmdline").write_bytes(text)
        self.processes[pid] = [session, tty, start, 0]

    def work(self, pid: int, seconds: float) -> None:
        self.processes[pid][3] += round(seconds * TICKS)

    def touch(self, number: int, ago: float) -> None:
        """A terminal was last read or written so long ago."""
        path = self.folder / "pts" / str(number)
        path.touch()
        os.utime(path, (5e8 + self.now - ago, 5e8 + self.now - ago - 100))

    def after(self, seconds: float) -> float | None:
        """What is told when so much time has passed, in looks a second apart."""
        until = self.now + seconds
        while True:
            for pid, (session, tty, start, ticks) in self.processes.items():
                fields = [b"0"] * 20
                fields[3], fields[4] = str(session).encode(), str(tty).encode()
                fields[19] = str(start).encode()
                self.activity.see(pid, fields, ticks)
            told = self.activity.ago_s()
            if self.now >= until:
                return told
            self.now = min(until, self.now + 1.0)


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    return Attempt(tmp_path, monkeypatch)


def test_a_batch_job_tells_nothing(attempt: Attempt) -> None:
    attempt.run(11, "python", "train.py")
    attempt.work(11, 50)
    assert attempt.after(10) is None


# ── terminals ──────────────────────────────────────────────────────────────────────────────────


def test_a_terminal_tells_when_it_was_last_used(attempt: Attempt) -> None:
    attempt.run(11, "bash", tty=TERMINAL)
    attempt.touch(7, ago=90)
    assert attempt.after(0) == 90.0
    assert attempt.after(30) == 120.0
    attempt.touch(7, ago=1)
    assert attempt.after(0) == 1.0


def test_the_liveliest_terminal_counts(attempt: Attempt) -> None:
    attempt.run(11, "bash", tty=TERMINAL)
    attempt.run(12, "vim", tty=TERMINAL + 1)
    attempt.touch(7, ago=500)
    attempt.touch(8, ago=3)
    assert attempt.after(0) == 3.0
    del attempt.processes[12]
    assert attempt.after(0) == 500.0


@pytest.mark.parametrize("tty", [4 << 8 | 1, 137 << 8 | 200])
def test_a_console_or_a_terminal_that_is_gone_tells_nothing(attempt: Attempt, tty: int) -> None:
    attempt.run(11, "bash", tty=tty)
    assert attempt.after(0) is None


# ── kernels ────────────────────────────────────────────────────────────────────────────────────

KERNELS = [
    ["python", "-m", "ipykernel_launcher", "-f", "/run/jupyter/kernel-1f2e.json"],
    ["/usr/lib/R/bin/exec/R", "--slave", "-e", "IRkernel::main()", "--args", "/x/c.json"],
    ["julia", "-i", "kernel.jl", "/home/a/.local/share/jupyter/runtime/kernel-77-ab.json"],
    ["xpython", "--f=/run/kernel-v2-3f.json"],
]


@pytest.mark.parametrize("command", KERNELS)
def test_a_kernel_is_active_while_it_computes(attempt: Attempt, command: list[str]) -> None:
    attempt.run(11, *command, session=11)
    assert attempt.after(0) == 0.0
    assert attempt.after(60) == 60.0
    attempt.work(11, 2.0)
    assert attempt.after(activity.WINDOW_S) == 0.0
    assert attempt.after(30) == 30.0


def test_a_kernel_that_only_waits_is_idle(attempt: Attempt) -> None:
    attempt.run(11, *KERNELS[0], session=11)
    for _ in range(100):
        attempt.work(11, 0.03)
        ago = attempt.after(1)
    assert ago == 100.0


def test_what_a_kernel_started_counts_with_it(attempt: Attempt) -> None:
    attempt.run(11, *KERNELS[0], session=11)
    attempt.run(12, "python", "train.py", session=11)
    attempt.run(13, "jupyter-lab", session=1)
    attempt.after(60)
    attempt.work(13, 60.0)
    assert attempt.after(10) == 70.0
    attempt.work(12, 5.0)
    assert attempt.after(activity.WINDOW_S) == 0.0


def test_a_kernel_that_ended_tells_nothing(attempt: Attempt) -> None:
    attempt.run(11, *KERNELS[0], session=11)
    attempt.after(10)
    del attempt.processes[11]
    assert attempt.after(0) is None


def test_a_young_process_may_become_a_kernel(attempt: Attempt) -> None:
    attempt.run(11, "jupyter-lab", session=11, start=1000 * TICKS)
    assert attempt.after(0) is None
    attempt.run(11, *KERNELS[0], session=11, start=1000 * TICKS)
    assert attempt.after(2) == 2.0


def test_command_lines_of_what_is_no_kernel_are_read_once(attempt: Attempt) -> None:
    attempt.run(11, "python", "train.py")
    attempt.after(1)
    attempt.run(11, *KERNELS[0])  # as its title might say
    assert attempt.after(10) is None
    attempt.run(11, *KERNELS[0], start=5)  # another process of that number
    assert attempt.after(0) == 0.0


@pytest.mark.parametrize(
    "command", [["python", "kernel-build.py"], ["cat", "/x/kernel-notes/a.json"], ["vi", "a.json"]]
)
def test_what_is_no_kernel(attempt: Attempt, command: list[str]) -> None:
    attempt.run(11, *command)
    assert attempt.after(0) is None


# ── a real terminal ────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def shell() -> Iterator[tuple[int, int]]:
    """A process at a terminal of its own: its pid, and the terminal's other end."""
    master, slave = pty.openpty()
    code = (
        "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY)\n"
        "print('ready', flush=True); sys.stdin.readline()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=slave, stdout=slave)
    try:
        assert os.read(master, 5) == b"ready"
        yield process.pid, slave
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_the_terminal_of_a_real_process() -> None:
    with shell() as (pid, slave):
        seen = Activity()
        seen.see(pid, stat(pid), 0)
        fresh = seen.ago_s()
        os.utime(os.ttyname(slave), (time.time() - 600, time.time() - 900))
        seen.see(pid, stat(pid), 0)
        later = seen.ago_s()

    assert fresh is not None
    assert fresh < 60
    assert later == pytest.approx(600, abs=30)
