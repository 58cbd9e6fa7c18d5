"""Reasons and explanations: what is in the way, who has it, when it clears, what would help."""

from __future__ import annotations

from flextui.core.model.ids import TaskKey
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity, NodeStatus, Snapshot
from flextui.core.reduce.admission import Terms
from flextui.core.reduce.jobs import new_job
from flextui.core.scheduler.decision import Trial
from flextui.core.scheduler.explain import explain
from flextui.core.scheduler.placing import FRONT
from flextui.core.scheduler.trial import trial
from tests.unit.world import GIB, World, node, process


def tried(snapshot: Snapshot, spec: JobSpec, world: World) -> Trial:
    """What would become of it, handed in by alice."""
    terms = Terms(project="", begin_at=None, deadline_at=None)
    job = new_job(0, world.now.wall, Identity("alice", 1000), spec, terms)
    return trial(snapshot, job, world.now)


def busy() -> World:
    """gpu1: 3 of 4 held by bob/train; gpu2: both held by eve/eval; gpu3: carol's notebook."""
    world = World(node("gpu1", gpus=4), node("gpu2", gpus=2), node("gpu3", gpus=1))
    world.submit("train", owner="bob", resources={"gpus": 3}, time_limit="4h")
    world.submit("eval", owner="eve", resources={"gpus": 2})
    world.use_gpu("gpu3", 0, process("carol", 31))
    world.run()
    return world


def test_the_stored_reason_tells_node_by_node() -> None:
    world = busy()
    world.submit("job", resources={"gpus": 2})
    world.settle()
    task = world.task("job")
    assert task.reason == "needs 2 GPUs: gpu1 1 of 4 free, gpu2 held by eve/eval, gpu3 has 1 GPU"
    assert task.reason_code == "gpus_busy"
    assert world.job("job").reason == task.reason


def test_the_explanation_names_holders_and_when_they_end() -> None:
    world = busy()
    world.submit("job", resources={"gpus": 2})
    world.step(3600)
    why = world.why("job")
    first = why.blocks[0]
    assert (first.code, first.nodes, first.held_by) == ("gpus_busy", ("gpu1",), ("bob/train",))
    assert first.text == "1 of 4 GPUs free; 3 held by bob/train"
    assert first.clears == "bob/train ends in 3h at the latest"
    assert why.would_help == ("with 1 GPU instead of 2: now",)
    assert (why.position, why.feasible_ever) == (1, True)


def test_foreign_processes_are_named_with_what_they_hold() -> None:
    world = busy()
    world.submit("job", resources={"gpus": 1}, where={"node": "gpu3"})
    world.settle()
    block = next(it for it in world.why("job").blocks if it.nodes == ("gpu3",))
    assert block.code == "gpus_foreign"
    assert block.text == "0 of 1 GPUs free; GPU 0 used by carol: jupyter 31 GiB"
    assert block.held_by == ("carol: jupyter",)


def test_alike_nodes_are_folded() -> None:
    world = World(*(node(f"n{index}") for index in range(6)))
    for index in range(6):
        world.drain(f"n{index}")
    world.submit("job")
    world.settle()
    assert world.task("job").reason == "needs 1 CPU: 6 nodes drained"
    assert len(world.why("job").blocks) == 1
    assert len(world.why("job").blocks[0].nodes) == 6


def test_what_no_node_could_ever_hold() -> None:
    world = busy()
    world.submit("job", resources={"gpus": 9})
    world.settle()
    assert world.task("job").reason_code == "too_big"
    assert world.task("job").reason == (
        "needs 9 GPUs: no node could ever hold it; nearest is gpu1, has 4 GPUs"
    )
    assert not world.why("job").feasible_ever


def test_where_that_matches_nothing() -> None:
    world = busy()
    world.submit("job", where={"labels": {"rack": "b"}})
    world.settle()
    assert world.task("job").reason == "no node matches where (rack=b)"
    assert world.why("job").would_help == ("without where: now",)


def test_a_node_that_was_never_seen_might_hold_anything() -> None:
    world = World(node("a"), node("b"))
    world.change("b", facts=None, gpus=(), sampled=False)
    world.complain("b", "Permission denied (publickey)")
    world.submit("job", resources={"gpus": 1})
    world.settle()
    assert world.why("job").feasible_ever
    assert world.task("job").reason == "needs 1 GPU: b unreachable, a has no GPU"


def test_who_drives_a_node_is_told_once() -> None:
    world = World(node("a"))
    reason = "a is driven by ann@head: use `flextui --connect head`"
    world.change("a", status=NodeStatus.OBSERVED, driver="ann@head", reason=reason)
    world.submit("job")
    world.settle()
    (block,) = world.why("job").blocks
    assert block.text == "driven by ann@head: use `flextui --connect head`"


