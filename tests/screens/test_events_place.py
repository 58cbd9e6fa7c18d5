"""The events screen: what is stored, then what happens, and never more than it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from flextui.core.model.docs import EventDoc
from flextui.screens import events
from flextui.screens.events import Events
from tests.screens.answers import event
from tests.screens.fake_client import FakeClient
from tests.screens.kit import running, shown, until


async def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEPT", 5)

    async def happens(self: FakeClient, *, after: int | None = None) -> AsyncIterator[EventDoc]:
        for seq in range(after or 0, (after or 0) + 20):
            yield event(seq + 1, "job.started", "flextui", f"number {seq + 1}")

    monkeypatch.setattr(FakeClient, "events", happens)
    monkeypatch.setattr(events, "RETRY_S", 1000.0)
    async with running() as (app, pilot, _, _):
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, Events))
        screen = app.screen
        assert isinstance(screen, Events)
        await until(pilot, lambda: "number" in shown(app))
        numbers = sorted(it["seq"] for it in screen._events.values())
        assert numbers == list(range(numbers[-1] - 4, numbers[-1] + 1))
        assert numbers[-1] >= 20
