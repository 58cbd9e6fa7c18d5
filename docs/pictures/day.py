"""Makes the guide's pictures of places that need a day's load: the real terminal and core over the
simulated fleet of `flextui --demo`, after an hour of its morning.

    python docs/pictures/day.py [--size 120x34] [--light] [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.cli.demo import DemoLink
from flextui.core.commands import (
    Cordon,
    Drain,
    ListPlacement,
    ListQueue,
    SetPriority,
    Source,
    Submit,
)
from flextui.core.demo.opened import Demo
from flextui.core.model.times import iso
from flextui.screens.look import Look

MINUTES = 62
SPEED = 60.0
SERVICE = """
name: search-api
type: service
count: 2
run: |
  export WORKERS=4
  exec serve --port "$PORT_HTTP"
env: {MODEL: e5-base}
resources: {cpus: 1}
"""
CHANGED = SERVICE.replace("WORKERS=4", "WORKERS=8").replace("e5-base", "e5-large")


async def until(pilot: Pilot[None], ready: Callable[[], object], within: float = 120.0) -> None:
    async with asyncio.timeout(within):
        while not ready():
            await pilot.pause(0.1)


async def take(size: tuple[int, int], light: bool, out: Path) -> None:
    demo = Demo(1, SPEED)
    app = FlextuiApp(DemoLink(demo), Look(theme="textual-light" if light else "textual-dark"), demo)
    app.clock = demo.now
    async with app.run_test(size=size) as pilot:

        async def picture(name: str) -> None:
            app.clear_notifications()
            await pilot.pause(0.5)
            svg = app.export_screenshot(title="flextui")
            (out / f"{name}.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S))

        def seen() -> str:
            return "\n".join(strip.text for strip in app.screen._compositor.render_strips())

        def large() -> str:
            """The job of this hour that has run longest on four GPUs or more."""
            runs = {key: it for key, it in app.view.jobs.items() if it["state"] == "running"
                    and (it["resources"].get("gpus") or 0) >= 4
                    and it["submitted_at"] > iso(begun)}  # fmt: skip
            return min(runs, key=lambda key: runs[key]["submitted_at"])

        async def promising() -> str:
            """A job that waits for the end of another."""
            assert app.client is not None
            queue = (await app.client.call(ListQueue()))["queue"]
            soon = [it["id"] for it in queue if it["expected"]["at"]]
            for key in soon:
                wants = (await app.client.call(ListPlacement(key)))["wants"]
                if wants and any(place["ends"] for place in wants["places"]):
                    return str(key)
            return str(soon[0])

        def job(name: str) -> str:
            return next(key for key, it in app.view.jobs.items() if it["name"] == name)

        await until(pilot, demo.ready.is_set)
        begun = demo.now()
        await until(pilot, lambda: demo.now() - begun > MINUTES * 60, within=600)
        demo.set_speed(1.0)
        assert app.client is not None
        await app.client.call(Submit((Source("search.yaml", SERVICE),)))
        await app.client.call(Submit((Source("search.yaml", CHANGED),)))
        await app.client.call(Drain("a100-8", True, "a new fan at noon"))
        await app.client.call(Cordon("pcie-2", "1", True, "ECC errors, ticket 4711"))
        await app.client.call(SetPriority(job("llama-pretrain-2"), 90))
        chosen = await promising()
        await pilot.press("7")
        await until(pilot, lambda: chosen in app.screen._grid.keys)  # type: ignore[attr-defined]
        app.screen._grid.select(chosen)  # type: ignore[attr-defined]
        await until(pilot, lambda: "goes to" in seen())
        await picture("placement")
        await pilot.press("8", "w")
        await until(pilot, lambda: "place   1st" in seen() and "unknown" in seen())
        await picture("queue")
        app.open_job(job("chat-gw"), "timeline")
        await until(pilot, lambda: "08:" in seen())
        await picture("job-timeline")
        first = (await app.client.call(ListQueue(1, forecast=False)))["queue"][0]
        app.open_job(first["id"], "why")
        await until(pilot, lambda: "place   " in seen())
        await picture("job-why")
        app.open_job(large(), "use")
        await until(pilot, lambda: "GPUs busy" in seen())
        await picture("job-use")
        app.open_revisions(job("search-api"))
        await until(pilot, lambda: "e5-large" in seen())
        await picture("revisions")
        app.open_node("a100-3")
        await pilot.press("m")
        await until(pilot, lambda: "GPU 1" in seen())
        await picture("node-charts")
        app.open_node("ada-3")
        await pilot.press("w")
        await until(pilot, lambda: "events, newest first" in seen() and "attempt." in seen())
        await picture("node-link")
        await pilot.press("3")
        await until(pilot, lambda: "audit.drain" in seen())
        await picture("events")
        await pilot.press("a")
        await until(pilot, lambda: "attempt." not in seen())
        await picture("audit")
    await demo.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x34")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    os.environ["TZ"] = "UTC"
    time.tzset()
    columns, _, lines = options.size.partition("x")
    asyncio.run(take((int(columns), int(lines)), options.light, options.out))


if __name__ == "__main__":
    main()
