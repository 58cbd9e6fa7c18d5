"""Telemetry that isn't told to the planner makes no difference to what it knows of a node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.model.state import Gpu, GpuProcess
from flextui.core.reduce.telemetry import _signature
from flextui.core.scheduler.capacity import room_of
from tests.unit.draft_kit import Book, shared
from tests.unit.world import GIB

MIB = 2**20

process = st.builds(
    GpuProcess,
    pid=st.integers(1, 3),
    user=st.just("carol"),
    name=st.just("python"),
    command=st.just("python"),
    memory_bytes=st.sampled_from([None, 100 * MIB, 600 * MIB, 10 * GIB]),
    attempt=st.sampled_from([None, "j1.0.1", "j2.0.1", "j3.0.1", "j9.0.1"]),
)
telemetry = st.fixed_dictionaries(
    {
        "memory_used_bytes": st.sampled_from(
            [None, 0, 500 * MIB, 600 * MIB, 601 * MIB, 9 * GIB, 30 * GIB]
        ),
        "processes": st.lists(process, max_size=2, unique_by=lambda it: it.pid).map(tuple),
        "state": st.sampled_from(["ok", "ok", "ok", "error"]),
        "recovery_action": st.sampled_from([None, None, 0, 1]),
        "utilization": st.sampled_from([None, 0, 90]),
        "temperature_c": st.sampled_from([30, 80]),
    }
)
samples = st.lists(telemetry, min_size=3, max_size=3)


@settings(max_examples=300, deadline=None)
@given(samples, st.lists(st.tuples(st.integers(0, 2), telemetry), max_size=2))
def test_what_is_not_told_makes_no_difference(
    first: list[dict[str, Any]], changes: list[tuple[int, dict[str, Any]]]
) -> None:
    """GPU 0 is held whole, GPU 1 by shares, GPU 2 by nobody; j3 has ended and left processes."""
    book = Book(shared(gpus=3))
    book.start(book.submit(), "n1-0")
    book.start(book.submit(), "n1-1", share=300, gpu_memory_bytes=20 * GIB)
    book.end(book.start(book.submit(), "n1-2"))
    node, live = book.draft.nodes["n1"], book.draft.live_on("n1")

    def seen(told: list[dict[str, Any]]) -> tuple[Gpu, ...]:
        return tuple(replace(gpu, **it) for gpu, it in zip(node.gpus, told, strict=True))

    second = [dict(it) for it in first]
    for at, fields in changes:
        second[at] = {**second[at], **dict(list(fields.items())[:: 1 + at % 2])}
    one, other = seen(first), seen(second)
    if _signature(node, one, live) != _signature(node, other, live):
        return
    snapshot = book.draft.freeze(1)
    rooms = [room_of(snapshot, replace(node, gpus=gpus)) for gpus in (one, other)]
    looks = [
        [
            (it.uuid, it.state, it.free_milli, it.free_bytes, it.users, it.why, it.holders)
            for it in room.devices
        ]
        for room in rooms
    ]
    assert looks[0] == looks[1]
