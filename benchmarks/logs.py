"""Logs of a gigabyte: opening them at their end, searching all of them, following what floods.

A job prints a file of a gigabyte on a local node. Its log is opened and searched through the core
as the screens do it, beside `grep -c` (and `rg -c` where there is one) over the same segments. Then
a job prints 50,000 lines a second, and the terminal follows it in a pseudo-terminal.

    python benchmarks/logs.py [--gigabytes 1] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import math
import os
import pty
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from common import Held, Twin, cpu_s, median, percentile, table, workplace

from flextui.core.commands import LogSearch, Show, Source, Submit
from flextui.core.logbook.hits import search
from flextui.core.logbook.reader import LogPages
from flextui.core.socket_client import SocketClient

PATTERNS = ("ERROR", "nan|overflow", r"step [0-9]+ loss 2\.99", "[0-9]{7}", "step")
INVENTORY = """
fleet: bench
nodes:
  - {host: localhost, name: here, transport: local}
policy: {log_size: 4GiB}
"""
RATE = 50_000
FOLLOWED_S = 10.0
SHOWN = 120


def write_log(path: Path, size: int) -> None:
    """Lines as training prints them; few errors."""
    seed = random.Random(1)
    lines = []
    for i in range(200_000):
        rate = seed.randrange(90_000, 99_999)
        lines.append(f"step {i} loss {seed.random() * 3:.4f} lr 3.0e-4 throughput {rate} tok/s\n")
        if i % 50_000 == 77:
            lines.append(f"ERROR: overflow detected at step {i}\n")
        if i % 100_000 == 99:
            lines.append("WARNING nan in loss\n")
    block = "".join(lines).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)


FLOOD = f"""
import sys, time
begin, n = time.monotonic(), 0
while True:
    for _ in range({RATE} // 100):
        n += 1
        sys.stdout.write(f"line {{n}} of the flood, at {{time.time():.3f}} with some words more\\n")
    sys.stdout.flush()
    time.sleep(max(0.0, begin + n / {RATE} - time.monotonic()))
"""


async def until_state(client: SocketClient, job: str, state: str, within: float = 300.0) -> str:
    """The newest attempt, once the job is so."""
    async with asyncio.timeout(within):
        while True:
            doc = await client.call(Show(job))
            if doc["state"] == state:
                return str(doc["tasks"][0]["attempts"][-1]["id"])
            await asyncio.sleep(0.1)


async def opened(client: SocketClient, attempt: str) -> float:
    """Milliseconds until the end of the log is there."""
    begin = time.monotonic()
    pages = LogPages(lambda: client)
    await pages.open_tail({(attempt, s): 0.0 for s in ("out", "err")}, lines=2000, shown=SHOWN)
    assert len(pages.book.lines) == SHOWN
    return (time.monotonic() - begin) * 1000


async def searched(client: SocketClient, attempt: str, pattern: str) -> tuple[float, int, float]:
    """Seconds until all is searched, how many lines match, and the longest that this process held
    its loop meanwhile, in ms."""
    held = Held()
    watching = asyncio.ensure_future(held.watch())
    begin = time.monotonic()
    hits = await search(client, [(attempt, "out")], LogSearch(pattern))
    took = time.monotonic() - begin
    watching.cancel()
    return took, hits.count, held.own_ms


def by_tool(tool: list[str], pattern: str, segments: list[Path]) -> float:
    """Seconds that a tool takes to count the lines that match."""
    begin = time.monotonic()
    subprocess.run(
        [*tool, pattern, *map(str, segments)], capture_output=True, check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return time.monotonic() - begin


async def whole_log(twin: Twin, folder: Path, size: int, rounds: int) -> None:
    big = folder / "big.log"
    write_log(big, size)
    client = await SocketClient.connect(twin.socket)
    spec = f"name: big\nrun: cat {big}\nresources: {{cpus: 0.1}}\n"
    await client.call(Submit((Source("big", spec),)))
    attempt = await until_state(client, "big", "succeeded")
    big.unlink()
    segments = sorted(Path(twin.env["HOME"]).rglob(f"{attempt}/out.[0-9]*"))
    total = sum(it.stat().st_size for it in segments)
    times = [await opened(client, attempt) for _ in range(rounds)]
    tools = {"grep -c": ["grep", "-acE"]}
    if shutil.which("rg"):
        tools["rg -c"] = ["rg", "-c", "-a"]
    rows: list[tuple[str, ...]] = []
    for pattern in PATTERNS:
        for segment in segments:
            segment.read_bytes()  # in the page cache for everybody
        late, count = [], 0
        ours: list[float] = []
        theirs: dict[str, list[float]] = {name: [] for name in tools}
        for _ in range(rounds):
            took, count, worst = await searched(client, attempt, pattern)
            ours.append(took)
            late.append(worst)
            for name, tool in tools.items():
                theirs[name].append(by_tool(tool, pattern, segments))
        base = median(theirs["grep -c"])
        rg = median(theirs["rg -c"]) if "rg -c" in theirs else math.nan
        rows.append((pattern, f"{count:,}", f"{median(ours):.2f}", f"{base:.2f}", f"{rg:.2f}",
                     f"{median(ours) / base:.1f}", f"{median(ours) / rg:.1f}",
                     f"{max(late):.0f}"))  # fmt: skip
    print(f"{total / 1e9:.2f} GB in {len(segments)} segments")
    print(f"open at its end: {median(times):.0f} ms ({min(times):.0f} to {max(times):.0f})\n")
    head = ("pattern", "lines", "search s", "grep -c s", "rg -c s", "of grep", "of rg",
            "loop held ms")  # fmt: skip
    table("search over all of it", head, *rows)
    await client.close()


def followed(twin: Twin, folder: Path) -> None:
    """The terminal over a flood: how old what it shows is, and what that costs."""
    script = folder / "flood.py"
    script.write_text(FLOOD)
    spec = folder / "flood.yaml"
    spec.write_text(f"name: flood\nrun: {sys.executable} {script}\nresources: {{cpus: 0.1}}\n")
    subprocess.run(twin.command("submit", str(spec)), env=twin.env, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**twin.env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    screen = subprocess.Popen(twin.command(), stdin=theirs, stdout=theirs, stderr=theirs,
                              env=environment, start_new_session=True)  # fmt: skip
    os.close(theirs)
    try:
        _read(mine, 4.0)
        for keys in (b"2", b"l"):
            os.write(mine, keys)
            _read(mine, 3.0)
        ages, sent = [], 0
        used, begin = cpu_s(screen.pid), time.monotonic()
        core = cpu_s(twin.process.pid)
        while time.monotonic() < begin + FOLLOWED_S:
            data = _read(mine, 0.25)
            sent += len(data)
            stamps = re.findall(rb"at (\d{10}\.\d{3}) with", data)
            if stamps:
                ages.append(time.time() - max(map(float, stamps)))
        passed = time.monotonic() - begin
        shares = [(cpu_s(screen.pid) - used) / passed, (cpu_s(twin.process.pid) - core) / passed]
        os.write(mine, b"k")
        _read(mine, 1.0)
        pressed = time.monotonic()
        os.write(mine, b"k")
        answered = _first(mine) - pressed
    finally:
        screen.send_signal(signal.SIGKILL)
        screen.wait()
        os.close(mine)
        subprocess.run(twin.command("stop", "--yes", "flood"), env=twin.env, check=False,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    head = ("follow", "age p50 s", "age max s", "screen CPU", "core CPU", "kB/s sent", "k ms")
    table("\nfollowing a flood, 120x40", head, (
        f"{RATE:,} lines/s", f"{percentile(ages, 0.5):.2f}", f"{max(ages):.2f}",
        f"{shares[0]:.0%}", f"{shares[1]:.0%}", f"{sent / passed / 1e3:.0f}",
        f"{answered * 1000:.0f}",
    ))  # fmt: skip


def _read(fd: int, seconds: float) -> bytes:
    """All that comes within a while."""
    found, end = bytearray(), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            found += os.read(fd, 1 << 16)
    return bytes(found)


def _first(fd: int) -> float:
    """When the next bytes come."""
    select.select([fd], [], [], 5.0)
    return time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with workplace() as folder, Twin(folder / "core", INVENTORY) as twin:
        asyncio.run(whole_log(twin, folder, int(options.gigabytes * 1e9), options.rounds))
        followed(twin, folder)


if __name__ == "__main__":
    main()
