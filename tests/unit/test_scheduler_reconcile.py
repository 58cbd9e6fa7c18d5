"""What jobs should have: tasks made and retired, revisions, drains, stops and restarts."""

from __future__ import annotations

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import AttemptState, JobState
from tests.unit.world import World, node

PENDING, RUNNING, STOPPED = JobState.PENDING, JobState.RUNNING, JobState.STOPPED


def states(world: World, name: str) -> list[str]:
    job = world.job(name).id
    return [str(it.state) for key, it in sorted(world.tasks.items()) if key.job == job]


def revisions(world: World, name: str) -> list[int]:
    job = world.job(name)
    live = (world.live(name, index) for index in range(job.count))
    return [it.revision for it in live if it is not None]


# ── batch and the way through its states ───────────────────────────────────────────────────────


def test_a_batch_job_has_one_task_that_starts_in_the_same_pass() -> None:
    world = World(node("box"))
    world.submit("job")
    decision = world.step()
    assert [it.task for it in decision.placements] == [TaskKey("j1", 0)]
    assert world.job("job").state is PENDING
    assert world.job("job").reason == "starting on box"
    world.started("j1.0.1")
    world.step()
    assert (world.job("job").state, world.job("job").reason) == (RUNNING, "")


def test_a_settled_world_stays_as_it_is() -> None:
    world = World(node("a", gpus=2), node("b"))
    world.submit("run")
    world.submit("wait", resources={"gpus": 3})
    world.submit("svc", type="service", count=2)
    world.submit("sys", type="system")
    world.run()
    before = world.snapshot()
    for _ in range(3):
        decision = world.step(1000)
        assert not decision.tasks
        assert not decision.jobs
        assert not decision.placements
    assert world.snapshot() == before


# ── stop ───────────────────────────────────────────────────────────────────────────────────────


def test_a_pending_job_stops_at_once() -> None:
    world = World(node("box", cpus=1))
    world.submit("job", resources={"cpus": 4})
    world.settle()
    world.stop("job")
    world.settle()
    assert (world.job("job").state, world.job("job").reason) == (STOPPED, "stopped by alice")


def test_a_running_job_stops_when_its_attempt_has_ended() -> None:
    world = World(node("box"))
    world.submit("job")
    world.run()
    world.stop("job")
    decision = world.step()
    assert [(it.attempt, it.stop.by, it.stop.why) for it in decision.kills] == [
        ("j1.0.1", "alice", "stopped by alice")
    ]
    assert world.job("job").state is RUNNING
    assert world.step().kills == ()
    world.run()
    assert world.job("job").state is STOPPED
    assert world.task("job").exit_code == 143


def test_a_job_that_was_stopped_before_its_first_pass() -> None:
    world = World(node("box"))
    world.submit("job")
    world.stop("job")
    world.settle()
    assert world.job("job").state is STOPPED
    assert not world.attempts


# ── restart ────────────────────────────────────────────────────────────────────────────────────


def test_an_operators_restart_replaces_a_running_attempt_uncounted() -> None:
    world = World(node("box"))
    world.submit("job", type="service")
    world.run()
    world.restart("job")
    world.run()
    task = world.task("job")
    assert (task.state, task.attempts, task.failures, task.restart) == (RUNNING, 2, (), None)


def test_an_operators_restart_revives_a_crash_loop() -> None:
    world = World(node("box"))
    world.submit("job", type="service", restart={"attempts": 0})
    world.run()
    world.end("j1.0.1", code=1)
    world.settle()
    assert world.job("job").state is JobState.FAILED
    world.restart("job")
    world.run()
    assert world.job("job").state is RUNNING
    assert world.task("job").attempts == 2


# ── services ───────────────────────────────────────────────────────────────────────────────────


def test_scaling_up_and_down() -> None:
    world = World(node("box"))
    world.submit("svc", type="service", count=2)
    world.run()
    world.submit("svc", type="service", count=3)
    world.run()
    assert states(world, "svc") == ["running"] * 3
    world.submit("svc", type="service", count=1)
    world.run()
    assert states(world, "svc") == ["running", "stopped", "stopped"]
    assert world.task("svc", 2).retired
    assert world.job("svc").state is RUNNING
    world.submit("svc", type="service", count=2)
    world.run()
    assert states(world, "svc") == ["running", "running", "stopped"]
    assert world.task("svc", 1).attempts > 1


def test_scaling_to_nothing_leaves_the_job() -> None:
    world = World(node("box"))
    world.submit("svc", type="service", count=1)
    world.run()
    world.submit("svc", type="service", count=0)
    world.run()
    assert (world.job("svc").state, world.job("svc").reason) == (PENDING, "scaled to 0")


def test_a_new_revision_replaces_one_task_at_a_time() -> None:
    world = World(node("box"))
    world.submit("svc", type="service", count=3)
    world.run()
    world.submit("svc", type="service", count=3, env={"A": "1"})
    for _ in range(40):
        world.settle()
        down = [it for it in world.attempts.values() if it.state.live and it.stop is not None]
        assert len(down) <= 1
        running = [
            it
            for it in world.attempts.values()
            if it.state is AttemptState.RUNNING and it.stop is None
        ]
        assert len(running) >= 2
        if not world.obey():
            break
    assert revisions(world, "svc") == [2, 2, 2]


