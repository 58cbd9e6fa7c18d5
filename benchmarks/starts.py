"""How soon a terminal program shows something useful, from the start of its process, in tmux.

Ours: `flextui` attaching to a core that runs, and opening the core itself, over this machine alone
and over 200 boxes that refuse connections; and the demo. Useful is the same for all of them: the
fleet's nodes are named on the screen, each with its state as it is known then, and keys move among
them. *All there* is the end of what comes after it: this machine is ready, the 200 are refused, the
demo's nodes are ready.

Beside it whichever of nvitop, turm, htop and btop is installed (`--turm` names turm, which needs a
Slurm: one is started where there is one); nvitop sees eight GPUs of the tests' stand-in for NVML.
Processor time is that of the program itself until it is useful: it says more than the clock where
others use the machine. The screen is looked at whenever something was drawn.

    python benchmarks/starts.py [--rounds 9] [--turm PATH]
"""

from __future__ import annotations

import argparse
import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from common import REPO, percentile, table
from slurm import Slurm, missing

from tests.bench.gpus import FakeGpus

WITHIN_S = 20.0
LOOK_S = 0.05
"""Between two looks where nothing was drawn."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Program:
    """What is started, and what it shows when one can use it."""

    name: str
    argv: tuple[str, ...]
    useful: str
    env: Mapping[str, str] = field(default_factory=dict)
    whole: str = ""
    """What it shows when all is there; empty: that isn't measured."""


class Taken(NamedTuple):
    """Seconds from the start until useful, by clock and processor, and until all is there."""

    useful: float
    cpu: float
    whole: float


class Tmux:
    """A server of its own, which is there before the first program starts."""

    def __init__(self, folder: Path) -> None:
        self._argv = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._drawn = folder / "drawn"

    def __enter__(self) -> Tmux:
        self.call("new-session", "-d", "-s", "holder", "sleep 1000")
        os.mkfifo(self._drawn)
        self._news = os.open(self._drawn, os.O_RDWR | os.O_NONBLOCK)
        return self

    def __exit__(self, *_: object) -> None:
        self.call("kill-server")
        os.close(self._news)

    def call(self, *words: str) -> str:
        done = subprocess.run([*self._argv, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def start(self, program: Program) -> Taken:
        """How long it takes. Raises TimeoutError."""
        settings = [f"{key}={value}" for key, value in program.env.items()]
        line = shlex.join(["exec", "env", *settings, *program.argv]).removeprefix("'exec' ")
        begin = time.monotonic()
        told = self.call(
            "new-session", "-d", "-P", "-F", "#{pane_pid}", "-s", "it", "-x", "120", "-y", "40",
            line,
            ";", "pipe-pane", "-O", "-t", "it", f"exec cat >{shlex.quote(str(self._drawn))}",
        )  # fmt: skip
        try:
            useful = self._seen(program.name, program.useful, begin)
            cpu = _cpu(int(told))
            whole = self._seen(program.name, program.whole, begin) if program.whole else useful
            return Taken(useful, cpu, whole)
        finally:
            self.call("kill-session", "-t", "it")

    def _seen(self, name: str, pattern: str, begin: float) -> float:
        while (taken := time.monotonic() - begin) < WITHIN_S:
            screen = self.call("capture-pane", "-p", "-t", "it")
            if re.search(pattern, screen):
                return time.monotonic() - begin
            select.select([self._news], [], [], LOOK_S)
            with suppress(BlockingIOError):
                os.read(self._news, 1 << 16)
        raise TimeoutError(f"{name}: not within {taken:.0f} s:\n{screen}")


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
        state = r"(● ready|◔ connecting)"
        here = rf"(?m)^ {socket.gethostname().split('.')[0].lower()}\s+"
        own = (*line, str(folder / "own"))
        many = (*line, str(folder / "many"), "-i", str(refusing(folder / "many.yaml")))
        yield [
            Program("flextui, a core runs", tuple(running), here + state, env),
            Program("flextui, opens the core", own, here + state, alone, here + "● ready"),
            Program("the same, 200 nodes", many, r"box-1\s+(.*\n)+ box-30\s+.*connect", alone,
                    r"box-1\s+.*refuses (.*\n)+ box-30\s.*refuses"),
            Program("flextui --demo", (*line[:3], "--demo"),
                    rf"h100-1\s+{state}(.*\n)+ v100-1\s+{state}", env,
                    r"h100-1\s+● ready(.*\n)+ v100-1\s+● ready"),
        ]  # fmt: skip
    finally:
        twin.terminate()
        twin.wait()


def refusing(path: Path) -> Path:
    """An inventory of 200 boxes at which nothing listens."""
    boxes = (f"  - {{name: box-{it}, host: 127.0.1.{it}, port: 1}}" for it in range(1, 201))
    path.write_text("\n".join(("fleet: many", "nodes:", *boxes, "")))
    return path


@contextmanager
def turm(folder: Path, program: str) -> Iterator[list[Program]]:
    """turm over a Slurm of one node with a job, if both are there."""
    if not program or (why := missing()):
        print(
            f"turm isn't measured: {why if program else 'it is named by --turm'}", file=sys.stderr
        )
        yield []
        return
    with Slurm(folder / "slurm", 2) as slurm:
        slurm.run("sbatch", "-J", "marathon", "-o", "/dev/null", "--wrap", "sleep 600")
        try:
            yield [Program("turm", (program,), "marathon", {"SLURM_CONF": slurm.env["SLURM_CONF"],
                                                            "TERM": "xterm-256color"})]  # fmt: skip
        finally:
            slurm.cancel_all()


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
    parser.add_argument("--turm", default=shutil.which("turm") or "", help="where turm is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fx-") as name, Tmux(Path(name)) as tmux:
        folder = Path(name)
        with ours(folder) as own, turm(folder, options.turm) as beside:
            programs = [*own, *peers(folder), *beside]
            taken: dict[str, list[Taken]] = {it.name: [] for it in programs}
            for _ in range(options.rounds):
                for program in programs:
                    try:
                        taken[program.name].append(tmux.start(program))
                    except TimeoutError as error:
                        print(error, file=sys.stderr)
    rows = []
    for name, times in taken.items():
        if times:
            wall, cpu, whole = ([it[n] for it in times] for n in range(3))
            rows.append((name, f"{percentile(wall, 0.5):.2f}", f"{min(wall):.2f} to "
                         f"{max(wall):.2f}", f"{percentile(cpu, 0.5):.2f}",
                         f"{percentile(whole, 0.5):.2f}" if whole != wall else ""))  # fmt: skip
    head = ("program", "useful after s, p50", "from, to", "processor s", "all there after s, p50")
    table(f"start in tmux, 120x40, {options.rounds} rounds", head, *rows)


if __name__ == "__main__":
    main()