def test_smallest_changes_to_the_request() -> None:
    world = World(node("a", cpus=8, memory=64, gpus=1, gpu_memory=24, model="NVIDIA L4"))
    world.submit("cpus", resources={"cpus": 12})
    world.submit("memory", resources={"memory": "100GiB"})
    world.submit("model", resources={"gpus": 1, "gpu_model": "h100"})
    world.submit("vram", resources={"gpus": 1, "gpu_memory": "40GiB"})
    world.settle()
    assert world.why("cpus").would_help == ("with 8 CPUs instead of 12: now",)
    assert world.why("memory").would_help == ("with 64GiB instead of 100GiB: now",)
    assert world.why("model").would_help == ("without gpu_model: now",)
    assert world.why("vram").would_help == ("with gpu_memory 24GiB: now",)


def test_smallest_changes_to_the_fleet() -> None:
    world = World(node("a"))
    world.drain("a")
    world.submit("job")
    world.settle()
    assert world.why("job").would_help == ("with a undrained: now",)


def test_a_task_in_its_delay_says_for_how_long() -> None:
    world = World(node("a"))
    world.submit("svc", type="service", restart={"delay": "30s"})
    world.run()
    world.end("j1.0.1", code=1)
    world.settle()
    assert world.task("svc").reason == "starts again: exit 1"
    world.step(10)
    why = world.why("svc")
    assert (why.code, why.blocks[0].clears) == ("delay", "in 20s")


def test_far_back_in_the_queue_the_reason_stays_the_same() -> None:
    world = World(node("box", cpus=64, gpus=1))
    for index in range(FRONT + 10):
        world.submit(f"job{index}", resources={"gpus": 1})
    world.run()
    deep = world.task(f"job{FRONT + 5}")
    assert deep.reason == "needs 1 GPU: waits for room"
    attempt = world.live("job0")
    assert attempt is not None
    world.end(attempt.id)
    decision = world.step()
    assert len(decision.placements) == 1
    assert len(decision.tasks) <= FRONT + 1
    assert world.why(f"job{FRONT + 5}").summary.startswith("needs 1 GPU: box held by")


def test_a_job_that_doesnt_exist_is_told_as_such() -> None:
    world = World(node("a"))
    assert explain(world.snapshot(), TaskKey("j9", 0), world.now).code == "gone"


# ── trials ─────────────────────────────────────────────────────────────────────────────────────


def spec(**fields: object) -> JobSpec:
    return JobSpec.model_validate({"name": "new", "run": "true", **fields})


def test_a_trial_tells_where_the_tasks_would_go_and_changes_nothing() -> None:
    world = busy()
    before = world.snapshot()
    found = tried(before, spec(resources={"gpus": 1}), world)
    assert [(it.index, it.node, it.gpus) for it in found.tasks] == [(0, "gpu1", ("gpu1-3",))]
    assert found.warnings == ()
    assert world.snapshot() == before


def test_a_trial_explains_what_would_wait_behind_the_queue() -> None:
    world = busy()
    world.submit("first", resources={"gpus": 1})
    found = tried(world.snapshot(), spec(resources={"gpus": 1}), world)
    (task,) = found.tasks
    assert task.node is None
    assert task.explanation is not None
    assert task.explanation.summary.startswith("needs 1 GPU: gpu1 held by")


def test_a_trial_of_a_service_warns_that_it_may_run_twice() -> None:
    world = World(node("a"), node("b"))
    found = tried(world.snapshot(), spec(type="service", count=2), world)
    assert {it.node for it in found.tasks} == {"a", "b"}
    assert found.warnings == ("if its node is lost, may run twice until a or b answers",)
    fenced = spec(type="service", on_node_loss={"fence": True})
    assert tried(world.snapshot(), fenced, world).warnings == ()


def test_a_trial_of_a_new_revision_has_the_old_ones_room() -> None:
    world = World(node("a", cpus=4))
    world.submit("new", type="service", resources={"cpus": 4})
    world.run()
    found = tried(world.snapshot(), spec(type="service", resources={"cpus": 4}), world)
    assert [it.node for it in found.tasks] == ["a"]


def test_amounts_are_told_in_full_only_when_asked() -> None:
    world = World(node("a", memory=64))
    world.submit("big", resources={"memory": 40 * GIB})
    world.run()
    world.submit("job", resources={"memory": 30 * GIB})
    world.settle()
    assert world.task("job").reason == "needs 1 CPU and 30GiB: a too little memory free"
    block = world.why("job").blocks[0]
    assert (block.text, block.held_by) == ("24GiB of 64GiB free", ("alice/big",))
