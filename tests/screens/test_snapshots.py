"""What each place looks like, as text, with a frozen clock. `FLEXTUI_SNAPSHOTS=write` renews them.

Text, since it is what a reviewer reads in a diff; colours are the theme's and have no say here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from flextui.app import FlextuiApp
from tests.screens.fake_client import FakeClient, FakeLink

FOLDER = Path(__file__).resolve().parents[1] / "snapshots"
NOON = 1795522800.0
Go = Callable[[FlextuiApp, Pilot[None]], Awaitable[None]]


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)


PLACES: dict[str, Go] = {
    "fleet": lambda app, pilot: press(pilot, "g"),
    "node": lambda app, pilot: press(pilot, "j", "enter"),
    "jobs": lambda app, pilot: press(pilot, "2"),
    "job": lambda app, pilot: press(pilot, "2", "j", "j", "enter"),
    "logs": lambda app, pilot: press(pilot, "2", "l"),
    "editor": lambda app, pilot: press(pilot, "n"),
    "help": lambda app, pilot: press(pilot, "question_mark"),
    "stop": lambda app, pilot: press(pilot, "2", "s"),
}


def drawn(app: FlextuiApp) -> str:
    """The screen as text, its right edge trimmed."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def settled(app: FlextuiApp, pilot: Pilot[None]) -> str:
    """The screen once it has stopped changing."""
    before = ""
    async with asyncio.timeout(20):
        while (now := drawn(app)) != before:
            before = now
            await pilot.pause(0.05)
    return before


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("place", PLACES)
async def test_a_place_looks_as_it_did(place: str, size: tuple[int, int]) -> None:
    app = FlextuiApp(FakeLink(FakeClient()))
    app.clock = lambda: NOON
    async with app.run_test(size=size) as pilot:
        async with asyncio.timeout(20):
            while not app.view.nodes:
                await pilot.pause()
        await PLACES[place](app, pilot)
        seen = await settled(app, pilot)
    file = FOLDER / f"{place}-{size[0]}x{size[1]}.txt"
    if os.environ.get("FLEXTUI_SNAPSHOTS") == "write":
        file.write_text(seen)
    assert seen == file.read_text()
