"""The journal: whoever looked at one state finds in it all that is different in another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.core.draft import Counters, Draft
from flextui.core.livejobs import BLOCK, LiveJobs
from flextui.core.model import journal as module
from flextui.core.model.ids import TaskKey
from flextui.core.model.journal import Changed, Journal
from flextui.core.model.state import Now, RunTimes, Snapshot, StopRequest
from tests.unit.draft_kit import Book, shared
from tests.unit.world import GIB, node, process

NOTHING = Changed(*(frozenset(),) * 5)


def since(then: Snapshot, now: Snapshot) -> Changed | None:
    assert now.journal is not None
    return now.journal.between(then.mark, now.mark)


def test_nothing_changed_is_told_as_nothing() -> None:
    book = Book()
    first = book.later(1)
    assert since(first, book.later(1)) == NOTHING


def test_what_changed_is_told() -> None:
    book = Book(node("n1", gpus=1), node("n2"))
    before = book.later(1)
    job = book.submit()
    book.start(job, "n1-0")
    book.draft.lessons.learn({"ann": RunTimes((3.0,))})
    assert since(before, book.later(1)) == Changed(
        jobs=frozenset({"j1"}),
        tasks=frozenset({TaskKey("j1", 0)}),
        nodes=frozenset({"n1"}),
        accounts=frozenset({("", "ann")}),
        runtimes=frozenset({"ann"}),
    )


def test_telemetry_is_told_only_where_it_matters() -> None:
    book = Book()
    book.sample()
    before = book.later(1)
    book.sample(book.gpu("n1-0", utilization=50, temperature_c=60))
    now = book.later(1)
    assert now.nodes["n1"] is not before.nodes["n1"]
    assert since(before, now) == NOTHING
    book.sample(book.gpu("n1-0", processes=(process("carol", 10),)))
    told = since(now, book.later(1))
    assert told is not None
    assert told.nodes == {"n1"}


def test_what_an_ended_attempt_leaves_behind_is_told_when_it_goes() -> None:
    book = Book()
    attempt = book.start(book.submit(), "n1-0")
    left = (process("ann", 10, attempt=attempt.id),)
    book.sample(book.gpu("n1-0", processes=left, memory_used_bytes=10 * GIB))
    book.end(attempt)
    before = book.later(1)
    book.sample(book.gpu("n1-0", processes=left, memory_used_bytes=10 * GIB))
    same = book.later(1)
    assert since(before, same) == NOTHING
    book.sample(book.gpu("n1-0", processes=(), memory_used_bytes=0))
    told = since(same, book.later(1))
    assert told is not None
    assert told.nodes == {"n1"}
    assert book.draft.replan_within is None


def test_memory_of_a_shared_device_is_told_in_steps() -> None:
    book = Book(shared())
    book.start(book.submit(), "n1-0", share=500, gpu_memory_bytes=40 * GIB)
    book.sample()
    before = book.later(1)
    own = (process("ann", 10, attempt="j1.0.1"),)
    told = []
    for mib in (10_000, 10_001, 10_300, 10_301):
        book.sample(book.gpu("n1-0", processes=own, memory_used_bytes=mib * 2**20))
        now = book.later(1)
        changed = since(before, now)
        assert changed is not None
        told.append(bool(changed.nodes))
        before = now
    assert told == [True, False, True, False]


def test_forgotten_or_of_another_core_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    book = Book()
    first = book.later(1)
    for _ in range(50):
        book.submit()
        second = book.later(1)
    book.submit()
    third = book.later(1)
    assert since(first, third) is None, "too long ago"
    assert since(second, third) is not None
    assert since(third, second) is None, "backwards"
    assert Journal().between(0, 5) is None


class Look:
    """What a planner remembers of a state: the records themselves."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.jobs: dict[str, Any] = {**snapshot.jobs, **snapshot.recent}
        self.tasks: dict[Any, Any] = dict(snapshot.tasks)
        self.accounts: dict[Any, Any] = dict(snapshot.accounts)
        self.live = dict(snapshot.by_node)

    def different(self, other: Look) -> Changed:
        return Changed(
            _differ(self.jobs, other.jobs),
            _differ(self.tasks, other.tasks),
            _differ(self.live, other.live),
            _differ(self.accounts, other.accounts),
            frozenset(),
        )


