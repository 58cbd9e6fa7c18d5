"""What terminals and names do in the wild: mice, storms of resizes, wide and hostile characters."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.events import Paste
from textual.pilot import Pilot

from flextui.app import FlextuiApp, Foresee
from flextui.core.client import Client
from flextui.core.commands import SetPriority, Stop
from flextui.core.demo.opened import Demo
from flextui.core.model.docs import Delta
from flextui.screens.characters import ODD as ODD_CHARACTERS
from flextui.screens.characters import cells
from flextui.screens.confirm import Confirm
from flextui.screens.format import safe, wrapped
from flextui.screens.frame import _cells
from flextui.screens.glyphs import plain
from flextui.screens.job import Job
from flextui.screens.jobs import Jobs
from flextui.screens.look import Look
from flextui.screens.place import Place
from flextui.screens.widgets.grid import Grid
from tests.screens.fake_client import FakeClient, FakeLink, attempt, fleet_delta, job, task
from tests.screens.kit import running, shown, until

ODD = (
    "flags 🇩🇪🇫🇷 and ❤️ 1️⃣ 👩🏽‍🚀", "עברית and عربى", "tag 🏴󠁧󠁿",
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
    assert sum(map(cell_len, safe(text))) == cell_len(safe(text)), "as wide on any terminal"


MIXED = st.text(
    st.sampled_from("a❤1👩🚀🏽🇩日e\u0301\ufe0f\u200d\u20e3\x1b\x9b\x07\u202e\xad\u0915\u093f")
)


@given(st.text() | MIXED)
def test_what_is_drawn_takes_as_many_cells_as_was_reckoned(text: str) -> None:
    drawn = list(cells(text))
    assert sum(width for _, width in drawn) == cell_len(text)
    assert all(cell_len(it) == width for it, width in drawn)
    assert ODD_CHARACTERS.search("".join(it for it, _ in drawn)) is None
    assert sum(map(cell_len, plain(text))) == cell_len(text)


@given(st.text(st.sampled_from("ab \xa0\u3000\u2003日e\u0301"), max_size=60), st.integers(1, 12))
def test_any_text_is_broken_into_lines_and_none_of_it_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())


async def test_what_is_written_or_pasted_cannot_drive_the_terminal() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("n")
        for keys in ((), ("escape", "2", "/"), ("escape", "escape", ":")):
            await pilot.press(*keys)
            app.screen.focused.post_message(Paste("X\x1b]0;t\x07\x9b2J👩\u200d🚀\u202eY"))  # type: ignore[union-attr]
            await until(pilot, lambda: "X" in shown(app))
            strips = app.screen._compositor.render_strips()
            for strip in strips:
                drawn = "".join(it for it, _ in _cells(strip))
                assert ODD_CHARACTERS.search(drawn) is None
                assert len(_cells(strip)) == strip.cell_length


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


# ── a core that goes and comes, and others who act ─────────────────────────────────────────────


class Wavering(FakeClient):
    """Its core can be taken away: None in `deltas` ends the stream as a lost connection does."""

    def __init__(self) -> None:
        super().__init__()
        self.watched = 0

    async def watch(self) -> AsyncIterator[Delta]:
        self.watched += 1
        while (delta := await self.deltas.get()) is not None:
            yield delta
        raise ConnectionError("the core at head went away")


async def settled(app: FlextuiApp, pilot: Pilot[None]) -> list[str]:
    """What stands between the top line and the bottom line, once it stands still."""
    before: list[str] = []
    async with asyncio.timeout(20):
        while (now := shown(app).splitlines()[1:-1]) != before:
            before = now
            await pilot.pause(0.3)
    return before


@pytest.mark.parametrize("keys", [(), ("z",), ("j", "enter"), ("4",), ("2",), ("2", "enter")])
async def test_a_core_that_comes_back_finds_the_screen_as_it_was(keys: tuple[str, ...]) -> None:
    client = Wavering()
    app = FlextuiApp(FakeLink(client))
    app.clock = lambda: 1795522800.0
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: bool(app.view.nodes))
        await pilot.press(*keys, "j")
        path, before = app.path, await settled(app, pilot)
        grid = next(iter(app.screen.query(Grid)), None)
        at = grid.cursor_key if grid else None
        client.deltas.put_nowait(None)  # type: ignore[arg-type]
        await until(pilot, lambda: "went away" in shown(app).splitlines()[0])
        assert await settled(app, pilot) == before, "what was there is still there"
        client.deltas.put_nowait(fleet_delta())
        await until(pilot, lambda: "went away" not in shown(app).splitlines()[0])
        assert app.view.live
        assert client.watched == 2
        assert app.path == path
        grid = next(iter(app.screen.query(Grid)), None)
        assert (grid.cursor_key if grid else None) == at


class Out(FakeLink):
    """Its core can't be reached while `out` is set."""

    out = False

    async def open(self, foresee: Foresee) -> Client:
        if self.out:
            raise ConnectionError("no core listens at /run/lab/core.sock: Connection refused")
        return self.client


