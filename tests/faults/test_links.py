"""A link that is cut for a while, for longer, for half of the nodes; a core that is stopped.

What the nodes did meanwhile is read from their own process tables, disks and clocks, which are
this machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.bench.namespace import NodeProcess
from tests.bench.nodes import SshFleet, SshNode
from tests.faults.work import LEDGER, log_of, three_nodes, workload
from tests.scenario.fleet import Twin, View, eventually, over, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(600)]

HOMES = pytest.mark.parametrize("shared", [False, True], ids=["own-homes", "one-home"])
CUT_S = 30.0
NOTICED_S = 15.0
STOPPED_S = float(os.environ.get("FLEXTUI_TEST_STOPPED", "70"))
"""How long the core is stopped: longer than an agent waits for a core's word, 60 s."""
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def running(fleet: SshFleet, state: Path) -> AsyncIterator[tuple[Twin, View]]:
    """A twin over the fleet, and what it shows, once all nodes are ready."""
    async with over(fleet, state) as core, view(core) as seen:
        await seen.ready()
        yield core, seen


def service(
    name: str,
    loss: str,
    where: str = "{node: n1}",
    run: str = "exec sleep 9999",
    grace: str = "1s",
) -> str:
    return (
        f"name: {name}\ntype: service\nrun: {run}\nworkdir: /\nwhere: {where}\n"
        f"resources: {{cpus: 0.1}}\ngrace: {grace}\non_node_loss: {loss}\n"
    )


STUBBORN = "trap '' TERM; while :; do sleep 1; done"
"""Takes all the grace it is given."""
COUNTER = f"""
name: counter
where: {{node: n1}}
resources: {{cpus: 0.1}}
workdir: /
run: |
  i=0
  while [ ! -e {LEDGER}/enough ]; do i=$((i+1)); echo "line $i"; sleep 0.01; done
  exit 5
"""
"""Prints numbered lines until it is told that there are enough."""


def enough(node: SshNode) -> None:
    (node.machine.var_tmp / "ledger" / "enough").touch()


def all_lines(text: str) -> bool:
    """Whether these are the numbered lines from the first on, each once and in order."""
    lines = text.splitlines()
    return bool(lines) and lines == [f"line {number}" for number in range(1, len(lines) + 1)]


def seconds(at: str) -> float:
    """Unix time of an event."""
    return datetime.fromisoformat(at).timestamp()


async def gone(*nodes: SshNode, seen: View) -> float:
    """Cut these nodes off and see them lost; how long that took at most."""
    since = max((event["seq"] for event in seen.events), default=0)
    cut = time.time()
    for node in nodes:
        node.link_down("drop")
    last = [await seen.event("node.lost", node=node.name, after=since) for node in nodes]
    return max(seconds(event["at"]) for event in last) - cut


@HOMES
async def test_a_cut_of_half_a_minute_changes_nothing(
    ssh_fleet: SshFleet, state_dir: Path, shared: bool
) -> None:
    nodes = three_nodes(ssh_fleet, shared=shared)
    async with running(ssh_fleet, state_dir) as (core, seen):
        await seen.submit(COUNTER, service("stays", "{after: 5m}"))
        await seen.state("counter", "running")
        await seen.state("stays", "running")
        before = mains(nodes)
        follower = asyncio.create_task(core.run("logs", "-f", "counter", within=300))

        cut = time.monotonic()
        assert await gone(nodes[0], seen=seen) < NOTICED_S
        assert seen.attempts("counter")[-1]["state"] == "unknown"
        assert "n1" in seen.jobs["counter"]["tasks"][0]["reason"]
        await asyncio.sleep(CUT_S - (time.monotonic() - cut))
        nodes[0].link_up()
        await seen.ready("n1")
        await seen.until(lambda: seen.running_on("counter") and seen.running_on("stays"))

        assert mains(nodes) == before, "the same processes, and no second copy"
        enough(nodes[0])
        doc = await seen.state("counter", "failed")
        assert doc["exit_code"] == 5
        assert [len(seen.attempts(name)) for name in ("counter", "stays")] == [1, 1]
        assert all_lines((await follower).out), "the one who follows gets each line once"
        assert all_lines(await log_of(seen.client, "counter"))


