"""What is refused as impossible is impossible, and what is offered instead is not."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.model.spec import JobSpec
from flextui.core.scheduler.ever import Never, never
from tests.unit.world import World, node

MODELS = ["NVIDIA A100-SXM4-80GB", "NVIDIA GeForce RTX 3090"]

RACK = {"labels": {"rack": "a"}}
WHERE: list[dict[str, Any]] = [{}, RACK, {"node": ["n0"]}, {"not": RACK}]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to four nodes with nothing on them."""
    return World(
        *(
            node(
                f"n{index}",
                cpus=draw(st.sampled_from([2, 8, 32])),
                memory=draw(st.sampled_from([8, 64])),
                gpus=draw(st.sampled_from([0, 1, 4])),
                model=draw(st.sampled_from(MODELS)),
                gpu_memory=draw(st.sampled_from([24, 80])),
                labels=draw(st.sampled_from([{}, {"rack": "a"}, {"rack": "b"}])),
            )
            for index in range(draw(st.integers(1, 4)))
        )
    )


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    resources: dict[str, Any] = {
        "gpus": draw(st.integers(0, 6)),
        "cpus": draw(st.sampled_from([0.5, 2, 8, 30, 64])),
        "memory": draw(st.sampled_from([None, "4GiB", "60GiB", "100GiB"])),
    }
    if resources["gpus"]:
        resources["gpu_model"] = draw(st.sampled_from([[], ["a100"], ["3090"], ["h100"]]))
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
        resources[field] = value if field in ("memory", "gpu_memory") else float(value)
    if "another gpu_model" in offered:
        resources.pop("gpu_model")
    if "gpus" in resources:
        resources["gpus"] = int(resources["gpus"])
    if not resources["gpus"]:
        resources.pop("gpu_model", None)
        resources.pop("gpu_memory", None)
    where = {} if "without where" in offered else data["where"]
    return {**data, "resources": resources, "where": where}
