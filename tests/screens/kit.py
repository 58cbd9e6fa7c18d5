"""The app over a made-up fleet, driven by keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.screens.look import Look
from tests.screens.fake_client import FakeClient, FakeLink


@asynccontextmanager
async def running(
    *, holds_core: bool = False, size: tuple[int, int] = (120, 40), look: Look | None = None
) -> AsyncIterator[tuple[FlextuiApp, Pilot[None], FakeClient, FakeLink]]:
    client = FakeClient()
    link = FakeLink(client, holds_core=holds_core)
    app = FlextuiApp(link, look or Look(undo_s=0.0))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.view.nodes))
        yield app, pilot, client, link


async def until(pilot: Pilot[None], happened: Callable[[], object], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not happened():
            await pilot.pause()
    await pilot.pause()


def shown(app: FlextuiApp) -> str:
    """The screen as text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)
