"""Only lines that changed are drawn anew, and only what has another size is laid out anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widget import Widget

from flextui.screens.fields import picture, placing
from flextui.screens.fields.picture import Codes
from flextui.screens.view import gone, replaced
from flextui.screens.widgets.grid import Grid
from flextui.screens.widgets.heatmap import HeatMap
from flextui.screens.widgets.words import Words
from tests.screens.fake_client import A100, attempt, fleet_delta, gpu, job, node, task
from tests.screens.kit import running, shown, until


def drawn(widget: Widget) -> set[int]:
    """The lines of a widget that are drawn from now on."""
    lines: set[int] = set()
    real = widget.render_line

    def render_line(y: int) -> Any:
        lines.add(y)
        return real(y)

    widget.render_line = render_line  # type: ignore[method-assign]
    return lines


async def test_a_key_draws_the_line_that_the_cursor_leaves_and_the_one_it_comes_to() -> None:
    async with running() as (app, pilot, _, _):
        grid = app.screen.query_one("#nodes", Grid)
        await pilot.press("j")
        await until(pilot, lambda: grid.has_focus and grid.cursor_key == "gpu2")
        lines = drawn(grid)
        await pilot.press("j")
        await until(pilot, lambda: lines)
        assert lines == {2, 3}
        assert grid.cursor_key == "gpu3"


async def test_on_the_map_a_key_draws_the_lines_of_two_tiles() -> None:
    async with running(size=(50, 24)) as (app, pilot, client, _):
        names = [f"more{n:02}" for n in range(60)]
        nodes = {name: node(name, [gpu(0, A100, 80, 40)]) for name in names}
        client.deltas.put_nowait({**fleet_delta(), "full": True, "nodes": nodes, "jobs": {}})
        await pilot.press("z")
        await until(pilot, lambda: app.screen.query_one("#map", HeatMap).has_focus)
        tiles = app.screen.query_one("#map", HeatMap)
        await until(pilot, lambda: tiles.cursor_key == names[0])
        lines = drawn(tiles)
        await pilot.press("j")
        await until(pilot, lambda: lines)
        assert lines == {0, 1}


async def test_rows_come_and_go_the_scrollbar_with_them() -> None:
    async with running(size=(100, 20)) as (app, pilot, client, _):
        await pilot.press("2")
        grid = app.screen.query_one("#jobs", Grid)
        few = len(grid.keys)
        waits, at = [task(0, "pending", [])], "2026-11-23T12:00:00Z"
        more = [job(n, "more", "eve", "pending", waits, submitted_at=at) for n in range(100, 150)]
        many = {it["id"]: it for it in more}
        told = fleet_delta()
        client.deltas.put_nowait({**told, "full": False, "nodes": {}, "jobs": many})
        await until(pilot, lambda: len(grid.keys) == few + 50)
        await until(pilot, lambda: grid.show_vertical_scrollbar)
        await pilot.press("G")
        await until(pilot, lambda: grid.scroll_y == grid.max_scroll_y > 0)
        half: Any = dict.fromkeys(list(many)[:25])
        client.deltas.put_nowait({**told, "full": False, "nodes": {}, "jobs": half})
        await until(pilot, lambda: len(grid.keys) == few + 25)
        await until(pilot, lambda: grid.scroll_y == grid.max_scroll_y)
        assert grid.vertical_scrollbar.window_virtual_size == few + 26
        assert grid.keys[-1] in shown(app), "the last row is in sight, nothing empty under it"
        rest: Any = dict.fromkeys(many)
        client.deltas.put_nowait({**told, "full": False, "nodes": {}, "jobs": rest})
        await until(pilot, lambda: len(grid.keys) == few)
        await until(pilot, lambda: not grid.show_vertical_scrollbar)
        assert all(key in shown(app) for key in grid.keys)


async def test_a_text_is_laid_out_anew_only_where_it_may_need_another_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("enter")
        await until(pilot, lambda: app.path[-1] == ("node", "gpu1"))
        words = app.screen.query_one("#facts", Words)
        laid_out: list[bool] = []
        real = words.update

        def update(content: Any, *, layout: bool = True) -> None:
            laid_out.append(layout)
            real(content, layout=layout)

        monkeypatch.setattr(words, "update", update)
        for text in ("one\ntwo", "uno\ndos", "uno\ndos", "one", "x" * 500, "y" * 500):
            words.say(text)
        assert laid_out == [True, False, True, True, True]


# ── what hasn't changed isn't looked at ────────────────────────────────────────────────────────

maps = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3).map(lambda n: [n]))


@given(maps, maps, st.sets(st.sampled_from("abcdef")))
def test_what_was_replaced_and_what_is_gone_is_found(
    before: dict[str, list[int]], now: dict[str, list[int]], kept: set[str]
) -> None:
    now |= {key: before[key] for key in kept if key in before}
    changed = replaced(before, now)
    assert {key for key in now if before.get(key) is not now[key]} <= set(changed) <= set(now)
    assert set(gone(before, now, changed)) == before.keys() - now.keys()


def holder(seq: int, kind: str) -> Any:
    tried = [attempt(f"j{seq}.0", 1, "running", "n1", gpus=[f"GPU-{seq % 3}"])]
    tasks = [task(0, "running", tried) if kind == "holds" else task(0, "pending", [])]
    ended = "2026-11-23T13:00:00Z" if kind == "ended" else None
    gpus = 0 if kind == "wants none" else 1
    return job(seq, f"x{seq}", "bob", "running", tasks, ended_at=ended, resources={"gpus": gpus})


kinds = st.sampled_from([None, "holds", "waits", "wants none", "ended"])
steps = st.lists(st.dictionaries(st.integers(0, 5), kinds, max_size=4), max_size=8)


@given(steps)
def test_holders_kept_current_are_the_same_as_looked_at_anew(steps: list[dict[int, Any]]) -> None:
    kept, codes, jobs = placing.Holders(), Codes(), dict[str, Any]()
    for step in steps:
        for seq, kind in step.items():
            jobs = {key: it for key, it in jobs.items() if key != f"j{seq}"}
            if kind is not None:
                jobs[f"j{seq}"] = holder(seq, kind)
        kept.take(jobs)
        anew = placing.Holders()
        anew.take(jobs)
        rows, fresh = kept.rows(codes, {}), anew.rows(Codes(), {})
        assert {key: (it.job, it.devices) for key, it in rows.items()} == {
            key: (it.job, it.devices) for key, it in fresh.items()
        }
        assert kept.held.keys() == picture.holdings(jobs.values()).keys() - {
            f"GPU-{n}" for n in range(3)
            if not any(f"GPU-{n}" in a["gpus"] for it in jobs.values() if not it["ended_at"]
                       for t in it["tasks"] for a in t["attempts"])
        }  # fmt: skip
