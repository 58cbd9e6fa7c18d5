"""What is learned from work as it is submitted and ends: run times, and what is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from flextui.core.model import state
from flextui.core.model.ids import TaskKey
from flextui.core.model.state import JobState, RunTimes, StopRequest
from flextui.core.ports import Loaded
from flextui.core.reduce.kills import kill
from flextui.core.restore import restored
from flextui.core.scheduler.demand import shape_of_spec
from flextui.core.scheduler.runtimes import keys_of
from tests.unit.draft_kit import HOUR, Book

GPU: dict[str, Any] = {"resources": {"gpus": 1}}


def learned(book: Book, job: str = "j1") -> tuple[float, ...]:
    """The run times that the most specific record of a job's kind holds."""
    found = book.draft.job(job)
    assert found is not None
    records = [book.draft.lessons.runtimes.get(key) for key in keys_of(found)]
    return max((it.samples for it in records if it is not None), key=len, default=())


@pytest.mark.parametrize(
    ("ran", "code", "why", "spec", "told"),
    [
        (30.0, 0, "exit", {}, (30.0,)),
        (30.0, 1, "exit", {}, ()),
        (90.0, 1, "exit", {}, (90.0,)),
        (90.0, None, "time_limit", {}, (90.0,)),
        (90.0, 143, "stopped", {}, ()),
        (90.0, 1, "memory", {}, ()),
        (90.0, None, "boot", {}, ()),
        (90.0, 0, "exit", {"type": "service"}, ()),
    ],
)
def test_only_an_own_end_tells_how_long_such_jobs_run(
    ran: float, code: Any, why: str, spec: dict[str, Any], told: tuple[float, ...]
) -> None:
    book = Book()
    attempt = book.start(book.submit(**GPU, **spec), "n1-0")
    book.later(ran)
    book.end(attempt, code, why)
    assert learned(book) == told


def test_of_a_gang_one_rank_tells() -> None:
    book = Book()
    job = book.submit(tasks=2, nodes=2, **GPU)
    ranks = [book.start(job, f"n1-{n}", index=n) for n in range(2)]
    book.later(100)
    for rank in ranks:
        book.end(rank)
    assert learned(book) == (100.0,)


@pytest.mark.parametrize(("preempt", "served"), [("restart", 0.0), ("resume", HOUR)])
def test_who_made_room_waits_with_its_age_and_keeps_its_work_if_it_can(
    preempt: str, served: float
) -> None:
    book = Book()
    job = book.submit(preempt=preempt, **GPU)
    key = TaskKey(job.id, 0)
    ready_at = book.draft.tasks[key].ready_at
    first = book.start(job, "n1-0")
    book.later(HOUR)
    kill(book.draft, first, StopRequest("flextui", 0.0, "preempted for bob/big", "preempted"))
    book.end(book.attempt(first.id), 143, "stopped")
    task = book.draft.tasks[key]
    assert (task.state, task.ready_at, task.failures) == (JobState.PENDING, ready_at, ())
    assert task.reason == "starts again: preempted for bob/big"
    assert task.served_s == served
    assert learned(book) == (), "it didn't end by itself"
    second = book.start(job, "n1-0")
    book.later(600)
    book.end(second)
    assert learned(book) == (served + 600.0,)


def test_who_ended_well_while_it_was_to_make_room_has_ended() -> None:
    book = Book()
    job = book.submit(**GPU)
    attempt = book.start(job, "n1-0")
    kill(book.draft, attempt, StopRequest("flextui", 0.0, "preempted for bob/big", "preempted"))
    book.end(book.attempt(attempt.id))
    assert book.draft.tasks[TaskKey(job.id, 0)].state is JobState.SUCCEEDED


def test_what_is_learned_is_written_now_and_then() -> None:
    book = Book()
    written = 0
    for _ in range(60):
        attempt = book.start(book.submit(**GPU), "n1-0")
        book.later(1)
        book.end(attempt)
        written += bool(book.draft.changes().runtimes)
    assert 5 <= written <= 7
    for left in (True, False):
        book.later(20)
        assert bool(book.draft.changes().runtimes) == left


def test_what_was_learned_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flextui.core.books.KEPT_RUNTIMES", 10)
    assert state.KEPT_RUNTIMES > 1000
    book = Book()
    book.draft.lessons.learn({"all": RunTimes((1.0,))})
    for n in range(50):
        book.draft.lessons.learn({f"kind{n}": RunTimes((1.0,)), "all": RunTimes((float(n),))})
    assert len(book.draft.lessons.runtimes) == 10
    assert book.draft.lessons.runtimes.get("all") == RunTimes((49.0,))
    assert "kind49" in book.draft.lessons.runtimes
    assert "kind0" not in book.draft.lessons.runtimes


def test_what_is_asked_for_is_counted_and_made_anew_at_a_start() -> None:
    book = Book()
    small, big = {"resources": {"gpus": 1}}, {"resources": {"gpus": 8}}
    for spec in (small, small, big):
        book.submit(**spec)
    snapshot = book.later(1)
    shape = shape_of_spec(book.draft.jobs["j3"].spec)
    assert any(key[1:] == tuple(shape) for key in snapshot.demand)
    again = restored(Loaded("c", 2, (), 4, 1, jobs=list(snapshot.jobs.values())), book.inventory,
                     book.draft.now)  # fmt: skip
    assert again.demand == snapshot.demand
