"""Whatever a scheduler asks for and however attempts end: nothing is given out twice, every
GPU-second is charged once, and a core that starts anew knows the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.model.state import AttemptState, Now, Snapshot
from flextui.core.model.usage import Used, unsettled
from flextui.core.ports import Loaded
from flextui.core.restore import restored
from flextui.core.scheduler.accounts import charged, held_milli, used_at
from flextui.core.scheduler.decision import GiveUp, Placement
from tests.unit.draft_kit import START, Book, shared
from tests.unit.world import GIB, process

NODES = ("n1", "n2")
GPUS = 3
WEEK = 7 * 86_400.0
QUOTA = {"vision": {"members": ["ann"], "quota": {"gpus": 3, "gpu_hours": "100/2d"}}}

placement = st.fixed_dictionaries(
    {
        "node": st.sampled_from(NODES),
        "gpus": st.lists(st.integers(0, GPUS - 1), max_size=2),
        "share": st.sampled_from([0, 300, 500, 800]),
        "gpu_memory_bytes": st.sampled_from([10 * GIB, 20 * GIB]),
        "cpus": st.sampled_from([0.5, 2.0]),
    }
)
step = st.one_of(
    st.tuples(st.just("place"), placement),
    st.tuples(st.just("gang"), st.lists(placement, min_size=2, max_size=3)),
    st.tuples(st.just("end"), st.tuples(st.integers(0, 20), st.floats(0, 20_000))),
    st.tuples(st.just("give_up"), st.integers(0, 20)),
    st.tuples(st.just("later"), st.floats(1, 50_000)),
    st.tuples(st.just("sample"), st.integers(0, 100)),
    st.tuples(st.just("discard"), st.none()),
)


def asked(book: Book, job: Any, want: dict[str, Any], index: int = 0, **more: Any) -> Placement:
    gpus = tuple(f"{want['node']}-{n}" for n in dict.fromkeys(want["gpus"]))
    share = want["share"] if len(gpus) == 1 else 0
    fields = {"share": share, "gpu_memory_bytes": want["gpu_memory_bytes"] if share else 0}
    return book.placement(
        job, *gpus, index=index, node=want["node"], cpus=want["cpus"], **fields, **more
    )


def take(book: Book, kind: str, value: Any, given_up: dict[str, float]) -> None:
    draft = book.draft
    live = sorted(it.id for it in draft.attempts.values() if it.state.live)
    match kind:
        case "place":
            job = book.submit(project="vision" if value["cpus"] > 1 else "")
            book.decide(asked(book, job, value))
        case "gang":
            job = book.submit(tasks=len(value))
            ranks = [asked(book, job, it, n, gang=job.id) for n, it in enumerate(value)]
            book.decide(*ranks)
            placed = [it for it in draft.attempts.values() if it.task.job == job.id]
            assert len(placed) in (0, len(value)), "half a gang"
        case "end" if live:
            attempt = book.attempt(live[value[0] % len(live)])
            ran = draft.now.wall - attempt.placed_at
            book.report(attempt.id, "running", started_ago_s=ran)
            book.end(attempt, ago=min(value[1], ran))
        case "give_up" if live:
            attempt = book.attempt(live[value % len(live)])
            if not attempt.replaced:
                given_up[attempt.id] = draft.now.wall
            book.decide(give_ups=(GiveUp(attempt.id, "lost"),))
        case "later":
            book.later(value)
        case "discard":
            book.discard()
        case "sample":
            for name in NODES:
                busy = (process("ann", 1, attempt="x"),)
                gpus = [
                    book.gpu(f"{name}-{n}", utilization=value, processes=busy) for n in range(GPUS)
                ]
                book.sample(*gpus, node=name)


def nothing_is_given_out_twice(book: Book) -> None:
    live = [it for it in book.draft.attempts.values() if it.state.live]
    for name in NODES:
        here = [it for it in live if it.node == name]
        assert sum(it.cpus for it in here) <= 8
        for n in range(GPUS):
            holders = [it for it in here if f"{name}-{n}" in it.gpus]
            assert sum(it.share or 1000 for it in holders) <= 1000
            assert sum(it.gpu_memory_bytes for it in holders) <= 80 * GIB
    for (project, user), account in book.draft.accounts.data.items():
        of_account = [
            it
            for it in live
            if (job := book.draft.job(it.task.job)) and (job.project, job.owner) == (project, user)
        ]
        assert account.gpus == sum(held_milli(it) for it in of_account)
        assert project != "vision" or account.gpus <= 3000


def all_is_charged_once(
    book: Book, snapshot: Snapshot, now: float, given_up: dict[str, float]
) -> None:
    """Rows and what isn't in them yet are the attempts' own times."""
    rows = dict(book.usage)
    for key, meter in snapshot.meters.items():
        attempt = snapshot.attempts[key]
        job = snapshot.jobs[attempt.task.job]
        for row, used in unsettled(job, attempt, meter, now):
            rows[row] = rows.get(row, Used(0.0, 0.0)).plus(used)
    exact = 0.0
    for attempt in snapshot.attempts.values():
        until = now if attempt.ended_at is None else attempt.ended_at
        if attempt.replaced:
            until = given_up[attempt.id]
        exact += (attempt.share or 1000 * len(attempt.gpus)) / 1000 * (until - attempt.placed_at)
    assert sum(it.held_s for it in rows.values()) == pytest.approx(exact, abs=1e-3)
    assert all(it.idle_s >= 0 for it in rows.values())


def a_new_core_knows_the_same(book: Book, snapshot: Snapshot, now: float) -> None:
    hours: dict[tuple[str, str], dict[int, float]] = {}
    for key, used in book.usage.items():
        told = hours.setdefault((key.project, key.owner), {})
        told[key.hour] = told.get(key.hour, 0.0) + used.held_s
    loaded = Loaded(
        "c", 2, (), 1, 1,
        jobs=[*snapshot.jobs.values(), *snapshot.recent.values()],
        tasks=list(snapshot.tasks.values()),
        attempts=list(snapshot.attempts.values()),
        accounts=[replace(it, gpus=0, hours={}) for it in snapshot.accounts.values()],
        hours=hours,
        meters={key: replace(it, idle_s=0.0) for key, it in snapshot.meters.items()},
    )  # fmt: skip
    fresh = restored(loaded, book.inventory, Now(now, 1.0))
    assert fresh.accounts.keys() == snapshot.accounts.keys()
    for key, account in snapshot.accounts.items():
        assert fresh.accounts[key].gpus == account.gpus
        assert fresh.accounts[key].used == pytest.approx(used_at(account, now, WEEK), abs=1e-3)
        window = book.inventory.quota_window
        brought = charged(account, 0, now, WEEK, window, None)
        assert _told(fresh.accounts[key].hours) == pytest.approx(_told(brought.hours), abs=1e-3)
    assert fresh.meters.keys() == snapshot.meters.keys()
    assert fresh.named == snapshot.named
    assert fresh.live_counts == snapshot.live_counts


def _told(hours: Mapping[int, float]) -> dict[int, float]:
    return {hour: seconds for hour, seconds in hours.items() if seconds > 1e-3}


@settings(deadline=None, max_examples=200)
@given(st.lists(step, min_size=12, max_size=40))
def test_nothing_is_given_out_twice_and_all_is_charged_once(steps: list[tuple[str, Any]]) -> None:
    book = Book(*(shared(name, gpus=GPUS) for name in NODES), projects=QUOTA)
    given_up: dict[str, float] = {}
    for kind, value in steps:
        take(book, kind, value, given_up)
        nothing_is_given_out_twice(book)
    now = book.draft.now.wall
    snapshot = book.later(0)
    assert now >= START
    assert all(
        (key in snapshot.meters) == bool(held_milli(it)) for key, it in snapshot.attempts.items()
    )
    assert {it.state for it in snapshot.attempts.values()} <= {
        AttemptState.PLACED, AttemptState.RUNNING, AttemptState.SUCCEEDED,
    }  # fmt: skip
    all_is_charged_once(book, snapshot, now, given_up)
    a_new_core_knows_the_same(book, snapshot, now)
