"""Charts: as wide and high as asked, the newest at the right, and what a node's past grows to."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from flextui.core.model.docs import PastDoc
from flextui.screens.fields import charts
from flextui.screens.format import plain
from tests.screens.answers import history
from tests.screens.fake_client import A100, fleet_delta, gpu, node
from tests.screens.kit import running, shown, until

values = st.lists(st.one_of(st.none(), st.floats(0, 1000)), max_size=900)


def past(until_: int, *busy: float | None, uuid: str = "GPU-a-0") -> PastDoc:
    nothing = dict.fromkeys(("memory", "temperature", "power"), [None] * len(busy))
    doc = {
        "every_s": 5.0, "until": until_, "node": {"cpu": list(busy)},
        "gpus": {uuid: {"busy": list(busy), **nothing}},
    }  # fmt: skip
    return cast(PastDoc, doc)


def test_a_band_grows_from_the_ground_and_what_is_more_than_nothing_shows() -> None:
    assert charts.band([0, 0.1, 50, 100, None], 100, 1) == [" ▁▄█ "]
    assert charts.band([25, 100], 100, 2) == [" █", "▄█"]


@given(values, st.integers(8, 300), st.integers(1, 9))
def test_charts_keep_their_size(found: list[float | None], width: int, height: int) -> None:
    lines = charts.chart("busy", "busy", found, width, height, until=len(found))
    assert len(lines) == height + 1
    assert {cell_len(plain(line)) for line in lines} == {width}


@given(st.integers(20, 300), st.integers(1, 6))
def test_charts_side_by_side_fit(width: int, count: int) -> None:
    across, wide = charts.fitting(width, count)
    drawn = [charts.chart("cpu", "cpu", [1.0], wide, 2) for _ in range(count)]
    for line in charts.beside(drawn, wide, across):
        assert cell_len(plain(line)) <= width


def test_a_past_grows_by_what_came_after_it() -> None:
    known = charts.merged(None, past(3, 1, 2, 3))
    assert charts.merged(known, past(3)) == known
    grown = charts.merged(known, past(5, 4, None))
    assert grown["until"] == 5
    assert grown["gpus"]["GPU-a-0"]["busy"] == [1, 2, 3, 4, None]
    assert len(grown["gpus"]["GPU-a-0"]["power"]) == 5


def test_a_device_that_is_new_lines_up_with_the_others() -> None:
    known = charts.merged(None, past(2, 1, 2))
    grown = charts.merged(known, past(3, 7, uuid="GPU-a-1"))
    assert grown["gpus"]["GPU-a-1"]["busy"] == [None, None, 7]
    assert "GPU-a-0" not in grown["gpus"], "it is there no more"


def test_an_hour_is_kept() -> None:
    grown = charts.merged(past(3, 1, 2, 3), past(2000, *([9.0] * 719)))
    assert len(grown["node"]["cpu"]) == 720


def test_a_node_tells_each_of_its_gpus_and_says_when_it_knows_nothing() -> None:
    doc = node("gpu9", [gpu(0, A100, 80, 70, jobs=["bob/train"]), gpu(1, A100, 80, 0)])
    (nothing,) = charts.node_lines(doc, None, 80, 2)
    assert "nothing is known yet" in plain(nothing)
    told = cast(PastDoc, past(3, 10, 20, 30, uuid="GPU-gpu9-0"))
    text = "\n".join(map(plain, charts.node_lines(doc, told, 80, 2)))
    assert "GPU 0 A100-80" in text
    assert "bob/train" in text
    assert "busy 30%" in text
    assert "GPU 1" not in text, "nothing is known of it"


def test_a_job_without_gpus_has_no_charts_of_them() -> None:
    track: dict[str, Any] = {
        "attempt": "j1.0.1", "node": "gpu1", "since": "2026-11-23T12:00:00Z", "every_s": 5.0,
        "series": {"cpu": [1.0], "memory": [5.0], "busy": [None], "gpu_memory": [None]},
    }  # fmt: skip
    text = "\n".join(map(plain, charts.job_lines(cast(Any, {"tracks": [track]}), 80, 2)))
    assert "CPUs 1.0" in text
    assert "GPU" not in text
    assert "asking" in plain(charts.job_lines(None, 80, 2)[0])
    assert "nothing is known" in plain(charts.job_lines({"tracks": []}, 80, 2)[0])


async def test_the_past_is_asked_for_once_and_then_only_what_is_new() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("enter", "m")
        await until(pilot, lambda: "GPU 0 A100-80" in shown(app))
        name = app.screen.location[1]  # type: ignore[attr-defined]
        asked = [it for it in client.asked if type(it).__name__ == "History"]
        assert [it.after for it in asked] == [0]  # type: ignore[union-attr]
        until_ = history(asked[0], list(fleet_delta()["nodes"].values()))["past"]["until"]  # type: ignore[arg-type]
        app.history._due.clear()
        app.draw()
        await until(pilot, lambda: len([it for it in client.asked
                                        if type(it).__name__ == "History"]) == 2)  # fmt: skip
        again = client.asked[-1]
        assert (again.node, again.after) == (name, until_)  # type: ignore[union-attr]