def mains(nodes: list[SshNode]) -> set[tuple[int, int]]:
    """The main processes of all attempts: number and start. A shell's children don't last."""
    found = workload(nodes)
    pids = {process.pid for process in found}
    return {(it.pid, it.started) for it in found if it.parent not in pids}


@HOMES
async def test_a_cut_past_after(ssh_fleet: SshFleet, state_dir: Path, shared: bool) -> None:
    nodes = three_nodes(ssh_fleet, shared=shared)
    away = "{not: {node: n1}}"
    first = "{prefer: {rack: n1}}"
    async with running(ssh_fleet, state_dir) as (_, seen):
        stubborn = service("moves", "{after: 3s}", first, STUBBORN, grace="30s")
        await seen.submit(COUNTER, stubborn)
        await seen.submit(service("fenced", "{after: 3s, fence: true}", first))
        await seen.submit(service("elsewhere", "{after: 3s}", away))
        names = ("counter", "moves", "fenced")
        for name in (*names, "elsewhere"):
            await seen.state(name, "running")
        assert {seen.running_on(name) for name in names} == {"n1"}
        stale = {name: process_of(nodes[:1], seen, name) for name in names}

        await gone(nodes[0], seen=seen)
        await seen.until(lambda: seen.running_on("moves") not in (None, "n1"))
        assert alive(stale["moves"], nodes), "unfenced: it may run twice, as was told"
        batch = seen.jobs["counter"]["tasks"][0]
        assert "waits for n1" in batch["reason"]
        assert [it["state"] for it in batch["attempts"]] == ["unknown"]

        await seen.until(lambda: seen.running_on("fenced") not in (None, "n1"), within=180)
        assert not alive(stale["fenced"], nodes)
        fresh = process_of(nodes[1:], seen, "fenced")
        died = exit_of(nodes[0], seen.attempts("fenced")[0]["id"])
        assert died["why"] == "lease"
        assert died["ended_at"] < started(fresh), "dead before the replacement starts"

        back = time.time()
        nodes[0].link_up()
        ready = await seen.event("node.ready", node="n1", after=lost_seq(seen))
        await eventually(lambda: not alive(stale["moves"], nodes))
        ended = time.time()
        print(f"stale copy dead {ended - seconds(ready['at']):.2f} s after the node's word,")
        print(f"{ended - back:.2f} s after its link was whole")
        assert ended - back < 5
        assert alive(stale["counter"], nodes), "what nobody replaced goes on"
        enough(nodes[0])
        doc = await seen.state("counter", "failed")
        assert (doc["exit_code"], len(seen.attempts("counter"))) == (5, 1)
        assert len(seen.attempts("elsewhere")) == 1
        for name in ("moves", "fenced"):
            assert len(seen.attempts(name)) == 2
            lives = workload(nodes, FLEXTUI_JOB=seen.jobs[name]["id"])
            assert len({it.environment["FLEXTUI_ATTEMPT"] for it in lives}) == 1


def alive(process: NodeProcess, nodes: list[SshNode]) -> bool:
    return (process.pid, process.started) in mains(nodes)


def process_of(nodes: list[SshNode], seen: View, job: str) -> NodeProcess:
    """The main process of a job's newest attempt."""
    attempt = seen.attempts(job)[-1]["id"]
    found = workload(nodes, FLEXTUI_ATTEMPT=attempt)
    return min(found, key=lambda it: it.started)


