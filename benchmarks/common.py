"""What the benchmarks share: a place to work in, a core to measure, paired runs and a table.

Import it before anything of the tests' bench: it puts the checkout on the path, so that
`python benchmarks/NAME.py` measures the code beside it and nothing that happens to be installed.
"""

from __future__ import annotations

import asyncio
import math
import os
import platform
import select
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

T = TypeVar("T")

READY_WITHIN_S = 60.0
ENDED_WITHIN_S = 60.0
PROBE_S = 0.002
_READY = b"flextui: ready"


# ---- a place to work in ----


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder with a path short enough for a Unix socket, gone afterwards.

    SIGTERM ends a benchmark as Ctrl-C does: with everything that it started.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="fx-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def environment(home: Path) -> dict[str, str]:
    """This process's environment, but with a home of its own, for agents on this machine too."""
    home.mkdir(parents=True, exist_ok=True)
    own = {"HOME": "", "XDG_STATE_HOME": ".local/state", "XDG_CACHE_HOME": ".cache"}
    places = {name: str(home / below) for name, below in own.items()}
    return {**os.environ, **places, "PYTHONPATH": str(REPO)}


# ---- a core ----


def one_node(cpus: int) -> str:
    """An inventory of this machine alone, of whose processors the fleet may use so many."""
    reserved = (os.cpu_count() or cpus) - cpus
    assert reserved >= 0, f"this machine has fewer than {cpus} processors"
    here = f"{{host: localhost, name: here, transport: local, reserve: {{cpus: {reserved}}}}}"
    return f"fleet: bench\nnodes:\n  - {here}\n"


class Twin:
    """A headless core in a process of its own, from `with` to its end.

    Its state, home and socket lie in `folder`. `inventory` is YAML.
    """

    def __init__(self, folder: Path, inventory: str, *, home: Path | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        self.socket = folder / "core.sock"
        self.inventory = folder / "inventory.yaml"
        self.inventory.write_text(inventory)
        self.env = environment(home or folder / "home")
        self.ready_s = 0.0
        """From the start of the process to `flextui: ready`."""

    def command(self, *arguments: str) -> list[str]:
        """A flextui command that uses this core."""
        place = ["-i", str(self.inventory), "--state-dir", str(self.state)]
        return [sys.executable, "-m", "flextui", *place, "--socket", str(self.socket), *arguments]

    def __enter__(self) -> Self:
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.command("--headless"), env=self.env, stderr=subprocess.PIPE, cwd=self.folder
        )
        try:
            self._wait_ready(began + READY_WITHIN_S)
        except BaseException:
            self.__exit__()
            raise
        self.ready_s = time.monotonic() - began
        return self

    def _wait_ready(self, deadline: float) -> None:
        assert self.process.stderr is not None
        fd = self.process.stderr.fileno()
        said = b""
        while _READY not in said:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"the core isn't ready: {said.decode(errors='replace')}")
            data = os.read(fd, 65536)
            if not data:
                raise RuntimeError(f"the core ended: {said.decode(errors='replace')}")
            said += data

    def __exit__(self, *exc: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


class Ended:
    """How many jobs of a core have ended durably: read from its database, past the core."""

    def __init__(self, twin: Twin) -> None:
        [path] = twin.state.glob("*.db")
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.count = self._read()

    def wait_for(self, more: int, *, poll_s: float = 0.005) -> None:
        """Until that many more have ended than at the last call. Raises TimeoutError."""
        goal, deadline = self.count + more, time.monotonic() + ENDED_WITHIN_S
        while (now := self._read()) < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{goal - now} of {more} jobs didn't end")
            time.sleep(poll_s)
        self.count = goal

    def _read(self) -> int:
        query = "SELECT count(*) FROM jobs WHERE ended_at IS NOT NULL"
        return int(self._db.execute(query).fetchone()[0])


# ---- processes, from the outside ----


def cpu_s(pid: int) -> float:
    """Processor time of a process with all its threads, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_mb(pid: int) -> dict[str, float]:
    """Megabytes that a process maps (rss), its fair share (pss), and what only it has (own)."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, kib, *_ = line.split()
        found[name] = int(kib) * 1024 / 1e6
    own = found["Private_Clean:"] + found["Private_Dirty:"]
    return {"rss": found["Rss:"], "pss": found["Pss:"], "own": own}


def children(pid: int) -> list[int]:
    """The processes that this one has forked and that live."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


class Held:
    """How late the event loop was at worst, and what of it this process's own work made."""

    def __init__(self) -> None:
        self.late_ms = 0.0
        self.own_ms = 0.0

    async def watch(self) -> None:
        """Look, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began, worked = loop.time(), time.thread_time()
            await asyncio.sleep(PROBE_S)
            self.late_ms = max(self.late_ms, (loop.time() - began - PROBE_S) * 1000)
            self.own_ms = max(self.own_ms, (time.thread_time() - worked) * 1000)


# ---- runs and what they show ----


def alternate(rounds: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """What each side measured in every round, the sides in turn: A B A B, so that a machine that
    changes its pace meanwhile changes it for all."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of the values doesn't exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def table(title: str, *rows: Sequence[str]) -> None:
    """Print rows in columns, the first as their heads, under what was measured and on what."""
    print(f"{title}\n{machine()}\n")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())


def machine() -> str:
    """What the figures depend on: the processors, how busy they are, the system."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    model = models[0].partition(": ")[2] if models else platform.machine()
    load = os.getloadavg()[0]
    python = platform.python_version()
    return (
        f"{os.cpu_count()} x {model}, load {load:.1f}, Linux {platform.release()}, Python {python}"
    )
