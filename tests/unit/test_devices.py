"""A GPU that fails takes out its slices, and ends all who hold a part of it as device_lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flextui.core.events import XidSeen
from flextui.core.model.state import JobState, Node
from flextui.core.reduce.fold import fold
from tests.unit.draft_kit import Book, shared
from tests.unit.world import GIB, gpu, node

RETRY = {"restart": {"delay": "0s"}}


def sliced() -> Node:
    """A node with one GPU that is cut into two slices."""
    slices = tuple(
        replace(gpu(f"MIG-{n}", 0, memory=10), parent="GPU-0", mig="1g.10gb") for n in range(2)
    )
    return replace(node("n1"), gpus=(*slices, gpu("GPU-1", 1)))


def xid(book: Book, uuid: str, number: int, mig: str = "") -> None:
    fold(book.draft, XidSeen("n1", uuid, number, "", mig))


@pytest.mark.parametrize("told_first", [True, False])
def test_all_holders_of_a_failed_gpu_start_elsewhere_uncounted(told_first: bool) -> None:
    book = Book(sliced())
    for uuid in ("MIG-0", "MIG-1", "GPU-1"):
        book.start(book.submit(**RETRY), uuid)
    if told_first:
        xid(book, "GPU-0", 79, mig="MIG-0")
    for key in ("j1.0.1", "j2.0.1", "j3.0.1"):
        book.end(book.attempt(key), 1)
    if not told_first:
        xid(book, "GPU-0", 79)
    assert [book.attempt(f"j{n}.0.1").why for n in (1, 2, 3)] == [
        "device_lost", "device_lost", "exit",
    ]  # fmt: skip
    tasks = {it.key.job: it for it in book.draft.tasks.values()}
    assert [len(tasks[job].failures) for job in ("j1", "j2")] == [0, 0]
    assert {tasks[job].state for job in ("j1", "j2")} == {JobState.PENDING}
    cut = book.draft.nodes["n1"]
    assert [cut.cordon_of(device) is not None for device in cut.gpus] == [True, True, False]
    assert set(cut.cordoned_gpus) == {"GPU-0"}, "one mark, one uncordon"


def test_both_holders_of_a_shared_gpu_are_told_that_it_failed() -> None:
    book = Book(shared())
    for _ in range(2):
        book.start(book.submit(**RETRY), "n1-0", share=500, gpu_memory_bytes=GIB)
    xid(book, "n1-0", 48)
    for key in ("j1.0.1", "j2.0.1"):
        assert book.end(book.attempt(key), 134).why == "device_lost"


def test_an_application_s_error_is_told_to_whose_slice_it_was_on() -> None:
    book = Book(sliced())
    for uuid in ("MIG-0", "MIG-1"):
        book.start(book.submit(), uuid)
    xid(book, "GPU-0", 31, mig="MIG-1")
    assert [book.attempt(f"j{n}.0.1").reason for n in (1, 2)] == ["", "XID 31"]
    assert not book.draft.nodes["n1"].cordoned_gpus
    xid(book, "GPU-0", 13)
    assert [book.attempt(f"j{n}.0.1").reason for n in (1, 2)] == ["XID 13", "XID 13"]


def test_a_recovery_action_takes_the_whole_gpu_out() -> None:
    book = Book(sliced())
    book.sample(*(book.gpu(f"MIG-{n}", recovery_action=1) for n in range(2)))
    assert set(book.draft.nodes["n1"].cordoned_gpus) == {"GPU-0"}
    assert len(book.told("gpu.cordoned")) == 1
