"""What is refused as impossible is impossible, and what is offered instead is not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Node
from flextui.core.scheduler.ever import Never, never
from tests.unit.world import GIB, World, node

MODELS = ["NVIDIA A100-SXM4-80GB", "NVIDIA GeForce RTX 3090"]

RACK = {"labels": {"rack": "a"}}
WHERE: list[dict[str, Any]] = [{}, RACK, {"node": ["n0"]}, {"not": RACK}]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to four nodes with nothing on them; some share GPUs, some have slices."""
    return World(*(draw(boxes(f"n{index}")) for index in range(draw(st.integers(1, 4)))))


@st.composite
def boxes(draw: st.DrawFn, name: str) -> Node:
    box = node(
        name,
        cpus=draw(st.sampled_from([2, 8, 32])),
        memory=draw(st.sampled_from([8, 64])),
        gpus=draw(st.sampled_from([0, 1, 4])),
        model=draw(st.sampled_from(MODELS)),
        gpu_memory=draw(st.sampled_from([24, 80])),
        labels=draw(st.sampled_from([{}, {"rack": "a"}, {"rack": "b"}])),
    )
    kind = draw(st.sampled_from(["whole", "whole", "shared", "slices"]))
    if kind == "shared":
        policy = box.spec.gpus.model_copy(update={"share": True})
        return replace(box, spec=box.spec.model_copy(update={"gpus": policy}))
    if kind == "slices":
        cut = (replace(it, mig="1g.10gb", memory_bytes=10 * GIB, parent="p") for it in box.gpus)
        return replace(box, gpus=tuple(cut))
    return box


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    resources: dict[str, Any] = {
        "gpus": draw(st.integers(0, 6)),
        "cpus": draw(st.sampled_from([0.5, 2, 8, 30, 64])),
        "memory": draw(st.sampled_from([None, "4GiB", "60GiB", "100GiB"])),
    }
    if draw(st.integers(0, 2)) == 0:
        resources["gpus"] = 0
        resources["gpu_share"] = draw(st.sampled_from([0.3, 0.8, "20GiB", "60GiB", "90GiB"]))
    if resources["gpus"] or "gpu_share" in resources:
        models = [[], ["a100"], ["3090"], ["h100"], ["1g.10gb"], ["mig"]]
        resources["gpu_model"] = draw(st.sampled_from(models))
        resources["gpu_memory"] = draw(st.sampled_from([None, "20GiB", "40GiB", "90GiB"]))
    where = draw(st.sampled_from(WHERE))
    return {"name": "job", "run": "x", "resources": resources, "where": where}


@given(worlds(), specs())
@settings(deadline=None, max_examples=300)
def test_on_an_empty_fleet_a_job_is_placed_or_refused_for_ever(
    world: World, data: dict[str, Any]
) -> None:
    spec = JobSpec.model_validate(data)
    refused = never(world.snapshot(), spec)
    world.submit(**data)
    world.settle()
    assert (refused is None) == (world.live("job") is not None)


@given(worlds(), specs())
@settings(deadline=None, max_examples=300)
def test_what_is_offered_instead_would_be_taken(world: World, data: dict[str, Any]) -> None:
    refused = never(world.snapshot(), JobSpec.model_validate(data))
    if refused is not None:
        less = JobSpec.model_validate(changed(data, refused))
        assert never(world.snapshot(), less) is None


def changed(data: dict[str, Any], refused: Never) -> dict[str, Any]:
    """The job with the changes made that the refusal offers."""
    offered = refused.nearest
    resources = {**data["resources"]}
    for field, value in re.findall(r"(\w+): ([\w.]+)", offered):
        sizes = ("memory", "gpu_memory", "gpu_share", "gpu_model")
        resources[field] = value if field in sizes else float(value)
    if "in place of gpu_share" in offered or "without gpu_share" in offered:
        resources.pop("gpu_share")
    if "another gpu_model" in offered:
        resources.pop("gpu_model")
    if "gpus" in resources:
        resources["gpus"] = int(resources["gpus"])
    if not resources["gpus"] and "gpu_share" not in resources:
        resources.pop("gpu_model", None)
        resources.pop("gpu_memory", None)
    where = {} if "without where" in offered else data["where"]
    return {**data, "resources": resources, "where": where}
