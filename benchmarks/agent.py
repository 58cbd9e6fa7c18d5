"""What a node pays for being watched: the agent's memory and processor time, and its answer time.

The real agent, sent and booted as the core does it, with eight GPUs (NVML's stand-in), a sample a
second and live attempts. Beside it the nearest thing: Slurm's slurmd and slurmstepd.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from common import children, cpu_s, environment, median, memory_mb, percentile, table, workplace
from slurm import Slurm, missing

from flextui.core.adapters.channel import Channel
from flextui.core.adapters.greeting import greet
from flextui.core.adapters.local import LocalTransport
from flextui.core.adapters.pacer import Pacer
from flextui.core.adapters.zipapp import agent_zip
from tests.bench.gpus import FakeGpus

ATTEMPTS = 8
PINGS = 3000
WATCH_S = 30.0
SLEEP = ["/bin/sleep", "600"]

Message = dict[str, Any]


class Node:
    """This machine as the core sees it: one agent on one channel."""

    async def open(self) -> None:
        self._ended: asyncio.Queue[str] = asyncio.Queue()
        async with Pacer().turn() as turn:
            self._stream = await LocalTransport().open(turn)
        greeting = await greet(self._stream, agent_zip(), _hello())
        self._boot = greeting.hello["boot"]
        self.channel = Channel(self._stream, self._pushed)
        self._task = asyncio.create_task(self.channel.run())

    def _pushed(self, message: Message) -> None:
        if message.get("t") == "attempt" and message["state"] == "ended":
            self._ended.put_nowait(message["attempt"])

    async def start(self, attempt: str) -> int:
        """The pid of its workload."""
        fields = {"job": "bench/sleep", "task": 0, "argv": SLEEP, "env": {}, "grace_s": 0}
        request = {"t": "start", "attempt": attempt, "boot": self._boot, "epoch": 1, **fields}
        answer = await self.channel.request(request)
        assert answer["t"] == "ok", answer
        return int(answer["record"]["pid"])

    async def stop(self, attempts: list[str]) -> None:
        for attempt in attempts:
            self.channel.notify({"t": "stop", "attempt": attempt, "grace_s": 0, "why": "stopped"})
        for _ in attempts:
            await asyncio.wait_for(self._ended.get(), 20)

    async def close(self) -> None:
        self.channel.notify({"t": "bye", "release": True, "suspend_leases": False})
        await self._task
        await asyncio.wait_for(self._stream.wait_closed(), 20)


def _hello() -> Message:
    return {
        "t": "hello", "v": [1, 1], "core_id": "bench", "epoch": 1, "owner": "bench@here",
        "node": "here", "takeover": False, "adopt": [], "core_boot": None, "root": None,
        "sample_s": 1.0, "log_keep_s": 3600.0,
    }  # fmt: skip


async def measure(gpus: FakeGpus) -> dict[str, float]:
    node = Node()
    await node.open()
    names = [f"bench-{number}" for number in range(ATTEMPTS)]
    try:
        workloads = [await node.start(name) for name in names]
        for index, pid in enumerate(workloads):
            gpus.add_process(index, pid, 40_000, live=True)
            gpus.set_load(index, 97)
        supervisors = [_parent(pid) for pid in workloads]
        agent = _parent(_parent(supervisors[0]))
        own = [agent, *children(agent)]
        trips = [await _ping(node.channel) for _ in range(PINGS)]
        began, before = time.monotonic(), sum(map(cpu_s, own))
        before_supervisors = sum(map(cpu_s, supervisors))
        await asyncio.sleep(WATCH_S)
        minutes = (time.monotonic() - began) / 60
        return {
            "rss": memory_mb(agent)["rss"],
            "pss": sum(memory_mb(pid)["pss"] for pid in own),
            "supervisor": median([memory_mb(pid)["own"] for pid in supervisors]),
            "cpu": (sum(map(cpu_s, own)) - before) / minutes,
            "cpu_supervisors": (sum(map(cpu_s, supervisors)) - before_supervisors) / minutes,
            "p50": percentile(trips, 0.50) * 1000,
            "p99": percentile(trips, 0.99) * 1000,
        }
    finally:
        await node.stop(names)
        await node.close()


async def _ping(channel: Channel) -> float:
    began = time.perf_counter()
    await channel.request({"t": "ping"})
    return time.perf_counter() - began


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


def measure_slurm(folder: Path) -> dict[str, float]:
    """slurmd's memory with a job, and what that job's slurmstepd has of its own."""
    with Slurm(folder, slots=2) as slurm:
        slurm.run("sbatch", "-Q", "-o", "/dev/null", "--wrap", "exec sleep 600")
        deadline = time.monotonic() + 20
        while not (jobs := [pid for pid in _all() if _is_sleep(pid, folder)]):
            assert time.monotonic() < deadline, "the job doesn't start"
            time.sleep(0.1)
        found = {
            "rss": memory_mb(slurm.pid("slurmd"))["rss"],
            "supervisor": memory_mb(_parent(jobs[0]))["own"],
        }
        slurm.cancel_all()
    return found


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_sleep(pid: int, folder: Path) -> bool:
    """Whether it is the job of this Slurm."""
    try:
        asleep = Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
        return asleep and str(folder).encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def main() -> None:
    with workplace() as place:
        gpus = FakeGpus(place / "gpus", 8)
        os.environ.update(environment(place / "home") | gpus.env)
        ours = asyncio.run(measure(gpus))
        absent = missing()
        peer = {} if absent else measure_slurm(place / "slurm")

    def of_peer(name: str, digits: int) -> str:
        return f"{peer[name]:.{digits}f}" if name in peer else "-"

    table(
        f"agent: 8 GPUs, a sample a second, {ATTEMPTS} live attempts, {PINGS} pings",
        ("", "flextui", "goal", "Slurm"),
        ("agent RSS, MB (slurmd)", f"{ours['rss']:.1f}", "< 15", of_peer("rss", 1)),
        ("agent, spawner and NVML child, PSS, MB", f"{ours['pss']:.1f}", "", "-"),
        ("own memory of a supervisor, MB (slurmstepd)", f"{ours['supervisor']:.2f}", "< 1",
         of_peer("supervisor", 2)),
        ("CPU of the agent, s a minute", f"{ours['cpu']:.2f}", "< 0.6", "-"),
        (f"CPU of {ATTEMPTS} supervisors, s a minute", f"{ours['cpu_supervisors']:.3f}", "", "-"),
        ("round trip p50, ms", f"{ours['p50']:.2f}", "", "-"),
        ("round trip p99, ms", f"{ours['p99']:.2f}", "", "-"),
    )  # fmt: skip
    if absent:
        print(absent)


if __name__ == "__main__":
    main()
