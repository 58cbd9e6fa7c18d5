"""A memo spares work and changes no answer, whatever became of the passes before."""

from __future__ import annotations

from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.plan import plan
from tests.unit.world import World, node


def test_a_placement_that_wasnt_carried_out_is_decided_again() -> None:
    world = World(node("box", cpus=1, gpus=1))
    world.submit("job", resources={"gpus": 1})
    memo = Memo()
    first = plan(world.snapshot(), world.now, memo)
    assert [it.node for it in first.placements] == ["box"]
    assert plan(world.snapshot(), world.now, memo) == first


def test_a_node_isnt_kept_for_a_job_that_is_gone() -> None:
    world = World(node("box", cpus=4))
    world.submit("now", resources={"cpus": 3})
    world.run()
    world.submit("big", resources={"cpus": 4})
    world.submit("small")
    memo = Memo()
    assert not plan(world.snapshot(), world.now, memo).placements
    world.stop("big")
    (placement,) = plan(world.snapshot(), world.now, memo).placements
    assert placement.task.job == world.job("small").id


def test_a_changed_node_is_seen_anew() -> None:
    world = World(node("box"))
    world.drain("box")
    world.submit("job")
    memo = Memo()
    assert not plan(world.snapshot(), world.now, memo).placements
    world.drain("box", on=False)
    assert plan(world.snapshot(), world.now, memo).placements


def test_a_changed_job_is_seen_anew() -> None:
    world = World(node("box", cpus=1))
    world.submit("first")
    world.submit("second")
    world.settle()
    memo = Memo()
    plan(world.snapshot(), world.now, memo)
    world.stop("second")
    decision = plan(world.snapshot(), world.now, memo)
    assert [(it.name, str(it.state)) for it in decision.jobs] == [("second", "stopped")]


def test_jobs_that_are_gone_are_forgotten() -> None:
    world = World(node("box"))
    memo = Memo()
    for index in range(1500):
        world.submit(f"job{index}", resources={"cpus": 100})
    plan(world.snapshot(), world.now, memo)
    world.settle()
    plan(world.snapshot(), world.now, memo)
    assert len(memo.queue) == 1500
    world.jobs.clear()
    world.tasks.clear()
    plan(world.snapshot(), world.now, memo)
    assert not memo.queue.lanes
