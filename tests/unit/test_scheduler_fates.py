"""What becomes of jobs that are held, cut short, kept apart or told why they wait, where two of
these meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flextui.core.model.inventory import Reservation
from flextui.core.model.state import Account, JobState, Mark, NodeStatus, Sample, StopRequest
from flextui.core.model.times import iso
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.placing import FRONT
from flextui.core.scheduler.plan import drained, place_steps, plan
from flextui.core.scheduler.timeline import Slot, hard_end
from tests.unit.draft_kit import Book, shared
from tests.unit.world import GIB, World, node, process

SOON: dict[str, Any] = {"then": "reschedule", "after": "60s"}


def hold(world: World, name: str) -> None:
    job = world.job(name)
    world.jobs[job.id] = replace(job, hold=Mark("alice", world.now.wall, ""))


def test_what_is_held_isnt_started_anew_where_its_node_is_lost() -> None:
    world = World(node("n1"), node("n2"), node("n3"))
    world.submit("train", on_node_loss=SOON, where={"node": ["n1", "n2"]})
    world.run()
    here = world.where("train")
    assert here is not None
    hold(world, "train")
    world.silence(here)
    world.step()
    world.step(100)
    world.settle()
    assert world.where("train") is None
    assert world.task("train").reason_code == "held"


def test_a_rank_says_that_it_waits_for_the_others_to_end() -> None:
    world = World(node("n1"), node("n2"), node("n3"))
    restart = {"on": "failure", "attempts": 3, "delay": 5}
    world.submit("gang", nodes=2, restart=restart)
    world.run()
    first, other = world.live("gang", 0), world.live("gang", 1)
    assert first is not None
    assert other is not None
    world.silence(other.node)
    world.step()
    world.end(first.id, code=1)
    world.settle()
    world.step(10)
    world.settle()
    task = world.task("gang", 0)
    assert task.state is JobState.PENDING
    assert "waits for the others of its gang to end" in task.reason
    assert world.task("gang", 1).reason == f"waits for {other.node}: no answer"


def test_nobody_is_let_in_beside_whom_a_kept_place_would_be_of_no_use() -> None:
    """A gang made others go that it keeps apart from: they mustn't come back before it starts."""
    world = World(node("n1"), node("n2"), policy={"preemption": True})
    world.submit("every", type="system", priority=10, preempt="restart")
    world.run()
    world.submit("gang", nodes=2, priority=90, where={"apart": ["every"]})
    world.settle()
    stopped = [it.id for it in world.attempts.values() if it.stop is not None]
    assert len(stopped) == 2
    world.end(stopped[0], code=143, why="stopped")
    world.settle()
    assert world.live("every", 0) is None, "it came back"
    world.run()
    assert world.live("gang", 0)
    assert world.live("gang", 1)


def test_all_are_told_anew_when_a_window_begins() -> None:
    """More wait than are told in full, and most nodes haven't changed."""
    world = World(node("n1", gpus=1), node("n2", gpus=1))
    world.use_gpu("n1", 0, process("carol", 10))
    world.drain("n2")
    for index in range(25):
        world.submit(f"job{index}", resources={"gpus": 1, "cpus": 1 + index % 5})
    memo = Memo()
    plan(world.snapshot(), world.now, memo)
    world.step()
    start = world.now.wall + 100
    world.reservations["exam"] = Reservation.model_validate(
        {"name": "exam", "for": ["eve"], "nodes": ["n2"], "from": iso(start), "to": 3600}
    )
    for seconds in (0, 150):
        world.now = world.now._replace(wall=world.now.wall + seconds)
        snapshot = world.snapshot()
        assert plan(snapshot, world.now, memo) == plan(snapshot, world.now)
        world.step()


