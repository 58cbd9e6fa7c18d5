"""kill -9, at random instants, of the core, of agents and of the sessions that carry them.

Thirty short jobs and three services run on three real sshd nodes meanwhile. In the end every job
has run exactly once and its exit status is right, every service is up as one process, and nothing
is left behind. FLEXTUI_TEST_KILLS says how many kills, FLEXTUI_TEST_SEED which instants.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from flextui.core.commands import Check, CommandError, Source, Submit
from flextui.core.model.docs import JobDoc
from flextui.core.socket_client import SocketClient
from tests.bench.nodes import SshFleet, SshNode
from tests.faults.work import (
    KILLS,
    SEED,
    SERVICES,
    ShortJob,
    agents,
    left_behind,
    log_of,
    ran_once,
    services_up,
    short_jobs,
    spawners,
    three_nodes,
    workload,
)
from tests.scenario.fleet import Twin, View, all_jobs, eventually, over, view

pytestmark = [pytest.mark.requires("sshd"), pytest.mark.timeout(120 + 30 * KILLS)]

HOMES = pytest.mark.parametrize("shared", [False, True], ids=["own-homes", "one-home"])
SETTLED_S = 180.0


async def settled(core: Twin, nodes: list[SshNode], jobs: list[ShortJob]) -> None:
    """Everything has come to its right end, and after a stop nothing is left on the nodes."""
    async with view(core) as seen:
        await seen.ready(within=SETTLED_S)
        await seen.until(
            lambda: all(it["state"] not in ("pending", "running") for it in batch(seen)), SETTLED_S
        )
        for service in ("web", "fenced"):
            await seen.state(service, "running")
        docs = {it["name"]: it for it in await all_jobs(seen.client)}
        for job in jobs:
            ran_once(nodes, job, docs[job.name])
        assert len(docs) == len(jobs) + 2, "a job was kept twice or never"
        for job in jobs[-30:]:
            assert await log_of(seen.client, job.name) == f"{job.name} speaks\n"
        for service in ("web", "fenced"):
            services_up(nodes, docs[service])
        assert len(workload(nodes)) == 3
        assert all(node["orphans"] == [] for node in seen.nodes.values())
    assert (await core.run("stop", "web", "fenced", "--yes", "--wait")).status == 0
    assert (await core.run("shutdown", "--yes")).status == 0
    await eventually(lambda: not left_behind(nodes), what="nothing is left on the nodes")


def batch(seen: View) -> list[JobDoc]:
    return [it for it in seen.jobs.values() if it["type"] == "batch"]


# ── the core ───────────────────────────────────────────────────────────────────────────────────


@HOMES
async def test_kill_of_the_core(ssh_fleet: SshFleet, state_dir: Path, shared: bool) -> None:
    rng = Random(SEED)
    nodes = three_nodes(ssh_fleet, shared=shared)
    async with over(ssh_fleet, state_dir) as core:
        done: list[ShortJob] = []
        await hand_in(core, [SERVICES])
        killed = 0
        while killed < KILLS:
            fresh = short_jobs(rng, f"r{killed}")
            done += fresh
            killed += await through_kills(core, rng, fresh, KILLS - killed)
        await core.start()
        await settled(core, nodes, done)


async def hand_in(core: Twin, specs: list[str]) -> None:
    client = await core.client()
    await client.call(Submit(tuple(Source("test.yaml", it) for it in specs)))
    await client.close()


async def through_kills(core: Twin, rng: Random, jobs: list[ShortJob], most: int) -> int:
    """Submit these jobs and see them end while the core is killed again and again; how often.

    Whoever submits doesn't know whether a submission that broke off was kept: he looks.
    """
    if core.running:
        await core.kill()
    todo = list(jobs)
    killed = 0
    left = len(jobs)
    while left and killed < most:
        await core.spawn()
        if rng.random() < 0.2:  # while it starts
            await asyncio.sleep(rng.uniform(0, 1))
        else:
            await core.ready()
            life = asyncio.create_task(live_through(core, todo, jobs))
            await asyncio.wait([life], timeout=rng.uniform(0, 2))
            await core.kill()
            left = await life
        if core.running:
            await core.kill()
        killed += 1
    await core.start()
    await live_through(core, todo, jobs, until=lambda _: not todo)
    await core.kill()
    return killed


async def live_through(
    core: Twin,
    todo: list[ShortJob],
    jobs: list[ShortJob],
    until: Callable[[int], bool] = lambda left: left == 0,
) -> int:
    """Submit what is left, one by one, and watch until `until` (jobs left) or the core's death."""
    left = len(jobs)
    names = {job.name for job in jobs}
    with contextlib.suppress(ConnectionError, CommandError):
        client = await core.client()
        try:
            known = {it["name"] for it in await all_jobs(client)}
            todo[:] = [job for job in todo if job.name not in known]
            while todo:
                await client.call(Submit((Source("test.yaml", todo[0].spec),)))
                todo.pop(0)
            async for _ in client.watch():
                docs = [it for it in await all_jobs(client) if it["name"] in names]
                left = len(jobs) - sum(it["ended_at"] is not None for it in docs)
                if until(left):
                    break
        finally:
            await client.close()
    return left


