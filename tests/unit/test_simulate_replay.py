"""A replay keeps true time: what jobs do, what they wait, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from flextui.core.simulate.boxes import read_boxes
from flextui.core.simulate.fairness import Fairness
from flextui.core.simulate.figures import course, packing_figures, replay_figures
from flextui.core.simulate.packing import asks, pack, tasks_for
from flextui.core.simulate.record import Recorder
from flextui.core.simulate.replay import Options, Replay
from flextui.core.simulate.trace import Ask, Trace, TraceJob

BEGAN = 1_700_000_000.0


def trace(*jobs: TraceJob) -> Trace:
    return Trace("trace", jobs, BEGAN)


def job(at: float, run_s: float, gpus: int = 1, owner: str = "ada", **more: Any) -> TraceJob:
    return TraceJob(at, run_s, owner, ask=Ask(gpus), **more)


def figures(
    *jobs: TraceJob, nodes: str = "1x1", known: bool = False, cost_s: float = 60.0, **policy: Any
) -> dict[str, Any]:
    replay = Replay(trace(*jobs), read_boxes(nodes), Options(policy, known, cost_s))
    return replay_figures(replay.run())


# ── time ───────────────────────────────────────────────────────────────────────────────────────


def test_jobs_that_share_one_gpu_follow_each_other() -> None:
    told = figures(job(0, 100), job(10, 50), job(20, 5), queue="fifo", backfill="off")
    assert told["average_jct_s"] == pytest.approx((100 + 140 + 135) / 3, abs=0.001)
    assert told["makespan_s"] == 155
    assert told["longest_wait_s"] == 130
    assert told["median_wait_s"] == 90
    assert told["utilisation_percent"] == 100
    assert told["ended"] == 3


def test_jobs_that_fit_beside_each_other_run_beside_each_other() -> None:
    told = figures(job(0, 100, 4), job(0, 100, 4), nodes="1x8")
    assert told["makespan_s"] == 100
    assert told["average_wait_s"] == 0


def test_nothing_is_idle_that_is_waited_for_where_it_can_be_used() -> None:
    told = figures(job(0, 100, 6), job(0, 100, 6), job(50, 10, 2), nodes="1x8", queue="fifo")
    assert told["ended"] == 3
    assert 0 < told["idle_while_waiting_percent"] < 30


def test_a_job_that_no_node_could_hold_is_refused_and_told() -> None:
    told = figures(job(0, 1), TraceJob(0, 1, "ada", ask=Ask(1, models=("h100",))))
    assert told["refused"] == 1
    assert told["ended"] == 1
    (refusal,) = told["refusals"]
    assert "no node could ever hold it" in refusal["why"]


def test_a_job_that_was_taken_back_frees_its_place() -> None:
    told = figures(job(0, 1000, stopped_at=100.0), job(0, 10), queue="fifo")
    assert told["makespan_s"] == 110
    assert told["longest_wait_s"] == 100


def test_a_job_that_was_taken_back_before_it_started_never_runs() -> None:
    told = figures(job(0, 100), job(0, 100, stopped_at=50.0), queue="fifo")
    assert told["starts"] == 1
    assert told["ended"] == 2
    assert told["longest_wait_s"] == 50


def test_the_same_trace_gives_the_same_figures() -> None:
    jobs = [job(at * 7.0, 40.0 + at % 5, 1 + at % 4) for at in range(40)]
    one, two = (figures(*jobs, nodes="2x4", queue="shortest", preemption=True) for _ in range(2))
    for told in (one, two):
        del told["seconds"]
    assert one == two


# ── preemption ─────────────────────────────────────────────────────────────────────────────────


def test_preempted_work_goes_on_from_where_it_was_after_its_cost() -> None:
    told = figures(
        job(0, 1000, name="long"),
        job(100, 10, name="short"),
        known=True,
        queue="shortest",
        preemption=True,
        cost_s=30.0,
    )
    assert told["preemptions"] == 1
    assert told["makespan_s"] == 1000 + 10 + 30
    assert told["preemption_overhead_percent"] == pytest.approx(100 * 30 / 1040, abs=0.001)
    assert told["average_jct_s"] == pytest.approx((1040 + 10) / 2, abs=0.02)


def test_without_preemption_nothing_that_runs_is_stopped() -> None:
    told = figures(job(0, 1000), job(100, 10), known=True, queue="shortest", preemption=False)
    assert told["preemptions"] == 0
    assert told["makespan_s"] == 1010


# ── fairness ───────────────────────────────────────────────────────────────────────────────────


def test_everybody_is_due_an_equal_part_of_what_they_want_by_weight() -> None:
    fairness = Fairness(8000, {"a": 3.0})
    fairness.waits("a", 8000)
    fairness.waits("b", 8000)
    fairness.waits("c", 1000)
    fairness.tick(0.0)
    dues = {name: it.due for name, it in fairness.accounts.items()}
    assert dues == {"a": 5250.0, "b": 1750.0, "c": 1000}


def test_what_was_due_and_not_given_is_the_error() -> None:
    fairness = Fairness(8000, {})
    fairness.held("a", 8000)
    fairness.waits("b", 4000)
    fairness.tick(0.0)
    fairness.settle(10.0)
    assert fairness.error == 0.5
    fairness.held("a", -8000)
    fairness.held("b", 4000)
    fairness.waits("b", -4000)
    fairness.tick(10.0)
    fairness.settle(20.0)
    assert fairness.error == pytest.approx(4 / 12)


# ── the course ─────────────────────────────────────────────────────────────────────────────────


def test_the_course_keeps_the_sum_of_what_was_held() -> None:
    record = Recorder(4000, {})
    run = record.submitted(job(0, 7), 1, 1000)
    record.tick(0.0)
    record.started(3.0, run, "j1.0.1", 1000)
    record.tick(3.0)
    record.ended(10.0, "j1.0.1", done=True)
    record.tick(10.0)
    points = course(record, 4)
    assert [it["at_s"] for it in points] == [0, 2.5, 5, 7.5]
    assert sum(it["busy_gpus"] for it in points) * 2.5 == pytest.approx(7)
    assert sum(it["waiting_gpus"] for it in points) * 2.5 == pytest.approx(3)
    assert points[1] == {"at_s": 2.5, "busy_gpus": 0.8, "waiting_gpus": 0.2}


# ── packing ────────────────────────────────────────────────────────────────────────────────────

PODS = Trace(
    "pods",
    (
        TraceJob(0, 0, "p", ask=Ask(1)),
        TraceJob(0, 0, "p", ask=Ask(0, 500)),
        TraceJob(0, 0, "p", ask=Ask(4)),
        TraceJob(0, 0, "p", ask=Ask(0, cpus=1.0)),
    ),
    timed=False,
)


def test_tasks_are_drawn_until_a_third_more_is_asked_for_than_there_is() -> None:
    tasks = tasks_for(PODS, 100_000, 7)
    asked = sum(map(asks, tasks))
    assert 130_000 <= asked < 134_000
    assert sorted(map(asks, tasks[:4])) == [0, 500, 1000, 4000]
    assert tasks == tasks_for(PODS, 100_000, 7)
    assert tasks != tasks_for(PODS, 100_000, 8)


def test_a_fleet_is_packed_and_what_does_not_fit_is_left_out() -> None:
    packed = pack(PODS, read_boxes("4x4"), 7, {})
    told = packing_figures(packed, 7)
    assert told["decisions"] == len(tasks_for(PODS, 16_000, 7))
    assert 0 < told["placed"] < told["decisions"]
    assert 50 < told["allocated_percent"] <= 100
    assert told["unallocated_gpus"] == told["free_whole_gpus"] + told["free_parts_gpus"]
    assert told["unallocated_gpus"] == pytest.approx(16 * (1 - told["allocated_percent"] / 100))


def test_nothing_waits_after_packing() -> None:
    """What doesn't fit at once is taken back before the next task is looked at."""
    whole = Trace("whole", (TraceJob(0, 0, "p", ask=Ask(4)),), timed=False)
    packed = pack(whole, read_boxes("2x4"), 7, {})
    assert (packed.placed, packed.decisions) == (2, 3)
    assert packed.percent == 100
