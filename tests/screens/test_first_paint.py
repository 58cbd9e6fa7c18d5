"""From the start to the first picture: what is known is shown before the core is opened."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.events import Key
from textual.pilot import Pilot

from flextui.app import FlextuiApp, Foresee, LinkRefused
from flextui.core.client import Client
from flextui.core.foreseen import Left, foreseen
from flextui.screens.look import Look
from tests.screens.fake_client import FakeClient, FakeLink
from tests.screens.kit import shown, until

INVENTORY = "fleet: of-first-paint\nnodes: [{host: gpu1}, {host: gpu2}, {host: gpu9}]\n"


class SlowLink(FakeLink):
    """A core that takes as long to open as a test likes."""

    def __init__(self, client: FakeClient) -> None:
        super().__init__(client)
        self.app: FlextuiApp | None = None
        self.known = foreseen(INVENTORY.encode(), "here", Left({"gpu2": ["ann/work"]}), 0.0)
        self.first = ""
        """The screen at the moment in which the core begins to be opened."""
        self.asked = 0
        self.opened = asyncio.Event()
        self.fails: Exception | None = None

    async def open(self, foresee: Foresee) -> Client:
        assert self.known is not None
        assert self.app is not None
        self.asked += 1
        await foresee(self.known)
        self.first = self.first or shown(self.app)
        await self.opened.wait()
        if self.fails is not None:
            raise self.fails
        return await super().open(foresee)


@asynccontextmanager
async def starting() -> AsyncIterator[tuple[FlextuiApp, Pilot[None], SlowLink]]:
    link = SlowLink(FakeClient())
    link.app = app = FlextuiApp(link, Look(undo_s=0.0))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: link.first)
        yield app, pilot, link


async def test_the_nodes_are_painted_before_the_core_is_opened() -> None:
    async with starting() as (app, pilot, link):
        for text in (
            "of-first-paint",
            "opening the core",
            "gpu1",
            "gpu9",
            "connecting",
            "ann/work",
        ):
            assert text in link.first
        assert "GPUs" not in link.first.splitlines()[0], "nobody knows yet how many there are"
        link.opened.set()
        await until(pilot, lambda: app.view.live)
        assert "opening" not in shown(app)
        assert "gpu9" not in shown(app), "the core's own picture takes its place"


@pytest.mark.parametrize("key", ["2", "4", "6", "7"])
async def test_no_list_says_that_there_is_nothing_before_the_core_does(key: str) -> None:
    async with starting() as (app, pilot, link):
        await pilot.press(key)
        await until(pilot, lambda: "waiting for the core" in shown(app))
        for claim in ("no jobs", "no GPUs here", "nothing is wrong", "holds or wants"):
            assert claim not in shown(app)
        empty = link.client.deltas.get_nowait()
        link.client.deltas.put_nowait({**empty, "jobs": {}, "nodes": {}, "problems": []})
        link.opened.set()
        await until(pilot, lambda: app.view.live and "waiting for the core" not in shown(app))


async def test_keys_work_meanwhile_and_the_cursor_stays() -> None:
    async with starting() as (app, pilot, link):
        await pilot.press("j")
        await until(pilot, lambda: app.screen.home_focus().cursor_key == "gpu2")  # type: ignore[attr-defined]
        await pilot.press("2")
        await until(pilot, lambda: app.path[-1] == ("jobs",))
        await pilot.press("escape")
        await until(pilot, lambda: app.path[-1] == ("fleet",))
        link.opened.set()
        await until(pilot, lambda: app.view.live)
        assert app.screen.home_focus().cursor_key == "gpu2"  # type: ignore[attr-defined]


async def test_a_move_waits_for_no_import_and_no_other_key_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported = asyncio.Event()

    async def slowly(app: FlextuiApp) -> None:
        await imported.wait()
        app.know_all_places()

    monkeypatch.setattr(FlextuiApp, "learn_all_places", slowly)
    async with starting() as (app, pilot, _):
        grid = app.screen.home_focus()  # type: ignore[attr-defined]
        for key, at in (("j", "gpu2"), ("down", "gpu9"), ("g", "gpu1")):
            app.post_message(Key(key, key if len(key) == 1 else None))
            await until(pilot, lambda at=at: grid.cursor_key == at)
        for key in ("2", "escape", "G"):
            app.post_message(Key(key, None if len(key) > 1 else key))
        imported.set()
        await until(pilot, lambda: grid.cursor_key == "gpu9")
        assert app.path == (("fleet",),)
        assert app.trail.walk(-1) == (("fleet",), ("jobs",)), "the 2 was done, too"


async def test_once_the_core_is_there_a_key_waits_for_no_import_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, imported = asyncio.Event(), asyncio.Event()

    async def slowly(app: FlextuiApp) -> None:
        begun.set()
        await imported.wait()
        app.know_all_places()

    monkeypatch.setattr(FlextuiApp, "learn_all_places", slowly)
    async with starting() as (app, pilot, link):
        link.opened.set()
        await until(pilot, begun.is_set)
        app.post_message(Key("j", "j"))
        await until(pilot, lambda: app.screen.home_focus().cursor_key == "gpu2")  # type: ignore[attr-defined]
        imported.set()


async def test_what_acts_says_that_there_is_no_core_yet() -> None:
    async with starting() as (app, pilot, _):
        await pilot.press("d")
        await until(pilot, lambda: len(app.screen_stack) > 1 or app._notifications)
        assert app.client is None


async def test_a_core_that_cant_be_opened_now_is_tried_again_under_the_picture() -> None:
    async with starting() as (app, pilot, link):
        link.fails = ConnectionError("the state directory is in use")
        link.opened.set()
        await until(pilot, lambda: link.asked > 1)
        assert "✗  the state directory is in use" in shown(app)
        assert "GPUs" not in shown(app).splitlines()[0]
        assert "gpu9" in shown(app)
        link.fails = None
        await until(pilot, lambda: app.view.live)


async def test_a_refusal_ends_it() -> None:
    async with starting() as (app, pilot, link):
        link.fails = LinkRefused("the inventory has 1 problem")
        link.opened.set()
        await until(pilot, lambda: app.refusal)
        assert app.refusal == "the inventory has 1 problem"


async def test_once_a_core_was_seen_less_is_never_shown_again() -> None:
    async with starting() as (app, pilot, link):
        link.opened.set()
        await until(pilot, lambda: app.view.live)
        before = app.view.nodes
        assert link.known is not None
        await app._foresee(link.known)
        assert app.view.nodes is before
        assert app.view.live


LATE = (
    "pydantic", "asyncssh", "cryptography", "docker", "flextui.core.start", "flextui.core.engine",
    "flextui.core.model.state", "flextui.core.model.inventory", "flextui.core.commands",
    "flextui.screens.places", "flextui.screens.act", "flextui.screens.editor",
)  # fmt: skip
"""What takes long to import, and isn't needed for a first picture."""


