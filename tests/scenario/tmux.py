"""A person at a terminal: a tmux window in which a test types, and whose screen it reads.

The window's output is piped to a FIFO, so that a test looks again when something was drawn,
and never sleeps.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

WITHIN = 60.0
"""Deadline in seconds of what takes one or two."""


class Window:
    """One shell of one account, 120 by 40."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        before: Sequence[str] = (),
        env: Mapping[str, str],
        size: tuple[int, int] = (120, 40),
    ) -> None:
        """`before` is put before the shell's command line, to run as somebody else."""
        self._socket = str(folder / f"tmux-{name}")
        self._fifo = folder / f"drawn-{name}"
        os.mkfifo(self._fifo)
        shell = [*before, "/bin/bash", "--norc", "--noprofile", "-i"]
        width, height = map(str, size)
        environment = ["env", "-i", *(f"{key}={value}" for key, value in env.items())]
        self._tmux("new-session", "-d", "-x", width, "-y", height, *environment, *shell)
        self._drawn = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        self._tmux("pipe-pane", "-O", f"exec cat >'{self._fifo}'")
        self.name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tmux("kill-server")
        os.close(self._drawn)
        self._fifo.unlink()

    def _tmux(self, *words: str) -> str:
        program = shutil.which("tmux") or "tmux"
        done = subprocess.run(
            [program, "-f", "/dev/null", "-S", self._socket, *words],
            capture_output=True,
            check=False,
            timeout=30,
        )
        return done.stdout.decode("utf-8", "replace")

    # ---- hands ----

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a line and Enter."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def run(self, command: str, within: float = WITHIN) -> str:
        """A command in the shell; what it printed. The screen is cleared first."""
        self._tmux("send-keys", "-l", "clear")
        self._tmux("send-keys", "Enter")
        self.wait(lambda screen: not screen.rstrip().count("\n"), within)
        self._tmux("clear-history")
        self.type(f"{command}; echo done=$?.")
        self.wait(lambda screen: any(_is_end(line) for line in screen.splitlines()), within)
        lines = self.screen(whole=True).splitlines()
        end = max(i for i, line in enumerate(lines) if _is_end(line))
        return "\n".join(lines[1 : end + 1])

    # ---- eyes ----

    def screen(self, *, whole: bool = False) -> str:
        """The text on the screen now; `whole` with what was scrolled away."""
        return self._tmux("capture-pane", "-p", "-J", *(["-S", "-"] if whole else []))

    def see(self, text: str, within: float = WITHIN) -> str:
        """Wait until this text is on the screen; the screen."""
        return self.wait(lambda screen: text in screen, within, f"{text!r}")

    def wait(self, seen: Callable[[str], bool], within: float = WITHIN, what: str = "it") -> str:
        """Look again each time something was drawn, until `seen`; the screen. Fails with it."""
        deadline = time.monotonic() + within
        while not seen(screen := self.screen()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.name} doesn't see {what}:\n{screen}")
            ready, _, _ = select.select([self._drawn], [], [], min(left, 2.0))
            if ready:
                os.read(self._drawn, 1 << 16)
        return screen


def _is_end(line: str) -> bool:
    return line.rstrip().endswith(".") and "done=" in line and "echo" not in line
