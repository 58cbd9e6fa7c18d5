"""Following a job: over a link that breaks, and at no cost for tasks that have nothing to say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from flextui.core import logs
from flextui.core.commands import LogRequest, Stop
from flextui.core.feed import Feed
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

    monkeypatch.setattr(logs._Follower, "_attempt", counted)
    async with bench(state_dir, inventory("n1"), FakeNode("n1")) as made:
        (job,) = await made.submit(SERVICE.format(300))
        snapshot = await made.until(running(job))
        engine = made.running.engine
        still = SimpleNamespace(snapshot=snapshot, sessions=engine.sessions, feed=Feed())
        keys = list(snapshot.by_job[job])
        request = LogRequest(job, follow=True)
        async with contextlib.aclosing(logs._follow_all(still, keys, request)) as told:  # type: ignore[arg-type]
            assert (await anext(told))["kind"] == "eof"
            assert (len(looked) >= 300, len(still.feed)) == (True, 1)
            looked.clear()
            for _ in range(20):
                still.feed.publish((), ("n1",))
                for _ in range(5):
                    await asyncio.sleep(0)
            assert 1 <= len(looked) <= 20, "the one that runs there"
        assert len(still.feed) == 0


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