def _differ(one: dict[Any, Any], other: dict[Any, Any]) -> frozenset[Any]:
    return frozenset(k for k in one.keys() | other.keys() if one.get(k) is not other.get(k))


STEPS = st.lists(
    st.sampled_from(["submit", "start", "end", "priority", "later", "discard", "look"]), max_size=40
)


@given(STEPS)
def test_it_is_enough_whatever_comes_to_nothing(steps: list[str]) -> None:
    """A planner that looked at a draft which was then discarded is told to look again."""
    book = Book(node("n1", gpus=64, cpus=64))
    looked = Look(book.later(1))
    free = [f"n1-{n}" for n in range(64)]
    for step in steps:
        live = [it for it in book.draft.attempts.values() if it.state.live]
        match step:
            case "submit":
                book.submit()
            case "start":
                ready = [t for t in book.draft.tasks.values() if t.active is None]
                if ready:
                    book.start(book.draft.jobs[ready[0].key.job], free.pop())
            case "end" if live:
                book.end(live[0])
            case "priority" if book.draft.jobs:
                job = next(iter(book.draft.jobs.values()))
                book.draft.put_job(replace(job, priority=job.priority + 1))
            case "later":
                book.later(1)
            case "discard":
                book.discard()
            case "look":
                now = Look(book.draft.freeze(1))
                told = since(looked.snapshot, now.snapshot)
                assert told is not None
                different = looked.different(now)
                for name in Changed._fields:
                    missed = getattr(different, name) - getattr(told, name)
                    assert not missed, f"{name} {missed} changed and isn't told"
                looked = now


# ── a draft of its own ─────────────────────────────────────────────────────────────────────────


def test_a_draft_of_its_own_is_used_turn_after_turn() -> None:
    base = Book().later(1)
    draft = Draft(base, Now(1.0, 1.0), Counters(), lambda: "n", own=True, silent=True)
    book = Book()
    book.draft = draft
    job = book.submit()
    book.start(job, "n1-0")
    first = draft.freeze(1)
    assert (len(draft.changes().attempts), draft.events) == (1, [])
    draft.turn(Now(100.0, 100.0))
    assert not draft.changes()
    assert (draft.effects, draft.touched_jobs, draft.replan) == ([], set(), False)
    book.end(draft.attempts["j1.0.1"])
    second = draft.freeze(2)
    assert first.attempts is second.attempts, "nothing is copied"
    assert not second.attempts["j1.0.1"].state.live
    assert "j1" not in base.jobs, "what it began with is left alone"
    told = since(first, second)
    assert told is not None
    assert told.tasks == {TaskKey("j1", 0)}


def test_the_index_of_live_jobs_follows_them() -> None:
    book = Book()
    one, two = book.submit("web", project="p"), book.submit("web", project="p")
    book.submit("other", owner="bob")
    snapshot = book.later(1)
    assert snapshot.named["ann", "web"] == ((one.seq, two.seq),)
    assert snapshot.live_counts == {("user", "ann"): 2, ("project", "p"): 2, ("user", "bob"): 1}
    draft = book.draft
    stopped = replace(draft.jobs[one.id], state=type(one.state).STOPPED, ended_at=1.0)
    draft.put_job(stopped)
    snapshot = book.later(1)
    assert snapshot.named["ann", "web"] == ((two.seq,),)
    assert snapshot.live_counts["project", "p"] == 1


@given(st.lists(st.integers(0, 5 * BLOCK), max_size=120))
def test_blocks_of_live_jobs_hold_each_once_in_order(seqs: list[int]) -> None:
    job = Book().submit("web")
    stopped = StopRequest("ann", 1.0, "")
    index, live = LiveJobs(), set[int]()
    for seq in seqs:
        was, now = replace(job, seq=seq), replace(job, seq=seq, stop=stopped)
        if seq in live:
            index.put(was, now)
        else:
            index.put(now, was)
        live ^= {seq}
        blocks = index.named.get(("ann", "web")) or ()
        assert [it for block in blocks for it in block] == sorted(live)
        assert len({it // BLOCK for it in live}) == len(blocks)
