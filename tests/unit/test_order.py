"""Who goes first under each policy, and who may take whose place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flextui.core.model.state import Account, AttemptState, Job, StopRequest
from flextui.core.scheduler.order import Ranking
from flextui.core.scheduler.runtimes import learn
from tests.unit.order_kit import DAY, HOUR, Scene


def scene_of(queue: str, **policy: Any) -> Scene:
    return Scene(policy={"queue": queue, "preemption": True, **policy})


def ranking_of(scene: Scene) -> Ranking:
    return Ranking(scene.snapshot(), scene.now())


def names(scene: Scene, *jobs: Job) -> list[str]:
    ranking = ranking_of(scene)
    return [it.name for it in sorted(jobs, key=lambda it: ranking.key(it, scene.task(it)))]


def may(scene: Scene, job: Job, victim: Job) -> bool:
    task = scene.task(victim)
    attempt = scene.attempts[task.active or ""]
    return ranking_of(scene).may_preempt(job, scene.task(job), victim, task, attempt)


# ── fifo ───────────────────────────────────────────────────────────────────────────────────────


def test_fifo_goes_by_when_they_came_alone() -> None:
    scene = scene_of("fifo")
    first = scene.submit("first", priority=0)
    scene.time += 1
    second = scene.submit("second", priority=100)
    assert names(scene, second, first) == ["first", "second"]
    scene.start(first)
    assert not may(scene, second, first)


# ── priority ───────────────────────────────────────────────────────────────────────────────────


def test_priority_then_age() -> None:
    scene = scene_of("priority")
    old = scene.submit("old")
    scene.time += HOUR
    young, urgent = scene.submit("young"), scene.submit("urgent", priority=60)
    assert names(scene, young, old, urgent) == ["urgent", "old", "young"]


def test_age_makes_up_for_a_little_priority_and_then_no_more() -> None:
    scene = scene_of("priority", weights={"priority": 1000, "age": 200}, age_full="1d")
    old = scene.submit("old", priority=50)
    scene.time += 12 * HOUR
    young, urgent = scene.submit("young", priority=55), scene.submit("urgent", priority=65)
    assert names(scene, old, young, urgent) == ["urgent", "old", "young"]
    scene.time += 30 * DAY
    scene.tasks[scene.task(urgent).key] = replace(scene.task(urgent), ready_at=scene.time)
    assert names(scene, old, urgent) == ["old", "urgent"]
    highest = scene.submit("highest", priority=75)
    assert names(scene, old, highest) == ["highest", "old"]


def test_who_used_much_goes_later_under_priority() -> None:
    scene = scene_of("priority")
    scene.accounts = {("", "ann"): Account("", "ann", at=scene.time, gpus=4000)}
    mine, theirs = scene.submit("mine", "ann"), scene.submit("theirs", "bob")
    assert names(scene, mine, theirs) == ["theirs", "mine"]


def test_size_counts_where_it_has_a_weight() -> None:
    scene = scene_of("priority", weights={"size": 100})
    small, big = scene.submit("small"), scene.submit("big", resources={"gpus": 8})
    assert names(scene, small, big) == ["big", "small"]


def test_factors_are_told_with_their_weights() -> None:
    scene = scene_of("priority")
    job = scene.submit("job", priority=80)
    told = {it.name: it for it in ranking_of(scene).factors(job, scene.task(job))}
    assert (told["priority"].weight, told["priority"].value) == (1000, 0.8)
    assert set(told) == {"priority", "age", "fair share"}


@pytest.mark.parametrize("queue", ["priority", "fair-share", "shortest"])
def test_a_higher_own_priority_may_take_a_place(queue: str) -> None:
    scene = scene_of(queue)
    runs = scene.submit("runs", priority=50)
    scene.start(runs)
    assert may(scene, scene.submit("higher", priority=51), runs)
    assert not may(scene, scene.submit("equal", priority=50), runs)
    assert not may(scene, scene.submit("lower", priority=49), runs)


def test_never_means_never_and_without_preemption_nobody_is_preempted() -> None:
    scene = scene_of("priority")
    stays, runs = scene.submit("stays", preempt="never"), scene.submit("runs")
    scene.start(stays)
    scene.start(runs)
    urgent = scene.submit("urgent", priority=100)
    assert not may(scene, urgent, stays)
    assert may(scene, urgent, runs)
    policy = scene.inventory.policy.model_copy(update={"preemption": False})
    scene.inventory = scene.inventory.model_copy(update={"policy": policy})
    assert not may(scene, urgent, runs)


def test_what_is_ending_or_out_of_sight_is_not_preempted() -> None:
    scene = scene_of("priority")
    runs, urgent = scene.submit("runs"), scene.submit("urgent", priority=100)
    attempt = scene.start(runs)
    scene.attempts[attempt.id] = replace(attempt, stop=StopRequest("ann", 0.0, "stopped"))
    assert not may(scene, urgent, runs)
    scene.attempts[attempt.id] = replace(attempt, state=AttemptState.UNKNOWN)
    assert not may(scene, urgent, runs)


# ── shortest ───────────────────────────────────────────────────────────────────────────────────


def test_the_shortest_limit_goes_first_and_size_counts() -> None:
    scene = scene_of("shortest")
    day = scene.submit("day", time_limit="1d")
    hour = scene.submit("hour", time_limit="1h")
    wide = scene.submit("wide", time_limit="1h", resources={"gpus": 8})
    assert names(scene, day, wide, hour) == ["hour", "wide", "day"]


def test_what_is_learned_puts_the_quick_ones_first() -> None:
    scene = scene_of("shortest")
    for number in range(10):
        scene.runtimes.update(learn(scene.runtimes, scene.submit(f"long-{number}"), 50 * HOUR))
        scene.runtimes.update(learn(scene.runtimes, scene.submit(f"quick-{number}"), 60.0))
        scene.time += 2 * HOUR
    long, quick = scene.submit("long-77"), scene.submit("quick-77")
    assert names(scene, long, quick) == ["quick-77", "long-77"]


def test_who_has_less_left_goes_first() -> None:
    scene = scene_of("shortest")
    fresh = scene.submit("fresh", time_limit="10h", preempt="resume")
    nearly = scene.submit("nearly", time_limit="20h", preempt="resume", served=18 * HOUR)
    assert names(scene, fresh, nearly) == ["nearly", "fresh"]


def test_services_go_before_what_ends() -> None:
    scene = scene_of("shortest")
    batch = scene.submit("batch", time_limit="1m")
    web = scene.submit("web", type="service")
    assert names(scene, batch, web) == ["web", "batch"]


def test_a_shorter_one_takes_the_place_of_a_longer_that_resumes() -> None:
    scene = scene_of("shortest")
    resumes = scene.submit("resumes", preempt="resume", time_limit="10h")
    anew = scene.submit("anew", time_limit="10h")
    scene.start(resumes)
    scene.start(anew)
    short = scene.submit("short", time_limit="1h")
    assert may(scene, short, resumes)
    assert not may(scene, short, anew)
    assert not may(scene, scene.submit("alike", time_limit="9h50m"), resumes)


def test_a_job_that_turns_out_long_makes_room_for_new_ones() -> None:
    scene = scene_of("shortest")
    runs = scene.submit("runs", preempt="resume")
    scene.start(runs)
    new = scene.submit("new", owner="bob")
    assert not may(scene, new, runs)
    at = ranking_of(scene).wake
    assert at is not None
    assert scene.time < at <= scene.time + 300
    scene.time += 5 * HOUR
    assert may(scene, new, runs)


def test_who_was_preempted_does_not_take_the_place_back_at_once() -> None:
    scene = scene_of("shortest")
    runs = scene.submit("runs", preempt="resume")
    scene.start(runs)
    scene.time += 5 * HOUR
    new = scene.submit("new", owner="bob", preempt="resume")
    assert may(scene, new, runs)
    scene.preempted(runs)
    scene.start(new)
    assert not may(scene, runs, new)
    scene.time += 600
    assert not may(scene, runs, new)


def test_groups_of_known_lengths_hold_what_is_alike() -> None:
    scene = scene_of("shortest")
    ranking = ranking_of(scene)
    jobs = [scene.submit(f"a-{it}", time_limit=f"{600 + it % 2}m") for it in range(6)]
    assert len({ranking.group(it, scene.task(it)) for it in jobs}) == 1


# ── the bound on waiting under shortest ────────────────────────────────────────────────────────


def overdue(scene: Scene) -> list[str]:
    return [scene.jobs[key.job].name for key in ranking_of(scene).owed()]


def test_nobody_is_owed_a_turn_before_the_longest_wait() -> None:
    scene = scene_of("shortest", longest_wait="10h")
    scene.submit("long", time_limit="9d", preempt="resume")
    scene.time += 10 * HOUR - 1
    assert overdue(scene) == []
    assert ranking_of(scene).wake == scene.time + 1
    scene.time += 1
    assert overdue(scene) == ["long"]


def test_who_is_owed_a_turn_takes_a_place_from_shorter_ones_and_keeps_it_for_a_while() -> None:
    scene = scene_of("shortest", longest_wait="10h")
    long = scene.submit("long", time_limit="9d", preempt="resume")
    scene.time += 11 * HOUR
    short = scene.submit("short", time_limit="1h", preempt="resume")
    scene.start(short)
    assert may(scene, long, short)
    scene.preempted(short)
    scene.start(long)
    assert not may(scene, short, long)
    wake = ranking_of(scene).wake
    assert wake is not None
    scene.time = wake
    assert may(scene, short, long)


def test_who_has_had_what_it_is_owed_waits_for_more() -> None:
    scene = scene_of("shortest", longest_wait="24h")
    scene.submit("long", time_limit="90d", preempt="resume", served=10 * HOUR)
    scene.time += 2 * DAY
    assert overdue(scene) == []
    scene.time += 10 * DAY
    assert overdue(scene) == ["long"]


def test_the_oldest_share_half_of_the_fleet() -> None:
    scene = scene_of("shortest", longest_wait="10h")
    for name in ("a", "b", "c", "d"):
        scene.submit(name, resources={"gpus": 2}, preempt="resume")
    scene.time += 11 * HOUR
    assert overdue(scene) == ["a", "b"]


def test_one_job_that_asks_for_more_has_its_turn_as_well() -> None:
    scene = scene_of("shortest", longest_wait="10h")
    scene.submit("big", resources={"gpus": 8}, preempt="resume")
    scene.submit("next", preempt="resume")
    scene.time += 11 * HOUR
    assert overdue(scene) == ["big"]


def test_all_ranks_of_a_gang_are_owed_together() -> None:
    scene = scene_of("shortest", longest_wait="10h")
    scene.submit("gang", nodes=2, preempt="resume")
    scene.time += 11 * HOUR
    assert overdue(scene) == ["gang", "gang"]


def test_what_no_end_of_others_can_start_has_no_turn() -> None:
    scene = scene_of("shortest", longest_wait="10h")
    never = scene.submit("never", preempt="resume")
    scene.tasks[scene.task(never).key] = replace(scene.task(never), reason_code="too_big")
    scene.submit("next", preempt="resume")
    scene.time += 11 * HOUR
    assert overdue(scene) == ["next"]


def test_without_preemption_the_oldest_goes_first_until_it_runs() -> None:
    scene = scene_of("shortest", longest_wait="10h", preemption=False)
    first, second = scene.submit("first"), scene.submit("second")
    scene.time += 11 * HOUR
    assert overdue(scene) == ["first"]
    scene.start(first)
    assert overdue(scene) == []
    scene.attempts.clear()
    scene.jobs.pop(first.id)
    assert overdue(scene) == ["second"]
    assert second.id in scene.jobs


def test_only_shortest_knows_turns() -> None:
    scene = scene_of("priority", longest_wait="1h")
    scene.submit("old")
    scene.time += DAY
    assert overdue(scene) == []
    assert ranking_of(scene).wake is None
