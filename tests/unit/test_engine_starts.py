"""Starts that come to nothing, and devices that are claimed under a name of the machine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from flextui.core.events import AttemptReported, Exit, Record
from tests.unit.core_kit import ManualClock, bench, running
from tests.unit.fake_fleet import FakeNode, inventory

GPUS = [{"index": 1, "model": "a100", "memory": 80 * 2**30}]


@pytest.mark.parametrize("how", ["failed", "stale", "claimed"])
async def test_starts_that_come_to_nothing_are_put_off_longer_and_longer(
    tmp_path: Path, how: str
) -> None:
    node, clock = FakeNode("n1"), ManualClock()
    async with bench(tmp_path, inventory("n1"), node, clock=clock) as made:
        (job,) = await made.submit(f"name: work\nrun: refuse {how}\nrestart: {{delay: 0s}}\n")
        for number, delay in enumerate([1.0, 2.0, 5.0, 15.0, 60.0, 60.0], 1):
            key = f"{job}.0.{number}"
            await made.until(
                lambda s, key=key: key in s.attempts and not s.attempts[key].state.live
            )
            task = next(iter(made.snapshot.tasks.values()))
            assert task.not_before == pytest.approx(clock.wall + delay)
            clock.advance(delay)
            await made.turn()
        assert not node.runs


async def test_ends_that_are_not_counted_do_not_spin(tmp_path: Path) -> None:
    node, clock = FakeNode("n1"), ManualClock()
    async with bench(tmp_path, inventory("n1"), node, clock=clock) as made:
        (job,) = await made.submit("name: work\nrun: sleep\nrestart: {delay: 0s}\n")
        for number, delay in enumerate([1.0, 2.0, 5.0], 1):
            await made.until(running(job))
            key = f"{job}.0.{number}"
            node.records.pop(key)
            lost = Record(key, "lost", exit=Exit(None, None, "supervisor_lost"))
            node.push(AttemptReported("n1", lost))
            await made.until(lambda s, key=key: not s.attempts[key].state.live)
            task = next(iter(made.snapshot.tasks.values()))
            assert task.not_before == pytest.approx(clock.wall + delay)
            clock.advance(delay)
            await made.turn()


async def test_a_declared_gpu_is_claimed_by_its_number_on_the_machine(tmp_path: Path) -> None:
    node = FakeNode("n1")
    fleet = inventory("n1")
    fleet = type(fleet).model_validate(
        {"fleet": "test", "nodes": [{"host": "n1", "gpus": {"declared": GPUS}}]}
    )
    async with bench(tmp_path, fleet, node) as made:
        (job,) = await made.submit("name: work\nrun: sleep\nresources: {gpus: 1}\n")
        await made.until(running(job))
        key = f"{job}.0.1"
        assert node.starts[key].devices == (("index-1", 1.0),)
        assert made.attempt(key).gpus == ("n1-gpu1",)
        assert node.starts[key].env["CUDA_VISIBLE_DEVICES"] == "1"
        other = Record("j9.0.1", "running", devices=("index-1",))
        node.push(AttemptReported("n1", other))
        await made.until(lambda s: s.nodes["n1"].orphans)
        assert made.snapshot.nodes["n1"].orphans[0].gpus == ("n1-gpu1",)


async def test_a_declared_gpu_that_others_claim_is_left_alone(tmp_path: Path) -> None:
    node = FakeNode("n1")
    fleet = type(inventory("n1")).model_validate(
        {"fleet": "test", "nodes": [{"host": "n1", "gpus": {"declared": GPUS}}]}
    )
    async with bench(tmp_path, fleet, node) as made:
        await made.submit("name: work\nrun: refuse claimed\nresources: {gpus: 1}\n")
        await made.until(lambda s: s.nodes["n1"].gpus[0].state == "claimed")
        node.sample()
        await made.turn()
        assert made.snapshot.nodes["n1"].gpus[0].state == "claimed"
