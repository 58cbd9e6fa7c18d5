"""Stops and drains that are done a while later, and can be taken back till then; holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flextui.core.commands import (
    CommandError,
    Drain,
    Hold,
    Release,
    Show,
    Source,
    Stop,
    Submit,
    Unstop,
)  # fmt: skip
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import AttemptState, JobState
from tests.unit.core_kit import Bench, ManualClock, bench, running, state_of
from tests.unit.fake_fleet import FakeNode

SLEEP = "name: {name}\nrun: sleep 1000\nresources: {{cpus: 1}}\n"
SERVICE = SLEEP + "type: service\n"


def fleet(*names: str) -> tuple[Inventory, list[FakeNode]]:
    inventory = Inventory.model_validate({"nodes": [{"host": it} for it in names]})
    return inventory, [FakeNode(it) for it in names]


async def started(made: Bench, text: str) -> str:
    (job,) = await made.submit(text)
    await made.until(running(job))
    return job


async def test_a_stop_waits_and_is_taken_back(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        job = await started(made, SLEEP.format(name="train"))
        client = made.running.client()
        await client.call(Stop((job,), after_s=10))
        doc = await client.call(Show(job))
        assert doc["stops_at"] is not None
        clock.advance(9)
        await made.turn()
        assert made.attempt(f"{job}.0.1").stop is None
        await client.call(Unstop((job,)))
        assert (await client.call(Show(job)))["stops_at"] is None
        clock.advance(60)
        await made.turn()
        assert made.attempt(f"{job}.0.1").state is AttemptState.RUNNING
        with pytest.raises(CommandError, match="none to undo"):
            await client.call(Unstop((job,)))


async def test_a_stop_is_done_when_its_time_has_come(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        job = await started(made, SLEEP.format(name="train"))
        client = made.running.client()
        await client.call(Stop((job,), after_s=10))
        clock.advance(10)
        await made.turn()
        await made.until(lambda s: state_of(s, job) == "stopped")
        with pytest.raises(CommandError, match="none to undo"):
            await client.call(Unstop((job,)))


async def test_a_core_that_dies_in_the_grace_stops_it_all_the_same(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        job = await started(made, SLEEP.format(name="train"))
        await made.running.client().call(Stop((job,), after_s=10))
        await made.stop()
        clock.advance(60)
        await made.start()
        await made.until(lambda s: state_of(s, job) == "stopped")


async def test_what_waits_does_not_start_in_the_grace(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        client = made.running.client()
        big = SLEEP.format(name="first").replace("cpus: 1", "cpus: 7")
        first = await started(made, big)
        (second,) = await made.submit(big.replace("first", "second"))
        await client.call(Stop((second,), after_s=30))
        await client.call(Stop((first,)))
        await made.until(lambda s: state_of(s, first) == "stopped")
        assert state_of(made.snapshot, second) == "pending"
        await client.call(Unstop((second,)))
        await made.until(running(second))


async def test_a_sooner_stop_goes_before_a_later_one(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        job = await started(made, SLEEP.format(name="train"))
        client = made.running.client()
        await client.call(Stop((job,), after_s=600))
        await client.call(Stop((job,)))
        await made.until(lambda s: state_of(s, job) == "stopped")


@pytest.mark.parametrize("after", [-1.0, 4000.0, float("nan")])
async def test_no_stop_is_put_off_for_long(tmp_path: Path, after: float) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        job = await started(made, SLEEP.format(name="train"))
        with pytest.raises(CommandError, match="expected 0 to 3600"):
            await made.running.client().call(Stop((job,), after_s=after))


async def test_a_service_that_was_submitted_anew_keeps_its_name(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        client = made.running.client()
        old = await started(made, SERVICE.format(name="api"))
        await client.call(Stop((old,), after_s=60))
        await client.call(Submit((Source("a", SERVICE.format(name="api")),)))
        with pytest.raises(CommandError, match="submitted anew"):
            await client.call(Unstop((old,)))


async def test_services_leave_a_drained_node_when_the_time_has_come(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1", "n2")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        client = made.running.client()
        job = await started(made, SERVICE.format(name="api"))
        here = made.attempt(f"{job}.0.1").node
        await client.call(Drain(here, after_s=10))
        await made.turn()
        assert made.attempt(f"{job}.0.1").stop is None
        clock.advance(10)
        await made.turn()
        await made.until(lambda s: moved(s, job, here))


def moved(snapshot: Any, job: str, away_from: str) -> bool:
    later = snapshot.attempts.get(f"{job}.0.2")
    return later is not None and later.node != away_from


async def test_undrained_in_time_nothing_moves(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1", "n2")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        client = made.running.client()
        job = await started(made, SERVICE.format(name="api"))
        here = made.attempt(f"{job}.0.1").node
        await client.call(Drain(here, after_s=10))
        await client.call(Drain(here, on=False))
        clock.advance(60)
        await made.turn()
        assert made.attempt(f"{job}.0.1").state is AttemptState.RUNNING


# ── holds ──


async def test_what_is_held_does_not_start_until_it_is_released(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes) as made:
        client = made.running.client()
        big = SLEEP.format(name="first").replace("cpus: 1", "cpus: 7")
        first = await started(made, big)
        (second,) = await made.submit(big.replace("first", "second"))
        await client.call(Hold((second,), why="no data yet"))
        await client.call(Stop((first,)))
        await made.until(lambda s: state_of(s, first) == "stopped")
        doc = await client.call(Show(second))
        assert (doc["state"], doc["held"]) == ("pending", made.running.info.user)
        assert doc["reason"] == f"held by {made.running.info.user}: no data yet"
        await made.stop()
        await made.start()
        assert made.snapshot.jobs[second].hold is not None, "it outlives the core"
        await made.running.client().call(Release((second,)))
        await made.until(running(second))


async def test_what_runs_goes_on_while_it_is_held(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes) as made:
        job = await started(made, SLEEP.format(name="train"))
        client = made.running.client()
        await client.call(Hold((job,)))
        await made.turn()
        assert made.snapshot.jobs[job].state is JobState.RUNNING
        await client.call(Stop((job,)))
        await made.until(lambda s: state_of(s, job) == "stopped")
        with pytest.raises(CommandError, match="has ended"):
            await client.call(Hold((job,)))
