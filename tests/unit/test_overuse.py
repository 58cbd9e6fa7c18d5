"""Shares that take more of a GPU's memory than their part: told or stopped, without flapping."""

from __future__ import annotations

from typing import Any

from flextui.core.model.state import JobState
from flextui.core.ports import StopAttempt
from tests.unit.draft_kit import Book, shared
from tests.unit.world import GIB, process

ATTEMPT = "j1.0.1"


def started(share_overuse: str = "warn", **spec: Any) -> Book:
    book = Book(shared(), policy={"share_overuse": share_overuse})
    book.start(book.submit(**spec), "n1-0", share=250, gpu_memory_bytes=10 * GIB)
    return book


def using(book: Book, gib: float, seconds: float, other: float = 0.0) -> None:
    processes = (process("ann", gib, attempt=ATTEMPT), process("bob", other, attempt="j9.0.1"))
    used = int((gib + other) * GIB)
    device = book.gpu("n1-0", processes=processes, memory_used_bytes=used, utilization=90)
    book.watch(seconds, device, every=2.0)


def reason(book: Book) -> str:
    return book.draft.tasks[book.attempt(ATTEMPT).task].reason


def test_overuse_is_told_once_and_taken_back() -> None:
    book = started()
    using(book, 10, 60, other=30)
    assert reason(book) == "", "up to its share, and whatever others use"
    using(book, 12, 60)
    text = "uses 12GiB of GPU memory, its share is 10GiB"
    assert reason(book) == text
    assert list(book.told("attempt.over_share")) == [text]
    using(book, 9, 10)
    assert reason(book) == ""
    assert len(book.told("attempt.within_share")) == 1
    assert book.attempt(ATTEMPT).stop is None


def test_a_short_peak_is_let_pass() -> None:
    book = started("stop")
    for _ in range(20):
        using(book, 12, 6)
        using(book, 8, 6)
    assert book.told("attempt.over_share") == []


def test_around_its_limit_it_does_not_flap() -> None:
    book = started("stop")
    for _ in range(50):
        using(book, 10.1, 4)
        using(book, 9.9, 4)
    assert len(book.told("attempt.over_share")) <= 1
    assert book.told("attempt.within_share") == []


def test_it_is_stopped_where_the_policy_says_so_and_counts_as_failed() -> None:
    book = started("stop", restart={"on": "never"})
    using(book, 12, 28)
    assert book.attempt(ATTEMPT).stop is None
    book.draft.effects.clear()
    using(book, 12, 6)
    stop = book.attempt(ATTEMPT).stop
    assert stop is not None
    assert (stop.code, stop.by) == ("share", "flextui")
    assert len(book.told("attempt.over_share_stopped")) == 1
    ended = book.end(book.attempt(ATTEMPT), 143, "stopped")
    task = book.draft.tasks[ended.task]
    assert task.state is JobState.FAILED
    assert task.reason == "uses 12GiB of GPU memory, its share is 10GiB"


def test_the_stop_goes_out() -> None:
    book = started("stop")
    sent = []
    for _ in range(20):
        using(book, 12, 2)
        sent += [effect for _, effect in book.draft.effects]
    assert [type(it) for it in sent] == [StopAttempt]


def test_a_whole_device_has_no_share() -> None:
    book = Book()
    book.start(book.submit(), "n1-0")
    using(book, 79, 120)
    assert book.told("attempt.over_share") == []
