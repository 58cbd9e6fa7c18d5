"""A workload that prints as fast as it can: nobody's memory grows, and other logs stay live.

FLEXTUI_TEST_FLOOD_MB says how much it prints.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from flextui.core.commands import LogRequest
from flextui.core.model.docs import LogEvent
from flextui.core.socket_client import SocketClient
from tests.bench.nodes import SshFleet, SshNode
from tests.faults.work import agents, workload
from tests.scenario.fleet import View, over, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(900)]

MB = int(os.environ.get("FLEXTUI_TEST_FLOOD_MB", "200"))
CORE_MB, AGENT_MB, SUPERVISOR_MB = 150, 30, 20
"""Most memory that each may ever have had, by the kernel's account (VmHWM)."""
LAG_S = 10.0
KEPT_BYTES = 200 << 20
"""At the least; 256 MiB of both streams, less a segment that is being dropped."""

# binary, then lines of 10 MB each, then short lines
FLOOD = f"""
name: flood
workdir: /
resources: {{cpus: 0.1}}
run: |
  head -c {MB // 2}M /dev/urandom
  for i in $(seq {MB // 40}); do head -c 10000000 /dev/zero | tr '\\0' x; echo; done
  yes 'a short line' | head -c {MB // 4}M
  touch /var/tmp/flooded
  exec sleep 9999
"""
CLOCK = """
name: clock
workdir: /
resources: {cpus: 0.1}
run: while :; do date +%s.%N; sleep 0.1; done
"""


async def test_a_flood_of_log(ssh_fleet: SshFleet, state_dir: Path) -> None:
    node = ssh_fleet.add("n1")
    async with over(ssh_fleet, state_dir) as core, view(core) as seen:
        await seen.ready()
        await seen.submit(CLOCK)
        await seen.state("clock", "running")
        clock = asyncio.create_task(lags(seen.client, node))
        await seen.submit(FLOOD)
        await seen.state("flood", "running")
        began = time.monotonic()
        reader = await core.client()
        taken = asyncio.create_task(read_flood(reader))
        told = await clock
        took = time.monotonic() - began
        peaks = {
            "core": peak(core.pid),
            "agent": peak(agents(node)[0].pid),
            "supervisor": peak(supervisor_of(node, seen, "flood")),
        }
        async with asyncio.timeout(600):
            got, gaps = await taken
        await reader.close()
        print(f"{MB} MB in {took:.1f} s; peaks in MB: {peaks}; lag at most {max(told):.2f} s;")
        print(f"follower got {got >> 20} MB and was told of {gaps >> 20} MB that rotation dropped")
        assert got + gaps == FLOOD_BYTES, "each byte is told or said to be dropped"
        assert got >= min(FLOOD_BYTES, KEPT_BYTES)
        assert len(told) > 3
        assert max(told) < LAG_S
        assert peaks["core"] < CORE_MB
        assert peaks["agent"] < AGENT_MB
        assert peaks["supervisor"] < SUPERVISOR_MB
        assert (await core.run("stop", "flood", "clock", "--yes", "--wait")).status == 0


def flooded(node: SshNode) -> Path:
    return node.machine.var_tmp / "flooded"


async def lags(client: SocketClient, node: SshNode) -> list[float]:
    """How late each line of the clock came, until the flood is over and five lines more."""
    found: list[float] = []
    after = 0
    async for event in of(client, LogRequest("clock", follow=True, last_lines=0)):
        if event["kind"] == "data":
            newest = event["text"].split()[-1]
            found.append(time.time() - float(newest))
            after += flooded(node).exists()
            if after > 5:
                break
    return found


async def read_flood(client: SocketClient) -> tuple[int, int]:
    """Read it all: bytes told, and bytes said to be dropped."""
    told = gaps = position = 0
    async for event in of(client, LogRequest("flood", follow=True)):
        if event["kind"] in ("data", "gap") and event["stream"] == "out":
            assert event["at"] == position, "no byte is left out in silence"
            size = event["to"] - event["at"]
            told, gaps = (told + size, gaps) if event["kind"] == "data" else (told, gaps + size)
            position = event["to"]
            if position >= FLOOD_BYTES:
                break
    return told, gaps


FLOOD_BYTES = (MB // 2 << 20) + MB // 40 * 10_000_001 + (MB // 4 << 20)


async def of(client: SocketClient, request: LogRequest) -> AsyncIterator[LogEvent]:
    async with aclosing(client.logs(request)) as events:
        async for event in events:
            yield event


def supervisor_of(node: SshNode, seen: View, job: str) -> int:
    (process,) = workload([node], FLEXTUI_JOB=seen.jobs[job]["id"])
    return process.parent


def peak(pid: int) -> int:
    """The most resident memory that a process ever had, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    raise AssertionError(f"{pid} has no memory")
