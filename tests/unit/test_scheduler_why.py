"""What `why` answers: each thing in the way, the place in the order, the start, what would help."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flextui.core.model.inventory import Maintenance, Reservation
from flextui.core.model.state import Gpu, Mark
from flextui.core.scheduler.decision import Block, Explanation
from flextui.core.scheduler.explain import KINDS, explain, explain_steps
from flextui.core.scheduler.plan import drained
from flextui.core.scheduler.runtimes import learn
from tests.unit.world import FIRST, GIB, World, node, process


def at(seconds: float) -> str:
    """An instant so long after a world's beginning, as inventories write it."""
    return datetime.fromtimestamp(FIRST + seconds, UTC).isoformat()


def block(why: Explanation, code: str) -> Block:
    return next(it for it in why.blocks if it.code == code)


def gang(nodes: int, **resources: Any) -> dict[str, Any]:
    return {"nodes": nodes, "resources": resources}


# ── what is in the way ─────────────────────────────────────────────────────────────────────────


def test_a_share_that_is_too_big_for_what_is_really_free() -> None:
    world = World(shared("box"))
    world.submit("other", owner="bob", resources={"gpu_share": 0.5})
    world.run()
    world.use_gpu("box", 0, process("carol", 20))
    world.submit("job", resources={"gpu_share": 0.5})
    world.settle()
    why = world.why("job")
    assert why.summary == "needs 0.5 of a GPU: box no GPU has 0.5 free"
    assert block(why, "gpus_busy").text == (
        "no GPU has 0.5 free; GPU 0 has 0.25 free: bob/other 0.5, carol: jupyter 20 GiB"
    )
    assert block(why, "gpus_busy").held_by == ("bob/other", "carol: jupyter")
    assert why.would_help == ("with gpu_share 0.25 instead of 0.5: now",)


def shared(name: str, gpus: int = 1) -> Any:
    """A node all of whose GPUs may be shared."""
    it = node(name, gpus=gpus)
    policy = it.spec.gpus.model_copy(update={"share": True})
    return replace(it, spec=it.spec.model_copy(update={"gpus": policy}))


def test_a_profile_that_no_slice_has() -> None:
    box = node("box")
    slices = [
        Gpu(f"mig-{n}", 0, "NVIDIA H100 80GB HBM3", 10 * GIB, 0, mig="1g.10gb", parent="gpu-0")
        for n in range(2)
    ]
    world = World(replace(box, gpus=tuple(slices)))
    world.submit("job", resources={"gpus": 1, "gpu_model": "3g.40gb"})
    world.submit("whole", resources={"gpus": 1})
    world.settle()
    assert block(world.why("job"), "gpu_model").text == "has no 3g.40gb"
    assert block(world.why("whole"), "gpu_model").text == "has slices only"
    world.submit("slice", resources={"gpus": 1, "gpu_model": "1g.10gb"})
    world.run()
    assert world.where("slice") == "box"


def test_a_reservation_is_told_with_its_time() -> None:
    window = Reservation.model_validate(
        {"name": "exam", "for": ["bob"], "nodes": ["box"], "from": at(7200), "to": at(10800)}
    )
    world = World(node("box", gpus=2), reservations=(window,))
    world.submit("job", resources={"gpus": 1}, grace=30)
    world.settle()
    why = world.why("job")
    told = block(why, "reserved")
    assert told.nodes == ("box",)
    assert told.text.startswith("reservation exam of bob from 1970-01-12T15:46:40")
    assert why.would_help == ("with time_limit 1h59m: now",)
    assert why.expected is not None
    assert (why.expected.at, why.expected.sureness) == (FIRST + 10800, "likely")


def test_maintenance_is_told_with_its_time() -> None:
    window = Maintenance.model_validate(
        {"name": "disks", "nodes": "all", "from": at(-60), "to": at(3600)}
    )
    world = World(node("box"), maintenance=(window,))
    world.submit("job")
    world.settle()
    assert "maintenance disks" in block(world.why("job"), "reserved").text
    assert world.why("job").would_help == ()


def test_a_quota_says_who_uses_it() -> None:
    vision = {"members": ["alice", "bob"], "quota": {"gpus": 2}}
    world = World(
        node("box", gpus=4), projects={"vision": vision, "speech": {"members": ["alice"]}}
    )
    world.submit("one", owner="bob", project="vision", resources={"gpus": 2}, time_limit="2h")
    world.run()
    world.submit("job", project="vision", resources={"gpus": 1})
    world.settle()
    why = world.why("job")
    assert why.code == "quota"
    assert block(why, "quota").text == "project vision has 2 of 2 GPUs: bob/one 2"
    assert block(why, "quota").held_by == ("bob/one",)
    assert "with project speech: now" in why.would_help
    assert "without a project: now" in why.would_help
    assert why.expected is not None
    assert why.expected.at == pytest.approx(FIRST + 7200, abs=60)