def test_who_has_a_gpu_is_told_by_name_however_it_was_tried() -> None:
    world = World(shared("n1"))
    memo = Memo()
    world.submit("half", resources={"gpu_share": 0.5, "cpus": 1})
    world.submit("gang", nodes=2, resources={"gpu_share": 0.3, "cpus": 1})
    world.submit("whole", resources={"gpus": 1, "cpus": 1})
    plan(world.snapshot(), world.now, memo)
    world.step()
    assert "alice/half" in world.task("whole").reason


def test_a_limit_that_an_attempt_wasnt_started_with_promises_nothing() -> None:
    world = World(node("box"))
    world.submit("svc", type="service")
    world.run()
    attempt = world.live("svc")
    assert attempt is not None
    world.submit("svc", type="service", time_limit=60)
    assert hard_end(world.job("svc"), attempt) == float("inf")


def test_a_new_revision_tells_the_scheduler_of_the_nodes_that_it_runs_on() -> None:
    """By when they are free there follows from it."""
    book = Book()
    job = book.submit("svc")
    book.start(job)
    before = book.later(1)
    book.draft.put_job(replace(book.draft.jobs[job.id], revision=2))
    after = book.later(1)
    assert after.journal is not None
    told = after.journal.between(before.mark, after.mark)
    assert told is not None
    assert told.nodes == {"n1"}


@pytest.mark.parametrize("backfill", ["off", "easy", "conservative"])
def test_what_is_free_when_a_stop_is_done_is_known_at_once(backfill: str) -> None:
    """A pass that stops somebody decides as one that has just begun, whatever it knew before."""
    world = World(node("box", cpus=4), policy={"backfill": backfill})
    world.submit("old", resources={"cpus": 3}, grace=0)
    world.run()
    world.submit("big", resources={"cpus": 3}, priority=90)
    memo = Memo()
    plan(world.snapshot(), world.now, memo)
    world.step()
    world.submit("small", resources={"cpus": 1})
    plan(world.snapshot(), world.now, memo)
    world.step()
    world.stop("old")
    snapshot = world.snapshot()
    assert plan(snapshot, world.now, memo) == plan(snapshot, world.now)


def test_what_waits_for_a_node_to_answer_starts_when_it_does() -> None:
    world = World(node("near", gpus=1), node("far", gpus=2))
    world.change("far", status=NodeStatus.CONNECTING, facts=None, sampled=False, gpus=())
    world.submit("job", resources={"gpus": 2})
    world.settle()
    expected = world.why("job").expected
    assert expected is not None
    assert (expected.sureness, expected.text) == ("unknown", "when far answers")


def late(world: World, *names: str) -> None:
    """These jobs have waited for a day and more."""
    for name in names:
        job = world.job(name)
        world.jobs[job.id] = replace(job, submitted_at=job.submitted_at - 90_000)
        for key, task in list(world.tasks.items()):
            if key.job == job.id:
                world.tasks[key] = replace(task, ready_at=task.ready_at - 90_000)


def crowded(*old: str, **fields: Any) -> World:
    """A fleet where `old` waits for longer than `longest_wait`, and shorter ones stand ahead."""
    boxes = [node(f"n{at}", gpus=4) for at in range(2)]
    world = World(*boxes, policy={"queue": "shortest", "longest_wait": "24h", "preemption": True})
    limits: dict[str, Any] = {"time_limit": "90d", "preempt": "resume", "resources": {"gpus": 1}}
    for at in range(8):
        world.submit(f"runs{at}", type="service", resources={"gpus": 1})
    world.run()
    for name in old:
        world.submit(name, **{**limits, **fields.get(name, {})})
    world.settle()
    late(world, *old, *(f"runs{at}" for at in range(8)))
    for at in range(8):
        world.submit(f"short{at}", **{**limits, "time_limit": "1h"})
    world.settle()
    return world


def test_a_gang_whose_turn_it_is_doesnt_take_that_of_the_next() -> None:
    world = crowded("gang", "next", gang={"nodes": 2, "resources": {"gpus": 1}})
    gone = [world.live(f"runs{at}") for at in range(8)]
    for attempt in [it for it in gone if it is not None and it.node == "n0"][:2]:
        world.stop(world.jobs[attempt.task.job].name)
    world.run()
    assert world.where("next") == "n0", "a shorter one went first"


