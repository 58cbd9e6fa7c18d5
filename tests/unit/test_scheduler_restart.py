"""What an attempt's end means for its task: the rules of restart, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from flextui.core.model.spec import JobSpec
from flextui.core.model.state import AttemptState, JobState
from flextui.core.scheduler.restart import restart_delay
from tests.unit.world import FIRST, World, node

RUNNING, PENDING, FAILED = JobState.RUNNING, JobState.PENDING, JobState.FAILED


def running(**fields: Any) -> World:
    world = World(node("box"))
    world.submit("job", **fields)
    world.run()
    assert world.task("job").state is RUNNING
    return world


def end(world: World, **how: Any) -> None:
    attempt = world.live("job")
    assert attempt is not None
    world.end(attempt.id, **how)


def test_batch_that_exits_0_succeeds_and_its_job_with_it() -> None:
    world = running()
    end(world, code=0)
    world.settle()
    assert world.job("job").state is JobState.SUCCEEDED
    assert world.job("job").ended_at == world.now.wall
    assert world.task("job").exit_code == 0
    assert "job" not in {it.name for it in world.jobs.values()}


def test_batch_fails_with_its_exit_code_and_isnt_restarted_by_default() -> None:
    world = running()
    end(world, code=3)
    world.settle()
    assert (world.job("job").state, world.job("job").reason) == (FAILED, "exit 3")
    assert world.live("job") is None


def test_service_that_exits_0_starts_again_after_the_delay() -> None:
    world = running(type="service", restart={"delay": "5s"})
    end(world, code=0)
    decision = world.step()
    assert decision.next_wall == world.now.wall + 5
    assert world.task("job").reason_code == "delay"
    world.step(4.9)
    assert world.live("job") is None
    world.step(0.2)
    assert world.where("job") == "box"


def test_delays_grow_and_stop_at_the_longest() -> None:
    policy = JobSpec.model_validate(
        {
            "name": "x",
            "run": "x",
            "restart": {"on": "failure", "delay": 5, "backoff": 2, "max_delay": 60},
        }
    ).restart
    assert [restart_delay(policy, n) for n in (1, 2, 3, 4, 5, 50)] == [5, 10, 20, 40, 60, 60]


def test_crash_loop_ends_with_its_reason() -> None:
    world = running(type="service", restart={"attempts": 3, "within": "10m", "delay": "5s"})
    for _ in range(3):
        end(world, code=1)
        world.settle()
        world.step(60)
        world.run()
    end(world, code=1)
    world.settle()
    job = world.job("job")
    assert (job.state, job.reason) == (FAILED, "crash loop: 4 failures in 10m, last exit 1")
    assert world.step(3600).placements == ()


def test_failures_outside_the_window_are_forgotten() -> None:
    world = running(type="service", restart={"attempts": 1, "within": "10m", "delay": "1s"})
    for _ in range(5):
        end(world, code=1)
        world.settle()
        world.step(700)
        world.run()
    assert world.task("job").state is RUNNING


def test_ends_of_a_service_that_succeeds_at_once_are_a_crash_loop_too() -> None:
    world = running(type="service", restart={"attempts": 1, "delay": 0})
    end(world, code=0)
    world.run()
    end(world, code=0)
    world.settle()
    assert world.job("job").reason == "crash loop: 2 ends in 10m, last exit 0"


def test_not_on_exit_fails_at_once() -> None:
    world = running(restart={"on": "failure", "not_on_exit": [2]})
    end(world, code=2)
    world.settle()
    assert (world.job("job").state, world.job("job").reason) == (
        FAILED,
        "exit 2, which is not restarted",
    )


@pytest.mark.parametrize(
    ("why", "state"),
    [
        ("refused", AttemptState.KILLED),
        ("never", AttemptState.KILLED),
        ("device_lost", AttemptState.FAILED),
        ("boot", AttemptState.LOST),
        ("supervisor_lost", AttemptState.LOST),
        ("lease", AttemptState.KILLED),
    ],
)
def test_ends_that_arent_the_workloads_doing_are_repeated_and_not_counted(
    why: str, state: AttemptState
) -> None:
    world = running(restart={"on": "never"})
    for _ in range(10):
        end(world, code=None, why=why, state=state)
        assert world.task("job").failures == ()
        world.step(10)
        world.run()
    assert world.task("job").state is RUNNING
    assert world.task("job").attempts == 11


def test_an_uncounted_end_of_a_short_run_doesnt_spin() -> None:
    world = running()
    end(world, code=None, why="supervisor_lost", state=AttemptState.LOST)
    assert world.step().placements == ()
    assert world.task("job").not_before == FIRST + 5


def test_an_uncounted_end_of_a_long_run_starts_again_at_once() -> None:
    world = running()
    world.step(60)
    end(world, code=None, why="boot", state=AttemptState.LOST)
    assert len(world.step().placements) == 1


def test_time_limit_fails_whatever_restart_says() -> None:
    world = running(time_limit="4h", restart={"on": "always"})
    end(world, code=143, why="time_limit")
    world.settle()
    assert (world.job("job").state, world.job("job").reason) == (FAILED, "time limit 4h")


def test_memory_is_a_failure_that_counts() -> None:
    world = running(restart={"on": "failure", "attempts": 1, "delay": 0})
    end(world, code=137, signal=9, why="memory")
    world.run()
    end(world, code=137, signal=9, why="memory")
    world.settle()
    expected = "crash loop: 2 failures in 10m, last killed for its memory use"
    assert world.job("job").reason == expected


def test_a_signal_is_named() -> None:
    world = running()
    end(world, code=139, signal=11)
    world.settle()
    assert world.job("job").reason == "killed by signal 11"


def test_a_stop_that_the_end_forestalled_leaves_the_success() -> None:
    world = running()
    world.stop("job")
    end(world, code=0)
    world.settle()
    assert world.job("job").state is JobState.SUCCEEDED


def test_a_replaced_attempts_end_changes_nothing() -> None:
    world = World(node("a"), node("b"))
    world.submit("job", type="service")
    world.run()
    first = world.live("job")
    assert first is not None
    world.silence(first.node)
    world.step(61)
    world.run()
    second = world.live("job")
    assert second is not None
    assert second.node != first.node
    before = world.task("job")
    world.end(first.id, code=1)
    assert world.task("job") == before
    world.settle()
    assert world.task("job").state is RUNNING
