"""What a start tells its node, and the environment that a task finds: shares, pinning, gangs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Attempt, AttemptState
from flextui.core.ports import StartAttempt
from flextui.core.reduce.starts import start_effect
from tests.unit.world import GIB, World, node

MIG = "MIG-5c5f0f8b"


def started(*, spec: dict[str, Any], index: int = 0, **fields: Any) -> StartAttempt:
    """The start of an attempt of a job with this spec."""
    world = World(node("n1", gpus=2))
    job = world.submit("work", **spec)
    attempt = Attempt(
        id="a1",
        task=TaskKey(job.id, index),
        number=1,
        revision=job.revision,
        node="n1",
        host_id="host-n1",
        boot="boot-n1",
        root_id="root-n1",
        cpus=1.0,
        memory_bytes=0,
        state=AttemptState.PLACED,
        placed_at=0.0,
        **{"gpus": (), **fields},
    )
    draft: Any = SimpleNamespace(jobs={job.id: job}, nodes=world.nodes)
    effect = start_effect(draft, attempt)
    assert effect is not None
    return effect


# ── devices ────────────────────────────────────────────────────────────────────────────────────


def test_whole_devices_are_claimed_whole_and_have_no_limit() -> None:
    start = started(spec={"resources": {"gpus": 2}}, gpus=("n1-0", "n1-1"))
    assert start.devices == (("n1-0", 1.0), ("n1-1", 1.0))
    assert start.env["CUDA_VISIBLE_DEVICES"] == "n1-0,n1-1"
    assert not [name for name in start.env if "MPS" in name or "MEMORY" in name]


def test_without_a_device_none_is_visible() -> None:
    start = started(spec={})
    assert (start.devices, start.env["CUDA_VISIBLE_DEVICES"]) == ((), "")


def test_a_slice_is_visible_by_its_own_uuid() -> None:
    start = started(spec={"resources": {"gpus": 1}}, gpus=(MIG,))
    assert start.devices == ((MIG, 1.0),)
    assert start.env["CUDA_VISIBLE_DEVICES"] == MIG


def test_a_fraction_of_a_device_is_told_its_limits() -> None:
    start = started(
        spec={"resources": {"gpu_share": 0.125}},
        gpus=("n1-1",),
        share=125,
        gpu_memory_bytes=10 * GIB,
    )
    assert start.devices == (("n1-1", 0.125),)
    assert start.env["CUDA_VISIBLE_DEVICES"] == "n1-1"
    assert start.env["FLEXTUI_GPU_MEMORY"] == str(10 * GIB)
    # the ordinal counts among the visible devices, of which a share has one
    assert start.env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=10240M"
    assert start.env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "13"


def test_a_size_of_a_device_limits_memory_alone() -> None:
    start = started(
        spec={"resources": {"gpu_share": "10GiB"}},
        gpus=("n1-1",),
        share=125,
        gpu_memory_bytes=10 * GIB,
    )
    assert start.env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=10240M"
    assert "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE" not in start.env


def test_a_spec_overrides_the_hints() -> None:
    """The facts (FLEXTUI_*, CUDA_VISIBLE_DEVICES) no spec may set."""
    start = started(
        spec={
            "resources": {"gpu_share": 0.5},
            "env": {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"},
        },
        gpus=("n1-0",),
        share=500,
        gpu_memory_bytes=40 * GIB,
    )
    assert start.env["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"
    assert start.env["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_the_cpus_that_it_is_pinned_to_go_along() -> None:
    assert started(spec={}).cpu_set == ()
    assert started(spec={}, cpu_set=(4, 5)).cpu_set == (4, 5)


# ── gangs ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("gpus", "world_size"), [((), "4"), (("n1-0",), "4"), (("n1-0", "n1-1"), "8")]
)
def test_a_rank_knows_its_gang(gpus: tuple[str, ...], world_size: str) -> None:
    spec = {"nodes": 4, "resources": {"gpus": len(gpus)}}
    start = started(spec=spec, index=2, gpus=gpus, gang="g1", master="gpu1.lab:29511")
    names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "NNODES", "WORLD_SIZE")
    assert [start.env[name] for name in names] == ["gpu1.lab", "29511", "2", "4", world_size]


def test_a_master_may_be_an_address() -> None:
    start = started(spec={"nodes": 2}, gang="g1", master="[fd00::1]:29500")
    assert (start.env["MASTER_ADDR"], start.env["MASTER_PORT"]) == ("fd00::1", "29500")


def test_what_is_no_gang_has_no_rank() -> None:
    assert not {"MASTER_ADDR", "NODE_RANK", "WORLD_SIZE"} & set(started(spec={}).env)
