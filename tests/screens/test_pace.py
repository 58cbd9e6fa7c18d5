"""A simulated fleet says so everywhere and its time can be changed; a slow line shows, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.screens import places
from flextui.screens.pace import SPEEDS, label, speed_of, stepped, word
from tests.screens.fake_client import FakeClient, FakeLink, fleet_delta
from tests.screens.kit import running, shown, until

NINE = 1772442000.0


class FakePace:
    """Nine in the morning, for ever."""

    def __init__(self) -> None:
        self.speed = 10.0

    def set_speed(self, speed: float) -> None:
        self.speed = speed

    def now(self) -> float:
        return NINE


@asynccontextmanager
async def simulated(width: int) -> AsyncIterator[tuple[FlextuiApp, Pilot[None], FakePace]]:
    pace = FakePace()
    app = FlextuiApp(FakeLink(FakeClient()), pace=pace)
    async with app.run_test(size=(width, 24)) as pilot:
        await until(pilot, lambda: bool(app.view.nodes))
        yield app, pilot, pace


WAYS = {
    "node": (("node", "gpu1"),), "gpu": (("gpu", "gpu1", "0"),), "job": (("job", "j1"),),
    "logs": (("logs", "j1", ""),), "revisions": (("revisions", "j1"),), "editor": (("editor", ""),),
}  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 120])
async def test_every_place_says_that_it_is_simulated(width: int) -> None:
    async with simulated(width) as (app, pilot, _):
        for name in places.PLACES:
            app.visit((("fleet",), *WAYS.get(name, ((name,),))))
            await pilot.pause()
            assert shown(app).startswith(" SIMULATED "), (name, shown(app).splitlines()[0])


async def test_a_simulated_core_elsewhere_is_told_as_one() -> None:
    async with running() as (app, pilot, client, _):
        assert "SIMULATED" not in shown(app)
        delta = fleet_delta()
        delta["fleet"]["simulated"] = True
        client.deltas.put_nowait(delta)
        await until(pilot, lambda: shown(app).startswith(" SIMULATED "))


async def test_its_time_is_changed_by_keys_and_words() -> None:
    async with simulated(120) as (app, pilot, pace):
        assert "SIMULATED 10×" in shown(app)
        await pilot.press("greater_than_sign")
        assert pace.speed == 60.0
        await pilot.press("greater_than_sign")
        assert pace.speed == 60.0, "there is nothing faster"
        await pilot.press(*["less_than_sign"] * 3)
        assert pace.speed == 0.0
        assert "SIMULATED paused" in shown(app)
        await pilot.press(":", *"speed 1×", "enter")
        assert pace.speed == 1.0


async def test_a_real_fleets_time_is_left_alone() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("less_than_sign")
        assert "real" in list(app._notifications)[-1].message


def test_speeds() -> None:
    assert [speed_of(word(it)) for it in SPEEDS] == list(SPEEDS)
    assert speed_of("60x") == 60.0
    assert speed_of("61") is None
    assert stepped(10.0, 1) == 60.0
    assert stepped(0.0, -1) == 0.0
    assert [len(label(FakePace(), it)) for it in (0, 1, 2)] == sorted(
        len(label(FakePace(), it)) for it in (0, 1, 2)
    )


async def test_a_slow_line_is_shown_and_switched_by_a_key() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("tilde")
        assert app.look.slow
        assert app.look.interval == 1.0
        assert "slow line" in shown(app).splitlines()[0]
        await pilot.press("tilde")
        assert not app.look.slow
        assert "slow line" not in shown(app)
