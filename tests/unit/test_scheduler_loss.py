"""When work on silent nodes is given up, and above all when it isn't."""

from __future__ import annotations

from typing import Any

import pytest

from flextui.core.model.state import AttemptState, JobState
from tests.unit.world import World, node


def fleet(count: int = 5, **fields: Any) -> World:
    """That many nodes, and a job on the first."""
    world = World(*(node(f"n{index}") for index in range(count)))
    world.submit("job", **{"type": "service", "where": {"prefer": {}}, **fields})
    world.run()
    assert world.where("job") == "n0"
    return world


def test_batch_waits_and_says_for_whom() -> None:
    world = fleet(type="batch")
    world.silence("n0")
    world.settle()
    world.step(100_000)
    assert world.task("job").state is JobState.RUNNING
    assert world.task("job").reason == "waits for n0: no answer"
    assert world.job("job").reason == "waits for n0: no answer"
    world.answer("n0")
    world.settle()
    assert world.task("job").reason == ""
    assert world.task("job").attempts == 1


def test_service_is_replaced_after_the_policys_time_and_not_before() -> None:
    world = fleet()
    world.silence("n0")
    decision = world.step()
    assert decision.next_mono == world.now.mono + 60
    world.step(59.9)
    assert world.where("job") == "n0"
    decision = world.step(0.2)
    assert [it.attempt for it in decision.give_ups] == ["j1.0.1"]
    assert "may run twice until n0 answers" in decision.give_ups[0].reason
    assert world.where("job") == "n1"


def test_after_of_the_job_goes_before_the_policys() -> None:
    world = fleet(on_node_loss={"after": "5s"})
    world.silence("n0")
    world.step()
    world.step(5.1)
    assert world.where("job") == "n1"


def test_fail_fails_the_task() -> None:
    world = fleet(on_node_loss={"then": "fail", "after": "10s"})
    world.silence("n0")
    world.step()
    world.step(11)
    world.settle()
    assert world.job("job").state is JobState.FAILED
    assert world.job("job").reason.startswith("lost with n0: no answer for 10s")


@pytest.mark.parametrize("then", ["wait", "reschedule", "fail"])
def test_unreachable_is_never_loss(then: str) -> None:
    world = fleet(on_node_loss={"then": then, "after": "1s"})
    world.complain("n0", "host key changed")
    world.settle()
    world.step(100_000)
    assert world.where("job") == "n0"
    assert world.task("job").reason == "waits for n0: host key changed"


@pytest.mark.parametrize(
    ("nodes", "silent", "paused"), [(4, 2, True), (5, 2, False), (2, 1, False)]
)
def test_half_of_the_nodes_at_once_pause_replacement(nodes: int, silent: int, paused: bool) -> None:
    world = fleet(nodes)
    world.silence(*(f"n{index}" for index in range(silent)))
    decision = world.step()
    assert decision.suspended is paused
    world.step(1000)
    assert (world.where("job") == "n0") is paused
    if paused:
        assert "half of the nodes" in world.task("job").reason
        assert [it.kind for it in decision.notes] == ["fleet.paused"]


def test_nodes_that_vanish_one_by_one_arent_the_cores_link() -> None:
    world = fleet(4)
    world.silence("n1")
    world.step(61)
    world.silence("n0")
    world.step()
    world.step(61)
    assert world.where("job") not in ("n0", "n1")


def test_one_answer_ends_the_pause_for_all() -> None:
    world = fleet(4)
    world.silence("n0", "n1", "n2", "n3")
    world.step(500)
    assert world.where("job") == "n0"
    world.answer("n3")
    decision = world.step(1)
    assert not decision.suspended
    assert "fleet.resumed" in [it.kind for it in decision.notes]
    assert world.where("job") == "n3"


def test_an_operators_word_ends_the_wait_for_that_node() -> None:
    world = fleet(4)
    world.silence("n0", "n1")
    world.step(500)
    world.change("n0", declared_lost=True)
    world.step(1)
    assert world.where("job") not in ("n0", "n1", None)


