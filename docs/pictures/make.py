"""Makes the guide's pictures from the real program: a core, four sshd nodes with GPUs made of a
file, real jobs, and the terminal over them. Needs root and what the tests need.

    python docs/pictures/make.py [--size 120x30] [--light] [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.cli.terminal import TerminalLink
from flextui.cli.verb import Options
from flextui.core.commands import Cordon, Source, Submit
from flextui.screens.editor import Editor
from flextui.screens.look import Look
from tests.bench.gpus import FakeGpus
from tests.bench.nodes import SshFleet

JOBS = f"""
name: train-resnet
run: |
  {FakeGpus.hold_memory(61000)} & for i in $(seq 1 100000); do
  echo "step $i loss 2.$((999 - i % 900)) lr 3.0e-4"; sleep 0.2; done
resources: {{gpus: 4, gpu_model: h100, cpus: 0.5}}
---
name: llama-sft
run: |
  {FakeGpus.hold_memory(30000)} & for i in $(seq 1 100000); do
  echo "{{\\"step\\": $i, \\"loss\\": 1.$((999 - i % 900)), \\"tok_s\\": 41$((i % 90 + 10))}}"
  [ $((i % 9)) = 4 ] && echo "WARNING overflow in fp16, scale 65536 to 32768" >&2
  [ $((i % 23)) = 11 ] && printf '\\033[32msaved\\033[0m checkpoint %s\\n' $i; sleep 0.3; done
resources: {{gpus: 2, gpu_model: h100, cpus: 0.1}}
---
name: eval
run: {FakeGpus.hold_memory(12000)} & sleep 100000
resources: {{gpus: 1, gpu_model: rtx4090, cpus: 0.1}}
time_limit: 40m
---
name: chat-api
type: service
count: 3
run: {FakeGpus.hold_memory(9000)} & sleep 100000
resources: {{gpus: 1, gpu_model: a100, cpus: 0.1}}
---
name: chat-gw
type: service
run: "echo 'ERROR: no route to the model server' >&2; exit 3"
resources: {{cpus: 0.1}}
restart: {{attempts: 2, within: 10m, delay: 100ms}}
---
name: llama-pre
run: torchrun train.py
resources: {{gpus: 8, gpu_model: h100, gpu_memory: 70GiB, cpus: 0.1}}
priority: 80
"""

BENCH = """
name: bench
run: all_reduce_perf -g 4
resources: {gpus: 4, gpu_model: rtx4090, cpus: 0.1}
"""


def plain(svg: str) -> str:
    """The picture without the fonts that it would fetch from elsewhere."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