@pytest.mark.parametrize(
    "link",
    ["TerminalLink(Options(state_dir=sys.argv[1]))",
     "TerminalLink(Options(inventory=sys.argv[2], state_dir=sys.argv[1]))",
     "DemoLink(Demo())"],
    ids=["alone", "inventory", "demo"],
)  # fmt: skip
def test_what_takes_long_to_import_comes_after_the_first_picture(link: str, tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    code = (
        "import asyncio, sys\n"
        "from flextui.cli.root import cli\n"
        "from flextui.cli.demo import DemoLink\n"
        "from flextui.cli.terminal import TerminalLink\n"
        "from flextui.cli.verb import Options\n"
        "from flextui.core.demo.opened import Demo\n"
        "from flextui.app import FlextuiApp\n"
        f"late = {LATE}\n"
        "class Painted(BaseException): pass\n"
        "async def foresee(known):\n"
        "    print(len(known['nodes']), [it for it in late if it in sys.modules])\n"
        "    raise Painted\n"
        "async def start():\n"
        f"    link = {link}\n"
        "    app = FlextuiApp(link)\n"
        "    try: await link.open(foresee)\n"
        "    except Painted: await link.close(hand_over=False)\n"
        "asyncio.run(start())\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "state"), str(tmp_path / "inventory.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    nodes, _, late = done.stdout.strip().partition(" ")
    assert int(nodes or 0) in (1, 3, 40), done.stderr
    assert late == "[]", done.stderr
