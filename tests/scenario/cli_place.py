"""Commands as a person gives them: processes in a home of their own, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


class Place:
    """A home and a state directory of its own, and the commands that are run there."""

    def __init__(self, home: Path, state: Path) -> None:
        self.home = home
        self.state = state
        self.env = {
            "TERM": "xterm-256color",
            **{name: value for name, value in os.environ.items() if not name.startswith("FLEXTUI")},
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        }

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "flextui", "--state-dir", str(self.state), *words]

    def run(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.line(*words), input=text, stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE_S, env=self.env, cwd=self.home,
        )  # fmt: skip

    def ok(self, *words: str, text: str | None = None) -> str:
        done = self.run(*words, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str) -> object:
        return json.loads(self.ok(*words, "--json"))

    def submit(self, spec: str) -> str:
        """The id of the job."""
        (job,) = json.loads(self.ok("submit", "--json", "-", text=spec))
        return str(job["id"])

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A headless core in the foreground, once it is ready."""
        core = subprocess.Popen(
            self.line(*words, "--headless"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env=self.env, cwd=self.home,
        )  # fmt: skip
        assert core.stderr is not None
        for said in core.stderr:
            if said == "flextui: ready\n":
                break
        else:
            raise AssertionError(f"the core ended with {core.wait()}")
        threading.Thread(target=core.stderr.read, daemon=True).start()
        return core

    def end(self) -> None:
        """Stop what runs, then the core, wherever it came from."""
        if self.run("whoami").returncode == 0:
            live = [job["id"] for job in self.json("jobs") if job["ended_at"] is None]  # type: ignore[attr-defined]
            if live:
                self.run("stop", "--wait", *live)
            self.run("shutdown")


def read_until(fd: int, what: str, seen: str = "") -> str:
    """What a terminal shows until `what` is among it."""
    while what not in seen:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            raise AssertionError(f"{what!r} never came, but {seen!r}")
        seen += data.decode("utf-8", "replace")
    return seen


class Terminal:
    """A command on a terminal of its own, as a person has it."""

    def __init__(self, place: Place, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(place.home)
            os.execve(sys.executable, place.line(*words), place.env)
        self.seen = ""

    def until(self, what: str) -> str:
        self.seen = read_until(self.fd, what, self.seen)
        return self.seen

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def hang_up(self) -> int:
        """The line breaks; the exit status. The test's own limit ends what waits for ever."""
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def status(self) -> int:
        """Read to the end; the exit status."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode("utf-8", "replace")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)
