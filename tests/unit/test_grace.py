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
    Restart,
    Show,
    Source,
    Stop,
    Submit,
    Unstop,
)  # fmt: skip
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import AttemptState, Identity, JobState
from tests.unit.core_kit import Bench, ManualClock, bench, running, state_of
from tests.unit.fake_fleet import FakeNode

ANN = Identity("ann", 4242, ())
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


async def test_what_waits_in_the_grace_says_so(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        client = made.running.client()
        await made.submit(SLEEP.format(name="big").replace("cpus: 1", "cpus: 8"))
        (waits,) = await made.submit(SLEEP.format(name="waits"))
        before = (await client.call(Show(waits)))["reason"]
        await client.call(Stop((waits,), after_s=30))
        said = (await client.call(Show(waits)))["reason"]
        assert said.startswith("is to be stopped at 20")
        await client.call(Unstop((waits,)))
        assert (await client.call(Show(waits)))["reason"] == before


async def test_an_end_in_the_grace_is_its_own(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        job = await started(made, SLEEP.format(name="train"))
        await made.running.client().call(Stop((job,), after_s=30))
        nodes[0].end(f"{job}.0.1", 3)
        await made.until(lambda s: state_of(s, job) == "failed")
        assert made.snapshot.recent[job].reason == "exit 3"


async def test_a_replica_that_ends_in_the_grace_starts_again_when_the_stop_is_taken_back(
    tmp_path: Path,
) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        client = made.running.client()
        job = await started(made, SERVICE.format(name="api") + "restart: {delay: 0}\n")
        await client.call(Stop((job,), after_s=30))
        nodes[0].end(f"{job}.0.1", 1)
        await made.turn()
        assert state_of(made.snapshot, job) == "pending"
        await client.call(Unstop((job,)))
        await made.until(running(job))
        assert made.attempt(f"{job}.0.2").state is AttemptState.RUNNING


async def test_a_service_without_replicas_can_be_kept_in_the_grace(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        client = made.running.client()
        (job,) = await made.submit(SERVICE.format(name="api") + "count: 0\n")
        await client.call(Stop((job,), after_s=30))
        await made.turn()
        assert state_of(made.snapshot, job) == "pending"
        await client.call(Unstop((job,)))
        await client.call(Stop((job,), after_s=30))
        clock.advance(30)
        await made.turn()
        await made.until(lambda s: state_of(s, job) == "stopped")


async def test_a_deadline_in_the_grace_is_kept(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
        job = await started(made, SLEEP.format(name="train") + "deadline: 20s\n")
        await made.running.client().call(Stop((job,), after_s=600))
        clock.advance(21)
        await made.turn()
        await made.until(lambda s: state_of(s, job) == "stopped")
        assert "deadline" in made.snapshot.recent[job].reason


async def test_what_is_being_stopped_cannot_be_taken_back(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    nodes[0].ignores_stop = True
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        job = await started(made, SLEEP.format(name="train"))
        client = made.running.client()
        await client.call(Stop((job,)))
        await made.until(lambda s: s.attempts[f"{job}.0.1"].stop)
        with pytest.raises(CommandError, match="none to undo"):
            await client.call(Unstop((job,)))


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


async def test_no_two_services_live_under_one_name_by_a_restart(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        client = made.running.client()
        ended = []
        for _ in range(2):
            ended.append(await started(made, SERVICE.format(name="api")))
            await client.call(Stop((ended[-1],)))
            await made.until(lambda s: state_of(s, ended[-1]) == "stopped")
        with pytest.raises(CommandError, match="submitted anew"):
            await client.call(Restart(tuple(ended)))
        await client.call(Restart((ended[0],)))
        await made.until(running(ended[0]))
        with pytest.raises(CommandError, match=rf"submitted anew meanwhile \({ended[0]}\)"):
            await client.call(Restart((ended[1],)))
        await client.call(Stop((ended[0],), after_s=60))
        await client.call(Restart((ended[0],)))
        assert made.snapshot.jobs[ended[0]].stop is None, "a stop that waits is taken back"


async def test_a_restart_brings_no_more_jobs_to_life_than_the_quota_has(tmp_path: Path) -> None:
    _, nodes = fleet("n1")
    quotas = {"users": {"quotas": {ANN.user: {"jobs": 2}}}}
    inventory = Inventory.model_validate({"nodes": [{"host": "n1"}], **quotas})
    async with bench(tmp_path, inventory, *nodes, clock=ManualClock()) as made:
        desk = made.running.desk
        jobs = []
        for name in ("a", "b"):
            text = SLEEP.format(name=name)
            answer = await desk.call(Submit((Source("a", text),)), ANN)
            jobs.append(answer["jobs"][0]["id"])
        await desk.call(Stop(tuple(jobs)), ANN)
        await made.until(lambda s: {state_of(s, it) for it in jobs} == {"stopped"})
        await desk.call(Submit((Source("a", SLEEP.format(name="c")),)), ANN)
        with pytest.raises(CommandError, match="2 jobs of 2"):
            await desk.call(Restart(tuple(jobs)), ANN)
        await desk.call(Restart((jobs[0],)), ANN)
        assert jobs[0] in made.snapshot.jobs


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
    clock = ManualClock()
    async with bench(tmp_path, inventory, *nodes, clock=clock) as made:
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
        clock.advance(3600)
        await made.running.client().call(Release((second,)))
        (key,) = made.snapshot.by_job[second]
        assert made.snapshot.tasks[key].ready_at == clock.now().wall, "no hour of waiting"
        await made.until(running(second))


async def test_what_an_admin_holds_its_owner_cannot_release(tmp_path: Path) -> None:
    inventory, nodes = fleet("n1")
    async with bench(tmp_path, inventory, *nodes) as made:
        desk, admin = made.running.desk, made.running.client()
        answer = await desk.call(Submit((Source("a", SLEEP.format(name="train")),)), ANN)
        job = answer["jobs"][0]["id"]
        await desk.call(Hold((job,), why="bad data"), ANN)
        await desk.call(Release((job,)), ANN)
        await desk.call(Hold((job,), why="bad data"), ANN)
        await admin.call(Hold((job,), why="the disk is full"))
        await desk.call(Hold((job,), why="mine again"), ANN)
        with pytest.raises(CommandError, match="the disk is full; only an admin releases it") as no:
            await desk.call(Release((job,)), ANN)
        assert no.value.code == "permission"
        with pytest.raises(CommandError, match="only ann or an admin may"):
            await desk.call(Hold((job,)), Identity("eve", 4243, ()))
        await admin.call(Release((job,)))
        assert made.snapshot.jobs[job].hold is None


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
