"""The logs screen, driven by keys over a log in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from flextui.app import FlextuiApp
from flextui.core.commands import LogRequest
from flextui.core.logbook.hits import wish
from flextui.core.model.docs import LogEvent
from flextui.screens.logs import Logs, laid
from tests.screens.fake_log import NOON, FakeLog
from tests.screens.kit import running, shown, until


@asynccontextmanager
async def reading(
    *lines: str, size: tuple[int, int] = (100, 20)
) -> AsyncIterator[tuple[FlextuiApp, Pilot[None], FakeLog, Logs]]:
    """The logs of j1, at their end."""
    async with running(size=size) as (app, pilot, client, _):
        app.clock = lambda: NOON / 1000 + 3600  # type: ignore[method-assign]
        for line in lines:
            client.log.print(line)
        app.open_logs("j1")
        await until(pilot, lambda: isinstance(app.screen, Logs) and app.screen.log_view.count > 0)
        screen = app.screen
        assert isinstance(screen, Logs)
        yield app, pilot, client.log, screen


def bar(screen: Logs) -> str:
    return str(screen.query_one("#bar").render())


def here(screen: Logs) -> str:
    line = screen.log_view.cursor_line
    return "" if line is None else line.text


async def test_it_opens_at_the_end_follows_and_stays_put_for_one_who_scrolls_up() -> None:
    async with reading() as (app, pilot, log, screen):
        await until(pilot, lambda: "done" in shown(app) and "follow" in bar(screen))
        log.print("one more")
        await until(pilot, lambda: "one more" in shown(app))
        await pilot.press("k", "k")
        before = shown(app).splitlines()[2:-1]
        for n in range(50):
            log.print(f"flood {n}")
        await until(pilot, lambda: "flood 49" in [it.text for it in screen.log_view.lines])
        assert shown(app).splitlines()[2:-1] == before
        assert "paused" in bar(screen)
        await pilot.press("G")
        await until(pilot, lambda: "flood 49" in shown(app))
        assert screen.log_view.following


async def test_it_goes_up_to_the_very_beginning_page_by_page() -> None:
    many = [f"line {n}" for n in range(3000)]
    async with reading(*many) as (app, pilot, _, screen):
        assert screen.log_view.count < 2000
        await pilot.press("g")
        await until(pilot, lambda: "step 0 of 40" in shown(app))
        assert not screen.log_view.following
        for _ in range(12):
            await pilot.press("pagedown")
        await until(pilot, lambda: screen.log_view.count > 100)
        texts = [it.text for it in screen.log_view.lines]
        assert texts[:43] == [*(f"step {n} of 40" for n in range(40)), "ERROR: overflow", "done",
                              "line 0"]  # fmt: skip
        assert len(texts) == len(set(texts))


async def test_a_filter_shows_what_matches_and_then_all_around_it() -> None:
    async with reading() as (app, pilot, _, screen):
        await pilot.press("/", *"step 2", "enter")
        await until(pilot, lambda: screen.log_view.count == 11 and "11 hits" in bar(screen))
        await pilot.press("plus")
        await until(pilot, lambda: "step 19 of 40" in shown(app) or "step 1 of 40" in shown(app))
        await pilot.press("minus")
        await until(pilot, lambda: screen.log_view.count == 11)
        await pilot.press("k", "k")
        await until(pilot, lambda: "of 11 hits" in bar(screen))
        where = here(screen)
        await pilot.press("&")
        await until(pilot, lambda: screen.only is None and screen.log_view.count > 20)
        assert here(screen) == where
        await pilot.press("n")
        assert here(screen) > where
        await pilot.press("N")
        assert here(screen) == where
        await pilot.press("escape")
        await until(pilot, lambda: "hits" not in bar(screen))


async def test_an_inverse_filter_and_new_lines_that_match() -> None:
    async with reading() as (app, pilot, log, screen):
        await pilot.press("/", *"!step", "enter")
        await until(pilot, lambda: screen.log_view.count == 2)
        log.print("step 41")
        log.print("fresh")
        await until(pilot, lambda: screen.log_view.count == 3)
        await until(pilot, lambda: "fresh" in shown(app))


async def test_errors_are_gone_to_one_by_one() -> None:
    async with reading("Traceback (most recent call last):", "all well") as (_, pilot, _, screen):
        await pilot.press("E")
        await until(pilot, lambda: here(screen).startswith("Traceback"))
        await pilot.press("E")
        await until(pilot, lambda: here(screen) == "ERROR: overflow")
        await pilot.press("e")
        await until(pilot, lambda: here(screen).startswith("Traceback"))


async def test_jumping_to_a_time_and_the_time_between_two_marks() -> None:
    async with reading() as (app, pilot, _, screen):
        await pilot.press("t")
        assert screen.log_view.manner.stamps == "utc"
        await pilot.press("T")
        await until(pilot, lambda: app.screen is not screen)
        app.screen.query_one(Input).value = "nonsense"
        await pilot.press("enter")
        assert app.screen is not screen
        app.screen.query_one(Input).value = "12:00:10"
        await pilot.press("enter")
        await until(pilot, lambda: here(screen) == "step 10 of 40")
        await until(pilot, lambda: "12:00:10.000Z" in shown(app))
        await pilot.press("m", "j", "j", "j", "m")
        await until(pilot, lambda: "a to b 3.000s" in bar(screen))
        await pilot.press("t")
        await until(pilot, lambda: "-59m50s" in shown(app))


async def test_the_last_minutes_or_lines_whichever_is_more() -> None:
    async with reading() as (app, pilot, _, screen):
        for text, first in (("3", "step 39 of 40"), ("3 3586s", "step 14 of 40")):
            await pilot.press("L")
            await until(pilot, lambda: app.screen is not screen)
            app.screen.query_one(Input).value = text
            await pilot.press("enter")
            await until(pilot, lambda first=first: here(screen) == first)  # type: ignore[misc]


async def test_long_lines_wrap_json_is_laid_out_and_nothing_drives_the_terminal() -> None:
    wide = "x" * 140 + " tail"
    evil = "\x1b]0;title\x07\x1b[2Jred \x1b[31mapple\x1b[0m \u202eesrever"
    async with reading(wide, '{"level": "error", "msg": "no"}', evil) as (app, pilot, _, _):
        assert "tail" not in shown(app)
        await pilot.press("w")
        await until(pilot, lambda: "tail" in shown(app))
        await pilot.press("p")
        await until(pilot, lambda: '"msg": "no"' in shown(app))
        assert '{"level"' not in shown(app)
        assert "red apple" in shown(app)
        assert "\u202e" not in shown(app)
        assert "title" not in shown(app)
        await pilot.press("o", "w", "p")
        await until(pilot, lambda: "gpu1" not in shown(app).splitlines()[-3])


async def test_a_line_is_yanked_and_all_is_saved(tmp_path: Path) -> None:
    async with reading() as (app, pilot, _, screen):
        await pilot.press("k", "y")
        assert app.clipboard == "ERROR: overflow"
        await pilot.press("S")
        await until(pilot, lambda: app.screen is not screen)
        app.screen.query_one(Input).value = str(tmp_path / "all.log")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "all.log").exists()
                    and "done" in (tmp_path / "all.log").read_text())  # fmt: skip
        lines = (tmp_path / "all.log").read_text().splitlines()
        assert len(lines) == 42
        assert lines[0].endswith("step 0 of 40")
        assert os.stat(tmp_path / "all.log").st_size > 0


async def test_saving_goes_on_though_one_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, gate = tmp_path / "all.log", asyncio.Event()
    async with reading() as (app, pilot, log, screen):
        await pilot.press("S")
        await until(pilot, lambda: app.screen is not screen)
        app.screen.query_one(Input).value = str(path)
        events = log.events

        async def slow(request: LogRequest) -> AsyncIterator[LogEvent]:
            await gate.wait()
            async for event in events(request):
                yield event

        monkeypatch.setattr(log, "events", slow)
        await pilot.press("enter")
        await until(pilot, path.exists)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)
        gate.set()
        await until(pilot, lambda: any("42 lines are in" in it.message
                                       for it in app._notifications))  # fmt: skip
        assert len(path.read_text().splitlines()) == 42


async def test_a_pattern_that_takes_for_ever_holds_nothing_up() -> None:
    async with reading("a" * 60) as (app, pilot, log, screen):
        await pilot.press("/", *"(a+)+$b", "enter")
        await until(pilot, lambda: "takes too long" in bar(screen))
        log.print("a" * 60)
        log.print("next")
        await until(pilot, lambda: screen.slow)
        assert screen.tail.book.lines[-1].text == "next"
        await pilot.press("escape")
        await until(pilot, lambda: "next" in shown(app))


async def test_the_line_under_the_cursor_stays_in_view_whatever_is_laid_out() -> None:
    many = [f'{{"step": {n}, "loss": 1.5}}' for n in range(40)]
    async with reading(*many) as (app, pilot, _, screen):
        await pilot.press("k", "k", "p")
        await until(pilot, lambda: '  "step": 37,' in shown(app))
        assert here(screen) == many[37]
        await pilot.resize_terminal(100, 9)
        await until(pilot, lambda: '  "step": 37,' in shown(app))


async def test_found_lines_far_from_each_other_stand_apart_and_new_ones_have_context() -> None:
    async with reading(*(f"line {n}" for n in range(20))) as (app, pilot, log, screen):
        await pilot.press("/", *"line 1?3|fresh", "enter", "+")
        await until(pilot, lambda: "2 hits, 1 around" in bar(screen))
        log.print("before")
        log.print("fresh")
        log.print("after")
        wanted = ["line 2", "line 3", "line 4", "line 12", "line 13", "line 14", "before", "fresh",
                  "after"]  # fmt: skip
        await until(pilot, lambda: [it.text for it in screen.log_view.lines] == wanted)
        rules = [line for line in shown(app).splitlines() if line == "─" * 100]
        assert len(rules) == 2


async def test_keys_about_a_search_are_told_while_there_is_one_and_help_always() -> None:
    async with reading(size=(80, 24)) as (app, pilot, _, screen):
        assert "only/all" not in shown(app)
        assert shown(app).splitlines()[-1].endswith("? help")
        await pilot.press("/", *"step", "enter")
        await until(pilot, lambda: "hits" in bar(screen))
        assert "only/all" in shown(app)
        assert shown(app).splitlines()[-1].endswith("? help")


def test_the_bar_tells_what_went_wrong_before_all_that_is_shown() -> None:
    words = ["2 jobs, 3 tasks, 9 attempts, 4 nodes", "paused, 12 below", "3 hits"]
    trouble = "gpu5 isn't connected: no answer for 30 s"
    slider = " 12:00:41 ◂──●──▸ now"
    wide = laid(words, trouble, slider, 160).plain
    assert all(it in wide for it in (*words, trouble, slider))
    narrow = laid(words, trouble, slider, 70).plain
    assert len(narrow) == 70
    assert narrow.startswith("paused, 12 below · 3 hits · gpu5 isn't connected")
    assert narrow.endswith("…  12:00:41")


async def test_a_search_that_takes_long_says_why() -> None:
    async with reading() as (_, pilot, _, screen):
        await pilot.press("/", *"step", "enter")
        await until(pilot, lambda: "40 hits" in bar(screen))
        assert screen.hits is not None
        screen.hits.done = False
        assert screen.search_words() == "40 hits so far …"
        screen._began -= 7.0
        assert screen.search_words().startswith("40 hits so far, 7s")
        assert "slow" not in screen.search_words()
        screen.what = wish(r"(\w)\1")
        assert "a slow pattern: grep can't say it" in screen.search_words()
        screen.hits.done = True


async def test_a_log_that_has_ended_says_how() -> None:
    async with running(size=(100, 20)) as (app, pilot, client, _):
        client.log.attempt = "j3.0.1"
        app.open_logs("j3")
        await until(pilot, lambda: isinstance(app.screen, Logs) and app.screen.ended)
        assert "ended: failed" in bar(app.screen)  # type: ignore[arg-type]
