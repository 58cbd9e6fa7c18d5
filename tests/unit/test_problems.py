"""What is wrong now: each rule finds its own, says since when and what to do, and is silent when
all is well."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest

from flextui.core.commands import Stop
from flextui.core.events import XidSeen
from flextui.core.model.ids import TaskKey
from flextui.core.model.state import (
    AttemptState,
    Identity,
    JobState,
    Mark,
    NodeStatus,
    Orphan,
    Sample,
)
from flextui.core.problems import core, devices, nodes
from flextui.core.problems import jobs as jobs_rules
from flextui.core.problems import problem as problems
from flextui.core.problems.board import Board
from flextui.core.problems.find import RULES, find, order
from flextui.core.problems.problem import Problem, Scene
from flextui.core.reduce import jobs
from flextui.core.reduce.fold import fold
from tests.unit.draft_kit import START, Book, shared
from tests.unit.world import GIB, node, process

GPU: dict[str, Any] = {"resources": {"gpus": 1}}


def seen(book: Book, read_only: str = "") -> dict[str, Problem]:
    """What is found now, by id."""
    snapshot = book.later(0.0)
    found = find(Scene(snapshot, book.draft.now.wall, read_only))
    assert len({it.id for it in found}) == len(found), "an id is one thing"
    return {it.id: it for it in found}


def only(book: Book, **more: Any) -> Problem:
    (found,) = seen(book, **more).values()
    return found


def change(book: Book, name: str = "n1", **fields: Any) -> None:
    book.draft.put_node(replace(book.draft.nodes[name], **fields))


def test_all_is_well() -> None:
    book = Book()
    book.start(book.submit(**GPU), "n1-0")
    book.sample(book.gpu("n1-0", utilization=90, processes=(process("ann", 9, attempt="j1.0.1"),)))
    assert seen(book) == {}


# ── nodes ──


@pytest.mark.parametrize("status", [NodeStatus.LOST, NodeStatus.UNREACHABLE])
def test_a_node_that_is_gone(status: NodeStatus) -> None:
    book = Book()
    book.start(book.submit("train"), "n1-0")
    change(book, status=status, reason="no answer", status_at=START - 60)
    it = only(book)
    assert (it.id, it.severity, it.since) == ("node:n1", "critical", START - 60)
    assert it.touches == "ann/train unknown"
    assert it.next.action == ("declare-lost" if status is NodeStatus.LOST else "check")


def test_a_lost_node_with_nothing_on_it_needs_a_look_only() -> None:
    book = Book()
    change(book, status=NodeStatus.LOST)
    assert only(book).next.command == "check n1"
    assert only(book).touches == "4 GPUs out of reach"


def test_another_core_drives_it() -> None:
    book = Book()
    change(book, status=NodeStatus.OBSERVED, driver="eve@head")
    it = only(book)
    assert "driven by eve@head" in it.what
    assert it.next.command == "takeover n1"


def test_orphans() -> None:
    book = Book()
    change(book, orphans=(Orphan("j9.0.1", "j9", "running", ("n1-0", "n1-1")),))
    assert only(book).touches == "2 GPUs held"


def test_work_that_is_unknown_on_a_node_that_answers() -> None:
    book = Book()
    attempt = book.start(book.submit("train"), "n1-0")
    doubt = replace(attempt, state=AttemptState.UNKNOWN, reason="n1 is asked what became of it")
    book.draft.put_attempt(doubt)
    assert only(book).id == "unsettled:n1"


@pytest.mark.parametrize(
    ("free", "severity"), [(0.5, "critical"), (10, "warning"), (40, None), (500, None)]
)
def test_a_full_disk(free: float, severity: str | None) -> None:
    book = Book()
    change(book, sample=Sample(disk_bytes=900 * GIB, disk_free_bytes=int(free * GIB)))
    assert [it.severity for it in seen(book).values()] == ([severity] if severity else [])


def test_a_small_disk_is_full_by_its_part() -> None:
    book = Book()
    for free, severity in ((8.0, None), (0.6, None), (0.4, "critical")):
        change(book, sample=Sample(disk_bytes=10 * GIB, disk_free_bytes=int(free * GIB)))
        assert [it.severity for it in seen(book).values()] == ([severity] if severity else [])


@pytest.mark.parametrize(("ahead", "word"), [(3700.0, "ahead"), (-95.0, "behind"), (2.0, "")])
def test_a_clock_that_is_wrong(ahead: float, word: str) -> None:
    book = Book()
    facts = book.draft.nodes["n1"].facts
    assert facts is not None
    change(book, facts=replace(facts, clock_ahead_s=ahead))
    assert [word in it.what for it in seen(book).values()] == ([True] if word else [])


def test_maintenance_is_told_and_not_counted() -> None:
    book = Book(maintenance=[{"name": "psu", "nodes": ["n1"], "from": "2027-01-15T09:00",
                              "to": "4h", "timezone": "UTC"}])  # fmt: skip
    book.start(book.submit("train"), "n1-0")
    assert seen(book) == {}
    book.later(2 * 3600)
    it = only(book)
    assert (it.severity, it.touches) == ("notice", "ann/train still run there")


# ── devices ──


def test_xid_79_takes_a_gpu_out() -> None:
    book = Book()
    book.start(book.submit("train"), "n1-0")
    fold(book.draft, XidSeen("n1", "n1-0", 79, "fell off the bus"))
    it = seen(book)["gpu:n1:n1-0"]
    assert it.what == "n1 GPU0: XID 79: fell off the bus, cordoned"
    assert (it.since, it.touches) == (START, "ann/train still on it")
    assert it.next.command == "uncordon n1:0"


def test_a_lost_gpu_is_critical_until_its_node_is_emptied() -> None:
    book = Book()
    book.sample(book.gpu("n1-2", state="lost", text="GPU is lost"))
    assert only(book).next.command == "cordon n1:2"
    change(book, cordoned_gpus={"n1-2": Mark("bob", START, "broken")})
    it = only(book)
    assert (it.severity, it.next.command, it.since) == ("critical", "drain n1", START)


@pytest.mark.parametrize(
    ("state", "said"),
    [("hung", "NVML doesn't answer"), ("ok", ""), ("absent", ""), ("starting", ""),
     ("error: Driver/library version mismatch", "NVML Driver/library version mismatch")],
)  # fmt: skip
def test_a_driver_that_does_not_answer_is_one_problem_of_its_node(state: str, said: str) -> None:
    book = Book()
    book.start(book.submit("train", **GPU), "n1-0")
    mute = [replace(it, state="error", text="NVML doesn't answer") for it in
            book.draft.nodes["n1"].gpus]  # fmt: skip
    change(book, gpus=tuple(mute), sample=Sample(nvml=state))
    found = seen(book)
    if not said:
        assert {it.kind for it in found.values()} == {"gpu"}
        return
    (it,) = found.values()
    assert (it.id, it.what, it.severity) == ("nvml:n1", f"n1: {said}", "critical")
    assert (it.touches, it.next.command) == ("ann/train still on its GPUs", "check n1")


def test_a_box_that_came_back_without_its_driver_is_told() -> None:
    book = Book()
    change(book, gpus=(), sample=Sample(nvml="error: Driver Not Loaded"))
    assert (only(book).what, only(book).touches) == ("n1: NVML Driver Not Loaded", "its GPUs")


def test_what_an_operator_cordoned_is_no_problem() -> None:
    book = Book()
    change(book, cordoned_gpus={"n1-2": Mark("bob", START, "for tests")})
    assert seen(book) == {}


def test_memory_errors_until_it_is_cordoned() -> None:
    book = Book()
    book.sample(book.gpu("n1-1", ecc_uncorrected=3))
    assert only(book).next.command == "cordon n1:1"
    change(book, cordoned_gpus={"n1-1": Mark("bob", START, "ECC")})
    assert seen(book) == {}


def test_a_stranger_on_gpus_matters_when_somebody_waits_for_them() -> None:
    book = Book()
    for uuid in ("n1-0", "n1-3"):
        taken = book.gpu(uuid, memory_used_bytes=31 * GIB, processes=(process("carol", 31),))
        change(book, gpus=tuple(taken if it.uuid == uuid else it
                                for it in book.draft.nodes["n1"].gpus))  # fmt: skip
    it = only(book)
    assert it.severity == "notice"
    assert it.what == "n1 GPU 0, 3: carol: jupyter 62GiB, no job of flextui"
    job = book.submit("eval", resources={"gpus": 4})
    waiting = book.draft.tasks[TaskKey(job.id, 0)]
    book.draft.put_task(replace(waiting, reason="needs 4 GPUs: n1 2 of 4 free", ready_at=START,
                                reason_code="gpus_foreign"))  # fmt: skip
    it = only(book)
    assert (it.severity, it.touches) == ("warning", "2 GPUs blocked for ann/eval")


# ── jobs ──


def failed(book: Book, name: str, **spec: Any) -> str:
    job = book.submit(name, **spec)
    attempt = book.start(job)
    book.end(attempt, 3)
    task = book.draft.tasks[attempt.task]
    book.draft.put_task(replace(task, state=JobState.FAILED))
    ended = replace(job, state=JobState.FAILED, reason="crash loop: exit 3",
                    ended_at=book.draft.now.wall)  # fmt: skip
    book.draft.put_job(ended)
    return job.id


def test_a_service_that_fell() -> None:
    book = Book()
    key = failed(book, "api", type="service", count=3)
    it = only(book)
    assert (it.id, it.severity, it.touches) == (f"fallen:{key}", "critical", "0 of 3 run")
    assert it.next.command == f"logs {key}"
    book.submit("api", type="service")
    assert seen(book) == {}


def test_a_batch_job_that_failed_is_told_for_a_day() -> None:
    book = Book()
    key = failed(book, "train")
    it = only(book)
    assert (it.id, it.severity, it.next.action) == (f"failed:{key}", "notice", "logs")
    book.later(25 * 3600)
    assert seen(book) == {}


def test_a_failed_job_that_runs_again_is_forgotten() -> None:
    book = Book()
    failed(book, "train")
    book.submit("train")
    assert seen(book) == {}


def test_many_failures_are_told_in_one_line() -> None:
    book = Book()
    for number in range(20):
        failed(book, f"train-{number}")
        book.later(60)
    found = seen(book)
    assert len(found) == 13
    assert found["failed:j20"].since == START + 19 * 60
    more = found["failed:more"]
    assert (more.what, more.since) == ("8 more jobs failed lately", START)


def test_a_service_that_restarts_and_restarts() -> None:
    book = Book()
    job = book.submit("api", type="service", restart={"attempts": 9, "within": "10m"})
    book.start(job)
    task = book.draft.tasks[TaskKey(job.id, 0)]
    book.draft.put_task(replace(task, failures=(START - 700, START - 30, START - 10)))
    it = only(book)
    assert (it.id, it.since) == (f"flapping:{job.id}", START - 30)
    assert "2 restarts lately" in it.what
    book.later(595)
    assert seen(book) == {}


def test_waiting_too_long() -> None:
    book = Book()
    job = book.submit("big")
    key = TaskKey(job.id, 0)
    waits = replace(book.draft.tasks[key], reason="needs 8 GPUs", reason_code="gpus_busy")
    book.draft.put_task(replace(waits, ready_at=START))
    book.later(3600)
    assert seen(book) == {}
    book.later(6 * 3600)
    it = only(book)
    assert (it.since, it.next.command) == (START, f"why {job.id}")
    assert it.what == "ann/big: needs 8 GPUs"


def test_what_can_never_start_is_told_soon() -> None:
    book = Book()
    task = book.draft.tasks[TaskKey(book.submit("odd").id, 0)]
    book.draft.put_task(replace(task, ready_at=START, reason="no H100", reason_code="gpu_model"))
    book.later(90)
    assert only(book).touches == "can never start"


def test_a_quota_that_is_used_up() -> None:
    book = Book()
    for name in ("one", "two"):
        task = book.draft.tasks[TaskKey(book.submit(name, project="").id, 0)]
        text = "vision uses 8 of 8 GPUs"
        book.draft.put_task(replace(task, ready_at=START, reason=text, reason_code="quota"))
    it = only(book)
    assert (it.id, it.severity, it.touches) == ("quota:ann", "notice", "2 jobs wait")


@pytest.mark.parametrize(("patience", "after"), [(None, 3700.0), ("10m", 700.0)])
def test_gpus_that_are_held_and_idle(patience: str | None, after: float) -> None:
    book = Book()
    spec: dict[str, Any] = {"idle": {"for": patience}} if patience else {}
    book.start(book.submit("hoard", **GPU, **spec), "n1-0")
    idle = book.gpu("n1-0", utilization=0, processes=(process("ann", 9, attempt="j1.0.1"),))
    book.watch(after / 2, idle)
    assert [it for it in seen(book) if it.startswith("idle")] == []
    book.watch(after, idle)
    it = seen(book)["idle:j1"]
    assert it.what == "ann/hoard: holds 1 GPU on n1, uses none"
    assert it.next.command == "stop j1"


def test_a_gang_of_which_one_works_hoards_nothing() -> None:
    book = Book()
    gang = book.submit("gang", tasks=2, idle={"for": "2m"}, **GPU)
    book.start(gang, "n1-0")
    book.start(gang, "n1-1", index=1)
    idle = book.gpu("n1-0", utilization=0, processes=(process("ann", 9, attempt="j1.0.1"),))
    busy = book.gpu("n1-1", utilization=90, processes=(process("ann", 9, attempt="j1.1.1"),))
    book.watch(300, idle, busy)
    assert seen(book) == {}
    book.watch(300, idle, replace(busy, utilization=0))
    assert seen(book)["idle:j1"].what == "ann/gang: holds 2 GPUs on n1, uses none"


def test_more_than_its_share() -> None:
    book = Book(shared())
    book.start(book.submit("half"), "n1-0", share=500, gpu_memory_bytes=GIB)
    book.start(book.submit("other"), "n1-0", share=500, gpu_memory_bytes=GIB)
    book.watch(60, book.gpu("n1-0", utilization=50,
                            processes=(process("ann", 9, attempt="j1.0.1"),)))  # fmt: skip
    it = seen(book)["share:j1.0.1"]
    assert (it.touches, it.attempt) == ("ann/other", "j1.0.1")


# ── the core ──


def test_the_core_cannot_write() -> None:
    assert only(Book(), read_only="disk full").severity == "critical"


def test_logs_cannot_be_copied() -> None:
    (it,) = find(Scene(Book().later(0.0), START, copies="No space left on device"))
    assert (it.id, it.severity) == ("core:copies", "warning")


def test_half_of_the_nodes_vanished() -> None:
    book = Book(node("n1"), node("n2"))
    change(book, "n1", status=NodeStatus.LOST, status_at=START - 5)
    change(book, "n2", status=NodeStatus.LOST, status_at=START - 9)
    book.draft.suspended = True
    found = seen(book)
    assert found["core:suspended"].since == START - 9
    assert len(found) == 3


# ── all together ──


def test_the_worst_come_first_then_the_oldest() -> None:
    book = Book(node("n1"), node("n2"), node("n3"))
    failed(book, "train")
    change(book, "n1", status=NodeStatus.LOST, status_at=START - 5)
    change(book, "n2", status=NodeStatus.LOST, status_at=START - 50)
    change(book, "n3", status=NodeStatus.OBSERVED, status_at=START - 500)
    found = sorted(seen(book).values(), key=order)
    assert [it.node or it.kind for it in found] == ["n2", "n1", "n3", "failed"]


def test_every_rule_that_was_written_is_asked() -> None:
    written = {
        it for module in (core, devices, jobs_rules, nodes) for it in vars(module).values()
        if inspect.isfunction(it) and it.__module__ == module.__name__
        and not it.__name__.startswith("_") and list(inspect.signature(it).parameters) == ["scene"]
    }  # fmt: skip
    assert len(written) > 15
    assert written == set(RULES)
    assert len(RULES) == len(written), "each once"


def test_a_rule_that_fails_hides_no_other_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def sick(scene: Scene) -> list[Problem]:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr("flextui.core.problems.find.RULES", (sick, *RULES))
    book = Book()
    change(book, status=NodeStatus.LOST)
    found = seen(book)
    assert set(found) == {"rule:sick", "node:n1"}
    assert "ZeroDivisionError('of nothing')" in found["rule:sick"].what


def test_a_problem_keeps_since_when_it_was_first_seen() -> None:
    book = Book()
    change(book, sample=Sample(disk_bytes=900 * GIB, disk_free_bytes=GIB * 9))
    snapshot = book.later(0.0)
    now = [START]
    board = Board(lambda: Scene(snapshot, now[0]))
    (first,) = board.docs
    told = board.revision
    now[0] = START + 500
    (later,) = board.fresh()
    assert later == first
    assert board.revision == told
    assert board.wrong == 1


def test_notices_are_not_counted() -> None:
    book = Book()
    failed(book, "train")
    snapshot = book.later(0.0)
    board = Board(lambda: Scene(snapshot, START))
    assert (len(board.docs), board.wrong) == (1, 0)


def test_names_are_few() -> None:
    assert problems.listed(["a", "b"]) == "a, b"
    assert problems.listed("abcde") == "a, b, c and 2 more"
    assert problems.listed("abcd") == "a, b, c and 1 more"


def test_a_stopped_job_waits_for_nothing() -> None:
    book = Book()
    job = book.submit("api", type="service")
    jobs.stop(book.draft, Identity("ann", 1000), False, Stop((job.id,)))
    task = book.draft.tasks[TaskKey(job.id, 0)]
    book.draft.put_task(replace(task, failures=(START - 3, START - 2, START - 1)))
    assert seen(book) == {}