@asynccontextmanager
async def severed(*keys: str) -> AsyncIterator[tuple[FlextuiApp, Pilot[None], Wavering, Out]]:
    """At a place, where the core has just gone away."""
    client = Wavering()
    link = Out(client)
    app = FlextuiApp(link)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: bool(app.view.nodes))
        await pilot.press(*keys)
        await pilot.pause()
        link.out = True
        client.deltas.put_nowait(None)  # type: ignore[arg-type]
        await until(pilot, lambda: app.client is None and not app.view.live)
        yield app, pilot, client, link


def told(app: FlextuiApp) -> str:
    """What was told in lines that go by themselves."""
    return "\n".join(it.message for it in app._notifications)


def back(client: Wavering, link: Out) -> None:
    link.out = False
    client.deltas.put_nowait(fleet_delta())


@pytest.mark.parametrize("keys", [("2", "enter", "d"), ("2", "s"), ("n",), ("2", "enter", "p")])
async def test_why_the_core_is_gone_stands_on_top_of_everything(keys: tuple[str, ...]) -> None:
    async with severed(*keys) as (app, pilot, client, link):
        await until(pilot, lambda: ": no core listens at" in shown(app).splitlines()[0])
        assert "gone" in shown(app).splitlines()[0]
        back(client, link)
        await until(pilot, lambda: "gone" not in shown(app).splitlines()[0])
        assert "the core is back after" in told(app)


@pytest.mark.parametrize("keys", [("8",), ("3",), ("2", "enter", "d"), ("2", "enter", "i")])
async def test_nobody_is_said_to_be_asked_while_there_is_no_core(keys: tuple[str, ...]) -> None:
    async with severed("2") as (app, pilot, _, _):
        await pilot.press("1", *keys)
        await until(pilot, lambda: "no core is in reach" in shown(app))
        assert "asking" not in shown(app)


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        (("2", "s", "y"), "stop"), (("2", "p", "7", "enter"), "priority"), (("s",), "a shell on"),
        (("2", "x"), "a shell in"), (("4", "c"), "cordon"),
    ],
)  # fmt: skip
async def test_keys_without_a_core_say_that_nothing_was_done(
    keys: tuple[str, ...], word: str
) -> None:
    async with severed() as (app, pilot, client, _):
        await pilot.press(*keys)
        await until(pilot, lambda: "nothing was done" in told(app))
        assert word in told(app)
        assert not client.asked


async def test_a_log_that_was_followed_goes_on_with_the_core() -> None:
    client = Wavering()
    link = Out(client)
    app = FlextuiApp(link)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: bool(app.view.nodes))
        app.open_logs("j1")
        await until(pilot, lambda: client.log.data.splitlines()[-1].decode() in shown(app))
        before = shown(app).splitlines()[2:-1]
        link.out = True
        client.deltas.put_nowait(None)  # type: ignore[arg-type]
        client.log.fresh.put_nowait(None)
        await until(pilot, lambda: "goes on when the core is back" in shown(app))
        assert shown(app).splitlines()[2:-1] == before
        client.log.print("meanwhile")
        back(client, link)
        await until(pilot, lambda: "meanwhile" in shown(app))
        client.log.print("after")
        await until(pilot, lambda: "after" in shown(app))
        assert "goes on" not in shown(app)


