"""How fast the terminal answers a key, and how much it sends, over a fleet that always changes.

200 nodes, 1,600 GPUs and 10,000 jobs, of which a quarter of the nodes and 100 jobs change four
times a second. The program runs in a pseudo-terminal; a key is answered when the cursor's colour
arrives on the line that it goes to, in a log when its lines have moved. Bytes are those that come
out of the pseudo-terminal. How soon it is there is measured by starts.py.

    python benchmarks/screens.py [--size 120x40]
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import random
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from common import REPO, percentile, table

from flextui.core.model.docs import Delta, JobDoc, NodeDoc
from tests.screens.fake_client import (
    FakeClient,
    FakeLink,
    attempt,
    fleet_delta,
    gpu,
    job,
    node,
    task,
)  # fmt: skip
from tests.screens.fake_log import FakeLog

NODES, GPUS, JOBS = 200, 8, 10_000
STEP_S = 0.25
KEYS = 300
LINES = 5000
READ = "j0"
"""The job whose log is read; it runs for ever."""
ANSWERED = {"textual-dark": (12, 48, 76)}


# ── the child: the terminal over a made-up fleet ───────────────────────────────────────────────


def make_node(index: int, seed: random.Random) -> NodeDoc:
    devices = [
        gpu(i, "NVIDIA A100-SXM4-80GB", 80, seed.randrange(81), utilization=seed.randrange(101))
        for i in range(GPUS)
    ]
    return node(f"gpu{index:03}", devices, cpu=seed.random(), jobs=[f"bob/job-{index}"])


def make_job(seq: int, seed: random.Random) -> JobDoc:
    state = seed.choice(("running", "pending", "succeeded", "failed"))
    ended = "2026-11-23T13:00:00Z" if state in ("succeeded", "failed") else None
    tried = [attempt(f"j{seq}.0", 1, state, f"gpu{seq % NODES:03}", ended_at=ended)]
    tasks = [task(0, state, tried if state != "pending" else [], "waits for 8 GPUs")]
    at = f"2026-11-{1 + seq % 22:02}T{seq % 24:02}:{seq % 60:02}:00Z"
    owner = seed.choice(("bob", "eve", "dan", "web"))
    return job(seq, f"train-{seq}", owner, state, tasks, submitted_at=at, ended_at=ended)


class BusyClient(FakeClient):
    """A whole fleet at first, then changes; with `busy` False one node a second."""

    def __init__(self, busy: bool) -> None:
        super().__init__()
        self._busy = busy
        self.log = FakeLog(f"{READ}.0.1", "gpu000")
        seed = random.Random(3)
        for number in range(LINES):
            words = " ".join(f"{seed.randrange(1 << 30):08x}" for _ in range(10))
            self.log.print(f"{number:06} {words}")

    async def watch(self) -> AsyncIterator[Delta]:
        seed = random.Random(7)
        whole = fleet_delta()
        whole["nodes"] = {it["name"]: it for it in (make_node(i, seed) for i in range(NODES))}
        whole["jobs"] = {it["id"]: it for it in (make_job(i, seed) for i in range(JOBS))}
        whole["jobs"][READ] = job(0, "read", "bob", "running", [
            task(0, "running", [attempt(f"{READ}.0", 1, "running", "gpu000")])])  # fmt: skip
        yield whole
        revision = 1
        while True:
            await asyncio.sleep(STEP_S if self._busy else 1.0)
            revision += 1
            count, changed = (NODES // 4, 100) if self._busy else (40, 0)
            nodes = [make_node(i, seed) for i in seed.sample(range(NODES), count)]
            jobs = [make_job(i, seed) for i in seed.sample(range(1, JOBS), changed)]
            yield {
                "revision": revision, "full": False,
                "nodes": {it["name"]: it for it in nodes}, "jobs": {it["id"]: it for it in jobs},
            }  # fmt: skip


def child(kind: str) -> None:
    from flextui.app import FlextuiApp
    from flextui.screens.look import Look

    FlextuiApp(FakeLink(BusyClient(kind == "busy")), Look()).run()


# ── the one who types ──────────────────────────────────────────────────────────────────────────


@dataclass
class Typist:
    """A pseudo-terminal with the child in it."""

    busy: bool
    size: tuple[int, int]
    sent: int = 0
    _seen: bytearray = field(default_factory=bytearray)

    def __enter__(self) -> Typist:
        self._mine, theirs = os.openpty()
        columns, lines = self.size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor",
                       "PYTHONPATH": f"{REPO}:{REPO / 'benchmarks'}"}  # fmt: skip
        environment.pop("NO_COLOR", None)
        kind = "busy" if self.busy else "idle"
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", kind],
            stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._mine)

    def read(self, until: float) -> bytes:
        """What comes by then; at once when something came."""
        ready, _, _ = select.select([self._mine], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return b""
        data = os.read(self._mine, 1 << 16)
        self.sent += len(data)
        return data

    def drain(self, seconds: float) -> int:
        """Read for a while; how many bytes came."""
        before, end = self.sent, time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(end)
        return self.sent - before

    def wait(self, pattern: bytes, within: float = 30.0) -> float:
        """Seconds until the pattern comes. Raises TimeoutError."""
        begin = time.monotonic()
        seen = b""
        while time.monotonic() - begin < within:
            seen = seen[-4096:] + self.read(begin + within)
            if re.search(pattern, seen):
                return time.monotonic() - begin
        raise TimeoutError(pattern)

    def press(self, keys: str) -> None:
        os.write(self._mine, keys.encode())

    def cpu(self) -> float:
        """Seconds of processor that the child has used."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()

    def memory(self) -> float:
        """MB."""
        text = self._proc("status")
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000  # type: ignore[index]


