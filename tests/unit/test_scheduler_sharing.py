"""Parts of GPUs: shares, slices, what others use of a device, and where devices sit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flextui.core.model.inventory import NodeSpec
from flextui.core.model.state import Gpu, GpuPlace
from flextui.core.scheduler.plan import plan
from tests.unit.world import GIB, World, gpu, node, process


def boxes(*names: str, count: int = 1, share: Any = True) -> World:
    """Nodes whose GPUs (of 80 GiB) jobs may share: all of them, or those of these indices."""
    devices = NodeSpec(name="any", host="any", gpus={"share": share}).gpus
    plain = [node(name, gpus=count, cpus=64, memory=512) for name in names]
    return World(*(replace(it, spec=it.spec.model_copy(update={"gpus": devices})) for it in plain))


def submit(world: World, name: str, amount: Any, **resources: Any) -> None:
    world.submit(name, resources={"gpu_share": amount, **resources})
    world.settle()


def held(world: World, name: str) -> tuple[tuple[str, ...], int, int] | None:
    attempt = world.live(name)
    return None if attempt is None else (attempt.gpus, attempt.share, attempt.gpu_memory_bytes)


# ── shares ─────────────────────────────────────────────────────────────────────────────────────


def test_two_halves_share_one_gpu_and_a_third_waits() -> None:
    world = boxes("box")
    for name in ("one", "two", "three"):
        submit(world, name, 0.5)
    assert held(world, "one") == (("box-0",), 500, 40 * GIB)
    assert held(world, "two") == (("box-0",), 500, 40 * GIB)
    assert held(world, "three") is None
    assert "alice/one" in world.why("three").blocks[0].held_by
    world.end("j1.0.1")
    world.settle()
    assert held(world, "three") == (("box-0",), 500, 40 * GIB)


def test_a_share_by_size_takes_its_part_of_the_device() -> None:
    world = boxes("box")
    submit(world, "small", "30GiB")
    assert held(world, "small") == (("box-0",), 375, 30 * GIB)
    submit(world, "large", "51GiB")
    assert held(world, "large") is None
    world.stop("large")
    submit(world, "rest", "50GiB")
    assert held(world, "rest") == (("box-0",), 625, 50 * GIB)


def test_whole_gpus_and_shares_keep_off_each_other() -> None:
    world = boxes("box")
    submit(world, "part", 0.1)
    world.submit("whole", resources={"gpus": 1})
    world.settle()
    assert world.where("whole") is None
    world.end("j1.0.1")
    world.settle()
    assert world.where("whole") == "box"
    submit(world, "late", 0.1)
    assert world.where("late") is None


def test_only_devices_that_may_be_shared_are() -> None:
    world = boxes("box", count=2, share=(1,))
    submit(world, "one", 0.7)
    assert held(world, "one") == (("box-1",), 700, 56 * GIB)
    submit(world, "two", 0.7)
    assert world.where("two") is None
    world.submit("whole", resources={"gpus": 1})
    world.settle()
    assert held(world, "whole") == (("box-0",), 0, 0)


def test_a_fleet_without_shareable_gpus_can_never_hold_a_share() -> None:
    world = boxes("box", share=False)
    submit(world, "job", 0.5)
    assert world.where("job") is None
    assert not world.why("job").feasible_ever


def test_foreign_use_takes_its_part_of_a_shared_gpu() -> None:
    world = boxes("box")
    world.use_gpu("box", 0, process("carol", 40))
    submit(world, "too-much", 0.6)
    assert world.where("too-much") is None
    world.stop("too-much")
    submit(world, "fits", 0.5)
    assert held(world, "fits") == (("box-0",), 500, 40 * GIB)
    world.submit("whole", resources={"gpus": 1})
    world.settle()
    assert world.where("whole") is None


def test_memory_in_use_beyond_what_shares_were_promised_counts() -> None:
    world = boxes("box")
    submit(world, "greedy", 0.25)
    world.use_gpu("box", 0, process("alice", 50, attempt="j1.0.1"))
    submit(world, "next", "35GiB")
    assert world.where("next") is None
    world.stop("next")
    submit(world, "small", "25GiB")
    assert world.where("small") == "box"


def test_shares_fill_a_gpu_before_they_open_another() -> None:
    world = boxes("a", "b", count=2)
    for index in range(4):
        submit(world, f"job{index}", 0.25)
    assert len({held(world, f"job{index}")[0] for index in range(4)}) == 1  # type: ignore[index]


def test_what_devices_hold_is_the_same_to_a_planner_that_has_just_begun() -> None:
    world = boxes("a", "b", count=2)
    for index, amount in enumerate((0.25, 0.5, 0.3, "10GiB", 0.9)):
        submit(world, f"job{index}", amount)
    world.end("j2.0.1")
    world.submit("probe", resources={"gpu_share": 0.4})
    fresh = plan(world.snapshot(), world.now)
    world.settle()
    kept = world.live("probe")
    assert kept is not None
    assert [(it.node, it.gpus) for it in fresh.placements] == [(kept.node, kept.gpus)]


# ── slices ─────────────────────────────────────────────────────────────────────────────────────


def sliced() -> World:
    world = World(node("box", cpus=64))
    parent = gpu("GPU-0", 0)
    slices = [
        Gpu(f"MIG-{index}", 0, parent.model, 10 * GIB, 0, mig="1g.10gb", parent="GPU-0")
        for index in range(2)
    ]
    whole = gpu("GPU-1", 1)
    world.change("box", gpus=(*slices, whole))
    return world


@pytest.mark.parametrize("wanted", ["1g.10gb", "mig", "MIG 1g.10gb"])
def test_a_slice_goes_to_who_names_its_profile(wanted: str) -> None:
    world = sliced()
    for name in ("one", "two", "three"):
        world.submit(name, resources={"gpus": 1, "gpu_model": wanted})
    world.settle()
    assert [held(world, name) for name in ("one", "two")] == [
        (("MIG-0",), 0, 0),
        (("MIG-1",), 0, 0),
    ]
    assert world.where("three") is None


def test_who_names_no_profile_gets_no_slice() -> None:
    world = sliced()
    for name in ("one", "two"):
        world.submit(name, resources={"gpus": 1, "gpu_model": "a100"})
    world.settle()
    assert held(world, "one") == (("GPU-1",), 0, 0)
    assert world.where("two") is None


def test_several_slices_arent_one_task_s() -> None:
    world = sliced()
    world.submit("job", resources={"gpus": 2, "gpu_model": "1g.10gb"})
    world.settle()
    assert world.where("job") is None
    assert not world.why("job").feasible_ever


def test_a_gpu_that_is_cut_into_slices_isnt_a_device_itself() -> None:
    world = sliced()
    world.change("box", gpus=(gpu("GPU-0", 0), *world.nodes["box"].gpus))
    for name in ("one", "two"):
        world.submit(name, resources={"gpus": 1})
    world.settle()
    assert held(world, "one") == (("GPU-1",), 0, 0)
    assert world.where("two") is None


# ── where devices sit ──────────────────────────────────────────────────────────────────────────


def two_islands() -> World:
    """Four GPUs: 0 and 2 are linked, as are 1 and 3; each island has eight CPUs."""
    world = World(node("box", cpus=16, gpus=4))
    places = {}
    for index in range(4):
        island = index % 2
        near = {
            f"box-{other}": 104 if other % 2 == island else 10
            for other in range(4)
            if other != index
        }
        cpus = tuple(range(8 * island, 8 * island + 8))
        places[f"box-{index}"] = GpuPlace(numa=island, cpus=cpus, near=near)
    world.change("box", places=places)
    return world


def test_several_gpus_are_near_each_other_and_cpus_near_them() -> None:
    world = two_islands()
    world.submit("pair", resources={"gpus": 2, "cpus": 4})
    world.settle()
    attempt = world.live("pair")
    assert attempt is not None
    assert attempt.gpus == ("box-0", "box-2")
    assert attempt.cpu_set == tuple(range(8))


def test_a_single_gpu_leaves_pairs_whole() -> None:
    world = two_islands()
    for name in ("first", "second"):
        world.submit(name, resources={"gpus": 1})
        world.settle()
    taken = {held(world, name)[0][0] for name in ("first", "second")}  # type: ignore[index]
    assert taken in ({"box-0", "box-2"}, {"box-1", "box-3"})


def test_more_cpus_than_are_near_arent_pinned() -> None:
    world = two_islands()
    world.submit("pair", resources={"gpus": 2, "cpus": 9})
    world.settle()
    attempt = world.live("pair")
    assert attempt is not None
    assert attempt.cpu_set == ()


# ── apart, volumes ─────────────────────────────────────────────────────────────────────────────


def test_jobs_that_keep_apart_dont_meet() -> None:
    world = World(node("a", cpus=8), node("b", cpus=8))
    world.submit("one", resources={"cpus": 1})
    world.settle()
    world.submit("two", resources={"cpus": 1}, where={"apart": ["one"]})
    world.settle()
    assert {world.where("one"), world.where("two")} == {"a", "b"}
    world.submit("other", owner="bob", resources={"cpus": 1}, where={"apart": ["one"]})
    world.settle()
    assert world.where("other") == world.where("one"), (
        "another user's job of that name is no matter"
    )


def test_replicas_that_keep_apart_take_a_node_each() -> None:
    world = World(node("a", cpus=8), node("b", cpus=8))
    where = {"apart": ["web"]}
    world.submit("web", type="service", count=3, resources={"cpus": 1}, where=where)
    world.settle()
    assert sorted(str(world.where("web", index)) for index in range(3)) == ["None", "a", "b"]


def test_a_job_runs_where_its_volume_is() -> None:
    world = World(
        node("a", cpus=8),
        node("b", cpus=8),
        volumes={"data": {"path": "/data", "nodes": ["b"]}},
    )
    world.submit("job", resources={"cpus": 1}, volumes=["data"])
    world.settle()
    assert world.where("job") == "b"
