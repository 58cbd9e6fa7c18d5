"""Which attempt a node's record is of, when ids are given out again and records lie aside."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from flextui.core import commands as c
from flextui.core.events import Exit, Record
from flextui.core.model.state import AttemptState, NodeStatus
from tests.unit.core_kit import bench, running, state_of
from tests.unit.fake_fleet import FakeNode, inventory

SLEEP = "name: work\nrun: sleep\n"
FOREIGN = "f0f0f0f0f0f0f0f0"


async def test_each_attempt_has_a_nonce_of_its_own_that_outlives_the_core(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        ids = await made.submit(f"{SLEEP}---\nname: other\nrun: sleep\n")
        for job in ids:
            await made.until(running(job))
        nonces = {key: start.nonce for key, start in node.starts.items()}
        assert len(set(nonces.values())) == 2
        assert all(len(nonce) == 16 for nonce in nonces.values())
        await made.stop()
        await made.start()
        await made.ready()
        assert {key: made.attempt(key).nonce for key in nonces} == nonces


async def test_a_result_of_another_attempt_of_this_id_is_an_orphan(tmp_path: Path) -> None:
    node = FakeNode("n1")
    left = Record("j1.0.1", "ended", exit=Exit(0, None, "exit"), nonce=FOREIGN)
    node.records["j1.0.1"] = left
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit("name: work\nrun: exit 3\nrestart: {on: never}\n")
        await made.until(lambda s: not s.jobs)
        first, second = made.attempt(f"{job}.0.1"), made.attempt(f"{job}.0.2")
        assert (first.why, first.exit_code) == ("never", None)
        assert second.exit_code == 3
        assert node.runs == {f"{job}.0.2": 1}
        node.connect()
        await made.until(lambda s: s.nodes["n1"].orphans)
        assert made.snapshot.nodes["n1"].orphans[0].attempt == "j1.0.1"
        assert node.records == {"j1.0.1": left}  # neither forgotten nor stopped


async def test_what_runs_under_our_id_and_is_not_ours_is_never_stopped(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit(SLEEP)
        await made.until(running(job))
        key = f"{job}.0.1"
        node.records[key] = replace(node.records[key], nonce=FOREIGN)
        await made.running.client().call(c.Stop((job,)))
        await made.until(lambda s: not s.jobs)
        assert made.attempt(key).state is AttemptState.LOST
        assert node.running == [key]


async def test_a_record_without_a_nonce_is_ours_when_all_else_fits(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit(SLEEP)
        await made.until(running(job))
        key = f"{job}.0.1"
        node.records[key] = replace(node.records[key], nonce="")
        node.end(key, 4)
        await made.until(lambda s: not s.jobs)
        assert made.attempt(key).exit_code == 4


async def test_a_result_that_was_put_away_is_found_before_anything_is_judged(
    tmp_path: Path,
) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit(SLEEP)
        await made.until(running(job))
        key = f"{job}.0.1"
        # acknowledged by a state that a backup has replaced
        node.done[key] = replace(node.records.pop(key), state="ended", exit=Exit(5, None, "exit"))
        node.cut()
        node.connect()
        await made.until(lambda s: not s.jobs)
        assert made.attempt(key).exit_code == 5
        assert node.runs == {key: 1}


async def test_an_absent_attempt_is_not_judged_before_the_node_has_answered(
    tmp_path: Path,
) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit(SLEEP)
        await made.until(running(job))
        key = f"{job}.0.1"
        del node.records[key]
        node.deaf = True
        node.cut()
        await made.until(lambda s: s.nodes["n1"].status is NodeStatus.LOST)
        node.connect()
        await made.until(lambda s: "asked what became" in s.attempts[key].reason)
        assert made.attempt(key).state is AttemptState.UNKNOWN
        assert list(made.snapshot.attempts) == [key]
        node.deaf = False
        node.connect()
        await made.until(lambda s: not s.attempts[key].state.live)
        assert made.attempt(key).state is AttemptState.LOST
        assert "its record is gone" in made.attempt(key).reason


async def test_what_ended_before_a_copy_took_over_ends_there_too(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path / "one", inventory("n1"), node) as made:
        (job,) = await made.submit(SLEEP)
        await made.until(running(job))
    shutil.copytree(tmp_path / "one" / "state", tmp_path / "two" / "state")
    key = f"{job}.0.1"
    node.done[key] = replace(node.records.pop(key), state="ended", exit=Exit(0, None, "exit"))
    node.driver = "bob@head"
    async with bench(tmp_path / "two", inventory("n1"), node) as made:
        assert made.attempt(key).state is AttemptState.UNKNOWN
        await made.running.client().call(c.TakeOver(("n1",)))
        await made.until(lambda s: not s.jobs)
        assert state_of(made.snapshot, job) == "succeeded"
        assert node.runs == {key: 1}
