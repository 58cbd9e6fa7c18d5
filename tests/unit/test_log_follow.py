"""Following a job: over a link that breaks, and at no cost for tasks that have nothing to say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flextui.core import logs
from flextui.core.commands import LogRequest, Stop
from flextui.core.model.docs import LogEvent
from flextui.core.ports import TailRequest
from tests.unit.core_kit import Bench, bench, running
from tests.unit.fake_fleet import FakeNode, inventory

SERVICE = "name: work\nrun: sleep\ntype: service\ncount: {}\nresources: {{cpus: 8}}\n"


@contextlib.asynccontextmanager
async def followed(made: Bench, job: str) -> AsyncIterator[asyncio.Queue[str]]:
    """The texts that following a job tells; "end" is its end."""
    told: asyncio.Queue[str] = asyncio.Queue()

    async def follow() -> None:
        async for event in made.running.client().logs(LogRequest(job, follow=True)):
            await told.put(event["text"])
        await told.put("end")

    async with asyncio.timeout(10):
        task = asyncio.create_task(follow())
        try:
            yield told
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_link_that_broke_is_read_on_from_once_it_is_back(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FakeNode("n1")
    async with bench(state_dir, inventory("n1"), node) as made:
        (job,) = await made.submit(SERVICE.format(1))
        await made.until(running(job))
        asked: list[TailRequest] = []

        async def tail(ask: TailRequest) -> AsyncIterator[LogEvent]:
            asked.append(ask)
            at = (ask.start or {}).get("out", 0)
            text = f"part {len(asked)}"
            yield {"kind": "data", "attempt": ask.attempt, "node": "n1", "stream": "out",
                   "at": at, "to": at + len(text), "text": text}  # fmt: skip
            if len(asked) < 3:
                raise ConnectionError("the link broke")

        monkeypatch.setattr(made.running.engine.sessions["n1"], "tail", tail)
        async with followed(made, job) as told:
            assert await told.get() == "part 1"
            node.connect()
            assert await told.get() == "part 2"
            node.connect()
            assert await told.get() == "part 3"
            assert asked[2].start == {"out": 12, "err": 0}
            await made.running.client().call(Stop((job,)))
            assert await told.get() == "end"


async def test_thousands_of_waiting_tasks_cost_nothing_while_nodes_tell_how_they_are(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    look = logs._Follower._attempt

    def counted(self: logs._Follower) -> object:
        looked.append(self)
        return look(self)

    node = FakeNode("n1", logs={"j1.0.1": "hello"})
    async with bench(state_dir, inventory("n1"), node) as made:
        (job,) = await made.submit(SERVICE.format(300))
        await made.until(running(job))
        monkeypatch.setattr(logs._Follower, "_attempt", counted)
        watching = len(made.running.engine.feed)
        async with followed(made, job) as told:
            assert await told.get() == "hello"
            assert len(made.running.engine.feed) == watching + 1
            await made.turn()
            looked.clear()
            for _ in range(5):
                node.sample()
                await made.turn()
            assert len(looked) < 50


async def test_the_end_of_the_core_is_the_end_of_following(state_dir: Path) -> None:
    async with bench(state_dir, inventory("n1"), FakeNode("n1")) as made:
        (job,) = await made.submit(SERVICE.format(2))
        await made.until(running(job))
        async with followed(made, job) as told:
            while await told.get() != "":
                pass
            await made.stop()
            assert await told.get() == "end"
            await made.start()
