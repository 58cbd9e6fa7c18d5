"""The contract of `Client`, held by both kinds and under both task factories."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flextui.core import commands as c
from flextui.core.client import Client
from flextui.core.commands import CommandError, LogRequest, Source
from flextui.core.model.docs import Delta
from flextui.core.socket_client import SocketClient
from tests.unit.core_kit import WITHIN_S, Bench, bench, run_with
from tests.unit.fake_fleet import FakeNode, gpu, inventory

KINDS = ("embedded", "socket")
EAGER = (False, True)

JOB = "name: {name}\nrun: {run}\n"


@contextlib.asynccontextmanager
async def client_of(kind: str, made: Bench) -> AsyncIterator[Client]:
    if kind == "embedded":
        yield made.running.client()
        return
    client = await SocketClient.connect(made.running.server.path)
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def setting(kind: str, folder: Path) -> AsyncIterator[tuple[Bench, Client]]:
    node = FakeNode("n1", gpus=(gpu("GPU-a"),))
    async with bench(folder, inventory("n1"), node) as made, client_of(kind, made) as client:
        yield made, client


class View:
    """What a screen keeps of a watch."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.fleet: Any = None

    def apply(self, delta: Delta) -> None:
        if delta["full"]:
            self.jobs.clear()
            self.nodes.clear()
        for mine, theirs in ((self.jobs, delta["jobs"]), (self.nodes, delta["nodes"])):
            for key, doc in theirs.items():
                if doc is None:
                    mine.pop(key, None)
                else:
                    mine[key] = doc
        self.fleet = delta["fleet"]


def source(run: str = "exit 0", name: str = "work") -> tuple[Source, ...]:
    return (Source("work.yaml", JOB.format(name=name, run=run)),)


async def submit_and_watch(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (_, client):
        assert client.info.admin
        answer = await client.call(c.Submit(source()))
        (job,) = answer["jobs"]
        assert job["name"] == "work"
        assert job["revision"] == 1
        view = View()
        async with asyncio.timeout(WITHIN_S), contextlib.aclosing(client.watch()) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                view.apply(delta)
                if view.jobs.get(job["id"], {}).get("state") == "succeeded":
                    break
        (task,) = view.jobs[job["id"]]["tasks"]
        assert task["attempts"][0]["exit_code"] == 0
        assert view.nodes["n1"]["gpus"][0]["uuid"] == "GPU-a"
        assert view.fleet["fleet"] == "test"
        shown = await client.call(c.Show(job["id"]))
        assert shown["spec"]["run"] == "exit 0"
        listed = await client.call(c.ListJobs())
        assert [it["id"] for it in listed["jobs"]] == [job["id"]]


async def errors(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (_, client):
        with pytest.raises(CommandError) as wrong:
            await client.call(c.Submit((Source("bad.yaml", "name: x\nrum: true\n"),)))
        assert wrong.value.code == "input"
        assert wrong.value.problems[0]["line"] == 2
        assert "bad.yaml:2" in wrong.value.text
        await client.call(c.Submit(source("sleep", "training")))
        with pytest.raises(CommandError) as missing:
            await client.call(c.Stop(("trainin",)))
        assert missing.value.code == "input"
        assert missing.value.candidates == ("training",)
        with pytest.raises(CommandError) as scaled:
            await client.call(c.Scale("training", 3))
        assert scaled.value.code == "input"


async def every_query(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (made, client):
        await client.call(c.Submit(source("sleep", "big") + source("exit 0", "small")))
        await made.until(lambda s: s.recent)
        why = await client.call(c.Why("big"))
        assert why["job"]["name"] == "big"
        assert why["tasks"][0]["state"] in ("pending", "running")
        plan = await client.call(c.Plan(source("true", "later")))
        assert plan["jobs"][0]["tasks"][0]["node"] == "n1"
        nodes = await client.call(c.ListNodes())
        assert nodes["nodes"][0]["name"] == "n1"
        assert nodes["fleet"]["running"] + nodes["fleet"]["pending"] == 1
        checks = await client.call(c.Check())
        assert checks["checks"][0]["node"] == "n1"
        events = await client.call(c.ListEvents())
        assert "job.submitted" in {it["kind"] for it in events["events"]}
        me = await client.call(c.WhoAmI())
        assert me["admin"] is True


async def stop_and_follow(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (made, client):
        (job,) = (await client.call(c.Submit(source("sleep", "long"))))["jobs"]
        await made.until(lambda s: s.attempts and s.attempts[f"{job['id']}.0.1"].started_at)
        made.fleet["n1"].logs[f"{job['id']}.0.1"] = "hello\n"
        told: list[str] = []

        async def follow() -> None:
            async for event in client.logs(LogRequest("long", follow=True)):
                told.append(event["text"])

        following = asyncio.ensure_future(follow())
        answer = await client.call(c.Stop(("long",), why="enough"))
        assert answer["jobs"][0]["id"] == job["id"]
        async with asyncio.timeout(WITHIN_S):
            await following
        assert "hello\n" in told
        doc = await client.call(c.Show("long"))
        assert doc["state"] == "stopped"
        assert doc["reason"] == "enough"


async def follow_events(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (made, client):
        await client.call(c.Submit(source()))
        await made.until(lambda s: s.recent)
        kinds = []
        async with asyncio.timeout(WITHIN_S), contextlib.aclosing(client.events(after=0)) as events:  # type: ignore[type-var]
            async for event in events:
                kinds.append(event["kind"])
                if event["kind"] == "job.succeeded":
                    break
        assert kinds.index("job.submitted") < kinds.index("attempt.ended")


async def the_core_goes_away(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (made, client):

        async def watch() -> None:
            async for _ in client.watch():
                began.set()

        began = asyncio.Event()
        watching = asyncio.ensure_future(watch())
        await began.wait()
        await made.stop()
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(ConnectionError):
                await watching
            with pytest.raises((ConnectionError, CommandError)):
                await client.call(c.Submit(source()))


async def shut_down(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (made, client):
        assert await client.call(c.Shutdown()) == {}
        assert made.running.ended.is_set()


async def a_batch_and_a_service_again(kind: str, folder: Path) -> None:
    async with setting(kind, folder) as (_, client):
        first = (await client.call(c.Submit(source("sleep"))))["jobs"][0]
        second = (await client.call(c.Submit(source("sleep"))))["jobs"][0]
        assert first["id"] != second["id"], "a batch job gets a new run"
        text = "name: web\ntype: service\nrun: {}\n"
        one = (await client.call(c.Submit((Source("w", text.format("sleep")),))))["jobs"][0]
        two = (await client.call(c.Submit((Source("w", text.format("sleep 2")),))))["jobs"][0]
        same = (await client.call(c.Submit((Source("w", text.format("sleep 2")),))))["jobs"][0]
        assert (two["id"], two["revision"]) == (one["id"], 2)
        assert two["diff"] == [
            {"field": "run", "old": "sleep", "new": "sleep 2", "effect": "restart"}
        ]
        assert (same["revision"], same["action"]) == (2, "unchanged")


@pytest.mark.parametrize("eager", EAGER, ids=("default", "eager"))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "scene",
    [
        submit_and_watch,
        errors,
        every_query,
        stop_and_follow,
        follow_events,
        the_core_goes_away,
        shut_down,
        a_batch_and_a_service_again,
    ],
    ids=lambda it: it.__name__,
)
def test_contract(scene: Any, kind: str, eager: bool, tmp_path: Path) -> None:
    run_with(eager, scene(kind, tmp_path))
