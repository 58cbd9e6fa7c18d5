"""What terminals and names do in the wild: mice, storms of resizes, wide and hostile characters."""

from __future__ import annotations

import random
from unicodedata import category

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from flextui.screens.format import safe
from flextui.screens.job import Job
from flextui.screens.jobs import Jobs
from flextui.screens.widgets.grid import Grid
from tests.screens.fake_client import attempt, fleet_delta, job, task
from tests.screens.kit import running, shown, until

ODD = (
    "日本語の仕事", "emoji 🚀🔥👩\u200d🚀 job", "e\u0301e\u0301 combining", "\u202eright to left",
    "a\x1b[2Jb", "\x1b]52;c;aGk=\x07", "tab\there", "line\nbreak", "x" * 500, "",
)  # fmt: skip


async def test_odd_texts_neither_break_lines_nor_reach_the_terminal() -> None:
    async with running() as (app, pilot, client, _):
        jobs = {
            f"j{n}": job(n, odd, odd, "failed", [task(0, "failed", [
                attempt(f"j{n}.0", 1, "failed", odd, reason=odd, last_lines=odd)], odd)],
                reason=odd, ended_at="2026-11-23T12:09:00Z")
            for n, odd in enumerate(ODD, 1)
        }  # fmt: skip
        client.deltas.put_nowait({**fleet_delta(), "jobs": dict(jobs)})
        await until(pilot, lambda: len(app.view.jobs) == len(ODD))
        for keys in (("2",), ("2", "t"), ("2", "g", "enter"), ("2", "G", "enter")):
            await pilot.press(*keys)
            for strip in app.screen._compositor.render_strips():
                assert cell_len(strip.text) == 120
            assert not [it for it in shown(app) if it != "\n" and category(it) in ("Cc", "Cf")]


@given(st.text())
def test_no_control_character_is_safe(text: str) -> None:
    assert not any(ord(it) < 32 or 0x7F <= ord(it) < 0xA0 for it in safe(text))
    assert not set(safe(text)) & set("\u200d\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069")


async def test_a_storm_of_resizes_leaves_the_screen_whole() -> None:
    seed = random.Random(5)
    async with running() as (app, pilot, _, _):
        for keys in ("2", "4", "z", "?"):
            await pilot.press(keys)
            for _ in range(15):
                await pilot.resize_terminal(seed.randrange(1, 250), seed.randrange(1, 80))
            await pilot.press("escape", "1")
        await pilot.resize_terminal(120, 40)
        await pilot.press("2")
        assert "chat-api" in shown(app)
        assert "? help" in shown(app).splitlines()[-1]


async def test_the_mouse_moves_selects_opens_and_scrolls() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2")
        grid = app.screen.query_one(Grid)
        await pilot.click(Grid, offset=(10, 3))
        assert grid.cursor_key == "j4"
        await pilot.click(Grid, offset=(10, 1), control=True)
        await pilot.click(Grid, offset=(10, 2), control=True)
        assert grid.chosen == ("j2", "j1")
        await pilot.click(Grid, offset=(10, 0))
        assert isinstance(app.screen, Jobs), "the head is no row"
        await pilot.press("escape")
        await pilot.click(Grid, offset=(10, 2), times=2)
        await until(pilot, lambda: isinstance(app.screen, Job))


async def test_the_focus_comes_back_with_the_window() -> None:
    from textual import events

    async with running() as (app, pilot, _, _):
        await pilot.press("2")
        app.post_message(events.AppBlur())
        await pilot.pause()
        await pilot.press("j")
        assert app.screen.query_one(Grid).cursor_key == "j1"