async def test_a_job_that_somebody_else_stopped_meanwhile() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("2", "g", "s")
        assert isinstance(app.screen, Confirm)
        stopped = [
            {**it, "state": "stopped", "reason": "stopped by bob", "ended_at": it["submitted_at"]}
            for it in fleet_delta()["jobs"].values() if it is not None
        ]  # fmt: skip
        gone: dict[str, Any] = {it["id"]: it for it in stopped}
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": gone, "nodes": {}})
        await until(pilot, lambda: all(it["ended_at"] for it in app.view.jobs.values()))
        await pilot.press("y")
        await until(pilot, lambda: not isinstance(app.screen, Confirm))
        await pilot.press("s")
        assert not isinstance(app.screen, Confirm), "there is nothing left to stop"
        assert "stopped by bob" in shown(app)


async def test_two_who_act_on_one_job_at_once_are_both_answered() -> None:
    demo = Demo(speed=60.0)
    try:
        core = await demo.open()
        one, other = core.client(), core.client()
        async with asyncio.timeout(60):
            await demo.ready.wait()
            said = await asyncio.gather(
                one.call(Stop(("grace/vit-huge",))), other.call(Stop(("grace/vit-huge",))),
                one.call(SetPriority("bob/llama-pretrain", 10)),
                other.call(SetPriority("bob/llama-pretrain", 90)),
            )  # fmt: skip
            assert [it["id"] for it in said[0]["jobs"]] == [it["id"] for it in said[1]["jobs"]]
            key = said[0]["jobs"][0]["id"]
            async with aclosing(one.watch()) as deltas:
                async for delta in deltas:
                    job_ = delta["jobs"].get(key)
                    if job_ is not None and job_["state"] == "stopped":
                        break
            tries = [it for task_ in job_["tasks"] for it in task_["attempts"]]
            assert [it["state"] for it in tries] == ["killed", "killed"], "each rank once"
    finally:
        await demo.close()


async def test_a_key_that_comes_as_its_place_goes_breaks_nothing() -> None:
    async with running() as (app, pilot, _, _):
        for keys in ("2", "3", "4", "6", "7", "8", "n"):
            await pilot.press(keys)
            place = app.screen
            assert isinstance(place, Place)
            await pilot.press("escape", "escape")
            await until(pilot, lambda place=place: not place.is_attached)  # type: ignore[misc]
            place.key_done()
            place.refresh_view()
            place.refresh_top()


async def test_a_stop_that_somebody_else_has_taken_back_is_told_and_waits_no_more() -> None:
    async with running(look=Look(undo_s=60.0)) as (app, pilot, client, _):
        await pilot.press("2", "s", "y")
        await until(pilot, lambda: "undoes" in shown(app).splitlines()[0])
        (stop,) = [it for it in client.asked if isinstance(it, Stop)]
        key = stop.jobs[0]
        for at, waits in (("2026-11-24T12:00:00Z", True), (None, False)):
            doc = {**app.view.jobs[key], "stops_at": at}
            client.deltas.put_nowait(
                {"revision": 2, "full": False, "jobs": {key: doc}, "nodes": {}}  # type: ignore[dict-item]
            )
            await until(pilot, lambda at=at: app.view.jobs[key].get("stops_at") == at)  # type: ignore[misc]
            await until(
                pilot,
                lambda waits=waits: ("undoes" in shown(app).splitlines()[0]) == waits,  # type: ignore[misc]
            )
        assert "somebody else has taken it back" in told(app)
        await pilot.press("u")
        assert "nothing waits" in told(app)
