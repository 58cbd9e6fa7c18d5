"""What users have of GPUs: exact whenever it is looked at, and whoever tells of an end late."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.core.model.state import Account
from flextui.core.scheduler.accounts import charged, used_at
from flextui.core.scheduler.decision import GiveUp
from tests.unit.draft_kit import HOUR, START, Book, shared

DAY = 24 * HOUR
times = st.floats(0, 30 * DAY)


def test_what_was_used_a_half_life_ago_counts_half() -> None:
    idle = Account("", "ann", used=100.0, at=0.0)
    assert used_at(idle, 7 * DAY, 7 * DAY) == pytest.approx(50.0)
    busy = Account("", "ann", at=0.0, gpus=2000)
    steady = 2 * 7 * DAY / log(2)  # where as much decays as is added
    assert used_at(busy, 1000 * DAY, 7 * DAY) == pytest.approx(steady)
    assert used_at(busy, 1.0, 7 * DAY) == pytest.approx(2.0, rel=1e-5)


@given(st.lists(times, min_size=1, max_size=8), st.integers(0, 8000))
def test_how_often_it_is_brought_up_to_date_makes_no_difference(at: list[float], gpus: int) -> None:
    account = Account("", "ann", used=5000.0, at=0.0, gpus=gpus)
    steps = account
    for instant in sorted(at):
        steps = charged(steps, 0, instant, 7 * DAY, 3 * DAY, None)
    once = charged(account, 0, max(at), 7 * DAY, 3 * DAY, None)
    assert steps.used == pytest.approx(once.used)
    assert steps.hours.keys() == once.hours.keys()
    assert list(steps.hours.values()) == pytest.approx(list(once.hours.values()))
    c = log(2) / (7 * DAY)
    exact = 5000.0 * exp(-c * max(at)) + gpus / 1000 / c * (1 - exp(-c * max(at)))
    assert once.used == pytest.approx(exact, rel=1e-6, abs=1e-6)


@given(times, times, times)
def test_an_end_that_is_told_late_is_charged_as_if_it_had_been_told(
    began: float, ran: float, late: float
) -> None:
    start, end, told = began, began + ran, began + ran + late
    account = charged(Account("", "ann"), 1000, start, 7 * DAY, 90 * DAY, None)
    at_once = charged(account, -1000, end, 7 * DAY, 90 * DAY, None)
    later = charged(account, -1000, told, 7 * DAY, 90 * DAY, end)
    assert later.gpus == at_once.gpus == 0
    assert later.used == pytest.approx(used_at(at_once, told, 7 * DAY), rel=1e-6, abs=1e-3)
    assert sum(later.hours.values()) == pytest.approx(ran, abs=1e-3)


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    account = charged(Account("", "ann", used=10.0, at=1000.0, gpus=1000), 0, 400.0, DAY, DAY, None)
    assert (account.used, account.at) == (10.0, 400.0)


def test_a_clock_that_was_far_ahead_for_a_moment_leaves_nobody_uncharged() -> None:
    """Neither for what is held, nor twice for the hours that it took back."""
    year = 365 * DAY
    account = charged(Account("", "ann", at=1000.0), 1000, 1000.0, DAY, DAY, None)
    ahead = charged(account, 0, 1000.0 + year, DAY, DAY, None)
    back = charged(ahead, 0, 1001.0, DAY, DAY, None)
    later = charged(back, 0, 1001.0 + HOUR, DAY, DAY, None)
    again = charged(later, 0, 1001.0 + 2 * HOUR, DAY, DAY, None)
    assert again.used >= back.used * 0.9 + HOUR
    assert sum(again.hours.values()) - sum(back.hours.values()) == pytest.approx(2 * HOUR)


# ── kept by the draft ──────────────────────────────────────────────────────────────────────────


def test_an_attempt_counts_from_its_placing_to_its_end() -> None:
    book = Book()
    job = book.submit(project="vision")
    attempt = book.start(job, "n1-0", "n1-1")
    account = book.later(HOUR).accounts["vision", "ann"]
    assert (account.gpus, account.at, account.used) == (2000, START, 0.0)
    book.end(attempt)
    account = book.later(0).accounts["vision", "ann"]
    assert account.gpus == 0
    assert account.used == pytest.approx(2 * HOUR, rel=0.01)


def test_a_share_counts_as_its_part_and_without_gpus_nothing_does() -> None:
    book = Book(shared())
    book.start(book.submit("half"), "n1-0", share=500, gpu_memory_bytes=1)
    book.start(book.submit("cpu", owner="bob"))
    accounts = book.later(1).accounts
    assert accounts["", "ann"].gpus == 500
    assert ("", "bob") not in accounts


def test_what_was_given_up_no_longer_counts() -> None:
    book = Book()
    attempt = book.start(book.submit(), "n1-0")
    book.later(HOUR)
    book.decide(give_ups=(GiveUp(attempt.id, "n1 is lost"),))
    book.later(HOUR)
    book.end(attempt)
    account = book.later(0).accounts["", "ann"]
    assert account.gpus == 0
    assert account.used == pytest.approx(HOUR, rel=0.02)
    assert book.held_s() == pytest.approx(HOUR)


def test_hours_are_kept_as_far_back_as_a_quota_looks() -> None:
    book = Book(projects={"vision": {"members": ["ann"], "quota": {"gpu_hours": "10/3h"}}})
    job = book.submit(project="vision")
    attempt = book.start(job, "n1-0")
    book.later(5.5 * HOUR)
    book.end(attempt)
    account = book.later(0).accounts["vision", "ann"]
    first = START // HOUR
    assert {hour - first: used for hour, used in account.hours.items()} == {
        2: HOUR, 3: HOUR, 4: HOUR, 5: HOUR / 2,
    }  # fmt: skip


def test_a_new_project_pays_from_its_revision_on() -> None:
    book = Book()
    job = book.submit(type="service", project="vision")
    attempt = book.start(job, "n1-0")
    book.later(HOUR)
    book.draft.put_job(replace(book.draft.jobs[job.id], project="audio"))
    book.later(2 * HOUR)
    book.end(attempt)
    accounts = book.later(0).accounts
    assert accounts["vision", "ann"].gpus == accounts["audio", "ann"].gpus == 0
    assert book.held_s(project="vision") == pytest.approx(HOUR)
    assert book.held_s(project="audio") == pytest.approx(2 * HOUR)