def test_a_time_that_it_waits_for() -> None:
    world = World(node("box"))
    world.submit("job", begin=3600)
    world.settle()
    why = world.why("job")
    assert (why.code, block(why, "begin").clears) == ("begin", "in 1h")
    assert why.expected is not None
    assert why.expected.at == FIRST + 3600


def test_a_gang_that_is_short_of_nodes() -> None:
    world = World(*(node(f"n{index}", gpus=2) for index in range(3)))
    world.submit("other", owner="bob", where={"node": "n2"}, resources={"gpus": 1})
    world.run()
    world.submit("job", **gang(3, gpus=2))
    world.settle()
    why = world.why("job")
    assert why.summary == "needs 3 nodes with 2 GPUs each: 2 nodes could now; n2 1 of 2 free"
    assert set(why.would_help) == {
        "with 2 nodes instead of 3: now",
        "with 1 GPU instead of 2: now",
    }


def test_what_it_keeps_apart_from_is_named() -> None:
    world = World(node("box"))
    world.submit("web", type="service", where={"apart": ["web"]}, count=2)
    world.run()
    waits = next(it for it in world.tasks.values() if it.state.value == "pending")
    why = explain(world.snapshot(), waits.key, world.now)
    assert block(why, "apart").text == "alice/web runs there, which it keeps apart from"
    assert why.would_help == ("without where.apart: now",)


def test_a_volume_that_a_node_does_not_have() -> None:
    world = World(node("a"), node("b"), volumes={"data": {"path": "/data", "nodes": ["b"]}})
    world.drain("b")
    world.submit("job", volumes=["data:/data:ro"])
    world.settle()
    why = world.why("job")
    assert block(why, "volumes").text == "doesn't have the volume data"
    assert block(why, "volumes").nodes == ("a",)
    assert why.would_help == ("with b undrained: now",)


def test_a_cordoned_gpu_says_why_and_who_could_help() -> None:
    world = World(node("box", gpus=1))
    world.change("box", cordoned_gpus={"box-0": Mark("flextui", FIRST, "XID 79")})
    world.submit("job", resources={"gpus": 1})
    world.settle()
    why = world.why("job")
    assert block(why, "gpus_cordoned").text == "0 of 1 GPUs free; GPU 0 cordoned: XID 79"
    assert why.would_help == ("with GPU 0 of box uncordoned: now",)


# ── place ──────────────────────────────────────────────────────────────────────────────────────


def full(**fields: Any) -> World:
    """One GPU, held by eve/long, which has no limit."""
    world = World(node("box", gpus=1), **fields)
    world.submit("long", owner="eve", resources={"gpus": 1})
    world.run()
    return world


def test_the_place_and_what_gave_it() -> None:
    world = full()
    world.submit("high", owner="bob", resources={"gpus": 1}, priority=80)
    world.submit("job", resources={"gpus": 1})
    world.settle()
    why = world.why("job")
    assert (why.position, why.waiting, why.ahead) == (2, 2, ("bob/high",))
    assert why.behind == "bob/high goes first by priority"
    assert {it.name for it in why.factors} >= {"priority", "age"}


def test_under_fifo_who_came_first_goes_first() -> None:
    world = full(policy={"queue": "fifo"})
    world.submit("first", owner="bob", resources={"gpus": 1})
    world.step(10)
    world.submit("job", resources={"gpus": 1}, priority=90)
    world.settle()
    assert world.why("job").behind == "bob/first goes first by age"


# ── start ──────────────────────────────────────────────────────────────────────────────────────


def test_a_promised_start_is_certain() -> None:
    world = World(node("box", gpus=1))
    world.submit("run", owner="bob", resources={"gpus": 1}, time_limit="1h", grace=30)
    world.run()
    world.submit("job", resources={"gpus": 1})
    world.settle()
    expected = world.why("job").expected
    assert expected is not None
    assert expected.latest == FIRST + 3630
    assert (expected.at, expected.sureness) == (FIRST + 3630, "certain")


def test_learned_run_times_say_when_it_is_likely() -> None:
    world = World(node("box", gpus=1))
    job = world.submit("train", owner="bob", resources={"gpus": 1}, time_limit="10h")
    for seconds in (3000, 3100, 3200, 3300, 3400, 3500):
        world.runtimes |= learn(world.runtimes, job, seconds)
    world.run()
    world.submit("job", resources={"gpus": 1})
    world.settle()
    why = world.why("job")
    expected = why.expected
    assert expected is not None
    assert expected.at == pytest.approx(FIRST + 3300, abs=120)
    assert expected.latest == pytest.approx(FIRST + 36_030)
    assert expected.sureness == "likely"
    assert block(why, "gpus_busy").clears == (
        "bob/train is expected to end in 55m, at the latest in 10h"
    )


def test_nobody_knows_when_something_without_a_limit_ends() -> None:
    world = full()
    world.submit("job", resources={"gpus": 1})
    world.settle()
    expected = world.why("job").expected
    assert expected is not None
    assert (expected.at, expected.sureness) == (None, "unknown")
    assert expected.text == "nobody knows when eve/long will end"


