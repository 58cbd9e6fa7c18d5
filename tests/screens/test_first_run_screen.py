"""The first run on the screen: nothing is reached, trusted or written that nobody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.screens.confirm import Confirm
from flextui.screens.firstrun import FirstRun
from flextui.screens.naming import Naming
from flextui.screens.setup import HERE, Candidate, Looked, SetupError
from tests.screens.fake_client import FakeClient, FakeLink
from tests.screens.kit import shown, until

FIT = (
    {"node": "x", "name": "reach", "ok": True, "text": "round trip 0.4 ms"},
    {"node": "x", "name": "driver", "ok": True, "text": "570.124.06"},
    {"node": "x", "name": "nvml", "ok": True, "text": "8 × NVIDIA A100"},
)
UNFIT = ({"node": "x", "name": "reach", "ok": False, "text": "gpu2 refuses connections"},)


class FakeSetup:
    """Three machines: this one, one with a new host key, one that refuses."""

    fleet = "box"
    path = Path("/home/alice/.config/flextui/inventory.yaml")

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.trusted: list[str] = []
        self.written: tuple[str, tuple[str, ...]] | None = None
        self.skipped = False
        self.refuses = ""

    async def candidates(self) -> Sequence[Candidate]:
        return (
            Candidate(HERE, "box", "this machine"),
            Candidate("gpu1", "gpu1", "lab@10.0.0.7", "bastion"),
            Candidate("gpu2", "gpu2", "lab@10.0.0.8:2222"),
        )

    async def look(self, key: str) -> Looked:
        self.looked.append(key)
        await asyncio.sleep(0)
        if key == "gpu1" and key not in self.trusted:
            return Looked(new_keys=("gpu1 ssh-ed25519 SHA256:abc",))
        return Looked(UNFIT if key == "gpu2" else FIT)  # type: ignore[arg-type]

    async def trust(self, key: str) -> None:
        self.trusted.append(key)

    def text(self, fleet: str, keys: Sequence[str]) -> str:
        return f"fleet: {fleet}\nnodes: {list(keys)}\n"

    def write(self, fleet: str, keys: Sequence[str]) -> Path:
        if self.refuses:
            raise SetupError(self.refuses)
        self.written = (fleet, tuple(keys))
        return self.path

    def skip(self) -> None:
        self.skipped = True


@asynccontextmanager
async def first_run() -> AsyncIterator[tuple[FlextuiApp, Pilot[None], FakeSetup]]:
    link = FakeLink(FakeClient())
    setup = link.first_run = FakeSetup()
    app = FlextuiApp(link)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstRun) and "✓ fit" in shown(app))
        yield app, pilot, setup


async def test_enter_and_enter_are_enough_for_this_machine_alone() -> None:
    async with first_run() as (app, pilot, setup):
        assert setup.looked == [HERE], "nobody else was reached"
        await pilot.press("enter")
        assert isinstance(app.screen, Naming)
        await pilot.press("enter")
        await until(pilot, lambda: app.path[-1] == ("editor", ""))
        assert setup.written == ("box", (HERE,))
        assert app.view.nodes, "the fleet is there, under the editor with its example"


async def test_a_new_host_key_is_shown_and_asked_about() -> None:
    async with first_run() as (app, pilot, setup):
        await pilot.press("j", "space")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "SHA256:abc" in shown(app)
        assert setup.trusted == []
        await pilot.press("n")
        await until(pilot, lambda: "not trusted" in shown(app))
        await pilot.press("k", "space")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: setup.looked.count("gpu1") == 3)
        assert setup.trusted == ["gpu1"]
        await pilot.press("enter", *["backspace"] * 3, *"lab", "enter")
        await until(pilot, lambda: setup.written)
        assert setup.written == ("lab", (HERE, "gpu1"))


async def test_what_is_unfit_says_why_and_may_be_taken_all_the_same() -> None:
    async with first_run() as (app, pilot, setup):
        await pilot.press("G", "space")
        await until(pilot, lambda: "gpu2 refuses connections" in shown(app))
        await pilot.press("enter")
        assert "gpu2: unfit now" in shown(app)
        await pilot.press("full_stop", "enter")
        assert isinstance(app.screen, Naming), "that is no name"
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: setup.written)


async def test_nothing_chosen_or_a_file_that_is_there_is_told() -> None:
    async with first_run() as (app, pilot, setup):
        await pilot.press("space", "enter")
        assert isinstance(app.screen, FirstRun)
        setup.refuses = "inventory.yaml is there already"
        await pilot.press("k", "space", "enter", "enter")
        await until(
            pilot, lambda: any("is there already" in it.message for it in app._notifications)
        )
        assert app.path[-1] == ("first-run",)


async def test_esc_begins_with_this_machine_and_writes_nothing() -> None:
    async with first_run() as (app, pilot, setup):
        await pilot.press("escape")
        await until(pilot, lambda: bool(app.view.nodes))
        assert setup.skipped
        assert setup.written is None
        assert app.path == (("fleet",),)