def started(process: NodeProcess) -> float:
    """Unix time of a process's start, from the process table, to 10 ms."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + process.started / TICKS


def exit_of(node: SshNode, attempt: str) -> dict[str, Any]:
    """The exit record of an attempt, as its supervisor wrote it on the node."""
    state = node.home_folder() / ".local/state/flextui"
    (path,) = state.glob(f"*/*/{attempt}/exit.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def lost_seq(seen: View) -> int:
    return max(event["seq"] for event in seen.events if event["kind"] == "node.lost")


async def test_a_dead_peer_is_noticed(netns_fleet: SshFleet, state_dir: Path) -> None:
    """Connections that stay open and say nothing: packets lost, cable pulled, sshd that hangs."""
    nodes = netns_fleet.add_many(("n1", "n2", "n3", "n4"))
    async with running(netns_fleet, state_dir) as (_, seen):
        died = {}
        ends = (nodes[0].link_down, lambda: nodes[1].link_down("unplug"), nodes[2].sshd.freeze)
        for node, end in zip(nodes, ends, strict=False):
            died[node.name] = time.time()
            end()
        for name, at in died.items():
            lost = await seen.event("node.lost", node=name)
            took = seconds(lost["at"]) - at
            print(f"{name}: noticed after {took:.1f} s")
            assert took < NOTICED_S
        nodes[2].sshd.thaw()
        for node in nodes[:2]:
            node.link_up()
        await seen.ready()


async def test_a_node_restarts_under_its_work(ssh_fleet: SshFleet, state_dir: Path) -> None:
    nodes = three_nodes(ssh_fleet, own_pids=True)
    async with running(ssh_fleet, state_dir) as (_, seen):
        await seen.submit(COUNTER, service("stays", "{after: 5m}"))
        for name in ("counter", "stays"):
            await seen.state(name, "running")
        nodes[0].reboot()
        for name in ("counter", "stays"):
            await seen.event("attempt.ended", attempt=f"{seen.jobs[name]['id']}.0.1")
            await seen.event("attempt.started", attempt=f"{seen.jobs[name]['id']}.0.2")
            await seen.state(name, "running")
            first = seen.attempts(name)[0]
            assert (first["state"], first["why"], first["exit_code"]) == ("lost", "boot", None)
        assert len(mains(nodes)) == 2
        enough(nodes[0])
        assert (await seen.state("counter", "failed"))["exit_code"] == 5


# ── it is the core's own trouble ───────────────────────────────────────────────────────────────


async def test_half_of_the_nodes_at_once(ssh_fleet: SshFleet, state_dir: Path) -> None:
    nodes = ssh_fleet.add_many(("n1", "n2", "n3", "n4"))
    async with running(ssh_fleet, state_dir) as (core, seen):
        await seen.submit(
            "name: web\ntype: service\ncount: 4\nrun: exec sleep 9999\nworkdir: /\n"
            "resources: {cpus: 0.1}\ngrace: 1s\non_node_loss: {after: 5s}\n"
        )
        await seen.until(lambda: all(seen.running_on("web", index) for index in range(4)))
        places = [seen.running_on("web", index) for index in range(4)]
        assert set(places) == {"n1", "n2", "n3", "n4"}
        before = mains(nodes)

        await gone(*nodes[:2], seen=seen)
        paused = await seen.until(lambda: seen.fleet and seen.fleet["replacement_paused"])
        assert "half" in paused
        await asyncio.sleep(15)  # three times `after`: it doesn't run out, however long one waits
        assert mains(nodes) == before
        for node in nodes[:2]:
            node.link_up()
        await seen.ready()
        await seen.until(lambda: all(seen.running_on("web", index) for index in range(4)))
        assert [len(task["attempts"]) for task in seen.jobs["web"]["tasks"]] == [1, 1, 1, 1]
        assert mains(nodes) == before

        await gone(*nodes[:2], seen=seen)
        for name in ("n1", "n2"):
            assert (await core.run("declare-lost", name, "--yes")).status == 0
        count = [2 if place in ("n1", "n2") else 1 for place in places]
        await seen.until(lambda: [len(it["attempts"]) for it in seen.jobs["web"]["tasks"]] == count)


async def test_the_core_is_stopped_for_long(ssh_fleet: SshFleet, state_dir: Path) -> None:
    nodes = three_nodes(ssh_fleet, shared=True)
    async with running(ssh_fleet, state_dir) as (core, seen):
        await seen.submit(
            "name: web\ntype: service\ncount: 3\nrun: exec sleep 9999\nworkdir: /\n"
            "resources: {cpus: 0.1}\non_node_loss: {after: 30s}\n"
        )
        await seen.until(lambda: all(seen.running_on("web", index) for index in range(3)))
        before = mains(nodes)
        await gone(nodes[0], seen=seen)
        core.signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_S / 2)
        nodes[0].link_up()
        await asyncio.sleep(STOPPED_S / 2)
        core.signal(signal.SIGCONT)
        await seen.ready()
        await seen.until(lambda: all(seen.running_on("web", index) for index in range(3)))
        assert [len(task["attempts"]) for task in seen.jobs["web"]["tasks"]] == [1, 1, 1]
        assert mains(nodes) == before