def test_those_ahead_run_first() -> None:
    world = World(node("box", gpus=1))
    world.submit("run", owner="bob", resources={"gpus": 1}, time_limit="1h", grace=0)
    world.run()
    for name in ("first", "second", "job"):
        world.submit(name, resources={"gpus": 1}, time_limit="2h", grace=0)
        world.step(1)
    world.settle()
    expected = world.why("job").expected
    assert expected is not None
    assert expected.at == pytest.approx(FIRST + 5 * 3600, abs=1)
    assert expected.sureness == "rough"


def test_what_can_never_start_says_so() -> None:
    world = World(node("box", gpus=1))
    world.submit("job", resources={"gpus": 4})
    world.settle()
    expected = world.why("job").expected
    assert expected is not None
    assert (expected.at, expected.text) == (None, "never: no node could ever hold it")


# ── what would help ────────────────────────────────────────────────────────────────────────────


def test_a_shorter_limit_lets_it_in_before_a_promise() -> None:
    world = World(node("box", gpus=2))
    world.submit("run", owner="bob", resources={"gpus": 1}, time_limit="4h", grace=0)
    world.run()
    world.submit("big", owner="eve", resources={"gpus": 2})
    world.settle()
    world.submit("job", resources={"gpus": 1}, time_limit="6h", grace=0)
    world.settle()
    why = world.why("job")
    assert block(why, "order").held_by == ("eve/big",)
    assert "with time_limit 4h: now" in why.would_help


def test_two_changes_where_no_single_one_helps() -> None:
    world = World(node("box", cpus=4, gpus=1))
    world.submit("job", resources={"gpus": 2, "cpus": 8})
    world.settle()
    assert world.why("job").would_help == (
        "with 1 GPU instead of 2 and with 4 CPUs instead of 8: now",
    )


def test_a_whole_gpu_is_not_free_but_a_part_of_one_is() -> None:
    world = World(shared("box"))
    world.submit("other", owner="bob", resources={"gpu_share": 0.3})
    world.run()
    world.submit("job", resources={"gpus": 1})
    world.settle()
    why = world.why("job")
    assert block(why, "gpus_busy").text == "0 of 1 GPUs free; GPU 0 shared by bob/other 0.3"
    assert why.would_help == ("with gpu_share 0.7 instead of a whole GPU: now",)


def test_of_many_nodes_those_with_the_same_trouble_share_a_block() -> None:
    world = World(*(node(f"n{index}", gpus=1, cpus=4 + index) for index in range(50)))
    for index in range(50):
        world.submit(f"r{index}", owner="bob", resources={"gpus": 1, "cpus": 1})
    world.run()
    world.submit("job", resources={"gpus": 1})
    world.settle()
    (told,) = world.why("job").blocks
    assert len(told.nodes) == 50
    assert len(told.held_by) == 50


def test_a_gang_of_more_nodes_than_there_are() -> None:
    world = World(node("box", gpus=2))
    world.submit("job", **gang(2, gpus=1))
    world.settle()
    why = world.why("job")
    assert why.summary == "needs 2 nodes with 1 GPU each: no more than 1 could ever hold that"
    assert (why.feasible_ever, why.would_help) == (False, ("with 1 node instead of 2: now",))


def test_a_slice_will_do_where_no_whole_gpu_is_free() -> None:
    box = node("box", gpus=1)
    cut = replace(box.gpus[0], mig="2g.20gb", memory_bytes=20 * GIB, parent="p", index=0)
    world = World(replace(box, gpus=(cut,)))
    world.submit("job", resources={"gpus": 1})
    world.settle()
    assert world.why("job").would_help == ("with gpu_model 2g.20gb: now",)


def test_somebody_ahead_who_may_run_for_ever_is_named() -> None:
    world = World(node("box", gpus=1))
    world.submit("run", owner="bob", resources={"gpus": 1}, time_limit="1h")
    world.run()
    world.submit("ahead", owner="eve", resources={"gpus": 1}, priority=90)
    world.submit("job", resources={"gpus": 1})
    world.settle()
    expected = world.why("job").expected
    assert expected is not None
    assert (expected.at, expected.text) == (None, "nobody knows when eve/ahead will end")


def test_of_a_job_with_many_different_tasks_only_some_are_told_in_full() -> None:
    world = World(*(node(f"n{index}", cpus=1) for index in range(8)))
    for index in range(8):
        world.submit(f"r{index}", owner="bob", where={"node": f"n{index}"})
    world.run()
    world.submit("agent", type="system")
    world.settle()
    keys = [it.key for it in world.tasks.values() if it.key.job == world.job("agent").id]
    told = drained(explain_steps(world.snapshot(), keys, world.now))
    assert sum(bool(it.blocks) for it in told.values()) == KINDS
    assert all(it.summary and it.position for it in told.values())