def test_a_revision_that_crashes_takes_down_one_task_only() -> None:
    world = World(node("box"))
    world.submit("svc", type="service", count=3, restart={"attempts": 0})
    world.run()
    world.submit("svc", type="service", count=3, restart={"attempts": 0}, env={"BAD": "1"})
    world.settle()
    victim = next(it for it in world.attempts.values() if it.stop is not None)
    world.end(victim.id, state=AttemptState.KILLED, why="stopped", code=143)
    world.settle()
    new = next(it for it in world.attempts.values() if it.revision == 2)
    world.started(new.id)
    world.end(new.id, code=1)
    world.run()
    assert sorted(states(world, "svc")) == ["failed", "running", "running"]
    assert revisions(world, "svc") == [1, 1]
    assert "2 of 3 run" in world.job("svc").reason


def test_the_next_revision_gives_a_failed_task_its_own_chance() -> None:
    world = World(node("box"))
    world.submit("svc", type="service", count=2, restart={"attempts": 0})
    world.run()
    world.end("j1.1.1", code=1)
    world.settle()
    assert states(world, "svc") == ["running", "failed"]
    world.submit("svc", type="service", count=2, restart={"attempts": 0}, env={"GOOD": "1"})
    world.run()
    assert states(world, "svc") == ["running", "running"]
    assert revisions(world, "svc") == [2, 2]


def test_a_rollout_goes_on_where_the_fleet_has_no_room_for_all() -> None:
    world = World(node("box", cpus=2))
    world.submit("svc", type="service", count=4)
    world.run()
    world.submit("svc", type="service", count=4, env={"A": "1"})
    world.run()
    live = [it.revision for it in world.attempts.values() if it.state.live]
    assert live == [2, 2]


# ── system ─────────────────────────────────────────────────────────────────────────────────────


def test_a_system_job_has_one_task_on_each_matching_node() -> None:
    world = World(node("a", labels={"rack": "x"}), node("b"), node("c", labels={"rack": "x"}))
    world.submit("sys", type="system", where={"labels": {"rack": "x"}})
    world.run()
    assert {it.node for it in world.attempts.values() if it.state.live} == {"a", "c"}


def test_a_system_job_follows_the_fleet() -> None:
    world = World(node("a"), node("b"))
    world.submit("sys", type="system")
    world.run()
    world.drain("a")
    world.run()
    assert {it.node for it in world.attempts.values() if it.state.live} == {"b"}
    world.nodes["c"] = node("c")
    world.drain("a", on=False)
    world.run()
    assert {it.node for it in world.attempts.values() if it.state.live} == {"a", "b", "c"}
    assert len(world.tasks) == 3


def test_a_system_task_waits_for_its_own_node() -> None:
    world = World(node("a"), node("b", cpus=1))
    world.submit("full", where={"node": "b"})
    world.run()
    world.submit("sys", type="system")
    world.settle()
    assert world.task("sys", 1).node == "b"
    assert world.task("sys", 1).reason == "needs 1 CPU: b too few CPUs free"


def test_a_system_job_without_nodes_says_so() -> None:
    world = World(node("a"))
    world.submit("sys", type="system", where={"labels": {"rack": "x"}})
    world.settle()
    assert (world.job("sys").state, world.job("sys").reason) == (PENDING, "no node matches")


# ── drain ──────────────────────────────────────────────────────────────────────────────────────


def test_batch_finishes_on_a_drained_node() -> None:
    world = World(node("a"), node("b"))
    world.submit("job", where={"node": "a"})
    world.run()
    world.drain("a")
    world.run()
    assert world.where("job") == "a"
    assert world.attempts["j1.0.1"].stop is None


def test_a_service_moves_one_task_at_a_time() -> None:
    world = World(node("a"), node("b"))
    world.submit("svc", type="service", count=2, where={"placement": "pack"})
    world.run()
    assert {world.where("svc", 0), world.where("svc", 1)} == {"a"}
    world.drain("a")
    for _ in range(20):
        world.settle()
        assert sum(it.stop is not None for it in world.attempts.values() if it.state.live) <= 1
        if not world.obey():
            break
    assert {world.where("svc", 0), world.where("svc", 1)} == {"b"}


def test_a_service_stays_on_a_drained_node_until_there_is_room() -> None:
    world = World(node("a"), node("b", cpus=1))
    world.submit("other", where={"node": "b"})
    world.run()
    world.submit("svc", type="service")
    world.run()
    world.drain("a")
    world.run()
    assert world.where("svc") == "a"
    assert world.task("svc").reason == "a is drained; there is no room elsewhere"
    other = world.live("other")
    assert other is not None
    world.end(other.id)
    world.run()
    assert world.where("svc") == "b"
    assert world.task("svc").reason == ""
