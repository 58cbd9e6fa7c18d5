"""Where tasks go: what is free, what fits, what is best, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flextui.core.model.state import AttemptState, Mark, NodeStatus
from flextui.core.scheduler.feasible import is_model
from tests.unit.world import GIB, World, gpu, node, process


def placed(world: World, **fields: Any) -> str | None:
    """Where a job with these fields would start at once."""
    world.submit("probe", **fields)
    world.settle()
    return world.where("probe")


# ── feasibility ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "wanted", "same"),
    [
        ("NVIDIA A100-SXM4-80GB", "a100", True),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM4", True),
        ("NVIDIA A100-SXM4-80GB", "a10", False),
        ("NVIDIA GeForce RTX 4090", "4090", True),
        ("NVIDIA GeForce RTX 4090", "rtx4090", True),
        ("NVIDIA GeForce RTX 4090", "rtx-4090", True),
        ("NVIDIA GeForce RTX 4090", "rtx 409", False),
        ("NVIDIA RTX A6000", "a6000", True),
        ("NVIDIA H100 80GB HBM3", "h100", True),
        ("Tesla V100-PCIE-16GB", "v100", True),
    ],
)
def test_models_are_matched_by_whole_words(model: str, wanted: str, same: bool) -> None:
    assert is_model(model, wanted) is same


@pytest.mark.parametrize(
    "fields",
    [
        {"status": NodeStatus.CONNECTING},
        {"status": NodeStatus.LOST},
        {"status": NodeStatus.UNREACHABLE},
        {"status": NodeStatus.OBSERVED},
        {"facts": None},
        {"drain": Mark("alice", 0.0, "")},
        {"cordon": Mark("alice", 0.0, "")},
    ],
)
def test_only_an_open_node_gets_work(fields: dict[str, Any]) -> None:
    world = World(node("box"))
    world.change("box", **fields)
    assert placed(world) is None
    assert world.task("probe").reason


def test_gpus_wait_for_the_first_sample_and_cpus_dont() -> None:
    world = World(node("box", gpus=1))
    world.change("box", sampled=False)
    world.submit("gpu", resources={"gpus": 1})
    world.submit("cpu")
    world.settle()
    assert (world.where("gpu"), world.where("cpu")) == (None, "box")
    assert world.task("gpu").reason == "needs 1 GPU: box GPUs not seen yet"


@pytest.mark.parametrize(
    ("resources", "fits"),
    [
        ({"cpus": 6}, True),
        ({"cpus": 6.001}, False),
        ({"memory": "56GiB"}, True),
        ({"memory": "57GiB"}, False),
        ({"gpus": 2}, True),
        ({"gpus": 3}, False),
        ({"gpus": 1, "gpu_model": "h100"}, False),
        ({"gpus": 1, "gpu_model": ["h100", "a100"]}, True),
        ({"gpus": 1, "gpu_memory": "80GiB"}, True),
        ({"gpus": 1, "gpu_memory": "81GiB"}, False),
    ],
)
def test_requests_against_a_node_with_a_reserve(resources: dict[str, Any], fits: bool) -> None:
    box = node("box", cpus=8, memory=64, gpus=2, reserve={"cpus": 2, "memory": "8GiB"})
    world = World(box)
    assert (placed(world, resources=resources) == "box") is fits
    assert fits or not world.why("probe").feasible_ever


@pytest.mark.parametrize(
    ("where", "allowed"),
    [
        ({"rack": "a"}, True),
        ({"rack": "b"}, False),
        ({"node": ["box", "other"]}, True),
        ({"node": ["other"]}, False),
        ({"not": {"node": "box"}}, False),
        ({"not": {"rack": "a"}}, False),
        ({"not": {"rack": "b"}}, True),
    ],
)
def test_where(where: dict[str, Any], allowed: bool) -> None:
    labels = {name: it for name, it in where.items() if name not in ("node", "not")}
    rest = {name: it for name, it in where.items() if name in ("node", "not")}
    if isinstance(rest.get("not"), dict) and "rack" in rest["not"]:
        rest["not"] = {"labels": rest["not"]}
    world = World(node("box", labels={"rack": "a"}))
    assert (placed(world, where={"labels": labels, **rest}) == "box") is allowed


def test_fractions_of_a_core_add_up_exactly() -> None:
    world = World(node("box", cpus=1))
    for index in range(11):
        world.submit(f"j{index}", resources={"cpus": 0.1})
    world.settle()
    assert sum(world.where(f"j{index}") == "box" for index in range(11)) == 10


# ── devices ────────────────────────────────────────────────────────────────────────────────────


def test_foreign_memory_takes_a_device_and_is_named() -> None:
    world = World(node("box", gpus=1))
    world.use_gpu("box", 0, process("carol", 31))
    assert placed(world, resources={"gpus": 1}) is None
    assert world.task("probe").reason == "needs 1 GPU: box held by carol: jupyter"
    world.use_gpu("box", 0)
    world.settle()
    assert world.where("probe") == "box"


def test_a_little_foreign_memory_is_let_pass() -> None:
    world = World(node("box", gpus=1))
    world.use_gpu("box", 0, process("root", 0.5))
    assert placed(world, resources={"gpus": 1}) == "box"


def test_how_little_is_the_inventorys_to_say() -> None:
    world = World(node("box", gpus=1))
    spec = world.nodes["box"].spec
    policy = spec.gpus.model_copy(update={"foreign_ignore": 0})
    world.change("box", spec=spec.model_copy(update={"gpus": policy}))
    world.use_gpu("box", 0, process("root", 0.1))
    assert placed(world, resources={"gpus": 1}) is None


def test_only_the_devices_that_the_inventory_gives_are_used() -> None:
    world = World(node("box", gpus=4))
    spec = world.nodes["box"].spec
    policy = spec.gpus.model_copy(update={"only": (2,)})
    world.change("box", spec=spec.model_copy(update={"gpus": policy}))
    assert placed(world, resources={"gpus": 1}) == "box"
    assert world.attempts["j1.0.1"].gpus == ("box-2",)


def test_memory_that_no_process_explains_takes_a_device() -> None:
    world = World(node("box", gpus=1))
    devices = (replace(world.nodes["box"].gpus[0], memory_used_bytes=20 * GIB),)
    world.change("box", gpus=devices)
    assert placed(world, resources={"gpus": 1}) is None


def test_a_foreign_process_of_unknown_size_takes_a_device_where_use_is_unknown() -> None:
    world = World(node("box", gpus=1))
    unknown = replace(process("carol", 1), memory_bytes=None)
    devices = (replace(world.nodes["box"].gpus[0], memory_used_bytes=None, processes=(unknown,)),)
    world.change("box", gpus=devices)
    assert placed(world, resources={"gpus": 1}) is None


def test_our_own_process_isnt_foreign_but_what_it_leaves_behind_is() -> None:
    world = World(node("box", gpus=2))
    world.submit("own", resources={"gpus": 1})
    world.run()
    attempt = world.live("own")
    assert attempt is not None
    world.use_gpu("box", 0, process("lab", 40, attempt=attempt.id))
    assert placed(world, resources={"gpus": 1}) == "box"
    world.end(attempt.id)
    world.submit("next", resources={"gpus": 1})
    world.settle()
    assert world.where("next") is None
    assert "alice/own: jupyter (left over)" in world.why("next").blocks[0].text
    world.use_gpu("box", 0)
    world.settle()
    assert world.where("next") == "box"


def test_a_device_that_our_own_process_fills_is_waited_for_as_our_own() -> None:
    world = World(node("box", gpus=1))
    world.submit("own", resources={"gpus": 1})
    world.run()
    world.use_gpu("box", 0, process("lab", 40, attempt="j1.0.1"))
    world.submit("next", resources={"gpus": 1})
    world.settle()
    assert world.task("next").reason_code == "gpus_busy"


@pytest.mark.parametrize(
    "fields",
    [{"state": "lost"}, {"state": "error"}, {"state": "claimed"}, {"recovery_action": 1}],
)
def test_a_device_that_isnt_well_gets_nothing(fields: dict[str, Any]) -> None:
    world = World(node("box", gpus=2))
    devices = list(world.nodes["box"].gpus)
    devices[0] = replace(devices[0], **fields)
    world.change("box", gpus=tuple(devices))
    assert placed(world, resources={"gpus": 2}) is None
    world.submit("one", resources={"gpus": 1})
    world.settle()
    assert world.attempts["j2.0.1"].gpus == ("box-1",)


def test_a_cordoned_device_is_out_alone() -> None:
    world = World(node("box", gpus=2))
    world.change("box", cordoned_gpus={"box-0": Mark("flextui", 0.0, "XID 79")})
    assert placed(world, resources={"gpus": 2}) is None
    assert world.why("probe").would_help == (
        "with 1 GPU instead of 2: now",
        "with GPU 0 of box uncordoned: now",
    )


def test_an_unknown_attempt_keeps_its_devices_and_its_cores() -> None:
    world = World(node("a", cpus=1, gpus=1))
    world.submit("first", resources={"gpus": 1})
    world.run()
    attempt = world.attempts["j1.0.1"]
    world.attempts[attempt.id] = replace(attempt, state=AttemptState.UNKNOWN)
    world.submit("gpu", resources={"gpus": 1, "cpus": 0})
    world.submit("cpu", resources={"cpus": 1})
    world.settle()
    assert (world.where("gpu"), world.where("cpu")) == (None, None)


# ── rank ───────────────────────────────────────────────────────────────────────────────────────


def test_packing_leaves_big_holes_whole() -> None:
    world = World(node("big", gpus=8), node("small", gpus=2))
    assert placed(world, resources={"gpus": 2}) == "small"


def test_the_smallest_device_that_does_is_taken() -> None:
    world = World(
        node("h100", gpus=1, model="NVIDIA H100", gpu_memory=80),
        node("l4", gpus=1, model="NVIDIA L4", gpu_memory=24),
    )
    assert placed(world, resources={"gpus": 1, "gpu_memory": "20GiB"}) == "l4"
    world.submit("large", resources={"gpus": 1, "gpu_memory": "40GiB"})
    world.settle()
    assert world.where("large") == "h100"


def test_several_gpus_are_of_one_model_where_one_has_enough() -> None:
    world = World(node("box"))
    devices = [gpu("v-0", 0, "V100", 16), gpu("a-0", 1, "A100", 40), gpu("a-1", 2, "A100", 40)]
    world.change("box", gpus=tuple(devices))
    assert placed(world, resources={"gpus": 2}) == "box"
    assert world.attempts["j1.0.1"].gpus == ("a-0", "a-1")


def test_work_without_gpus_keeps_away_from_free_gpus() -> None:
    world = World(node("a-gpus", gpus=8), node("z-plain"))
    assert placed(world) == "z-plain"


def test_a_service_is_spread_and_batch_is_packed() -> None:
    world = World(node("a"), node("b"), node("c"))
    world.submit("svc", type="service", count=3)
    world.settle()
    assert {world.where("svc", index) for index in range(3)} == {"a", "b", "c"}
    for index in range(3):
        world.submit(f"batch{index}")
    world.settle()
    assert len({world.where(f"batch{index}") for index in range(3)}) == 1


def test_preferred_labels_go_before_packing() -> None:
    world = World(node("a"), node("b", labels={"disk": "nvme"}))
    assert placed(world, where={"prefer": {"disk": "nvme"}}) == "b"
    assert placed(world, where={"prefer": {"disk": "tape"}}) == "b"


# ── order ──────────────────────────────────────────────────────────────────────────────────────


def test_priority_then_age_then_submission() -> None:
    world = World(node("box", cpus=1))
    world.submit("running")
    world.run()
    world.submit("old")
    world.step(10)
    world.submit("twin-a")
    world.submit("twin-b")
    world.submit("urgent", priority=90)
    world.settle()
    assert world.why("twin-b").position == 4
    order = []
    for _ in range(4):
        world.end(next(it.id for it in world.attempts.values() if it.state.live))
        world.run()
        live = next(it for it in world.attempts.values() if it.state.live)
        order.append(world.jobs[live.task.job].name)
    assert order == ["urgent", "old", "twin-a", "twin-b"]


def test_what_frees_up_is_kept_for_the_big_request_at_the_head() -> None:
    """Four GPUs free up one by one; smaller requests behind don't take them away."""
    world = World(node("box", cpus=64, gpus=4))
    for index in range(4):
        world.submit(f"one{index}", resources={"gpus": 1})
    world.run()
    world.submit("big", resources={"gpus": 4})
    for index in range(20):
        world.submit(f"late{index}", resources={"gpus": 1})
    for index in range(4):
        world.run()
        assert world.where("big") is None
        assert not any(world.where(f"late{it}") for it in range(20))
        attempt = world.live(f"one{index}")
        assert attempt is not None
        world.end(attempt.id)
    world.run()
    assert world.where("big") == "box"


