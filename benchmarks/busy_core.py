"""A core that isn't one: two hundred nodes and ten thousand jobs that always change, told over a
real socket.

What a terminal is told and has to read, decode and draw is all there; what a real core does to
know it is left out, so that figures are the terminal's own.

    python benchmarks/busy_core.py SOCKET [--calm]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import common  # noqa: F401  (puts the checkout on the path)

from flextui.core.client import CoreInfo
from flextui.core.commands import (
    Command,
    History,
    ListEvents,
    ListPlacement,
    ListQueue,
    Plan,
    Show,
)
from flextui.core.model.docs import Delta, EventDoc, JobDoc, NodeDoc
from flextui.core.server import Server
from tests.screens import answers
from tests.screens.fake_client import (
    FakeClient,
    attempt,
    fleet_delta,
    gpu,
    job,
    node,
    problem,
    task,
)  # fmt: skip
from tests.screens.fake_log import FakeLog

NODES, GPUS, JOBS = 200, 8, 10_000
STEP_S = 0.25
CHANGING_NODES, CHANGING_JOBS = 50, 100
CALM_NODES = 40
LINES = 5000
EVENTS = 1000
PROBLEMS = 100
SPEC_LINES = 1000
READ = "j0"
"""The job whose log is read; it runs for ever."""
WIDE = "j9999"
"""The job with a thousand tasks."""


def node_doc(index: int, seed: random.Random) -> NodeDoc:
    """A node as it is at some moment; every GPU is held by a job."""
    name = f"gpu{index:03}"
    devices = [
        gpu(i, "NVIDIA A100-SXM4-80GB", 80, seed.randrange(81), utilization=seed.randrange(101),
            jobs=[f"bob/train-{index}"], temperature_c=30 + seed.randrange(55),
            power_w=60.0 + seed.randrange(340))
        for i in range(GPUS)
    ]  # fmt: skip
    return node(name, devices, cpu=seed.random(), jobs=[f"bob/train-{index}"])


def job_doc(seq: int, seed: random.Random) -> JobDoc:
    """A job as it is at some moment."""
    if seq == 0 or seq <= NODES:
        state = "running"
    else:
        state = seed.choice(("pending", "pending", "succeeded", "failed"))
    ended = "2026-11-23T13:00:00Z" if state in ("succeeded", "failed") else None
    where = f"gpu{seq % NODES:03}"
    uuids = [f"GPU-{where}-{i}" for i in range(GPUS)] if 0 < seq <= NODES else []
    tried = [attempt(f"j{seq}.0", 1, state, where, ended_at=ended, gpus=uuids)]
    waits = f"waits for 8 GPUs: {seed.randrange(200)} nodes are full, the next is free in 2h"
    tasks = [task(0, state, tried if state != "pending" else [], waits)]
    at = f"2026-11-{1 + seq % 22:02}T{seq % 24:02}:{seq % 60:02}:00Z"
    owner = ("bob", "eve", "dan", "web")[seq % 4]
    reason = waits if state == "pending" else ""
    return job(seq, f"train-{seq}", owner, state, tasks, submitted_at=at, ended_at=ended,
               reason=reason, project=("vision", "speech", None)[seq % 3])  # fmt: skip


def wide_job() -> JobDoc:
    """An array of a thousand."""
    number = int(WIDE[1:])
    tasks = [
        task(i, "running", [attempt(f"{WIDE}.{i}", 1, "running", f"gpu{i % NODES:03}")])
        for i in range(1000)
    ]  # fmt: skip
    at = "2026-11-23T12:00:00Z"
    return job(number, f"train-{number}", "bob", "running", tasks, count=1000, submitted_at=at)


class BusyCore(FakeClient):
    """One client's view of it: whole at first, then changes; `calm`: forty nodes a second."""

    def __init__(self, calm: bool) -> None:
        super().__init__()
        self._calm = calm
        self.info = CoreInfo("0.1.0", 1, "lab@head", 1, "vision-lab", "", True, "alice", True)
        self.log = FakeLog(f"{READ}.0.1", "gpu000")
        seed = random.Random(3)
        for number in range(LINES):
            words = " ".join(f"{seed.randrange(1 << 30):08x}" for _ in range(10))
            self.log.print(f"{number:06} {words}")

    async def watch(self) -> AsyncIterator[Delta]:
        seed = random.Random(7)
        yield self._whole(seed)
        revision, due = 1, asyncio.get_running_loop().time()
        while True:
            due += 1.0 if self._calm else STEP_S
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            revision += 1
            count = CALM_NODES if self._calm else CHANGING_NODES
            changed = 0 if self._calm else CHANGING_JOBS
            nodes = [node_doc(i, seed) for i in seed.sample(range(NODES), count)]
            jobs = [job_doc(i, seed) for i in seed.sample(range(1, JOBS - 1), changed)]
            yield {
                "revision": revision, "full": False, "fleet": fleet_delta()["fleet"],
                "nodes": {it["name"]: it for it in nodes}, "jobs": {it["id"]: it for it in jobs},
            }  # fmt: skip

    @staticmethod
    def _whole(seed: random.Random) -> Delta:
        whole = fleet_delta()
        whole["nodes"] = {it["name"]: it for it in (node_doc(i, seed) for i in range(NODES))}
        whole["jobs"] = {it["id"]: it for it in (job_doc(i, seed) for i in range(JOBS - 1))}
        whole["jobs"][WIDE] = wide_job()
        whole["problems"] = [
            problem(f"gpu:gpu{i:03}:1", "warning", f"gpu{i:03} GPU1: XID 79: fell off the bus",
                    f"uncordon gpu{i:03}:1", "uncordon", node=f"gpu{i:03}", gpu="1",
                    touches="one A100 less", next="when it is well again")
            for i in range(PROBLEMS)
        ]  # fmt: skip
        return whole

    async def call(self, command: Command) -> dict[str, Any]:
        match command:
            case ListQueue(limit):
                [row] = answers.queue()["queue"]
                rows = [
                    {**row, "position": n + 1, "id": f"j{NODES + 1 + n}", "name": f"train-{n}"}
                    for n in range(limit)
                ]
                return {"queue": rows, "waiting": JOBS // 2, "looked_until": None}
            case ListPlacement():
                end = {"at": "2026-11-24T14:40:00Z", "latest": None, "sureness": "likely"}
                return {"ends": {f"j{n}.0.1": end for n in range(1, NODES + 1)}, "wants": None}
            case History(node) if node:
                return answers.history(command, [node_doc(int(node[3:]), random.Random(1))])
            case ListEvents():
                return {"events": [event_doc(n) for n in range(EVENTS)]}
            case Show():
                spec = {"name": "train", "type": "batch", "run": "python train.py",
                        "env": {f"VALUE_{n:04}": str(n) for n in range(SPEC_LINES)}}  # fmt: skip
                return {**job(1, "train", "bob", "running", []), "spec": spec}
            case Plan():
                return {"jobs": [{**answers.EDIT, "diff": []}]}
        return await super().call(command)

    async def events(self, *, after: int | None = None) -> AsyncIterator[EventDoc]:
        number = EVENTS
        while True:
            await asyncio.sleep(STEP_S)
            for _ in range(10):
                yield event_doc(number)
                number += 1


def event_doc(seq: int) -> EventDoc:
    """One of many."""
    of = {"job": f"j{seq % JOBS}", "attempt": f"j{seq % JOBS}.0.1", "node": f"gpu{seq % NODES:03}"}
    return {**answers.event(seq, "attempt.started", "flextui", f"j{seq % JOBS}.0.1", **of),
            "at": f"2026-11-24T11:{seq // 60 % 60:02}:{seq % 60:02}.000Z"}  # fmt: skip


async def serve(path: Path, calm: bool) -> None:
    """Until the process is ended."""
    server = Server(path, None, lambda _: BusyCore(calm), "")
    await server.start()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--calm", action="store_true", help="forty nodes a second, no jobs")
    options = parser.parse_args()
    asyncio.run(serve(options.socket, options.calm))


if __name__ == "__main__":
    main()
