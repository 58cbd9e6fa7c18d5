"""The simulated fleet: the engine itself over nodes that aren't there, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from flextui.core.adapters import paths
from flextui.core.client import Client
from flextui.core.commands import Drain, LogRequest, Source, Stop, Submit
from flextui.core.demo import boxes, load
from flextui.core.demo.clock import DemoClock
from flextui.core.demo.logs import Output
from flextui.core.demo.opened import Demo
from flextui.core.demo.world import World
from flextui.core.model.inventory import read_inventory
from flextui.core.model.spec import read_specs
from flextui.screens.view import View

WITHIN_S = 60.0


@asynccontextmanager
async def opened(speed: float = 60.0) -> AsyncIterator[tuple[Demo, Client]]:
    demo = Demo(seed=1, speed=speed)
    try:
        client = (await demo.open()).client()
        await asyncio.wait_for(demo.ready.wait(), WITHIN_S)
        yield demo, client
    finally:
        await demo.close()


async def until(client: Client, seen: Callable[[View], object]) -> View:
    """The fleet as it is told, once that is so."""
    view = View()
    async with asyncio.timeout(WITHIN_S), aclosing(client.watch()) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            view.apply(delta)
            if seen(view):
                return view
    raise ConnectionError("the core ended")


def test_its_inventory_and_its_jobs_are_as_people_write_them() -> None:
    inventory = read_inventory(boxes.inventory_text(), "demo")
    assert len(inventory.nodes) == 40
    assert len({it.memory for it in boxes.boxes()} | {len(it.gpus) for it in boxes.boxes()}) > 6
    for number in (0, 1):
        day = load.day(1, number)
        assert len(day) > 300
        for planned in day:
            read_specs(planned.text, planned.name)
            members, _ = boxes.PROJECTS[read_specs(planned.text, "")[0].project or ""]
            assert planned.owner in members


def test_a_day_is_its_seeds_alone() -> None:
    assert load.day(3, 0) == load.day(3, 0)
    assert load.day(3, 0) != load.day(4, 0)
    assert load.day(3, 0) != load.day(3, 1)


def test_its_clock_goes_as_fast_as_one_likes_and_never_back() -> None:
    ours = 100.0
    clock = DemoClock(1000.0, monotonic=lambda: ours)
    ours = 105.0
    assert clock.wall() == 1000.0, "it stands still at first"
    clock.speed = 60.0
    ours = 106.0
    assert clock.now() == (1060.0, 60.0)
    clock.jump(500.0)
    assert clock.wall() == 1060.0
    clock.speed = 0.0
    ours = 200.0
    assert clock.wall() == 1060.0


async def test_the_morning_has_something_of_everything() -> None:
    async with opened(speed=0.0) as (_, client):
        view = await until(client, lambda view: view.fleet)
        assert view.fleet is not None
        assert view.fleet.get("simulated") is True
        assert len(view.nodes) == 40
        states = {job["state"] for job in view.jobs.values()}
        assert states >= {"running", "pending", "succeeded", "failed"}
        assert {it["type"] for it in view.jobs.values()} >= {"batch", "service"}
        assert {it["state"] for it in view.nodes.values()} == {"ready", "lost", "unreachable"}
        gpus = {gpu["state"] for node in view.nodes.values() for gpu in node["gpus"]}
        assert gpus >= {"used", "free", "foreign"}
        assert gpus & {"lost", "cordoned"}
        by_name = {job["name"]: job for job in view.jobs.values()}
        assert by_name["debug-detr"]["tasks"][0]["reason_code"] == "idle"
        assert any(node["drained"] for node in view.nodes.values())


async def test_what_one_does_there_is_done_and_logs_move() -> None:
    async with opened() as (_, client):
        spec = "name: mine\nrun: echo hello; sleep 20; exit 7\nresources: {cpus: 1}\n"
        await client.call(Submit((Source("mine.yaml", spec),)))
        named = lambda view, name: view.job_named(name) or {"state": ""}  # noqa: E731
        view = await until(client, lambda view: named(view, "mine")["state"] == "failed")
        assert named(view, "mine")["exit_code"] == 7
        await client.call(Stop(("grace/vit-huge",)))
        await client.call(Drain("pcie-1", True, "test"))
        view = await until(client, lambda view: named(view, "vit-huge")["state"] == "stopped")
        assert view.nodes["pcie-1"]["drained"]

        request = LogRequest("bob/llama-pretrain", tasks=(0,), last_lines=3, follow=True)
        lines: list[str] = []
        async with asyncio.timeout(WITHIN_S), aclosing(client.logs(request)) as events:  # type: ignore[type-var]
            async for event in events:
                lines += event["text"].splitlines()
                if len(lines) > 10:
                    break
        assert any(it.startswith("step ") and " loss " in it for it in lines)


def test_of_very_many_ended_runs_the_newest_can_still_be_read() -> None:
    world = World(DemoClock(0.0), 1)
    runs = [SimpleNamespace(start=SimpleNamespace(attempt=f"j{n}.0.1")) for n in range(500)]
    for run in runs:
        world.keep([run, None])  # type: ignore[list-item]
    assert list(world.kept) == [f"j{n}.0.1" for n in range(100, 500)]


async def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXTUI_STATE_DIR", str(tmp_path / "mine"))
    assert not Demo().inventory.exists(), "nothing is made before it is opened"
    async with opened(speed=0.0) as (demo, _):
        folder = demo.inventory.parent
        assert demo.state_dir != paths.state_folder()
        assert folder.is_dir()
    assert not folder.exists()
    assert not (tmp_path / "mine").exists()


def test_what_a_log_said_around_an_instant_is_found_in_each_stream() -> None:
    said = [(float(n), ("out", "err")[n % 2], f"line {n}") for n in range(8)]
    output = Output("n1", "j1.0.1", iter(said))
    output.grow(100.0)
    assert [output.at("out", it) for it in (0.0, 3.0, 4.0, 99.0)] == [0, 14, 14, 28]
    begin, end = output.around("out", output.at("out", 3.0), 1, 1)
    (event,) = output.pieces("out", begin, end)
    assert event["text"] == "line 2\nline 4\n"
