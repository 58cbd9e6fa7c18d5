"""What was used of late: kept in few bytes, told from where somebody left off, and forgotten."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, cast

import pytest

from flextui.core import past
from flextui.core.model.docs import JobDoc
from flextui.core.model.ids import TaskKey
from flextui.core.model.inventory import Inventory, NodeSpec
from flextui.core.model.series import columns, reading, top_of
from flextui.core.model.state import (
    Attempt,
    AttemptState,
    Gpu,
    GpuProcess,
    Node,
    NodeStatus,
    Sample,
    Snapshot,
    Use,
)
from flextui.core.past import EVERY_S, KEPT, STEPS, Past, Series

GIB = 2**30
BEGIN = 1_700_000_000.0


def gpu(busy: int | None, uuid: str = "GPU-0") -> Gpu:
    own = GpuProcess(1, "ann", "python", "python", 3 * GIB, "j1.0.1")
    return Gpu(uuid, 0, "A100", 80 * GIB, 20 * GIB, busy, 61, 250.4, processes=(own,))


def node(busy: int | None = 40, **more: Any) -> Node:
    sample = Sample(
        cpu=0.5, load=(3.25,), memory_bytes=100 * GIB, memory_used_bytes=25 * GIB,
        disk_bytes=1000, disk_free_bytes=100,
        attempts={"j1.0.1": Use(2.5, 6 * GIB)},
    )  # fmt: skip
    base: dict[str, Any] = {
        "status": NodeStatus.READY, "sampled": True, "sample": sample, "gpus": (gpu(busy),)
    }  # fmt: skip
    return Node("n1", NodeSpec(host="n1"), **{**base, **more})


def snapshot(it: Node, *attempts: Attempt) -> Snapshot:
    return Snapshot(
        1, Inventory.model_validate({"nodes": [{"host": "n1"}]}),
        nodes=MappingProxyType({it.name: it}),
        attempts=MappingProxyType({a.id: a for a in attempts}),
        by_node=MappingProxyType({it.name: frozenset(a.id for a in attempts)}),
    )  # fmt: skip


def attempt(key: str = "j1.0.1") -> Attempt:
    return Attempt(
        key, TaskKey("j1", 0), 1, 1, "n1", "h", "b", "r", ("GPU-0",), 1.0, GIB,
        AttemptState.RUNNING, BEGIN, started_at=BEGIN,
    )  # fmt: skip


def job_doc(*attempts: str) -> JobDoc:
    return cast(JobDoc, {"tasks": [{"attempts": [{"id": key} for key in attempts]}]})


def test_a_node_and_its_devices_are_told_in_their_units() -> None:
    kept = Past()
    for step, busy in enumerate((10, None, 30)):
        kept.take(BEGIN + step * EVERY_S, snapshot(node(busy)), ["n1"])
    told = kept.of_node("n1")["past"]
    assert told["node"] == {
        "cpu": [50, 50, 50], "memory": [25, 25, 25], "disk": [90, 90, 90], "load": [3.25] * 3
    }  # fmt: skip
    assert told["gpus"]["GPU-0"]["busy"] == [10, None, 30]
    assert told["gpus"]["GPU-0"]["power"] == [250, 250, 250]
    assert told["gpus"]["GPU-0"]["temperature"] == [61, 61, 61]


def test_samples_that_come_more_often_cost_nothing() -> None:
    kept = Past()
    for tenth in range(50):
        kept.take(BEGIN + tenth / 10, snapshot(node()), ["n1"])
    assert len(kept.of_node("n1")["past"]["node"]["cpu"]) == 1


def test_who_knows_a_part_is_told_the_rest() -> None:
    kept = Past()
    for step in range(5):
        kept.take(BEGIN + step * EVERY_S, snapshot(node(step)), ["n1"])
    until = kept.of_node("n1")["past"]["until"]
    assert kept.of_node("n1", until)["past"]["gpus"]["GPU-0"]["busy"] == []
    assert kept.of_node("n1", until - 2)["past"]["gpus"]["GPU-0"]["busy"] == [3, 4]


def test_time_in_which_nothing_came_shows_as_unknown_and_an_hour_is_kept() -> None:
    kept = Past()
    kept.take(BEGIN, snapshot(node(1)), ["n1"])
    kept.take(BEGIN + 4 * EVERY_S, snapshot(node(2)), ["n1"])
    assert kept.of_node("n1")["past"]["gpus"]["GPU-0"]["busy"] == [1, None, None, None, 2]
    kept.take(BEGIN + 10_000 * EVERY_S, snapshot(node(3)), ["n1"])
    busy = kept.of_node("n1")["past"]["gpus"]["GPU-0"]["busy"]
    assert len(busy) == KEPT
    assert busy[-2:] == [None, 3]


def test_what_a_lost_node_told_last_holds_no_more() -> None:
    kept = Past()
    kept.take(BEGIN, snapshot(node(1)), ["n1"])
    lost = node(1, status=NodeStatus.LOST)
    kept.take(BEGIN + EVERY_S, snapshot(lost, attempt()), ["n1"])
    assert kept.of_node("n1")["past"]["gpus"]["GPU-0"]["busy"] == [1, None]
    assert kept.of_job(job_doc("j1.0.1"))["tracks"] == []


def test_a_device_that_comes_later_lines_up_and_one_that_goes_is_forgotten() -> None:
    kept = Past()
    kept.take(BEGIN, snapshot(node(1)), ["n1"])
    both = node(gpus=(gpu(2), gpu(9, "GPU-1")))
    kept.take(BEGIN + EVERY_S, snapshot(both), ["n1"])
    gpus = kept.of_node("n1")["past"]["gpus"]
    assert (gpus["GPU-0"]["busy"], gpus["GPU-1"]["busy"]) == ([1, 2], [None, 9])
    kept.take(BEGIN + 2 * EVERY_S, snapshot(node(gpus=(gpu(9, "GPU-1"),))), ["n1"])
    assert list(kept.of_node("n1")["past"]["gpus"]) == ["GPU-1"]


def test_a_clock_that_was_put_back_begins_anew() -> None:
    kept = Past()
    kept.take(BEGIN, snapshot(node(1)), ["n1"])
    kept.take(BEGIN - 3600, snapshot(node(2)), ["n1"])
    assert kept.of_node("n1")["past"]["gpus"]["GPU-0"]["busy"] == [2]


def test_all_the_life_of_an_attempt_fits_into_so_many_steps() -> None:
    kept = Past()
    steps = STEPS * 9
    for step in range(steps):
        kept.take(BEGIN + step * EVERY_S, snapshot(node(50), attempt()), ["n1"])
    (track,) = kept.of_job(job_doc("j1.0.1"))["tracks"]
    length = len(track["series"]["cpu"])
    assert STEPS / 2 <= length <= STEPS
    assert length * track["every_s"] == pytest.approx(steps * EVERY_S, rel=0.02)
    assert set(track["series"]["cpu"]) == {2.5}
    assert set(track["series"]["busy"]) == {50}
    assert track["series"]["memory"][-1] == 6 * GIB
    assert track["series"]["gpu_memory"][-1] == 3 * GIB


def test_only_the_last_that_ended_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "ENDED", 3)
    kept = Past()
    ids = [f"j{n}.0.1" for n in range(20)]
    for step, key in enumerate(ids):
        kept.take(BEGIN + step * EVERY_S, snapshot(node(), attempt(key)), ["n1"])
    told = [it["attempt"] for it in kept.of_job(job_doc(*ids))["tracks"]]
    assert len(told) <= 6
    assert told[0] == ids[-1], "the newest first"


def test_numbers_that_are_too_large_or_none_are_told_so() -> None:
    series = Series("B", 1.0)
    for value in (3.4, 1000, -5, None, float("nan")):
        series.add(value)
    assert series.last(5) == [3, 254, 0, None, None]


def test_columns_take_the_highest_and_stay_where_they_are() -> None:
    values: list[float | None] = [1, 5, 2, None, None, None, 7]
    assert columns(values, 10, until=6) == values
    assert columns(values, 4, until=6) == [5, 2, None, 7]
    assert columns([*values, 3], 4, until=7) == [5, 2, None, 7]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [("busy", 41.0, "41%"), ("temperature", 61.0, "61°"), ("power", 250.0, "250W"),
     ("load", 3.25, "3.25"), ("cores", 2.5, "2.5"), ("bytes", 6.0 * GIB, "6G"),
     ("busy", None, "n/a")],
)  # fmt: skip
def test_values_are_read_out_in_their_unit(kind: str, value: float | None, words: str) -> None:
    assert reading(kind, value) == words


def test_the_top_of_a_chart_is_round_and_holds_the_highest() -> None:
    assert top_of("busy", [3.0]) == 100
    assert top_of("load", [5.0, None]) == 8
    assert top_of("power", []) == 100
