"""What holds for every order: it is total, groups agree with it, and preemption can't go round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.model.state import Account, Job
from flextui.core.scheduler.lifetable import (
    PARTS,
    SECONDS,
    blend,
    counted,
    index,
    nothing,
    prior,
    quantile,
)
from flextui.core.scheduler.order import Ranking
from flextui.core.scheduler.overdue import served_by
from flextui.core.scheduler.runtimes import learn
from tests.unit.order_kit import Scene

QUEUES = ("fifo", "priority", "fair-share", "shortest")
OWNERS = ("ann", "bob", "cleo")

jobs = st.fixed_dictionaries(
    {
        "owner": st.sampled_from(OWNERS),
        "name": st.sampled_from(("a-1", "a-2", "b")),
        "priority": st.sampled_from((0, 49, 50, 51, 100)),
        "gpus": st.sampled_from((0, 1, 2, 8)),
        "nodes": st.sampled_from((1, 1, 2)),
        "limit": st.sampled_from((None, None, 600.0, 36_000.0, 900_000.0)),
        "preempt": st.sampled_from(("never", "restart", "resume", "resume")),
        "served": st.sampled_from((0.0, 100.0, 5_000.0, 400_000.0)),
        "wait": st.sampled_from((0.0, 60.0, 7_200.0, 300_000.0)),
        "ran": st.sampled_from((None, None, 0.0, 1_000.0, 80_000.0)),
    }
)
lives = st.lists(
    st.tuples(st.sampled_from(OWNERS), st.floats(1.0, 1e7), st.booleans()), max_size=12
)


def scene_of(queue: str, described: list[dict[str, Any]], learned: list[Any]) -> Scene:
    scene = Scene(policy={"queue": queue, "preemption": True, "weights": {"size": 50}})
    for owner, seconds, ended in learned:
        past = scene.submit("a-1", owner)
        scene.runtimes.update(learn(scene.runtimes, past, seconds, ended=ended))
        scene.jobs.pop(past.id)
        scene.tasks.clear()
        scene.accounts["", owner] = Account("", owner, used=seconds, at=scene.time, gpus=1000)
    for number, it in enumerate(described):
        resumes = it["preempt"] == "resume"
        job = scene.submit(
            it["name"],
            it["owner"],
            served=it["served"] if resumes else 0.0,
            priority=it["priority"],
            nodes=it["nodes"],
            resources={"gpus": it["gpus"]},
            time_limit=it["limit"],
            preempt=it["preempt"],
        )
        if it["ran"] is not None:
            scene.start(job, scene.time)
        scene.time += it["wait"] if number < len(described) - 1 else (it["ran"] or 0.0)
    return scene


@pytest.mark.parametrize("queue", QUEUES)
@settings(max_examples=60, deadline=None)
@given(described=st.lists(jobs, min_size=2, max_size=10), learned=lives)
def test_the_order_is_total_and_groups_agree_with_it(
    queue: str, described: list[dict[str, Any]], learned: list[Any]
) -> None:
    scene = scene_of(queue, described, learned)
    ranking = Ranking(scene.snapshot(), scene.now())
    waiting = [(job, scene.task(job)) for job in scene.jobs.values()]
    keys = [ranking.key(*it) for it in waiting]
    assert len(set(keys)) == len(keys)
    again = Ranking(scene.snapshot(), scene.now())
    assert [again.key(*it) for it in waiting] == keys
    groups: dict[Any, list[Any]] = {}
    for job, task in waiting:
        groups.setdefault(ranking.group(job, task), []).append((job, task))
    ordered = sorted(waiting, key=lambda it: ranking.key(*it))
    for members in groups.values():
        members.sort(key=lambda it: (it[1].ready_at, it[0].seq, it[1].key.index))
        assert [it for it in ordered if it in members] == members


@pytest.mark.parametrize("queue", QUEUES)
@settings(max_examples=80, deadline=None)
@given(described=st.lists(jobs, min_size=2, max_size=8), learned=lives)
def test_preemption_never_goes_round(
    queue: str, described: list[dict[str, Any]], learned: list[Any]
) -> None:
    scene = scene_of(queue, described, learned)
    ranking = Ranking(scene.snapshot(), scene.now())
    running = [it for it in scene.jobs.values() if scene.task(it).active]
    takes: dict[str, set[str]] = {}
    for job in scene.jobs.values():
        wanting = scene.task(job)
        if wanting.active and job.spec.preempt == "resume":  # as it would wait if it lost its place
            served = served_by(wanting, scene.attempts[wanting.active], scene.time)
            wanting = replace(wanting, served_s=served)
        for victim in running:
            task = scene.task(victim)
            attempt = scene.attempts[task.active or ""]
            if ranking.may_preempt(job, wanting, victim, task, attempt):
                takes.setdefault(job.id, set()).add(victim.id)
    assert not _goes_round(takes)


def _goes_round(takes: dict[str, set[str]]) -> bool:
    done: set[str] = set()

    def visit(key: str, path: frozenset[str]) -> bool:
        if key in path:
            return True
        if key in done:
            return False
        done.add(key)
        return any(visit(it, path | {key}) for it in takes.get(key, ()))

    return any(visit(it, frozenset()) for it in takes)


@settings(max_examples=60, deadline=None)
@given(described=st.lists(jobs, min_size=2, max_size=8), learned=lives)
def test_a_victim_never_takes_its_place_back_at_once(
    described: list[dict[str, Any]], learned: list[Any]
) -> None:
    scene = scene_of("shortest", described, learned)
    for job in list(scene.jobs.values()):
        for victim in list(scene.jobs.values()):
            if scene.task(job).active or not scene.task(victim).active:
                continue
            if not _may(scene, job, victim):
                continue
            before = dict(scene.tasks), dict(scene.attempts)
            scene.preempted(victim)
            scene.start(job)
            assert not _may(scene, victim, job)
            scene.tasks, scene.attempts = before


def _may(scene: Scene, job: Job, victim: Job) -> bool:
    task = scene.task(victim)
    attempt = scene.attempts[task.active or ""]
    ranking = Ranking(scene.snapshot(), scene.now())
    return ranking.may_preempt(job, scene.task(job), victim, task, attempt)


@given(
    runs=st.lists(
        st.tuples(st.floats(0.0, 1e8), st.booleans(), st.sampled_from((0.0, 0.5, 0.999))),
        max_size=30,
    ),
    lean=st.sampled_from((0.3, 20.0)),
)
def test_a_life_table_stays_one(runs: list[tuple[float, bool, float]], lean: float) -> None:
    """Also of runs that were cut off before and went on from there."""
    for edges in (SECONDS, PARTS):
        counts = nothing(edges)
        for seconds, ended, part in runs:
            unit = 1.0 if edges is SECONDS else 1e7
            since, until = part * seconds / unit, seconds / unit
            counts = counted(counts, edges, 0.0, since, ended=False, kept=50)
            for _ in range(20):
                counts = counted(counts, edges, 0.0, 0.0, ended=True, kept=50)
            counts = counted(counts, edges, since, until, ended=ended, kept=50)
        chances = blend(prior(edges), counts, lean)
        assert all(0.0 <= it <= 1.0 for it in chances)
        for so_far in (0.0, edges[3], edges[-2] * 1.01, edges[-1] * 3):
            assert index(chances, edges, so_far) > 0
            low, high = (quantile(chances, edges, so_far, it) for it in (0.1, 0.9))
            assert 0 <= low <= high
