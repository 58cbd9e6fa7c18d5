"""What the scheduler wants to start is checked once more: nothing is given out twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flextui.core.model.state import Mark
from flextui.core.reduce.fleet import find_gpu
from tests.unit.draft_kit import Book, shared
from tests.unit.world import GIB, gpu, node

PART: Any = {"share": 500, "gpu_memory_bytes": 40 * GIB}


def refusals(book: Book) -> list[str]:
    return list(book.told("plan.refused"))


def live(book: Book) -> set[str]:
    return {it.id for it in book.draft.attempts.values() if it.state.live}


def test_a_device_that_somebody_holds_is_not_given_out() -> None:
    book = Book()
    first = book.start(book.submit(), "n1-0")
    book.decide(book.placement(book.submit("other"), "n1-1", "n1-0"))
    assert live(book) == {first.id}
    assert refusals(book) == [f"j2.0 isn't placed on n1: GPU n1-0 is held by {first.id}"]


def test_shares_fill_a_device_and_no_more() -> None:
    book = Book(shared())
    book.start(book.submit(), "n1-0", **PART)
    book.start(book.submit(), "n1-0", **PART)
    book.decide(book.placement(book.submit(), "n1-0", share=100, gpu_memory_bytes=GIB))
    assert live(book) == {"j1.0.1", "j2.0.1"}
    assert "no such part left" in refusals(book)[0]


def test_shares_don_t_promise_more_memory_than_there_is() -> None:
    book = Book(shared())
    book.start(book.submit(), "n1-0", share=100, gpu_memory_bytes=60 * GIB)
    book.decide(book.placement(book.submit(), "n1-0", share=100, gpu_memory_bytes=30 * GIB))
    assert live(book) == {"j1.0.1"}
    assert "not that much memory left" in refusals(book)[0]


def test_a_share_and_a_whole_device_exclude_each_other() -> None:
    book = Book(shared(gpus=2))
    book.start(book.submit(), "n1-0", **PART)
    book.start(book.submit(), "n1-1")
    book.decide(
        book.placement(book.submit(), "n1-0"), book.placement(book.submit(), "n1-1", **PART)
    )
    assert live(book) == {"j1.0.1", "j2.0.1"}
    assert len(refusals(book)) == 2


def test_only_what_the_inventory_says_is_shared() -> None:
    book = Book()
    book.decide(book.placement(book.submit(), "n1-0", **PART))
    assert live(book) == set()
    assert "isn't one that jobs may share" in refusals(book)[0]


def test_a_gang_starts_whole_or_not_at_all() -> None:
    book = Book(node("n1", gpus=2), node("n2", gpus=2))
    taken = book.start(book.submit(), "n2-0", node="n2")
    gang = book.submit("gang", tasks=3)
    ranks = [
        book.placement(gang, "n1-0", gang="g1", master="n1:29500"),
        book.placement(gang, "n1-1", index=1, gang="g1", master="n1:29500"),
        book.placement(gang, "n2-0", index=2, node="n2", gang="g1", master="n1:29500"),
    ]
    book.decide(*ranks)
    assert live(book) == {taken.id}, "half a gang holds what it can't use"
    assert not book.draft.effects[1:], "nothing is sent for a gang that didn't start"
    book.end(taken)
    book.decide(*ranks)
    started = [it for it in book.draft.attempts.values() if it.task.job == gang.id]
    assert {(it.gang, it.master) for it in started} == {("g1", "n1:29500")}
    assert len(started) == 3


def test_ranks_of_a_gang_are_checked_against_each_other() -> None:
    book = Book()
    gang = book.submit("gang", tasks=2)
    book.decide(
        book.placement(gang, "n1-0", gang="g"), book.placement(gang, "n1-0", index=1, gang="g")
    )
    assert live(book) == set()


@pytest.mark.parametrize("who", ["user", "project"])
def test_a_quota_of_gpus_is_not_exceeded(who: str) -> None:
    quota: dict[str, Any] = {"quota": {"gpus": 2}}
    project = {"members": ["ann"], **(quota if who == "project" else {})}
    book = Book(
        node("n1", gpus=4), projects={"vision": project}, users=quota if who == "user" else {}
    )
    book.start(book.submit(project="vision"), "n1-0")
    both = book.submit(project="vision", tasks=2)
    book.decide(
        book.placement(both, "n1-1", gang="g"), book.placement(both, "n1-2", index=1, gang="g")
    )
    assert live(book) == {"j1.0.1"}, "a gang counts as a whole"
    assert "may have 2 GPUs at once" in refusals(book)[0]
    book.start(book.submit(project="vision"), "n1-1")
    assert len(live(book)) == 2


@pytest.mark.parametrize(
    ("ask", "word"),
    [({"cpus": 7.5}, "CPUs"), ({"memory_bytes": 60 * GIB}, "memory")],
)
def test_a_node_promises_no_more_than_it_has(ask: dict[str, Any], word: str) -> None:
    book = Book(node("n1", cpus=8, memory=64))
    book.start(book.submit(), cpus=1.0, memory_bytes=8 * GIB)
    book.decide(book.placement(book.submit(), **ask))
    assert live(book) == {"j1.0.1"}
    assert (
        f"not that many {word}" in refusals(book)[0] or f"not that much {word}" in refusals(book)[0]
    )


@pytest.mark.parametrize(
    "out",
    [
        {"drain": Mark("root", 1.0, "")},
        {"cordon": Mark("root", 1.0, "")},
        {"cordoned_gpus": {"n1-0": Mark("root", 1.0, "")}},
        {"cordoned_gpus": {"GPU-whole": Mark("root", 1.0, "")}},
    ],
)
def test_what_was_taken_out_meanwhile_gets_no_work(out: dict[str, Any]) -> None:
    book = Book(node("n1", gpus=1))
    slice_ = replace(gpu("n1-0", 0), parent="GPU-whole", mig="1g.10gb")
    book.draft.put_node(replace(book.draft.nodes["n1"], gpus=(slice_,), **out))
    book.decide(book.placement(book.submit(), "n1-0"))
    assert live(book) == set()


def test_the_index_of_a_slice_means_the_gpu_that_it_is_cut_from() -> None:
    slices = tuple(replace(gpu(f"MIG-{n}", 3), parent="GPU-whole", mig="1g.10gb") for n in range(2))
    cut = replace(node("n1"), gpus=slices)
    assert find_gpu(cut, "3") == "GPU-whole"
    assert find_gpu(cut, "GPU-whole") == "GPU-whole"
    assert find_gpu(cut, "MIG-1") == "MIG-1"
