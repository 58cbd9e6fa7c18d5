"""Idle GPUs: what counts, who is warned or stopped, and that silence is never held for idleness."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flextui.core.model.state import NodeStatus, Use
from tests.unit.draft_kit import HOUR, Book, shared
from tests.unit.world import GIB, node, process

GPU: dict[str, Any] = {"resources": {"gpus": 1}}
IDLE: dict[str, Any] = {**GPU, "idle": {"for": "30m", "then": "stop", "grace": "5m"}}
MINUTE = 60.0


def busy(book: Book, uuid: str, attempt: str = "j1.0.1", **more: Any) -> Any:
    fields: dict[str, Any] = {"utilization": 90, "memory_used_bytes": 10 * GIB}
    return book.gpu(uuid, **fields, processes=(process("ann", 10, attempt=attempt),), **more)


def quiet(book: Book, uuid: str, attempt: str = "j1.0.1", **more: Any) -> Any:
    return replace(busy(book, uuid, attempt), **{"utilization": 2, **more})


# ── what counts as idle ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("device", "idle"),
    [
        ({"utilization": 4}, True),
        ({"utilization": 5}, False),
        ({"utilization": None}, False),
        ({"utilization": 90, "processes": ()}, False),
        ({"utilization": None, "processes": (), "memory_used_bytes": 0}, True),
        ({"utilization": 90, "processes": (), "memory_used_bytes": 0}, True),
        ({"utilization": None, "processes": (), "memory_used_bytes": None}, False),
        ({"utilization": None, "processes": (), "state": "error", "memory_used_bytes": 0}, False),
        ({"utilization": None, "processes": (), "declared": True}, False),
    ],
)
def test_what_is_idle(device: dict[str, Any], idle: bool) -> None:
    book = Book()
    book.start(book.submit(), "n1-0")
    book.watch(600, replace(busy(book, "n1-0"), **device))
    assert (book.draft.meters["j1.0.1"].idle_at is not None) == idle


def test_of_a_shared_device_the_own_processes_count() -> None:
    book = Book(shared())
    for _ in range(3):
        book.start(book.submit(), "n1-0", share=300, gpu_memory_bytes=GIB)
    works = replace(process("ann", 1, attempt="j1.0.1"), utilization=80)
    waits = replace(process("ann", 1, attempt="j2.0.1", pid=78), utilization=0)
    book.watch(600, book.gpu("n1-0", utilization=80, processes=(works, waits)))
    idle = {key for key, meter in book.draft.meters.data.items() if meter.idle_at is not None}
    assert idle == {"j2.0.1", "j3.0.1"}
    book.watch(
        600, book.gpu("n1-0", utilization=80, processes=(works, replace(waits, utilization=None)))
    )
    idle = {key for key, meter in book.draft.meters.data.items() if meter.idle_at is not None}
    assert idle == {"j3.0.1"}, "what the driver doesn't tell isn't idle"


# ── what is wasted ─────────────────────────────────────────────────────────────────────────────


def test_wasted_is_what_was_idle() -> None:
    book = Book()
    attempt = book.start(book.submit(), "n1-0", "n1-1")
    book.watch(HOUR, busy(book, "n1-0"), quiet(book, "n1-1"))
    book.end(attempt)
    book.later(0)
    assert book.held_s() == pytest.approx(2 * HOUR)
    assert book.idle_s() == pytest.approx(HOUR, rel=0.01)


def test_a_job_s_own_bound_decides() -> None:
    book = Book()
    attempt = book.start(book.submit(**GPU, idle={"gpu_below": 40}), "n1-0")
    book.watch(HOUR, quiet(book, "n1-0", utilization=30))
    book.end(attempt)
    book.later(0)
    assert book.idle_s() == pytest.approx(HOUR, rel=0.01)


def test_a_share_wastes_its_part() -> None:
    book = Book(shared())
    attempt = book.start(book.submit(), "n1-0", share=250, gpu_memory_bytes=GIB)
    book.watch(HOUR, quiet(book, "n1-0"))
    book.end(attempt)
    book.later(0)
    assert book.held_s() == pytest.approx(HOUR / 4)
    assert book.idle_s() == pytest.approx(HOUR / 4, rel=0.01)


def test_idle_time_lies_in_its_hour_and_is_durable_within_minutes() -> None:
    book = Book()
    book.start(book.submit(), "n1-0")
    book.watch(50 * MINUTE, busy(book, "n1-0"))
    book.watch(40 * MINUTE, quiet(book, "n1-0"))
    book.later(0)
    hours = sorted({key.hour for key in book.usage})
    assert book.idle_s(hour=hours[0]) == pytest.approx(10 * MINUTE, abs=21)
    assert book.held_s(hour=hours[0]) == pytest.approx(HOUR)
    assert book.idle_s(hour=hours[1]) == pytest.approx(30 * MINUTE, abs=5 * MINUTE)


def test_telemetry_is_not_written_row_by_row() -> None:
    book = Book()
    book.start(book.submit(), "n1-0")
    book.later(0)
    writes = 0
    for _ in range(360):
        book.later(10)
        book.sample(quiet(book, "n1-0"))
        writes += bool(book.draft.changes())
    assert 10 <= writes <= 13, "every five minutes"
    assert book.draft.books.durable_meters <= {"j1.0.1"}


def test_busy_work_is_written_once_an_hour() -> None:
    book = Book()
    book.start(book.submit(), "n1-0")
    book.later(0)
    writes = 0
    for _ in range(720):
        book.later(10)
        book.sample(busy(book, "n1-0"))
        writes += bool(book.draft.changes())
    assert writes == 2


# ── warned, stopped ────────────────────────────────────────────────────────────────────────────


def stop_of(book: Book, job: str = "j1") -> str:
    stop = book.draft.jobs[job].stop
    return stop.why if stop else ""


def test_idle_work_is_warned_then_stopped() -> None:
    book = Book()
    book.start(book.submit(**IDLE), "n1-0")
    book.watch(29 * MINUTE, quiet(book, "n1-0"))
    assert book.told("job.idle") == []
    book.watch(2 * MINUTE, quiet(book, "n1-0"))
    text = "idle: GPUs below 5 % for 30m; it is stopped after 5m more"
    assert book.told("job.idle") == [f"ann/work: {text}"]
    task = book.draft.tasks[book.attempt("j1.0.1").task]
    assert (task.reason, task.reason_code) == (text, "idle")
    assert stop_of(book) == ""
    book.watch(5 * MINUTE, quiet(book, "n1-0"))
    assert stop_of(book).startswith("idle: GPUs below 5 % for 35m")
    assert book.draft.jobs["j1"].stop.code == "idle"  # type: ignore[union-attr]
    book.watch(10 * MINUTE, quiet(book, "n1-0"))
    assert len(book.told("job.idle_stopped")) == 1


def test_warn_only_warns_and_work_takes_the_warning_back() -> None:
    book = Book()
    book.start(book.submit(**GPU, idle={"for": "10m"}), "n1-0")
    book.watch(3 * HOUR, quiet(book, "n1-0"))
    assert stop_of(book) == ""
    assert len(book.told("job.idle")) == 1
    book.watch(20, busy(book, "n1-0"))
    assert book.told("job.in_use") == ["ann/work uses its GPUs again"]
    assert book.draft.tasks[book.attempt("j1.0.1").task].reason == ""
    book.watch(11 * MINUTE, quiet(book, "n1-0"))
    assert len(book.told("job.idle")) == 2


def test_one_busy_rank_keeps_the_job() -> None:
    book = Book()
    job = book.submit(tasks=2, **IDLE)
    book.start(job, "n1-0", index=0)
    book.start(job, "n1-1", index=1)
    book.watch(2 * HOUR, quiet(book, "n1-0"), busy(book, "n1-1", "j1.1.1"))
    assert book.told("job.idle") == []
    book.watch(36 * MINUTE, quiet(book, "n1-0"), quiet(book, "n1-1", "j1.1.1"))
    assert "idle" in stop_of(book)


def test_a_node_out_of_sight_is_not_idle() -> None:
    book = Book()
    book.start(book.submit(**IDLE), "n1-0")
    book.watch(25 * MINUTE, quiet(book, "n1-0"))
    book.later(3 * HOUR)
    book.sample(quiet(book, "n1-0"))
    assert book.told("job.idle") == []
    book.watch(25 * MINUTE, quiet(book, "n1-0"))
    assert book.told("job.idle") == []
    book.watch(6 * MINUTE, quiet(book, "n1-0"))
    assert len(book.told("job.idle")) == 1
    book.end(book.attempt("j1.0.1"))
    book.later(0)
    assert book.idle_s() < HOUR + MINUTE
    assert book.held_s() == pytest.approx(3 * HOUR + 56 * MINUTE)


def test_what_another_core_drives_is_not_judged() -> None:
    book = Book()
    book.start(book.submit(**IDLE), "n1-0")
    observed = replace(book.draft.nodes["n1"], status=NodeStatus.OBSERVED)
    book.draft.put_node(observed)
    book.watch(2 * HOUR, quiet(book, "n1-0"))
    assert book.told("job.idle") == []


def test_an_interactive_job_is_spared_while_somebody_works_in_it() -> None:
    book = Book()
    book.start(book.submit(interactive=True, **IDLE), "n1-0")
    at_work = {"j1.0.1": Use(0.1, 1, active_ago_s=20.0)}
    book.watch(4 * HOUR, quiet(book, "n1-0"), uses=at_work)
    assert book.told("job.idle") == []
    for minutes in range(31):
        book.later(0)
        left = {"j1.0.1": Use(0.0, 1, active_ago_s=minutes * MINUTE)}
        book.watch(MINUTE, quiet(book, "n1-0"), uses=left)
    assert len(book.told("job.idle")) == 1


def test_other_jobs_are_not_spared_for_an_open_terminal() -> None:
    book = Book()
    book.start(book.submit(**IDLE), "n1-0")
    book.watch(HOUR, quiet(book, "n1-0"), uses={"j1.0.1": Use(0.1, 1, active_ago_s=1.0)})
    assert "idle" in stop_of(book)


def test_without_a_rule_nobody_is_told() -> None:
    book = Book(node("n1", gpus=1))
    book.start(book.submit(), "n1-0")
    book.watch(5 * HOUR, quiet(book, "n1-0"))
    assert book.told("job.idle") == []
