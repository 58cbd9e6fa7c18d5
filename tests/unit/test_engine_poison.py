"""Turns that can't be written, and commands that wait while that is so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flextui.core import commands as c
from flextui.core.adapters.store import SqliteStore
from flextui.core.commands import CommandError
from flextui.core.events import AttemptReported, Exit, Record
from flextui.core.mailbox import Mailbox
from flextui.core.model.state import NodeStatus
from flextui.core.ports import Changes, StoreError
from flextui.core.reduce.fold import fold
from tests.unit.core_kit import bench, running, state_of
from tests.unit.fake_fleet import FakeNode, inventory

SLEEP = "name: {}\nrun: sleep\n"


async def test_a_command_that_no_database_can_hold_is_refused_and_its_company_goes_on(
    tmp_path: Path,
) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        client = made.running.client()
        answers = await asyncio.gather(
            made.submit(SLEEP.format("one")),
            client.call(c.Drain("n1", why="half a character: \ud800")),
            made.submit(SLEEP.format("two")),
            return_exceptions=True,
        )
        assert isinstance(answers[1], CommandError)
        assert "can't be stored" in answers[1].text
        for made_jobs in (answers[0], answers[2]):
            assert not isinstance(made_jobs, BaseException)
            await made.until(running(made_jobs[0]))
        assert made.snapshot.nodes["n1"].drain is None


async def test_a_fact_that_no_database_can_hold_is_left_out(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        one, two = await made.submit(f"{SLEEP.format('one')}---\n{SLEEP.format('two')}")
        await made.until(running(one))
        await made.until(running(two))
        huge = Record(f"{one}.0.1", "ended", exit=Exit(1 << 70, None, "exit"))
        node.push(AttemptReported("n1", huge))
        node.end(f"{two}.0.1", 0)
        await made.until(lambda s: state_of(s, two) == "succeeded")
        node.end(f"{one}.0.1", 3)
        await made.until(lambda s: state_of(s, one) == "failed")


class Gated(SqliteStore):
    """A store whose next commit waits at a gate and then fails."""

    gate: asyncio.Event | None = None
    reached: asyncio.Event
    full = False

    async def commit(self, changes: Changes) -> None:
        gate, Gated.gate = Gated.gate, None
        if gate is not None:
            Gated.reached.set()
            await gate.wait()
            Gated.full = True
        if Gated.full:
            raise StoreError("the disk is full")
        await super().commit(changes)


async def test_commands_that_wait_as_the_core_becomes_read_only_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.engine.RETRY_COMMIT_S", 0.02)
    monkeypatch.setattr("flextui.core.start.SqliteStore", Gated)
    monkeypatch.setattr(Gated, "full", False)
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit(SLEEP.format("work"))
        await made.until(running(job))
        Gated.reached = asyncio.Event()
        gate = Gated.gate = asyncio.Event()
        first = asyncio.ensure_future(made.submit(SLEEP.format("first")))
        await Gated.reached.wait()
        queued = asyncio.ensure_future(made.running.client().call(c.Stop((job,))))
        await asyncio.sleep(0)  # it is asked, and waits for the turn under way
        gate.set()
        for asked in (first, queued):
            with pytest.raises(CommandError, match="nothing was changed"):
                async with asyncio.timeout(10):
                    await asked
        monkeypatch.setattr(Gated, "full", False)
        watcher = made.running.engine.feed.join()
        async with asyncio.timeout(10):
            while made.running.engine.read_only:
                await watcher.changed()
        await made.turn()
        assert made.snapshot.jobs[job].stop is None
        assert node.stops == []
        assert len(made.snapshot.jobs) == 1


async def test_what_a_turn_had_no_time_for_is_folded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.engine.RETRY_COMMIT_S", 0.02)
    monkeypatch.setattr("flextui.core.start.SqliteStore", Gated)
    monkeypatch.setattr(Gated, "full", False)
    node = FakeNode("n1")
    seen: list[str] = []

    def counting(draft: Any, event: Any) -> None:
        if isinstance(event, AttemptReported):
            seen.append(event.record.attempt)
        fold(draft, event)

    async with bench(tmp_path, inventory("n1"), node) as made:
        ids = await made.submit("---\n".join(SLEEP.format(f"w{n}") for n in range(4)))
        for job in ids:
            await made.until(running(job))
        monkeypatch.setattr("flextui.core.engine.fold", counting)
        monkeypatch.setattr("flextui.core.engine.TURN_S", -1.0)  # one item a turn
        monkeypatch.setattr(Gated, "full", True)
        put_back: list[int] = []
        before = Mailbox.put_back
        monkeypatch.setattr(
            Mailbox,
            "put_back",
            lambda box, items: (put_back.append(len(items)), before(box, items))[1],
        )
        for job in ids:
            node.end(f"{job}.0.1", 1)
        await made.until(lambda s: all(it.exit_code == 1 for it in s.attempts.values()))
        assert put_back
        # each once, and the first once more: its turn was the one that failed to commit
        assert len(seen) == len(ids) + 1
        monkeypatch.setattr(Gated, "full", False)
        assert made.snapshot.nodes["n1"].status is NodeStatus.READY