async def until(pilot: Pilot[None], ready: Callable[[], bool], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not ready():
            await pilot.pause(0.1)


def work(gpus: FakeGpus, index: int) -> None:
    """A GPU that a job keeps busy."""
    busy = 88 + 3 * (index % 4)
    gpus.set_load(index, busy, temperature=62 + index, watts=310 + 9 * index)
    gpus.set(index, memory_utilization=busy // 2, clock_sm=1380 - 15 * index)


async def take(
    fleet: SshFleet, folder: Path, size: tuple[int, int], light: bool, out: Path
) -> None:
    inventory = fleet.inventory(folder / "inventory.yaml", fleet="vision-lab")
    link = TerminalLink(Options(str(inventory), str(folder / "state")))
    app = FlextuiApp(link, Look(theme="textual-light" if light else "textual-dark"))
    async with app.run_test(size=size) as pilot:

        async def picture(name: str) -> None:
            await pilot.pause(0.3)
            (out / f"{name}.svg").write_text(plain(app.export_screenshot(title="flextui")))

        nodes = app.view.nodes
        await until(pilot, lambda: sum(len(n["gpus"]) for n in nodes.values()) == 22)
        assert app.client is not None
        await app.client.call(Cordon("gpu1", "6", True, "XID 79 this morning"))
        await app.client.call(Submit((Source("jobs.yaml", JOBS),)))
        jobs = app.view.jobs
        state = lambda name: next((j["state"] for j in jobs.values() if j["name"] == name), "")  # noqa: E731
        await until(pilot, lambda: state("chat-gw") == "failed" and state("chat-api") == "running")
        await until(pilot, lambda: nodes["gpu1"]["gpus"][0]["memory_used_bytes"] > 50 << 30)
        for name, node in nodes.items():
            for index in (it["index"] for it in node["gpus"] if it["state"] == "used"):
                work(fleet[name].gpus, index)
        await until(pilot, lambda: nodes["gpu4"]["gpus"][1]["utilization"] > 50)
        await picture("fleet")
        await pilot.press("z")
        await picture("map")
        await pilot.press("z")
        await pilot.press("enter")
        await picture("node")
        await pilot.press("4", "t")
        await picture("gpus")
        await pilot.press("t", "t", "t")
        await pilot.press("2")
        await picture("jobs")
        await pilot.press("g")
        app.act.stop([next(j["id"] for j in jobs.values() if j["name"] == "train-resnet")])
        await picture("stop")
        await pilot.press("n", "6")
        await picture("problems")
        app.open_job(next(j["id"] for j in jobs.values() if j["name"] == "llama-pre"))
        await pilot.pause(0.5)
        await picture("job")
        await pilot.press("2")
        both = [j["id"] for j in jobs.values() if j["name"] in ("train-resnet", "llama-sft")]
        app.open_logs(*both)
        await pilot.pause(1.5)
        await picture("logs")
        await pilot.press("/", *"overflow", "enter", "plus", "plus")
        await pilot.pause(3.0)
        await picture("logs-found")
        await pilot.press("escape")
        await pilot.press("1", "j", "j", "c", "c", "2", "s", "n", "5")
        await picture("commands")
        await app.client.call(Submit((Source("bench.yaml", BENCH),)))
        await pilot.press("7")
        await until(pilot, lambda: state("bench") == "pending")
        bench = next(j["id"] for j in jobs.values() if j["name"] == "bench")
        await until(pilot, lambda: bench in app.screen._grid.keys)  # type: ignore[attr-defined]
        app.screen._grid.select(bench)  # type: ignore[attr-defined]
        marked = lambda: app.screen._picture._scene.marks  # type: ignore[attr-defined] # noqa: E731
        await until(pilot, lambda: marked().ends and marked().goes)
        await picture("placement-ends")
        await editor(app, pilot, picture)
        await link.close(hand_over=False)


async def editor(
    app: FlextuiApp, pilot: Pilot[None], picture: Callable[[str], Awaitable[None]]
) -> None:
    """The editor: a template, words that are offered, an edit of what runs."""

    async def ready() -> Editor:
        await until(pilot, lambda: isinstance(app.screen, Editor) and not app.screen.thinking)
        assert isinstance(app.screen, Editor)
        return app.screen

    await pilot.press("n", "ctrl+t", "enter")
    text = (await ready()).home_focus()
    await picture("editor-waits")
    fits = text.text.replace("cpus: 8", "cpus: 1").replace("memory: 32GiB", "memory: 8GiB")
    text.replace_all(fits)
    await pilot.pause(0.3)
    await pilot.press(*["down"] * 8)
    await ready()
    await picture("editor")
    await pilot.press("home", *["up"] * 8, *["down"] * 7, "end", "enter", *"gpu_model: ")
    await ready()
    await picture("editor-offered")
    await pilot.press("escape", "f5", "escape")
    app.edit_job(next(j["id"] for j in app.view.jobs.values() if j["name"] == "chat-api"))
    text = (await ready()).home_focus()
    text.replace_all(text.text.replace("cpus: 0.1", "cpus: 0.2").replace("count: 3", "count: 4"))
    await pilot.pause(0.3)
    await ready()
    await picture("editor-edit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x30")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    columns, _, lines = options.size.partition("x")
    with tempfile.TemporaryDirectory(prefix="fx-") as name, SshFleet(Path(name) / "f") as fleet:
        folder = Path(name)
        os.environ["HOME"] = str(fleet.write_home(folder / "home"))
        fleet.add("gpu1", gpus=8, gpu_model="h100")
        fleet.add("gpu2", gpus=8, gpu_model="a100")
        fleet.add("gpu3", gpus=4, gpu_model="rtx4090")
        fleet.add("gpu4", gpus=2, gpu_model="h100")
        carol = fleet["gpu2"].spawn(["sleep", "100000"])
        fleet["gpu2"].gpus.add_process(5, carol.pid, 31000, live=True)
        asyncio.run(take(fleet, folder, (int(columns), int(lines)), options.light, options.out))


if __name__ == "__main__":
    main()