def moves(typist: Typist, lines: int, seed: random.Random) -> list[float]:
    """Seconds from `j` or `k` to the cursor's colour on the line that it goes to."""
    red, green, blue = ANSWERED["textual-dark"]
    times, at, step = [], 0, 1
    for _ in range(KEYS):
        if not 0 <= at + step < lines:
            step = -step
        at += step
        typist.press("j" if step > 0 else "k")
        cursor = rb"\x1b\[%d;\d+H[^\n]{0,40}48;2;%d;%d;%d" % (at + 3, red, green, blue)
        times.append(typist.wait(cursor))
        typist.drain(seed.uniform(0.02, 0.15))
    return times


def scrolls(typist: Typist, seed: random.Random) -> list[float]:
    """Seconds from `k` or `j` to paint in the log, which stands still without them."""
    typist.press("k" * 60)
    typist.drain(3.0)
    times = []
    for number in range(KEYS):
        typist.press("j" if number % 20 < 10 else "k")
        times.append(typist.wait(rb"\x1b\[([3-9]|[123]\d);\d+H"))
        typist.drain(seed.uniform(0.02, 0.15))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--child", choices=["busy", "idle"])
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    columns, _, lines = options.size.partition("x")
    size = int(columns), int(lines)
    seed = random.Random(1)
    rows: list[tuple[str, ...]] = []
    for screen, key in (
        ("Fleet", "1"), ("Jobs by id", "2oig"), ("GPUs", "4"), ("Logs", f":logs {READ}\r"),
    ):  # fmt: skip
        with Typist(True, size) as typist:
            typist.wait(b"gpu000")
            typist.press(key)
            typist.drain(3.0)
            times = scrolls(typist, seed) if screen == "Logs" else moves(typist, size[1] - 4, seed)
            used, begin = typist.cpu(), time.monotonic()
            sent = typist.drain(10.0)
            share = (typist.cpu() - used) / (time.monotonic() - begin)
            rows.append((
                f"{screen}, busy", f"{percentile(times, 0.5) * 1e3:.0f}",
                f"{percentile(times, 0.99) * 1e3:.0f}", f"{share:.0%}", f"{sent / 10e3:.1f}",
                f"{typist.memory():.0f}",
            ))  # fmt: skip
    with Typist(False, size) as typist:
        typist.wait(b"gpu000")
        typist.drain(3.0)
        used, begin = typist.cpu(), time.monotonic()
        sent = typist.drain(20.0)
        share = (typist.cpu() - used) / (time.monotonic() - begin)
        rows.append(("Fleet, 40 samples a second", "", "", f"{share:.1%}", f"{sent / 20e3:.1f}",
                     f"{typist.memory():.0f}"))  # fmt: skip
    head = ("screen", "key to paint p50 ms", "p99 ms", "CPU", "kB/s sent", "MB")
    table(f"{NODES} nodes, {NODES * GPUS} GPUs, {JOBS} jobs; {options.size}", head, *rows)


if __name__ == "__main__":
    main()