def test_later_work_may_use_what_the_head_wont_miss() -> None:
    world = World(node("a", cpus=8, gpus=4), node("b", cpus=8, gpus=2))
    world.submit("hold", resources={"gpus": 2}, where={"node": "a"})
    world.run()
    world.submit("big", resources={"gpus": 4, "cpus": 4})
    world.submit("cpu", resources={"cpus": 3}, where={"node": "a"})
    world.submit("too-many", resources={"cpus": 2}, where={"node": "a"})
    world.submit("elsewhere", resources={"gpus": 2})
    world.run()
    assert world.where("big") is None
    assert world.where("cpu") == "a"
    assert world.where("too-many") is None
    assert world.task("too-many").reason == ("needs 2 CPUs: a kept for alice/big")
    assert world.where("elsewhere") == "b"


def test_a_place_is_kept_from_others_of_the_same_name_and_request() -> None:
    """Two nodes are kept for a gang; jobs of its name that want one node stay behind it."""
    world = World(node("a", gpus=4), node("b", gpus=4))
    first = world.submit("left", resources={"gpus": 4}, where={"node": "a"})
    world.submit("right", resources={"gpus": 4}, where={"node": "b"})
    world.run()
    world.submit("train", nodes=2, resources={"gpus": 4})
    later = world.submit("train", resources={"gpus": 4})
    world.end(f"{first.id}.0.1")
    world.run()
    assert world.live("train") is None
    assert world.task("train").key.job == later.id
    assert "a kept for alice/train" in world.task("train").reason


def test_a_request_that_no_node_will_hold_keeps_nothing() -> None:
    world = World(node("box", gpus=2))
    world.submit("never", resources={"gpus": 5}, priority=100)
    world.submit("fits", resources={"gpus": 2})
    world.settle()
    assert world.where("fits") == "box"


def test_foreign_use_doesnt_make_the_head_hold_a_node_back() -> None:
    world = World(node("box", gpus=2))
    world.use_gpu("box", 0, process("carol", 31))
    world.submit("both", resources={"gpus": 2})
    world.submit("one", resources={"gpus": 1})
    world.settle()
    assert world.where("one") == "box"
