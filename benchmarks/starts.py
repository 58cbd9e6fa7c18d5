"""How soon a terminal program shows something useful, from the start of its process, in tmux.

Ours: `flextui` attaching to a core that runs, and holding the core itself; a fleet of this machine
alone. Beside it whichever of nvitop, htop and btop is installed; nvitop sees eight GPUs of the
tests' stand-in for NVML. Processor time is that of the program itself until then: it says more
than the clock where others use the machine.

    python benchmarks/starts.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from common import REPO, percentile, table

from tests.bench.gpus import FakeGpus

WITHIN_S = 20.0
POLL_S = 0.002
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Program:
    """What is started, and what it shows when one can use it."""

    name: str
    argv: tuple[str, ...]
    useful: str
    env: Mapping[str, str] = field(default_factory=dict)


class Tmux:
    """A server of its own, which is there before the first program starts."""

    def __init__(self, folder: Path) -> None:
        self._argv = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]

    def __enter__(self) -> Tmux:
        self.call("new-session", "-d", "-s", "holder", "sleep 1000")
        return self

    def __exit__(self, *_: object) -> None:
        self.call("kill-server")

    def call(self, *words: str) -> str:
        done = subprocess.run([*self._argv, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def start(self, program: Program) -> tuple[float, float]:
        """Seconds of the clock and of the processor until it is useful. Raises TimeoutError."""
        settings = [f"{key}={value}" for key, value in program.env.items()]
        line = shlex.join(["exec", "env", *settings, *program.argv]).removeprefix("'exec' ")
        begin = time.monotonic()
        self.call("new-session", "-d", "-s", "it", "-x", "120", "-y", "40", line)
        try:
            pid = int(self.call("display-message", "-p", "-t", "it", "#{pane_pid}"))
            while time.monotonic() - begin < WITHIN_S:
                if re.search(program.useful, self.call("capture-pane", "-p", "-t", "it")):
                    return time.monotonic() - begin, _cpu(pid)
                time.sleep(POLL_S)
            raise TimeoutError(f"{program.name}: {self.call('capture-pane', '-p', '-t', 'it')}")
        finally:
            self.call("kill-session", "-t", "it")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def ours(folder: Path) -> Iterator[list[Program]]:
    """flextui over a running core, and over one of its own."""
    env = {"HOME": str(folder), "PYTHONPATH": str(REPO), "LANG": "C.UTF-8",
           "COLORTERM": "truecolor", "TERM": "xterm-256color"}  # fmt: skip
    alone = {**env, "HOME": str(folder / "alone")}
    (folder / "alone").mkdir()
    line = [sys.executable, "-m", "flextui", "--state-dir"]
    running = [*line, str(folder / "running")]
    twin = subprocess.Popen([*running, "--headless"], env={**os.environ, **env},
                            stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert twin.stderr is not None
    while "ready" not in (said := twin.stderr.readline()):
        assert said, "the core ended"
    try:
        yield [
            Program("flextui, a core runs", tuple(running), "● ready", env),
            Program("flextui, holds the core", (*line, str(folder / "own")), "● ready", alone),
            Program("flextui --demo", (*line[:3], "--demo"), "h100-1 .*ready", env),
        ]
    finally:
        twin.terminate()
        twin.wait()


def peers(folder: Path) -> list[Program]:
    """Those that are installed here."""
    gpus = FakeGpus(folder / "gpus", 8)
    beside = Path(sys.executable).parent / "nvitop"
    nvitop = str(beside) if beside.exists() else shutil.which("nvitop") or ""
    found = [
        Program("nvitop", (nvitop,), r"700W", {**gpus.env, "TERM": "xterm-256color"}),
        Program("htop", (shutil.which("htop") or "",), "Quit"),
        Program("btop", (shutil.which("btop") or "", "--utf-force"), "Total:"),
    ]
    return [it for it in found if it.argv[0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fx-") as name, Tmux(Path(name)) as tmux:
        folder = Path(name)
        with ours(folder) as own:
            programs = [*own, *peers(folder)]
            taken: dict[str, list[tuple[float, float]]] = {it.name: [] for it in programs}
            for _ in range(options.rounds):
                for program in programs:
                    try:
                        taken[program.name].append(tmux.start(program))
                    except TimeoutError as error:
                        print(error, file=sys.stderr)
    rows = []
    for name, times in taken.items():
        if times:
            wall, cpu = [it for it, _ in times], [it for _, it in times]
            rows.append((name, f"{percentile(wall, 0.5):.2f}", f"{min(wall):.2f} to "
                         f"{max(wall):.2f}", f"{percentile(cpu, 0.5):.2f}"))  # fmt: skip
    head = ("program", "useful after s, p50", "from, to", "processor s")
    table(f"start in tmux, 120x40, {options.rounds} rounds", head, *rows)


if __name__ == "__main__":
    main()
