"""What a fleet of 200 nodes costs the core: its share of a processor, and holds of its loop.

Each node reports eight GPUs once a second. Four cases: nothing runs; a full fleet, where every node
runs a job on all its GPUs and a hundred more wait; the same with a terminal that watches; 10,000
jobs, all but 200 of which wait, and two terminals. At last how long a terminal that attaches then
waits for its first picture, and how large that is.

    python benchmarks/core200.py
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from common import Held, table, workplace
from stub_fleet import GPUS, StubFleet, serve

from flextui.core.client import Client
from flextui.core.commands import Source, Submit
from flextui.core.socket_client import SocketClient
from flextui.core.start import Core, CoreOptions, open_core

NODES = 200
WAITING = 100
MANY = 10_000
A_FILE = 500
ATTACHED = 5
WATCH_S = 15.0
SETTLE_S = 3.0
GOAL_SHARE = 20
GOAL_HELD_MS = 50

SPEC = """
name: train-NUMBER
run: python train.py --data /data/imagenet --epochs 90 --lr 0.1
resources: {gpus: 8, cpus: 16, memory: 256GiB}
"""


@dataclass
class Cost:
    """What one case cost, and proof that the nodes did report."""

    share: float
    """Percent of one processor, all threads of the core together."""
    held: Held
    samples: float
    """Samples a second that the core took in."""


async def observe(core: Core) -> Cost:
    await asyncio.sleep(SETTLE_S)
    held = Held()
    watch = asyncio.create_task(held.watch())
    began, worked, seen = time.monotonic(), time.process_time(), samples(core)
    await asyncio.sleep(WATCH_S)
    took = time.monotonic() - began
    cost = Cost(100 * (time.process_time() - worked) / took, held, (samples(core) - seen) / took)
    watch.cancel()
    return cost


def samples(core: Core) -> float:
    """How many the core has taken in: the stub's clock goes on by one with each."""
    return sum(node.sample.uptime_s for node in core.engine.snapshot.nodes.values())


async def until(core: Core, nodes: int, running: int) -> None:
    """So many nodes report, and so many jobs run."""
    watcher = core.engine.feed.join()
    async with asyncio.timeout(60):
        while True:
            snapshot = core.engine.snapshot
            ready = sum(node.sampled for node in snapshot.nodes.values())
            started = sum(job.state == "running" for job in snapshot.jobs.values())
            if ready == nodes and started == running:
                break
            await watcher.changed()
    core.engine.feed.leave(watcher)


async def fill(client: Client, first: int, last: int) -> None:
    """So many jobs, in files of some hundred."""
    for start in range(first, last, A_FILE):
        numbers = range(start, min(start + A_FILE, last))
        documents = [SPEC.replace("NUMBER", str(number)) for number in numbers]
        await client.call(Submit((Source("jobs.yaml", "---\n".join(documents)),)))


def look(path: str) -> None:
    """Be a terminal: follow the view for as long as the process lives."""

    async def follow() -> None:
        client = await SocketClient.connect(Path(path))
        async for _ in client.watch():
            pass

    asyncio.run(follow())


async def attach(path: Path) -> None:
    """Print the seconds from connecting to the first picture, and how many jobs are in it."""
    began = time.monotonic()
    client = await SocketClient.connect(path)
    async for whole in client.watch():
        print(time.monotonic() - began, len(whole["jobs"]))
        break
    await client.close()


async def attached(core: Core, path: Path) -> str:
    """How long terminals wait that attach one after the other, and the core's loop meanwhile."""
    held, seconds, jobs = Held(), [], ""
    watching = asyncio.create_task(held.watch())
    for _ in range(ATTACHED):
        argv = [sys.executable, __file__, "--attach", str(path)]
        run = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        took, jobs = (await run.communicate())[0].decode().split()
        seconds.append(float(took))
    watching.cancel()
    return (
        f"attaching with {int(jobs):,} jobs: first picture after {min(seconds):.2f} to "
        f"{max(seconds):.2f} s; the core's loop was held {held.own_ms:.0f} ms by its own work"
    )


async def measure(place: Path, agents: Path) -> tuple[dict[str, Cost], str]:
    inventory = place / "inventory.yaml"
    nodes = "".join(f"  - {{host: gpu{number}}}\n" for number in range(NODES))
    inventory.write_text(f"fleet: bench\nnodes:\n{nodes}")
    options = CoreOptions(place / "state", inventory, headless=True, socket=place / "core.sock")
    core = await open_core(options, sessions=StubFleet(agents))
    found = {}
    try:
        await until(core, NODES, 0)
        found["nothing runs"] = await observe(core)
        await fill(core.client(), 0, NODES + WAITING)
        await until(core, NODES, NODES)
        found[f"{NODES} jobs run, {WAITING} wait"] = await observe(core)
        with process(look, place / "core.sock"):
            found["the same, a terminal watches"] = await observe(core)
            await fill(core.client(), NODES + WAITING, MANY)
            with process(look, place / "core.sock"):
                found[f"{MANY:,} jobs, two terminals watch"] = await observe(core)
        told = await attached(core, place / "core.sock")
    finally:
        await core.close()
    return found, told


@contextmanager
def process(target: Callable[[str], None], path: Path) -> Iterator[BaseProcess]:
    """A process of its own, so that its work isn't taken for the core's."""
    started = multiprocessing.get_context("spawn").Process(target=target, args=(str(path),))
    started.start()
    try:
        yield started
    finally:
        started.terminate()
        started.join()


def main() -> None:
    if sys.argv[1:2] == ["--attach"]:
        asyncio.run(attach(Path(sys.argv[2])))
        return
    with workplace() as place:
        agents = place / "agents.sock"
        with process(serve, agents):
            while not agents.exists():
                time.sleep(0.01)
            found, told = asyncio.run(measure(place, agents))
    rows = [
        (
            name,
            f"{cost.share:.1f}",
            f"{cost.held.late_ms:.0f}",
            f"{cost.held.own_ms:.0f}",
            f"{cost.samples:.0f}",
        )
        for name, cost in found.items()
    ]
    table(
        f"core: {NODES} nodes with {GPUS} GPUs, a sample a second each",
        (
            f"goals: < {GOAL_SHARE} % of a core, loop held < {GOAL_HELD_MS} ms",
            "% of a core",
            "loop late, ms",
            "by its own work, ms",
            "samples/s",
        ),
        *rows,
    )
    print(f"\n{told}")


if __name__ == "__main__":
    main()