def test_who_is_held_takes_nobodys_turn() -> None:
    world = crowded("held", "next")
    hold(world, "held")
    world.settle()
    world.stop("runs0")
    world.run()
    assert world.where("next") is not None, "a shorter one went first"


def test_a_share_by_its_memory_holds_what_it_has_of_the_device_when_others_want_its_place() -> None:
    """Who would be behind again as soon as that is given back makes nobody go."""
    box = shared("n1", model="NVIDIA L4", gpu_memory=24)
    world = World(box, policy={"queue": "fair-share", "preemption": True})
    part = {"gpu_share": 20 * GIB, "cpus": 1}
    world.accounts["", "ben"] = Account("", "ben", used=8000.0, at=world.now.wall)
    world.submit("first", "ann", resources=part, priority=10, preempt="restart")
    world.run()
    world.submit("other", "ben", resources=part, priority=50)
    world.run()
    assert world.where("first") == "n1"
    assert world.task("first").attempts == 1


def test_a_start_is_foreseen_where_somebody_without_a_limit_is_made_to_go_for_it() -> None:
    world = World(node("n1", cpus=4), node("n2", cpus=4), policy={"preemption": True})
    world.submit("endless", resources={"cpus": 4}, priority=10, preempt="restart")
    world.run()
    other = "n2" if world.where("endless") == "n1" else "n1"
    world.change(other, cordon=Mark("ann", 0.0, ""))
    world.submit("soon", resources={"cpus": 4}, priority=90, begin=600)
    world.submit("last", resources={"cpus": 4}, priority=10)
    world.settle()
    expected = world.why("soon").expected
    assert expected is not None
    assert expected.at is not None
    assert expected.sureness == "likely"


def test_a_window_is_heeded_where_telemetry_alone_has_changed_a_node() -> None:
    world = World(node("n1", gpus=1), node("n2", gpus=1))
    world.change("n2", cordon=Mark("ann", 0.0, ""))
    start = iso(world.now.wall - 60)
    world.reservations["exam"] = Reservation.model_validate(
        {"name": "exam", "for": ["eve"], "nodes": ["n1"], "from": start, "to": 3600}
    )
    memo = Memo()
    world.submit("gang", "eve", nodes=2, resources={"gpus": 1})
    plan(world.snapshot(), world.now, memo)  # tries the gang there, and finds no second node
    world.step()
    world.submit("new", resources={"gpus": 1})
    before = world.snapshot()
    told = replace(before.nodes["n1"], sample=Sample(load=(1.0,)))
    snapshot = replace(before, nodes={**before.nodes, "n1": told})
    assert not plan(snapshot, world.now, memo).placements


def test_a_service_that_failed_with_its_node_has_its_chance_under_a_new_revision_at_once() -> None:
    world = World(node("n1"), node("n2"), node("n3"))
    loss = {"then": "fail", "after": "60s"}
    world.submit("svc", type="service", on_node_loss=loss)
    world.run()
    here = world.where("svc")
    assert here is not None
    world.silence(here)
    world.step()
    world.submit("svc", type="service", on_node_loss=loss, env={"NEW": "1"})
    world.step(100)
    assert world.where("svc") not in (None, here)


def test_what_is_given_up_counts_for_no_quota_in_the_same_pass() -> None:
    boxes = [node(f"n{at}", gpus=1) for at in range(3)]
    world = World(*boxes, users={"quota": {"gpus": 1}})
    world.submit("svc", type="service", resources={"gpus": 1}, on_node_loss=SOON)
    world.run()
    here = world.where("svc")
    assert here is not None
    world.silence(here)
    world.step()
    world.step(100)
    assert world.where("svc") not in (None, here)


