"""What `placement` tells: until when devices are held, and what has to end before a job starts."""

from __future__ import annotations

from typing import Any

from flextui.core.model.state import GpuProcess
from flextui.core.model.times import iso
from flextui.core.placement_view import placement_view
from flextui.core.queue_view import line_view, queue_view
from flextui.core.scheduler.plan import drained
from tests.unit.world import FIRST, World, node


def busy() -> World:
    """Two nodes of two GPUs: one is free in an hour at the latest, the other nobody knows when."""
    world = World(node("n1", gpus=2), node("n2", gpus=2))
    world.submit("short", resources={"gpus": 2}, time_limit=3600, grace=0)
    world.submit("open", resources={"gpus": 2})
    world.run()
    return world


def told(world: World, job: str = "") -> dict[str, Any]:
    state = world.snapshot()
    chosen = next((it for it in state.jobs.values() if it.name == job), None)
    return drained(placement_view(state, chosen, world.now))  # type: ignore[arg-type]


def test_the_end_of_what_holds_devices_is_told_where_it_is_known() -> None:
    ends = told(busy())["ends"]
    assert ends["j1.0.1"]["latest"] == iso(FIRST + 3600)
    assert ends["j2.0.1"] == {"at": None, "latest": None, "sureness": "unknown"}


def test_what_waits_is_told_where_it_goes_and_who_has_to_end() -> None:
    world = busy()
    world.submit("wants", resources={"gpus": 2})
    world.run()
    wants = told(world, "wants")["wants"]
    (place,) = wants["places"]
    assert place["node"] == "n1"
    assert place["ends"] == ["j1.0.1"]
    assert sorted(place["gpus"]) == sorted(it.uuid for it in world.snapshot().nodes["n1"].gpus)
    assert place["at"] is not None
    assert {name for block in wants["blocks"] for name in block["nodes"]} == {"n1", "n2"}


def test_what_runs_waits_for_nothing() -> None:
    assert told(busy(), "open")["wants"] is None
    assert told(busy())["wants"] is None


def test_a_gang_is_told_a_place_for_each_rank() -> None:
    world = World(node("n1", gpus=1), node("n2", gpus=1))
    for name in ("one", "two"):
        world.submit(name, resources={"gpus": 1}, time_limit=600)
    world.run()
    world.submit("gang", resources={"gpus": 1}, nodes=2)
    world.run()
    places = told(world, "gang")["wants"]["places"]
    assert {it["node"] for it in places} == {"n1", "n2"}
    assert {key for it in places for key in it["ends"]} == {"j1.0.1", "j2.0.1"}


def test_the_order_is_the_same_with_and_without_a_look_ahead() -> None:
    world = busy()
    for name in ("a", "b"):
        world.submit(name, resources={"gpus": 2})
    world.run()
    whole = drained(queue_view(world.snapshot(), world.now, 10))
    order = drained(line_view(world.snapshot(), world.now, 10))
    assert (
        [it["name"] for it in order["queue"]] == [it["name"] for it in whole["queue"]] == ["a", "b"]
    )
    assert [it["expected"] for it in order["queue"]] == [None, None]
    assert whole["queue"][0]["expected"] is not None
    assert order["waiting"] == whole["waiting"] == 2


def test_what_ends_takes_its_processes_off_the_devices() -> None:
    """Devices that a job fills are free when it ends, though telemetry is of now."""
    world = busy()
    for index in (0, 1):
        mine = GpuProcess(40 + index, "lab", "python", "python train.py", 60 << 30, "j1.0.1")
        other = GpuProcess(50 + index, "lab", "python", "python serve.py", 60 << 30, "j2.0.1")
        world.use_gpu("n1", index, mine)
        world.use_gpu("n2", index, other)
    world.submit("wants", resources={"gpus": 2})
    world.run()
    (place,) = told(world, "wants")["wants"]["places"]
    assert (place["node"], place["ends"]) == ("n1", ["j1.0.1"])


def test_what_somebody_else_holds_of_a_device_stays_when_a_job_ends() -> None:
    world = busy()
    mine = GpuProcess(40, "lab", "python", "python train.py", 60 << 30, "j1.0.1")
    world.use_gpu("n1", 0, mine, GpuProcess(9, "carol", "jupyter", "jupyter lab", 5 << 30, None))
    world.submit("wants", resources={"gpus": 2})
    world.run()
    assert told(world, "wants")["wants"]["places"] == []
