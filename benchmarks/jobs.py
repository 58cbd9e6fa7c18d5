"""How many jobs a second go through a core from submit to their durable end, if nodes take no time.

The engine, the scheduler and the store are the real ones: each turn is one transaction, on disk
(SQLite, synchronous=FULL) before anything follows from it. Only the nodes are stand-ins: whatever
they are told to start has run and ended at once. A job counts when its end is on disk.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from common import Held, table, workplace

from flextui.core.client import Client
from flextui.core.commands import Source, Submit
from flextui.core.events import AttemptReported, Exit, NodeEvent, NodeReady, Record, Sampled
from flextui.core.model.docs import CheckDoc, LogEvent
from flextui.core.model.inventory import NodeSpec
from flextui.core.model.state import Facts, Gpu, Sample
from flextui.core.ports import (
    CoreIdentity,
    Effect,
    LogAsk,
    NodeSession,
    Program,
    RunningProgram,
    StartAttempt,
)
from flextui.core.start import Core, CoreOptions, open_core

JOBS = 2000
ROUNDS = 5
NODES = 8
GPUS = 8
FILES = 20
"""The jobs come in so many files."""
CALLERS = 16
"""So many callers hand in one job after the other."""
GOAL = 500
GIB = 1 << 30
SPEC = "name: train-{}\nrun: python train.py\nresources: {{gpus: 1, cpus: 4, memory: 16GiB}}\n"


class Instant:
    """A node that does at once what it is told."""

    def __init__(self, name: str, emit: Callable[[NodeEvent], None]) -> None:
        self.name = name
        self._emit = emit
        facts = Facts(name, "boot", "/", name, name, "lab", 1000, 64.0, 512 * GIB)
        gpus = tuple(
            Gpu(f"{name}-{index}", index, "NVIDIA A100-SXM4-80GB", 80 * GIB, 0)
            for index in range(GPUS)
        )
        emit(NodeReady(name, facts, (), granted=True))
        emit(Sampled(name, Sample(memory_bytes=512 * GIB, nvml="ok"), gpus))

    def send(self, effect: Effect) -> None:
        if isinstance(effect, StartAttempt):
            how = Exit(0, None, "exit", ended_ago_s=0.0, ran_s=0.0)
            ended = Record(effect.attempt, "ended", effect.job, 1, exit=how, nonce=effect.nonce)
            self._emit(AttemptReported(self.name, ended))

    async def tail(self, request: LogAsk) -> AsyncIterator[LogEvent]:
        return
        yield

    async def check(self) -> list[CheckDoc]:
        return []

    async def run(self, program: Program) -> RunningProgram:
        raise ConnectionError("nothing runs here")

    def retry_now(self) -> None: ...

    def take_over(self) -> None: ...

    async def close(self, *, release: bool, suspend_leases: bool) -> None: ...


class InstantFleet:
    """Makes such nodes."""

    def open(
        self,
        node: NodeSpec,
        identity: CoreIdentity,
        root: tuple[str, str] | None,
        emit: Callable[[NodeEvent], None],
    ) -> NodeSession:
        return Instant(node.name, emit)

    async def close(self) -> None: ...


async def in_files(client: Client) -> None:
    """Some files, one after the other."""
    each = JOBS // FILES
    for first in range(0, JOBS, each):
        text = "---\n".join(SPEC.format(number) for number in range(first, first + each))
        await client.call(Submit((Source("jobs.yaml", text),)))


async def one_by_one(client: Client) -> None:
    """Many callers, each of whom waits until a job is taken in before the next."""

    async def caller(mine: range) -> None:
        for number in mine:
            await client.call(Submit((Source("job.yaml", SPEC.format(number)),)))

    await asyncio.gather(*(caller(range(it, JOBS, CALLERS)) for it in range(CALLERS)))


async def ended(core: Core) -> None:
    """No job lives any more. The snapshot tells nothing that isn't on disk."""
    watcher = core.engine.feed.join()
    while core.engine.snapshot.jobs:
        await watcher.changed()
        watcher.take()
    core.engine.feed.leave(watcher)


async def measure(place: Path) -> list[tuple[str, list[float], list[float], Held]]:
    place.mkdir()
    inventory = place / "inventory.yaml"
    nodes = "".join(f"  - {{host: gpu{number}}}\n" for number in range(NODES))
    inventory.write_text(f"fleet: bench\nnodes:\n{nodes}")
    options = CoreOptions(place / "state", inventory, headless=True, socket=place / "core.sock")
    core = await open_core(options, sessions=InstantFleet())
    found = []
    try:
        client = core.client()
        for name, hand_in in ((f"{FILES} files", in_files), (f"{CALLERS} callers", one_by_one)):
            held, rates, costs = Held(), [], []
            watch = asyncio.create_task(held.watch())
            for _ in range(ROUNDS):
                began, used = time.monotonic(), time.process_time()
                await hand_in(client)
                await ended(core)
                rates.append(JOBS / (time.monotonic() - began))
                costs.append((time.process_time() - used) / JOBS * 1000)
            watch.cancel()
            found.append((name, rates, costs, held))
    finally:
        await core.close()
    return found


def main() -> None:
    with workplace() as place:
        found = asyncio.run(measure(place / "bench"))
    rows = [
        (
            name,
            f"{statistics.median(rates):.0f}",
            f"{min(rates):.0f} to {max(rates):.0f}",
            f"{statistics.median(costs):.2f}",
            f"{held.own_ms:.0f}",
        )
        for name, rates, costs, held in found
    ]
    table(
        f"{JOBS} jobs through the engine and the durable store, nodes that take no time",
        (
            f"{ROUNDS} rounds (goal > {GOAL})",
            "jobs/s",
            "from, to",
            "ms of processor time a job",
            "loop held, ms",
        ),
        *rows,
    )


if __name__ == "__main__":
    main()