# ── what is on the nodes ───────────────────────────────────────────────────────────────────────


def kill_agent(node: SshNode, rng: Random) -> bool:
    """kill -9 of a node's agent, now and then of the process it forks by."""
    victims = spawners(node) if rng.random() < 0.2 else agents(node)
    for process in victims:
        process.signal()
    return bool(victims)


def kill_sessions(node: SshNode, rng: Random) -> bool:
    return node.sshd.kill_sessions() > 0


@HOMES
@pytest.mark.parametrize("strike", [kill_agent, kill_sessions])
async def test_kill_on_the_nodes(
    ssh_fleet: SshFleet,
    state_dir: Path,
    strike: Callable[[SshNode, Random], bool],
    shared: bool,
) -> None:
    rng = Random(SEED)
    nodes = three_nodes(ssh_fleet, shared=shared)
    async with over(ssh_fleet, state_dir) as core:
        done: list[ShortJob] = []
        async with view(core) as seen:
            await seen.ready()
            await seen.submit(SERVICES)
            killed = 0
            while killed < KILLS:
                fresh = short_jobs(rng, f"r{killed}")
                done += fresh
                await seen.submit(*(job.spec for job in fresh))
                while killed < KILLS and unfinished(seen, fresh):
                    await asyncio.sleep(rng.uniform(0, 0.6))
                    node = rng.choice(nodes)
                    if strike(node, rng):
                        killed += 1
                    await look_again(seen.client, node)
        await settled(core, nodes, done)


def unfinished(seen: View, jobs: list[ShortJob]) -> bool:
    docs = [seen.jobs.get(job.name) for job in jobs]
    return not all(doc is not None and doc["ended_at"] is not None for doc in docs)


async def look_again(client: SocketClient, node: SshNode) -> None:
    """`flextui check` has the core try a node at once, whatever it waited for."""
    await client.call(Check((node.name,)))


# ── the homes go away ──────────────────────────────────────────────────────────────────────────


@HOMES
async def test_home_is_hidden_in_the_middle_of_a_run(
    ssh_fleet: SshFleet, state_dir: Path, shared: bool
) -> None:
    """As when a file server is away: the state folder is there again, or nothing is concluded."""
    jobs = short_jobs(Random(SEED), "r")
    nodes = three_nodes(ssh_fleet, shared=shared)
    async with over(ssh_fleet, state_dir) as core:
        async with view(core) as seen:
            await seen.ready()
            await seen.submit(SERVICES, *(job.spec for job in jobs))
            await seen.until(lambda: sum(not unfinished(seen, [job]) for job in jobs) >= 5)
            for node in nodes:
                node.hide_home()
            assert unfinished(seen, jobs)
            nodes[0].sshd.kill_sessions()
            missing = await seen.event("node.unreachable", node="n1")
            assert "state folder" in missing["text"]
            # What ran at that moment ends; nobody can be told of it yet.
            short = {it["id"] for it in batch(seen)}
            await eventually(lambda: not running_jobs(nodes[:1]) & short)
        await core.kill()
        await core.start()
        async with view(core) as seen:
            for node in nodes:
                missing = await seen.event("node.unreachable", node=node.name)
                assert "state folder" in missing["text"]
            for node in nodes:
                node.show_home()
                await look_again(seen.client, node)
        await settled(core, nodes, jobs)


def running_jobs(nodes: list[SshNode]) -> set[str]:
    return {process.environment.get("FLEXTUI_JOB", "") for process in workload(nodes)}
