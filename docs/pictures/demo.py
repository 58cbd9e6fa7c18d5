"""Makes the pictures of the demo and of the first run, from the real program.

The demo is opened at nine in its simulated morning and goes on for half an hour. The first run
looks at this machine and at a host of an SSH configuration of its own, which refuses.

    python docs/pictures/demo.py [--size 120x30] [--light] [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.cli.demo import DemoLink
from flextui.cli.terminal import TerminalLink
from flextui.cli.verb import Options
from flextui.core.demo.opened import Demo
from flextui.screens.look import Look

CONFIG = """
Host gpu1
  HostName 127.0.0.1
  Port 9
Host gpu2
  HostName gpu2.lab.example
  User lab
  ProxyJump bastion
"""
GOES_ON_S = 1800.0


class Camera:
    """Writes what the app shows."""

    def __init__(self, app: FlextuiApp, pilot: Pilot[None], out: Path) -> None:
        self._app = app
        self._pilot = pilot
        self._out = out

    async def until(self, ready: Callable[[], object], within: float = 120.0) -> None:
        async with asyncio.timeout(within):
            while not ready():
                await self._pilot.pause(0.1)

    async def take(self, name: str, *keys: str) -> None:
        """Press keys, let the screen settle, keep it."""
        await self._pilot.press(*keys)
        await self._pilot.pause(1.0)
        self._app.clear_notifications()
        await self._pilot.pause(0.3)
        svg = self._app.export_screenshot(title="flextui")
        plain = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # it would be fetched
        plain = plain.replace(os.environ["HOME"], "/home/alice")
        (self._out / f"{name}.svg").write_text(plain)


async def demo(size: tuple[int, int], look: Look, out: Path) -> None:
    fleet = Demo(speed=60.0)
    link = DemoLink(fleet)
    app = FlextuiApp(link, look, fleet)
    async with app.run_test(size=size) as pilot:
        camera = Camera(app, pilot, out)
        await camera.until(fleet.ready.is_set)
        began = fleet.now()
        await camera.until(lambda: fleet.now() - began > GOES_ON_S)
        fleet.set_speed(10.0)
        await camera.take("demo", "1")
        await camera.take("demo-map", "z")
        await camera.take("demo-queue", "z", "8")
    await link.close(hand_over=False)


async def first_run(size: tuple[int, int], look: Look, out: Path) -> None:
    app = FlextuiApp(TerminalLink(Options()), look)
    async with app.run_test(size=size) as pilot:
        camera = Camera(app, pilot, out)

        def shows(word: str) -> bool:
            strips = app.screen._compositor.render_strips()
            return any(word in strip.text for strip in strips)

        await camera.until(lambda: shows("fit"))
        await pilot.press("j", "space")
        await camera.until(lambda: shows("unfit"))
        await camera.take("first-run", "k", "k")
        await camera.take("first-run-name", "enter")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x30")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    columns, _, lines = options.size.partition("x")
    size, out = (int(columns), int(lines)), options.out.absolute()
    look = Look(theme="textual-light" if options.light else "textual-dark")
    with tempfile.TemporaryDirectory(prefix="fx-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        (home / ".ssh").mkdir()
        (home / ".ssh/config").write_text(CONFIG)
        for key in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "FLEXTUI_INVENTORY", "FLEXTUI_STATE_DIR"):
            os.environ.pop(key, None)
        os.environ["HOME"] = name
        os.chdir(name)
        asyncio.run(first_run(size, look, out))
        asyncio.run(demo(size, look, out))


if __name__ == "__main__":
    main()
