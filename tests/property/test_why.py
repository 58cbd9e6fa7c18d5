"""What `why` and `plan` say is true: remove what is named, make the change that is told, wait as
long as is foreseen, submit what was planned."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flextui.core.model.inventory import Reservation
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity, JobState, Mark, Node
from flextui.core.reduce.admission import Terms
from flextui.core.reduce.jobs import new_job
from flextui.core.scheduler.decision import Block, Explanation
from flextui.core.scheduler.ever import never
from flextui.core.scheduler.timeline import hard_end
from flextui.core.scheduler.trial import trial
from tests.unit.world import FIRST, GIB, World, node, process

pytestmark = pytest.mark.timeout(400)

UNHURRIED = list(HealthCheck)
NEVER = {"labels", "volumes", "too_big", "gpu_model", "gpu_memory", "gpu_share"}
OWNERS = ("alice", "bob")


@st.composite
def boxes(draw: st.DrawFn, name: str) -> Node:
    model = draw(st.sampled_from(("NVIDIA A100-SXM4-80GB", "NVIDIA L4")))
    memory = 80 if "A100" in model else 24
    gpus = draw(st.sampled_from((0, 1, 2, 4)))
    box = node(
        name,
        cpus=draw(st.sampled_from((4, 16))),
        memory=64,
        gpus=gpus,
        model=model,
        gpu_memory=memory,
        labels={"rack": draw(st.sampled_from("ab"))},
    )
    if draw(st.booleans()):
        policy = box.spec.gpus.model_copy(update={"share": True})
        box = replace(box, spec=box.spec.model_copy(update={"gpus": policy}))
    return box


@st.composite
def requests(draw: st.DrawFn, *, limited: bool = False) -> dict[str, Any]:
    resources: dict[str, Any] = {"cpus": draw(st.sampled_from((1, 3, 8)))}
    what = draw(st.sampled_from(("gpus", "gpus", "share", "size", "none")))
    if what == "gpus":
        resources["gpus"] = draw(st.integers(1, 3))
        resources["gpu_model"] = draw(st.sampled_from(((), (), ("a100",))))
    elif what == "share":
        resources["gpu_share"] = draw(st.sampled_from((0.3, 0.5, 0.8)))
    elif what == "size":
        resources["gpu_share"] = draw(st.sampled_from((6 * GIB, 20 * GIB)))
    fields: dict[str, Any] = {"resources": resources, "grace": 0}
    if limited or draw(st.booleans()):
        fields["time_limit"] = draw(st.sampled_from((600, 3600, 36_000)))
    if draw(st.integers(0, 4)) == 0:
        fields["where"] = {"labels": {"rack": draw(st.sampled_from("ab"))}}
    if draw(st.integers(0, 4)) == 0:
        fields["nodes"] = 2
    fields["priority"] = draw(st.sampled_from((50, 50, 80)))
    return fields


@st.composite
def worlds(draw: st.DrawFn, *, limited: bool = False) -> World:
    """A fleet in use: jobs that run and wait, reservations, quotas, foreign use, cordons."""
    policy = {
        "queue": draw(st.sampled_from(("priority", "fifo", "fair-share", "shortest"))),
        "backfill": draw(st.sampled_from(("off", "easy", "conservative"))),
    }
    quota = draw(st.sampled_from((None, None, {"gpus": 2})))
    world = World(
        *(draw(boxes(f"n{index}")) for index in range(draw(st.integers(1, 3)))),
        policy=policy,
        users={"quota": quota} if quota else {},
    )
    if draw(st.integers(0, 2)) == 0:
        start = FIRST + draw(st.sampled_from((-60, 1800, 7200)))
        world.reservations["exam"] = Reservation.model_validate(
            {
                "name": "exam",
                "for": ["carol"],
                "nodes": draw(st.sampled_from((["n0"], "all"))),
                "from": datetime.fromtimestamp(start, UTC).isoformat(),
                "to": 5400,
            }
        )
    for index in range(draw(st.integers(0, 4))):
        owner = draw(st.sampled_from(OWNERS))
        world.submit(f"r{index}", owner, **draw(requests(limited=limited)))
    world.run()
    if not limited:
        for it in list(world.nodes.values()):
            draw_trouble(draw, world, it)
    for index in range(draw(st.integers(0, 2))):
        owner = draw(st.sampled_from(OWNERS))
        world.submit(f"w{index}", owner, **draw(requests(limited=limited)))
    world.run()
    return world


def draw_trouble(draw: st.DrawFn, world: World, box: Node) -> None:
    trouble = draw(st.sampled_from(("", "", "", "drain", "cordon")))
    if trouble == "drain":
        world.drain(box.name)
    elif trouble == "cordon":
        world.change(box.name, cordon=Mark("alice", 0.0, ""))
    if len(box.gpus) > 0 and draw(st.integers(0, 1)):
        index = draw(st.sampled_from(range(len(box.gpus))))
        if draw(st.integers(0, 1)):
            world.use_gpu(box.name, index, process("carol", draw(st.sampled_from((6, 20)))))
        else:
            marks = {box.gpus[index].uuid: Mark("flextui", 0.0, "XID 79")}
            world.change(box.name, cordoned_gpus=marks)


def runs(world: World, name: str = "job") -> bool:
    """Whether the job, or the gang, has its places."""
    job = world.job(name)
    return world.live(name) is not None or job.state.ended


# ── what is in the way ─────────────────────────────────────────────────────────────────────────


def remove(world: World, box: str, block: Block) -> None:
    """Take away what a block says is in the way on a node."""
    match block.code:
        case "node_drained":
            world.drain(box, on=False)
        case "node_cordoned":
            world.change(box, cordon=None)
        case "reserved":
            world.reservations.clear()
        case "quota" | "cpus" | "memory" | "gpus_busy" | "gpus_foreign" | "gpus_cordoned":
            end(world, block.held_by, box if block.nodes else None)
            if block.code.startswith("gpus"):
                for index in range(len(world.nodes[box].gpus)):
                    world.use_gpu(box, index)
            if block.code == "gpus_cordoned":
                world.change(box, cordoned_gpus={})
        case "order":
            for job in list(world.jobs.values()):
                if job.full_name in block.held_by:
                    world.stop(job.name)
        case other:
            raise AssertionError(f"nothing can remove {other}")


def end(world: World, names: tuple[str, ...], box: str | None) -> None:
    for attempt in list(world.attempts.values()):
        job = world.jobs.get(attempt.task.job)
        held = job is not None and job.full_name in names
        if attempt.state.live and held and box in (None, attempt.node):
            world.end(attempt.id)


def gist(why: Explanation) -> object:
    return [(it.code, it.text, it.nodes, it.held_by) for it in why.blocks]


@given(worlds(), requests(), st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=UNHURRIED)
def test_remove_what_is_named_and_it_starts_or_the_next_reason_is_told(
    world: World, request: dict[str, Any], data: st.DataObject
) -> None:
    quota = world.inventory.users.quota.gpus
    gpus = request.get("nodes", 1) * request["resources"].get("gpus", 0)
    assume(quota is None or gpus <= quota)  # more is refused when it is handed in
    world.submit("job", **request)
    world.run()
    for _ in range(30):
        if runs(world):
            return
        why = world.why("job")
        if not why.feasible_ever:
            assert never(
                world.snapshot(), JobSpec.model_validate({"name": "job", "run": "x", **request})
            )
            return
        assert why.blocks, why
        apart = [it for it in why.blocks if not it.nodes]
        per_node: dict[str, list[Block]] = {}
        for block in why.blocks:
            for name in block.nodes:
                per_node.setdefault(name, []).append(block)
        able = [
            name
            for name, found in sorted(per_node.items())
            if not NEVER.intersection(it.code for it in found)
        ]
        assert apart or able, why
        name = data.draw(st.sampled_from(able)) if able else next(iter(world.nodes))
        for block in [*apart, *(per_node[name] if able else ())]:
            remove(world, name, block)
        world.run()
        assert runs(world) or gist(world.why("job")) != gist(why), why
    raise AssertionError(world.why("job"))


# ── what would help ────────────────────────────────────────────────────────────────────────────

CHANGES: tuple[tuple[str, tuple[str, ...], Callable[[str], Any]], ...] = (
    (r"with (\d+) GPUs? instead of \d+", ("resources", "gpus"), int),
    (r"with ([\d.]+) CPUs? instead of [\d.]+", ("resources", "cpus"), float),
    (r"with gpu_share ([\d.]+) instead of .*", ("resources", "gpu_share"), float),
    (r"with gpu_share ([\d.]+GiB) instead of .*", ("resources", "gpu_share"), str),
    (r"with time_limit (\S+)", ("time_limit",), str),
    (r"with (\d+) nodes? instead of \d+", ("nodes",), int),
    (r"without gpu_model()", ("resources", "gpu_model"), lambda _: ()),
    (r"without where()", ("where",), lambda _: {}),
)


def changed(request: dict[str, Any], text: str) -> dict[str, Any]:
    """The request with a change that would help."""
    other = deepcopy(request)
    for part in text.removesuffix(": now").split(" and "):
        for pattern, path, value in CHANGES:
            if found := re.fullmatch(pattern, part):
                inner = other
                for name in path[:-1]:
                    inner = inner[name]
                inner[path[-1]] = value(found[1])
                if path[-1] == "gpu_share":
                    inner["gpus"] = 0
                break
        else:
            raise AssertionError(part)
    return other


@given(worlds(), requests())
@settings(max_examples=80, deadline=None, suppress_health_check=UNHURRIED)
def test_what_would_help_helps(world: World, request: dict[str, Any]) -> None:
    world.submit("job", **request)
    world.run()
    assume(not runs(world))
    for text in world.why("job").would_help:
        tried = deepcopy(world)
        if found := re.fullmatch(r"with (\w+) (undrained|uncordoned): now", text):
            tried.change(found[1], drain=None, cordon=None)
            tried.settle()
            assert runs(tried), text
        elif found := re.fullmatch(r"with GPU (\d) of (\w+) uncordoned: now", text):
            marks = dict(tried.nodes[found[2]].cordoned_gpus)
            marks.pop(f"{found[2]}-{found[1]}")
            tried.change(found[2], cordoned_gpus=marks)
            tried.settle()
            assert runs(tried), text
        else:
            tried.stop("job")
            tried.submit("other", **changed(request, text))
            tried.settle()
            assert runs(tried, "other"), text


# ── what was planned ───────────────────────────────────────────────────────────────────────────


@given(worlds(), requests())
@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
def test_plan_says_what_submit_does(world: World, request: dict[str, Any]) -> None:
    spec = JobSpec.model_validate({"run": "true", "name": "job", **request})
    who = Identity("alice", 1000)
    job = new_job(0, world.now.wall, who, spec, Terms("", None, None))
    told = trial(world.snapshot(), job, world.now)
    world.submit("job", **request)
    world.step()
    for it in told.tasks:
        assert it.node == world.where("job", it.index)
        if it.node is None:
            assert it.reason == world.task("job", it.index).reason
            assert it.explanation is not None
        else:
            attempt = world.live("job", it.index)
            assert attempt is not None
            assert (attempt.gpus, attempt.share) == (it.gpus, it.share)


# ── what is foreseen ───────────────────────────────────────────────────────────────────────────


def ends(world: World) -> dict[str, float]:
    """When what runs comes to its time limit."""
    live = [it for it in world.attempts.values() if it.state.live]
    return {it.id: hard_end(world.jobs[it.task.job], it) for it in live}


def until_it_runs(world: World, early: dict[str, float]) -> float:
    """Let time pass; attempts run up to their limits, or to that part of them. When the job
    starts."""
    world.run()
    for _ in range(300):
        if world.live("job") is not None:
            return world.now.wall
        times = ends(world)
        for key, part in early.items():
            if key in times:
                begun = world.attempts[key].started_at or world.now.wall
                times[key] = max(world.now.wall, begun + part * (times[key] - begun))
        wake = world.decision.next_wall
        at = min([*times.values(), wake if wake is not None else inf])
        assert at < inf, "it never starts"
        world.now = world.now._replace(wall=max(world.now.wall + 0.001, at))
        for key, time in times.items():
            if time <= world.now.wall:
                world.end(key)
        world.run()
    raise AssertionError("it never starts")


@given(worlds(limited=True), requests(limited=True))
@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
def test_it_starts_when_it_is_foreseen_to_if_nothing_else_happens(
    world: World, request: dict[str, Any]
) -> None:
    world.submit("job", **request)
    world.run()
    assume(not runs(world))
    expected = world.why("job").expected
    assert expected is not None
    if expected.at is None:
        return
    assert abs(until_it_runs(world, {}) - expected.at) < 1.0


@given(worlds(limited=True), requests(limited=True), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
def test_it_starts_by_the_latest_however_early_others_end(
    world: World, request: dict[str, Any], data: st.DataObject
) -> None:
    world.submit("job", **request)
    world.run()
    assume(not runs(world))
    expected = world.why("job").expected
    assert expected is not None
    assume(expected.latest is not None)
    assert expected.latest is not None
    early = {key: data.draw(st.sampled_from((0.1, 0.5, 1.0)), label=key) for key in ends(world)}
    assert until_it_runs(world, early) <= expected.latest + 1.0


@given(worlds(), requests())
@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
def test_every_waiting_task_has_a_place_and_an_answer(
    world: World, request: dict[str, Any]
) -> None:
    world.submit("job", **request)
    world.run()
    waiting = [it for it in world.tasks.values() if it.state is JobState.PENDING]
    for task in waiting:
        job = world.jobs.get(task.key.job)
        if job is None or world.live(job.name, task.key.index) is not None:
            continue
        why = world.why(job.name, task.key.index)
        assert why.summary
        assert why.expected is not None
        assert why.position is None or 1 <= why.position <= why.waiting
