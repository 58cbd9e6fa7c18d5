"""Usage, idleness and accounts through a whole core: what is asked of it, and after it was away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flextui.core.commands import Show, Usage
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import Gpu, GpuProcess
from tests.unit.core_kit import Bench, ManualClock, bench, running, state_of
from tests.unit.fake_fleet import GIB, FakeFleet, FakeNode, gpu, inventory

HOUR = 3600.0
TRAIN = "name: train\nrun: sleep\nresources: {gpus: 1}\n"
IDLE = TRAIN + "idle: {for: 20s, then: stop, grace: 10s}\n"
SHARED = Inventory.model_validate({"nodes": [{"host": "n1", "gpus": {"share": True}}]})


def quiet(attempt: str, used: float = 10, **changes: Any) -> Gpu:
    """A device that an attempt holds and hardly uses."""
    process = GpuProcess(7, "lab", "python", "python", int(used * GIB), attempt)
    return gpu("G1", memory_used_bytes=int(used * GIB), processes=(process,), **changes)


async def sampled(made: Bench, node: FakeNode, seconds: float, *gpus: Gpu) -> None:
    """So much time, with a sample every five seconds."""
    assert isinstance(made.clock, ManualClock)
    for _ in range(int(seconds / 5)):
        made.clock.advance(5)
        node.sample(gpus)
        await made.turn()


async def asked(made: Bench, by: str = "user") -> dict[str, tuple[float, float]]:
    doc = await made.running.client().call(Usage(by, "1d", ""))
    return {row["name"]: (row["gpu_hours"], row["wasted_hours"]) for row in doc["rows"]}


async def test_usage_is_told_while_it_runs_and_after(tmp_path: Path) -> None:
    node, clock = FakeNode("n1", gpus=(gpu("G1"), gpu("G2", 1))), ManualClock()
    async with bench(tmp_path, inventory("n1"), node, clock=clock) as made:
        (job,) = await made.submit(TRAIN)
        await made.until(running(job))
        clock.advance(HOUR)
        await made.turn()
        held = await asked(made, "model")
        assert held == {"NVIDIA A100-SXM4-80GB": (pytest.approx(1.0), 0.0)}
        node.end(f"{job}.0.1")
        await made.until(lambda s: state_of(s, job) == "succeeded")
        clock.advance(HOUR)
        assert await asked(made, "node") == {"n1": (pytest.approx(1.0, abs=1e-3), 0.0)}
        assert not made.snapshot.meters
        (account,) = made.snapshot.accounts.values()
        assert (account.gpus, account.used) == (0, pytest.approx(HOUR, rel=0.01))


async def test_an_idle_job_is_warned_in_its_reason_and_stopped(tmp_path: Path) -> None:
    node, clock = FakeNode("n1", gpus=(gpu("G1"),)), ManualClock()
    async with bench(tmp_path, inventory("n1"), node, clock=clock) as made:
        (job,) = await made.submit(IDLE)
        await made.until(running(job))
        device = quiet(f"{job}.0.1", utilization=1)
        await sampled(made, node, 30, device)
        doc = await made.running.client().call(Show(job))
        assert doc["state"] == "running"
        assert doc["reason"].startswith("idle: GPUs below 5 %")
        await sampled(made, node, 15, device)
        await made.until(lambda s: state_of(s, job) == "stopped")
        doc = await made.running.client().call(Show(job))
        assert "idle: GPUs below 5 %" in doc["reason"]
        assert node.stops == [f"{job}.0.1"]


async def test_a_share_that_takes_too_much_is_told_in_its_job(tmp_path: Path) -> None:
    node, clock = FakeNode("n1", gpus=(gpu("G1"),)), ManualClock()
    text = "name: small\nrun: sleep\nresources: {gpu_share: 8GiB}\n"
    async with bench(tmp_path, SHARED, node, clock=clock) as made:
        (job,) = await made.submit(text)
        await made.until(running(job))
        await sampled(made, node, 30, quiet(f"{job}.0.1", used=9, utilization=90))
        doc = await made.running.client().call(Show(job))
        assert "its share is 8GiB" in doc["reason"]
        await sampled(made, node, 10, quiet(f"{job}.0.1", used=4, utilization=90))
        doc = await made.running.client().call(Show(job))
        assert doc["reason"] == ""


async def test_a_core_that_was_away_charges_only_what_ran(tmp_path: Path) -> None:
    """The attempt ended an hour after the core did, and five hours before it was back."""
    node, clock = FakeNode("n1", gpus=(gpu("G1"),)), ManualClock()
    limits = {"users": {"quota": {"gpu_hours": "100/2d"}}}
    made = Bench(tmp_path, inventory("n1", **limits), FakeFleet(node), clock)
    await made.start()
    await made.ready()
    (job,) = await made.submit(TRAIN)
    await made.until(running(job))
    await made.stop()
    clock.advance(6 * HOUR)
    node.end(f"{job}.0.1")
    late = node.records[f"{job}.0.1"]
    assert late.exit is not None
    node.records[late.attempt] = replace(late, exit=replace(late.exit, ended_ago_s=5 * HOUR))
    await made.start()
    before = made.snapshot.accounts
    assert [it.gpus for it in before.values()] == [1000], "held until it is known to have ended"
    await made.until(lambda s: state_of(s, job) == "succeeded")
    (account,) = made.snapshot.accounts.values()
    assert account.used == pytest.approx(HOUR, rel=0.05)
    assert sum(account.hours.values()) == pytest.approx(HOUR, rel=0.01)
    assert list((await asked(made)).values()) == [(pytest.approx(1.0, abs=0.01), 0.0)]
    await made.stop()