def test_a_batch_job_that_waits_moves_when_its_node_is_declared_lost() -> None:
    world = fleet(type="batch")
    world.silence("n0")
    world.step(500)
    world.change("n0", declared_lost=True)
    world.step(1)
    assert world.where("job") == "n1"


def test_nothing_is_replaced_before_any_node_answered() -> None:
    """A core whose own link was down from its start."""
    world = fleet(4)
    for index in range(4):
        world.silence(f"n{index}")
        world.change(f"n{index}", up_mono=None)
    world.step(100_000)
    assert world.where("job") == "n0"
    assert world.suspended


def test_loss_time_counts_on_the_awake_clock_alone() -> None:
    world = fleet()
    world.silence("n0")
    world.step()
    world.now = world.now._replace(wall=world.now.wall + 10_000)
    world.step()
    assert world.where("job") == "n0"


def test_fence_waits_for_lease_grace_and_margin() -> None:
    world = fleet(on_node_loss={"fence": True, "after": "5s"}, grace="20s")
    renewed = world.now.mono + 3
    world.lease_mono["j1.0.1"] = renewed
    world.step(4)
    world.silence("n0")
    decision = world.step(6)
    assert world.where("job") == "n0"
    assert decision.next_mono == renewed + 30 + 20 + 10
    world.step(renewed + 60 - world.now.mono - 0.1)
    assert world.where("job") == "n0"
    decision = world.step(0.2)
    assert world.where("job") == "n1"
    assert "may run twice" not in decision.give_ups[0].reason


def test_fence_without_a_known_lease_waits_for_the_node() -> None:
    """A clean shutdown suspended the lease: nothing ends the attempt on its node."""
    world = fleet(on_node_loss={"fence": True, "after": "5s"})
    world.lease_mono.clear()
    world.silence("n0")
    world.step(100_000)
    assert world.where("job") == "n0"
    assert "isn't fenced" in world.task("job").reason


def test_a_start_that_was_never_confirmed_is_fenced_from_the_end_of_the_link() -> None:
    world = World(*(node(f"n{index}") for index in range(5)))
    world.submit("job", type="service", on_node_loss={"fence": True, "after": "5s"}, grace=0)
    world.step()
    world.step(100)
    world.silence("n0")
    world.step(39.9)
    assert world.where("job") == "n0"
    world.step(0.2)
    assert world.where("job") == "n1"


def test_the_return_of_a_replaced_attempts_node_frees_its_room_only_when_it_is_dead() -> None:
    world = World(node("a", cpus=1), node("b", cpus=1), node("c", cpus=0.5))
    world.submit("svc", type="service", where={"node": ["a", "b"]})
    world.run()
    world.silence("a")
    world.step(61)
    world.run()
    assert world.where("svc") == "b"
    world.submit("next", where={"node": "a"})
    stale = world.attempts["j1.0.1"]
    world.answer("a")
    world.attempts[stale.id] = stale  # still alive there
    world.settle()
    assert world.where("next") is None
    world.end(stale.id, state=AttemptState.KILLED, why="stopped", code=143)
    world.settle()
    assert world.where("next") == "a"


def test_a_stopped_job_on_a_silent_node_ends_when_the_node_is_back() -> None:
    world = fleet(type="batch")
    world.silence("n0")
    world.step()
    world.stop("job")
    world.settle()
    assert world.job("job").state is JobState.RUNNING
    assert world.job("job").reason == "stops when n0 answers"
    world.answer("n0")
    world.settle()
    assert world.job("job").state is JobState.STOPPED


def test_a_stopped_job_ends_when_its_node_is_declared_lost() -> None:
    world = fleet(type="batch")
    world.silence("n0")
    world.stop("job")
    world.settle()
    world.change("n0", declared_lost=True)
    world.settle()
    assert world.job("job").state is JobState.STOPPED
    assert world.attempts["j1.0.1"].replaced
