"""The lives of tasks on a line: what shows where, how they end, and that they always fit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from flextui.core.model.docs import JobDoc, TaskDoc
from flextui.core.model.times import iso
from flextui.screens.fields import timeline
from flextui.screens.format import plain
from tests.screens.fake_client import attempt, job, node, task
from tests.screens.kit import running, shown, until

BEGIN = 1_800_000_000.0
NOW = BEGIN + 100.0


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local times are those of Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def tried(number: int, state: str, placed: float, started: float | None, ended: float | None,
          **more: Any) -> Any:  # fmt: skip
    times = {"placed_at": iso(BEGIN + placed),
             "started_at": None if started is None else iso(BEGIN + started),
             "ended_at": None if ended is None else iso(BEGIN + ended)}  # fmt: skip
    return attempt("j1.0", number, state, "gpu1", **times, **more)


def of(state: str, *attempts: Any, **more: Any) -> JobDoc:
    one = {**task(0, state, list(attempts)), **more}
    return job(1, "train", "bob", state, [one], submitted_at=iso(BEGIN))


def drawn(doc: JobDoc, nodes: Any = None, width: int = 50, now: float = NOW) -> str:
    span = timeline.Window(BEGIN, now)
    pieces, marks = timeline.life(doc, cast(TaskDoc, doc["tasks"][0]), now, nodes or {})
    return "".join(it.text for it in timeline.bar(pieces, marks, span, width))


def test_a_life_from_waiting_to_running() -> None:
    line = drawn(of("running", tried(1, "running", 20, 40, None)))
    assert line == "·" * 10 + "▒" * 10 + "█" * 30


def test_a_failure_shows_its_exit_and_the_delay_after_it() -> None:
    failed = tried(1, "failed", 10, 20, 50, exit_code=137)
    line = drawn(of("running", failed, tried(2, "running", 80, 84, None)))
    assert line == "·" * 5 + "▒" * 5 + "█" * 15 + "✗137" + "-" * 11 + "▒" * 2 + "█" * 8


def test_a_code_never_covers_what_ran() -> None:
    failed = tried(1, "failed", 10, 20, 50, exit_code=137)
    line = drawn(of("running", failed, tried(2, "running", 52, 54, None)))
    assert "137" not in line
    assert line[25] == "✗"
    assert set(line[27:]) == {"█"}


def test_how_attempts_end() -> None:
    done = drawn(of("succeeded", tried(1, "succeeded", 0, 0, 60)))
    assert done.rstrip() == "█" * 30 + "✓"
    lost = drawn(of("running", tried(1, "lost", 0, 0, 60), tried(2, "placed", 90, None, None)))
    assert lost == "█" * 30 + "✗lost" + "·" * 10 + "▒" * 5
    killed = drawn(of("stopped", tried(1, "killed", 0, 0, 60, signal=15)))
    assert killed.rstrip() == "█" * 30 + "■s15"


def test_since_its_node_is_away_nobody_knows() -> None:
    away = {"gpu1": node("gpu1", [], state="lost", since=iso(BEGIN + 60))}
    line = drawn(of("running", tried(1, "unknown", 0, 0, None)), away)
    assert line == "█" * 30 + "?" * 20


def test_what_waits_for_its_delay_is_told_apart() -> None:
    failed = tried(1, "failed", 0, 0, 20, exit_code=1)
    doc = of("pending", failed, not_before=iso(NOW + 30))
    assert drawn(doc) == "█" * 10 + "✗1" + "-" * 38
    assert "again in 30s" in plain(timeline.tail(cast(TaskDoc, doc["tasks"][0]), NOW))
    assert "1 tries" not in plain(timeline.tail(cast(TaskDoc, doc["tasks"][0]), NOW))


def test_the_end_of_a_line_tells_how_it_is() -> None:
    failed = of("failed", tried(1, "failed", 0, 0, 100, exit_code=3))
    assert plain(timeline.tail(cast(TaskDoc, failed["tasks"][0]), NOW)) == "✗ failed 3"
    runs = of("running", tried(1, "lost", 0, 0, 10), tried(2, "running", 20, 40, None))
    assert plain(timeline.tail(cast(TaskDoc, runs["tasks"][0]), NOW)) == "● running 1m  2 tries"


def test_the_line_above_tells_the_times() -> None:
    span = timeline.Window(BEGIN, BEGIN + 7200)
    words = plain(timeline.scale(span, 100)).split()
    assert words[0] == "08:00"
    assert words[-1] == "10:00"
    assert "|09:00" in words


def test_it_can_be_looked_at_closer() -> None:
    doc = of("running", tried(1, "running", 0, 0, None))
    late = BEGIN + 90_000
    assert timeline.window(doc, late, 0) == (BEGIN, late)
    assert timeline.window(doc, late, 3) == (late - 3600, late)


moments = st.one_of(st.none(), st.floats(-1000, 1000))
tries = st.builds(
    tried, st.integers(1, 9),
    st.sampled_from(["running", "failed", "lost", "unknown", "killed", "succeeded", "placed"]),
    st.floats(-1000, 1000), moments, moments, exit_code=st.one_of(st.none(), st.integers(0, 255)),
)  # fmt: skip


@given(st.lists(tries, max_size=5), st.sampled_from(["pending", "running", "failed"]),
       st.integers(40, 200), st.floats(0, 1e6))  # fmt: skip
def test_a_line_is_as_wide_as_the_screen_whatever_the_times(
    attempts: list[Any], state: str, width: int, later: float
) -> None:
    doc, now = of(state, *attempts), BEGIN + later
    span = timeline.window(doc, now, 0)
    line = timeline.line(doc, cast(TaskDoc, doc["tasks"][0]), span, width, now, {})
    room = max(10, width - timeline.NAME - timeline.TAIL)
    bar = plain(line)[timeline.NAME :][:room]
    assert cell_len(bar) == room


async def test_the_parts_of_a_job_have_a_key_each_and_the_mouse() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "enter")
        await until(pilot, lambda: "attempt " in shown(app))
        for key, words in (("t", "● running"), ("w", "it doesn't wait"), ("i", "python train.py"),
                           ("m", "GPUs busy")):  # fmt: skip
            await pilot.press(key)
            await until(pilot, lambda words=words: words in shown(app))
        await pilot.press("m")
        await until(pilot, lambda: "attempt  state" in shown(app))
        await pilot.click("#tabs", offset=(22, 0))
        await until(pilot, lambda: app.screen.section == "timeline")  # type: ignore[attr-defined]


async def test_the_node_of_an_attempt_is_a_key_away() -> None:
    async with running() as (app, pilot, _, _):
        app.open_job("j1")
        await until(pilot, lambda: "gpu1" in shown(app))
        await pilot.press("N")
        await until(pilot, lambda: app.path[-1] == ("node", "gpu1"))


async def test_a_job_that_left_memory_is_asked_of_the_store() -> None:
    async with running() as (app, pilot, _, _):
        app.open_job("j77")
        await until(pilot, lambda: "bob/train" in shown(app))