def test_a_place_that_is_kept_for_ever_isnt_kept_for_another_as_well() -> None:
    """Conservative: whoever comes later looks for a start that can be promised elsewhere."""
    boxes = node("box", gpus=3), node("full", gpus=1)
    world = World(*boxes, policy={"backfill": "conservative"})
    one = {"gpus": 1, "cpus": 1}
    world.submit("endless", resources=one, where={"node": ["full"]})
    world.submit("stays", resources=one, where={"node": ["box"]})
    world.run()
    for name in ("gang", "strong", "late"):
        world.submit(name, resources=one, nodes=2)
    placing = drained(place_steps(world.snapshot(), world.now, Memo(), Pace()))
    room, keeper = placing.fleet.room("box"), placing.keeper
    waiting = {it.job.name: it for it in placing.front}
    assert [it.job for it in keeper.holds["box"]] == ["alice/gang"]
    keeper.keep_at(waiting["strong"], [(room, Slot(world.now.wall + 30, ("box-1",), 0, 0))])
    late = waiting["late"]._replace(kind=replace(waiting["late"].kind, nodes=1))
    list(keeper.keep(late, Pace()))
    assert [it.job for it in keeper.holds["box"]] == ["alice/gang", "alice/strong"]


def test_what_is_looked_for_in_vain_isnt_looked_for_again_by_who_asks_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(node("old", gpus=1, model="Tesla V100"), node("new", gpus=4))
    v100 = {"gpus": 1, "gpu_model": ["v100"], "cpus": 1}
    world.submit("first", resources=v100)
    world.run()
    for more in range(300):
        world.submit(f"job{more}", resources={**v100, "memory": GIB + more})
    looks, best = 0, Fleet.best

    def counted(fleet: Fleet, *given: Any, **named: Any) -> Any:
        nonlocal looks
        looks += 1
        return best(fleet, *given, **named)

    monkeypatch.setattr(Fleet, "best", counted)
    assert not plan(world.snapshot(), world.now, told=False).placements
    assert looks <= 2 * FRONT


def test_a_window_is_heeded_when_a_stop_is_taken_back() -> None:
    world = World(node("n1"), policy={"preemption": True})
    world.submit("job", preempt="restart")
    world.run()
    job = world.job("job")
    later = StopRequest("ann", world.now.wall + 600, "stopped by ann")
    world.jobs[job.id] = replace(job, stop=later)
    world.reservations["exam"] = Reservation.model_validate(
        {
            "name": "exam",
            "for": ["eve"],
            "nodes": ["n1"],
            "from": iso(world.now.wall),
            "to": 3600,
        }
    )
    memo = Memo()
    plan(world.snapshot(), world.now, memo)
    world.step()
    world.jobs[job.id] = replace(world.job("job"), stop=None)
    snapshot = world.snapshot()
    assert plan(snapshot, world.now, memo) == plan(snapshot, world.now)
    attempt = world.live("job")
    assert attempt is not None
    assert attempt.stop is not None


def test_what_counts_for_one_pass_alone_makes_nobody_go() -> None:
    """Work without GPUs is charged to nobody: who goes before it in the next pass, too, may."""
    policy = {"queue": "fair-share", "preemption": True, "backfill": "off"}
    world = World(node("n1", cpus=4), policy=policy)
    world.accounts["", "ben"] = Account("", "ben", used=8000.0, at=world.now.wall)
    fields = {"type": "service", "count": 3, "priority": 10, "preempt": "resume"}
    again = {"on": "always", "attempts": 5, "delay": 0}
    world.submit("small", "ann", resources={"cpus": 0.5}, restart=again, **fields)
    world.run()
    world.submit("big", "ben", resources={"cpus": 3})
    world.run()
    first = world.live("small", 0)
    assert first is not None
    world.end(first.id)
    world.run()
    assert [world.task("small", at).attempts for at in range(3)] == [2, 1, 1]
