"""The engine over a fake fleet: what it does when things go right, wrong, and away."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from flextui.core import commands as c
from flextui.core.adapters.store import SqliteStore
from flextui.core.commands import CommandError
from flextui.core.events import AttemptReported, Exit, NodeFenced, Record
from flextui.core.model.state import AttemptState, GpuProcess, Identity, JobState, NodeStatus
from flextui.core.ports import Changes, StoreError
from flextui.core.scheduler.plan import plan_steps
from tests.unit.core_kit import WITHIN_S, Bench, ManualClock, bench, running, state_of
from tests.unit.fake_fleet import GIB, FakeNode, gpu, inventory

SLEEP = "name: {}\nrun: sleep\n"
SERVICE = "name: {}\ntype: service\nrun: sleep\ngrace: 0s\n"


async def one_running(made: Bench, text: str = SLEEP.format("work")) -> str:
    """Submit one job and wait until it runs; its first attempt."""
    (job,) = await made.submit(text)
    await made.until(running(job))
    return f"{job}.0.1"


# ── ends ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_end_is_recorded_with_its_code_and_acknowledged_after(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        good, bad = await made.submit("name: good\nrun: exit 0\n---\nname: bad\nrun: exit 3\n")
        await made.until(lambda s: not s.jobs)
        assert state_of(made.snapshot, good) == "succeeded"
        assert state_of(made.snapshot, bad) == "failed"
        assert made.attempt(f"{bad}.0.1").exit_code == 3
        assert sorted(node.acks) == sorted([f"{good}.0.1", f"{bad}.0.1"])
        assert node.records == {}


async def test_a_signal_is_told_as_128_and_its_number(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made)
        ended = Record(attempt, "ended", exit=Exit(None, 9, "exit", ended_ago_s=0.0))
        node.push(AttemptReported("n1", ended))
        await made.until(lambda s: not s.jobs)
        assert made.attempt(attempt).exit_code == 137
        assert made.attempt(attempt).signal == 9


async def test_what_no_longer_exists_in_memory_is_still_acknowledged(tmp_path: Path) -> None:
    node = FakeNode("n1")
    made = Bench(tmp_path, inventory("n1"), _fleet(node))
    await made.start()
    await made.ready()
    attempt = await one_running(made)
    node.end(attempt, 0)
    await made.until(lambda s: not s.jobs)
    ended = Record(attempt, "ended", exit=Exit(0, None, "exit"))
    await made.stop()
    node.records[attempt] = ended  # the acknowledgement never arrived
    node.acks.clear()
    await made.start()
    made.running.engine.snapshot = _without(made.snapshot, attempt)
    node.connect()
    await made.ready()
    await made.turn()
    assert set(node.acks) == {attempt}
    assert made.snapshot.nodes["n1"].orphans == ()
    await made.stop()


def _fleet(*nodes: FakeNode) -> Any:
    from tests.unit.fake_fleet import FakeFleet

    return FakeFleet(*nodes)


def _without(snapshot: Any, attempt: str) -> Any:
    from dataclasses import replace

    attempts = {key: it for key, it in snapshot.attempts.items() if key != attempt}
    return replace(snapshot, attempts=attempts)


# ── the core's own end ─────────────────────────────────────────────────────────────────────────


async def test_the_next_core_adopts_what_runs_and_collects_what_ended(tmp_path: Path) -> None:
    node = FakeNode("n1", instant=False)
    made = Bench(tmp_path, inventory("n1"), _fleet(node))
    await made.start()
    await made.ready()
    going, ending = await made.submit("name: going\nrun: sleep\n---\nname: ending\nrun: sleep\n")
    await made.until(lambda s: len(node.running) == 2 and running(going)(s) and running(ending)(s))
    await made.stop()
    node.end(f"{ending}.0.1", 7)
    await made.start()
    await made.until(lambda s: state_of(s, ending) == "failed")
    assert made.attempt(f"{ending}.0.1").exit_code == 7
    assert made.attempt(f"{going}.0.1").state is AttemptState.RUNNING
    assert set(node.runs.values()) == {1}
    await made.stop()


async def test_a_start_that_never_arrived_is_sent_again(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        node.deaf = True
        (job,) = await made.submit(SLEEP.format("work"))
        await made.until(lambda s: f"{job}.0.1" in s.attempts)
        node.deaf = False
        node.cut()
        node.connect()
        await made.until(running(job))
        assert node.runs == {f"{job}.0.1": 1}


async def test_a_start_that_never_arrived_before_a_reboot_becomes_a_new_attempt(
    tmp_path: Path,
) -> None:
    node = FakeNode("n1")
    text = "name: work\nrun: sleep\nrestart: {delay: 0s}\n"
    async with bench(tmp_path, inventory("n1"), node) as made:
        node.deaf = True
        (job,) = await made.submit(text)
        await made.until(lambda s: f"{job}.0.1" in s.attempts)
        node.deaf = False
        node.reboot()
        node.connect()
        await made.until(running(job))
        assert made.attempt(f"{job}.0.1").why == "never"
        assert node.runs == {f"{job}.0.2": 1}


async def test_absence_under_another_root_is_no_evidence(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made)
        node.cut()
        node.root_id, node.records = "root-2", {}
        node.connect()
        await made.until(
            lambda s: s.nodes["n1"].status is NodeStatus.READY and s.nodes["n1"].sampled
        )
        await made.turn()
        assert made.attempt(attempt).state is AttemptState.UNKNOWN
        assert "another state folder" in made.attempt(attempt).reason
        assert node.runs == {attempt: 1}


async def test_a_record_that_is_gone_under_the_same_root_is_lost(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made)
        node.cut()
        node.records = {}
        node.connect()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.LOST)


async def test_a_copied_state_folder_starts_nothing_that_the_original_runs(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path / "a", inventory("n1"), node) as made:
        attempt = await one_running(made)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    other = FakeNode("n1")  # what the copy's own folder on the node looks like: empty
    async with bench(tmp_path / "b", inventory("n1"), other) as copy:
        await copy.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        assert other.runs == {}


async def test_unknown_records_are_orphans_and_left_alone(tmp_path: Path) -> None:
    node = FakeNode("n1")
    node.records["j9.0.1"] = Record("j9.0.1", "running", "ann/old")
    async with bench(tmp_path, inventory("n1"), node) as made:
        await made.until(lambda s: s.nodes["n1"].orphans)
        assert made.snapshot.nodes["n1"].orphans[0].attempt == "j9.0.1"
        assert node.stops == []
        assert node.acks == []


# ── nodes that go away ─────────────────────────────────────────────────────────────────────────


async def test_a_lost_connection_makes_attempts_unknown_and_back(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made)
        node.cut()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        assert state_of(made.snapshot, attempt.split(".")[0]) == "running"
        node.connect()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.RUNNING)
        assert node.runs == {attempt: 1}


async def test_a_service_is_replaced_when_its_node_stays_lost_and_its_stale_copy_killed(
    tmp_path: Path,
) -> None:
    nodes = [FakeNode(f"n{i}") for i in (1, 2, 3)]
    clock = ManualClock()
    async with bench(tmp_path, inventory("n1", "n2", "n3"), *nodes, clock=clock) as made:
        text = SERVICE.format("web") + "where: {node: [n1, n2]}\non_node_loss: {after: 60s}\n"
        attempt = await one_running(made, text)
        first = made.attempt(attempt).node
        made.fleet[first].cut()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        clock.advance(59)
        await made.turn()
        assert not made.attempt(attempt).replaced
        clock.advance(2)
        await made.until(lambda s: s.attempts[attempt].replaced)
        job = attempt.split(".")[0]
        await made.until(running(job))
        second = made.attempt(f"{job}.0.2").node
        assert second != first
        made.fleet[first].connect()
        await made.until(lambda s: not s.attempts[attempt].state.live)
        assert made.fleet[first].stops == [attempt]
        assert made.attempt(f"{job}.0.2").state is AttemptState.RUNNING
        assert made.attempt(attempt).state is AttemptState.KILLED


async def test_a_replaced_attempt_s_late_result_changes_nothing(tmp_path: Path) -> None:
    nodes = [FakeNode(f"n{i}") for i in (1, 2, 3)]
    clock = ManualClock()
    async with bench(tmp_path, inventory("n1", "n2", "n3"), *nodes, clock=clock) as made:
        text = SLEEP.format("work") + "on_node_loss: {then: reschedule, after: 60s}\n"
        attempt = await one_running(made, text)
        job = attempt.split(".")[0]
        first = made.fleet[made.attempt(attempt).node]
        first.cut()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        clock.advance(61)
        await made.until(lambda s: s.attempts[attempt].replaced)
        await made.until(running(job))
        first.end(attempt, 5)
        first.connect()
        await made.until(lambda s: not s.attempts[attempt].state.live)
        assert made.attempt(attempt).exit_code == 5
        assert state_of(made.snapshot, job) == "running"
        assert first.acks == [attempt]


async def test_batch_waits_for_its_node(tmp_path: Path) -> None:
    nodes = [FakeNode(f"n{i}") for i in (1, 2, 3)]
    clock = ManualClock()
    async with bench(tmp_path, inventory("n1", "n2", "n3"), *nodes, clock=clock) as made:
        attempt = await one_running(made)
        made.fleet[made.attempt(attempt).node].cut()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        clock.advance(10_000)
        await made.turn()
        assert not made.attempt(attempt).replaced
        assert len(made.snapshot.attempts) == 1


async def test_nothing_is_replaced_after_the_core_was_stopped(tmp_path: Path) -> None:
    nodes = [FakeNode(f"n{i}") for i in (1, 2, 3)]
    clock = ManualClock()
    async with bench(tmp_path, inventory("n1", "n2", "n3"), *nodes, clock=clock) as made:
        attempt = await one_running(made, SERVICE.format("web") + "on_node_loss: {after: 60s}\n")
        made.fleet[made.attempt(attempt).node].cut()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        clock.advance(50)
        await made.turn()
        clock.advance(300)
        clock.stall = True
        await made.turn()
        assert not made.attempt(attempt).replaced
        clock.advance(59)
        await made.turn()
        assert not made.attempt(attempt).replaced
        clock.advance(2)
        await made.until(lambda s: s.attempts[attempt].replaced)


async def test_half_of_the_nodes_gone_at_once_pauses_replacement(tmp_path: Path) -> None:
    nodes = [FakeNode(f"n{i}") for i in (1, 2, 3, 4)]
    clock = ManualClock()
    names = [node.name for node in nodes]
    async with bench(tmp_path, inventory(*names), *nodes, clock=clock) as made:
        attempt = await one_running(made, SERVICE.format("web") + "on_node_loss: {after: 60s}\n")
        there = made.attempt(attempt).node
        other = next(name for name in names if name != there)
        made.fleet[there].cut()
        made.fleet[other].cut()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        clock.advance(500)
        await made.until(lambda s: s.suspended_until_answer)
        assert not made.attempt(attempt).replaced
        assert made.running.desk.fleet()["replacement_paused"]
        clock.advance(1)
        made.fleet[other].connect()
        await made.until(lambda s: not s.suspended_until_answer)
        assert not made.attempt(attempt).replaced, "its node may be on its way back as well"
        clock.advance(61)
        await made.until(lambda s: s.attempts[attempt].replaced)


async def test_an_operator_may_declare_a_silent_node_lost(tmp_path: Path) -> None:
    nodes = [FakeNode(f"n{i}") for i in (1, 2, 3)]
    async with bench(tmp_path, inventory("n1", "n2", "n3"), *nodes) as made:
        attempt = await one_running(made)
        there = made.attempt(attempt).node
        client = made.running.client()
        with pytest.raises(CommandError, match="answers"):
            await client.call(c.DeclareLost(there))
        made.fleet[there].cut()
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        await client.call(c.DeclareLost(there))
        await asyncio.sleep(0)
        assert made.snapshot.nodes[there].declared_lost


async def test_a_definite_complaint_is_never_loss(tmp_path: Path) -> None:
    nodes = [FakeNode(f"n{i}") for i in (1, 2, 3)]
    clock = ManualClock()
    async with bench(tmp_path, inventory("n1", "n2", "n3"), *nodes, clock=clock) as made:
        attempt = await one_running(made, SERVICE.format("web"))
        made.fleet[made.attempt(attempt).node].cut(NodeStatus.UNREACHABLE, "auth")
        await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
        clock.advance(10_000)
        await made.turn()
        assert not made.attempt(attempt).replaced


async def test_a_kill_owed_to_an_absent_node_survives_the_core(tmp_path: Path) -> None:
    node = FakeNode("n1")
    made = Bench(tmp_path, inventory("n1"), _fleet(node))
    await made.start()
    await made.ready()
    attempt = await one_running(made)
    node.cut()
    await made.until(lambda s: s.attempts[attempt].state is AttemptState.UNKNOWN)
    await made.running.client().call(c.Stop((attempt.split(".")[0],)))
    assert made.attempt(attempt).stop is not None
    await made.stop()
    await made.start()
    node.connect()
    await made.until(lambda s: not s.jobs)
    assert node.stops == [attempt]
    assert state_of(made.snapshot, attempt.split(".")[0]) == "stopped"
    await made.stop()


async def test_a_driven_node_is_observed_and_a_takeover_is_explicit(tmp_path: Path) -> None:
    node = FakeNode("n1", driver="bob@other")
    async with bench(tmp_path, inventory("n1"), node) as made:
        assert made.snapshot.nodes["n1"].status is NodeStatus.OBSERVED
        assert made.snapshot.nodes["n1"].driver == "bob@other"
        (job,) = await made.submit(SLEEP.format("work"))
        assert state_of(made.snapshot, job) == "pending"
        assert node.runs == {}
        await made.running.client().call(c.TakeOver(("n1",)))
        await made.until(running(job))
        node.push(NodeFenced("n1", "bob@other"))
        await made.until(lambda s: s.attempts[f"{job}.0.1"].state is AttemptState.UNKNOWN)
        assert "bob@other" in made.snapshot.nodes["n1"].reason


async def test_a_node_that_left_the_inventory_keeps_its_attempts_in_sight(tmp_path: Path) -> None:
    one, two = FakeNode("n1"), FakeNode("n2")
    made = Bench(tmp_path, inventory("n1", "n2"), _fleet(one, two))
    await made.start()
    await made.ready()
    attempt = await one_running(made, SLEEP.format("work") + "where: {node: n2}\n")
    await made.stop()
    made.inventory = inventory("n1")
    await made.start()
    await made.turn()
    assert made.attempt(attempt).state.live
    assert "inventory" in made.snapshot.nodes["n2"].reason
    await made.stop()


async def test_two_names_with_one_gpu_are_refused_naming_both(tmp_path: Path) -> None:
    one, two = FakeNode("n1", gpus=(gpu("GPU-a"),)), FakeNode("n2", gpus=(gpu("GPU-a"),))
    made = Bench(tmp_path, inventory("n1", "n2"), _fleet(one, two))
    await made.start()
    refused = await made.until(
        lambda s: [it for it in s.nodes.values() if it.status is NodeStatus.UNREACHABLE]
    )
    (node,) = (it for it in refused.nodes.values() if it.status is NodeStatus.UNREACHABLE)
    assert "n1" in node.reason
    assert "n2" in node.reason
    assert sum(it.status is NodeStatus.READY for it in refused.nodes.values()) == 1
    await made.stop()


# ── devices ────────────────────────────────────────────────────────────────────────────────────

TRAIN = "name: train\nrun: sleep\nresources: {gpus: 1}\nrestart: {on: failure, delay: 0s}\n"


async def test_a_job_gets_its_gpu_and_no_other_job_gets_it(tmp_path: Path) -> None:
    node = FakeNode("n1", gpus=(gpu("GPU-a"), gpu("GPU-b", 1)))
    async with bench(tmp_path, inventory("n1"), node) as made:
        await one_running(made, TRAIN)
        await one_running(made, TRAIN)
        (third,) = await made.submit(TRAIN)
        held = {it.gpus for it in made.snapshot.attempts.values()}
        assert held == {("GPU-a",), ("GPU-b",)}
        assert state_of(made.snapshot, third) == "pending"
        start = node.starts["j1.0.1"]
        assert start.env["CUDA_VISIBLE_DEVICES"] == made.attempt("j1.0.1").gpus[0]
        assert start.devices == ((made.attempt("j1.0.1").gpus[0], 1.0),)


async def test_foreign_memory_holds_a_job_back_and_its_going_lets_it_start(tmp_path: Path) -> None:
    foreign = GpuProcess(77, "carol", "python", "python x.py", 30 * GIB, None)
    taken = gpu("GPU-a", memory_used_bytes=30 * GIB, processes=(foreign,))
    node = FakeNode("n1", gpus=(taken,))
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit(TRAIN)
        assert "carol" in made.snapshot.jobs[job].reason
        node.sample((gpu("GPU-a"),))
        await made.until(running(job))


async def test_a_claimed_device_is_left_alone_and_the_job_tries_elsewhere(tmp_path: Path) -> None:
    node = FakeNode("n1", gpus=(gpu("GPU-a"),))
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit("name: train\nrun: refuse claimed\nresources: {gpus: 1}\n")
        await made.until(lambda s: s.attempts and s.attempts[f"{job}.0.1"].why == "refused")
        task = next(iter(made.snapshot.tasks.values()))
        assert task.failures == ()
        assert task.not_before is not None
        assert made.snapshot.nodes["n1"].gpus[0].state == "claimed"
        doc = (await made.running.client().call(c.ListNodes()))["nodes"][0]["gpus"][0]
        assert (doc["state"], doc["reason"]) == ("foreign", "claimed by bob")
        node.sample()
        await made.turn()
        assert made.snapshot.nodes["n1"].gpus[0].state == "claimed", "the claim outlives a sample"


async def test_an_application_s_xid_shows_on_its_attempt(tmp_path: Path) -> None:
    node = FakeNode("n1", gpus=(gpu("GPU-a"),))
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made, TRAIN)
        node.xid("GPU-a", 31)
        await made.until(lambda s: "XID 31" in s.attempts[attempt].reason)
        assert made.snapshot.nodes["n1"].cordoned_gpus == {}


@pytest.mark.parametrize("xid_first", [True, False])
async def test_a_failed_device_is_cordoned_and_its_end_not_counted(
    tmp_path: Path, xid_first: bool
) -> None:
    node = FakeNode("n1", gpus=(gpu("GPU-a"), gpu("GPU-b", 1)))
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made, TRAIN.replace("on: failure", "on: failure, attempts: 0"))
        device = made.attempt(attempt).gpus[0]
        for step in (0, 1) if xid_first else (1, 0):
            if step:
                node.end(attempt, 1)
            else:
                node.xid(device, 79)
        await made.until(lambda s: s.attempts[attempt].why == "device_lost")
        job = attempt.split(".")[0]
        await made.until(running(job))
        assert made.attempt(f"{job}.0.2").gpus != (device,)
        mark = made.snapshot.nodes["n1"].cordoned_gpus[device]
        assert mark.by == "flextui"
        assert "79" in mark.why
        await made.running.client().call(c.Cordon("n1", device, on=False))
        assert made.snapshot.nodes["n1"].cordoned_gpus == {}


# ── refusals ───────────────────────────────────────────────────────────────────────────────────


async def test_a_missing_workdir_fails_the_job(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        (job,) = await made.submit("name: work\nrun: refuse no_workdir\n")
        await made.until(lambda s: state_of(s, job) == "failed")


async def test_an_unclear_refusal_is_made_certain_before_anything_else_runs(
    tmp_path: Path,
) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        (job,) = await made.submit("name: work\nrun: refuse internal\n")
        await made.until(lambda s: s.attempts and s.attempts[f"{job}.0.1"].why == "never")
        assert node.abandoned == {f"{job}.0.1"}


async def test_leases_are_renewed_for_what_still_counts(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        text = SERVICE.format("web") + "on_node_loss: {fence: true, after: 60s}\n"
        attempt = await one_running(made, text)
        assert node.starts[attempt].lease_s == 50.0
        node.ignores_stop = True
        node.ask_lease(attempt, 1)
        await made.turn()
        await made.running.client().call(c.Stop((attempt.split(".")[0],)))
        node.ask_lease(attempt, 2)
        await made.turn()
        assert node.granted == [(attempt, 1)]


# ── commands ───────────────────────────────────────────────────────────────────────────────────

EVE = Identity("eve", 4242)


async def test_others_see_everything_and_touch_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        attempt = await one_running(made)
        job = attempt.split(".")[0]
        eve = made.running.client_for(EVE)
        assert (await eve.call(c.Show(job)))["id"] == job
        own: list[c.Command] = [c.Stop((job,)), c.Restart((job,)), c.SetPriority(job, 1)]
        nodes: list[c.Command] = [c.Drain("n1"), c.Cordon("n1"), c.DeclareLost("n1")]
        denied = [*own, *nodes, c.TakeOver(), c.Shutdown()]
        for command in denied:
            with pytest.raises(CommandError) as error:
                await eve.call(command)
            assert error.value.code == "permission", command
        with pytest.raises(CommandError) as ambiguous:
            await eve.call(c.Stop(("work",)))
        owner = made.snapshot.jobs[job].owner
        assert ambiguous.value.candidates == (f"{owner}/work",)
        (mine,) = (await eve.call(c.Submit((c.Source("x", SLEEP.format("work")),))))["jobs"]
        assert mine["owner"] == "eve"
        await eve.call(c.Stop(("work",)))
        assert made.attempt(attempt).stop is None


async def test_all_or_none_of_several_jobs(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        attempt = await one_running(made)
        with pytest.raises(CommandError):
            await made.running.client().call(c.Stop((attempt.split(".")[0], "nosuch")))
        assert made.attempt(attempt).stop is None


async def test_restart_gives_a_running_and_a_failed_job_a_new_attempt(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        client = made.running.client()
        attempt = await one_running(made, SERVICE.format("web"))
        job = attempt.split(".")[0]
        await client.call(c.Restart((job,)))
        await made.until(lambda s: f"{job}.0.2" in s.attempts and running(job)(s))
        assert made.attempt(attempt).state is AttemptState.KILLED
        (failed,) = await made.submit("name: bad\nrun: exit 1\n")
        await made.until(lambda s: state_of(s, failed) == "failed")
        await client.call(c.Restart((failed,)))
        await made.until(
            lambda s: f"{failed}.0.2" in s.attempts and state_of(s, failed) == "failed"
        )
        (good,) = await made.submit("name: good\nrun: exit 0\n")
        await made.until(lambda s: state_of(s, good) == "succeeded")
        with pytest.raises(CommandError, match="succeeded"):
            await client.call(c.Restart((good,)))


async def test_scale_up_and_down(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made, SERVICE.format("web"))
        client = made.running.client()
        assert (await client.call(c.Scale("web", 3)))["count"] == 3
        await made.until(lambda s: len(node.running) == 3)
        await client.call(c.Scale("web", 1))
        await made.until(lambda s: len(node.running) == 1)
        assert node.running == [attempt]


async def test_a_revision_replaces_what_runs(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made, SERVICE.format("web"))
        await made.submit(SERVICE.format("web").replace("run: sleep", "run: sleep 2"))
        job = attempt.split(".")[0]
        await made.until(lambda s: f"{job}.0.2" in s.attempts and running(job)(s))
        assert made.attempt(f"{job}.0.2").revision == 2
        assert node.starts[f"{job}.0.2"].argv[-1] == "sleep 2"


async def test_drain_and_cordon_keep_new_work_away(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        client = made.running.client()
        for on, off in (
            (c.Drain("n1", why="disk"), c.Drain("n1", on=False)),
            (c.Cordon("n1", why="disk"), c.Cordon("n1", on=False)),
        ):
            await client.call(on)
            (job,) = await made.submit(SLEEP.format("work"))
            assert state_of(made.snapshot, job) == "pending"
            assert "disk" in (await client.call(c.ListNodes()))["nodes"][0]["reason"]
            await client.call(off)
            await made.until(running(job))


async def test_a_batch_and_a_service_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        await one_running(made, SLEEP.format("x"))
        with pytest.raises(CommandError, match="live batch job"):
            await made.submit(SERVICE.format("x"))


async def test_old_jobs_leave_memory_and_are_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.forget.RECENT_JOBS", 10)
    async with bench(tmp_path, inventory("n1"), FakeNode("n1", cpus=64)) as made:
        for number in range(30):
            await made.submit(f"name: work{number}\nrun: exit {number}\n")
        await made.until(lambda s: not s.jobs)
        await made.submit(SLEEP.format("last"))
        snapshot = made.snapshot
        assert len(snapshot.recent) <= 11
        assert len(snapshot.tasks) == len(snapshot.recent) + 1
        assert len(snapshot.attempts) <= len(snapshot.recent) + 1
        client = made.running.client()
        doc = await client.call(c.Show("work3"))
        assert (doc["exit_code"], doc["spec"]["run"]) == (3, "exit 3")
        assert len((await client.call(c.ListJobs()))["jobs"]) == 31


# ── a store that fails ─────────────────────────────────────────────────────────────────────────


class Flaky(SqliteStore):
    """A store whose disk can be full."""

    full = False

    async def commit(self, changes: Changes) -> None:
        if self.full:
            raise StoreError("the disk is full")
        await super().commit(changes)


async def test_a_commit_that_fails_makes_the_core_read_only_until_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.engine.RETRY_COMMIT_S", 0.05)
    monkeypatch.setattr("flextui.core.start.SqliteStore", Flaky)
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made)
        client = made.running.client()
        monkeypatch.setattr(Flaky, "full", True)
        with pytest.raises(CommandError, match=r"nothing was changed.*disk is full"):
            await made.submit(SLEEP.format("more"))
        assert "disk is full" in (await client.call(c.ListNodes()))["fleet"]["read_only"]
        with pytest.raises(CommandError, match="read-only"):
            await client.call(c.Stop(("work",)))
        node.end(attempt, 4)
        await made.until(lambda s: s.attempts[attempt].exit_code == 4)
        assert node.acks == [], "a result was acknowledged that isn't durable"
        assert len(node.runs) == 1
        monkeypatch.setattr(Flaky, "full", False)
        watcher = made.running.engine.feed.join()
        async with asyncio.timeout(10):
            while made.running.engine.read_only:
                await watcher.changed()
        assert node.acks == [attempt]
        (job,) = await made.submit(SLEEP.format("more"))
        await made.until(running(job))
        doc = await made.running.engine.store.job(attempt.split(".")[0])
        assert doc is not None
        assert doc["tasks"][0]["attempts"][0]["exit_code"] == 4


async def test_a_poisonous_event_is_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        attempt = await one_running(made)
        bad = Record(attempt, "ended", exit=Exit("x", None, "exit", ended_ago_s="soon"))  # type: ignore[arg-type]
        node.push(AttemptReported("n1", bad))
        node.end(attempt, 0)
        await made.until(lambda s: state_of(s, attempt.split(".")[0]) == JobState.SUCCEEDED)


async def test_a_scheduler_that_fails_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.engine.RETRY_PLAN_S", 0.02)
    failures = iter([ValueError("odd")] * 3)

    def flaky(*args: Any) -> Any:
        for failure in failures:
            raise failure
        return plan_steps(*args)

    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        monkeypatch.setattr("flextui.core.engine.plan_steps", flaky)
        (job,) = await made.submit("name: work\nrun: exit 3\n")
        await made.until(lambda s: state_of(s, job) == "failed")


async def test_a_long_pass_lets_the_loop_go_on_and_keeps_commands_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.breath.BREATHE_S", 0.0)
    begun, go_on = asyncio.Event(), asyncio.Event()

    def long(*args: Any) -> Any:
        begun.set()
        while not go_on.is_set():
            yield
        return (yield from plan_steps(*args))

    node = FakeNode("n1")
    async with bench(tmp_path, inventory("n1"), node) as made:
        monkeypatch.setattr("flextui.core.engine.plan_steps", long)
        first = asyncio.ensure_future(made.submit("name: first\nrun: exit 0\n"))
        async with asyncio.timeout(WITHIN_S):
            await begun.wait()
        second = asyncio.ensure_future(made.submit("name: second\nrun: exit 0\n"))
        before = made.snapshot
        for _ in range(100):
            await asyncio.sleep(0)
        assert made.snapshot is before
        assert not first.done()
        assert not second.done()
        go_on.set()
        (one,), (two,) = await first, await second
        await made.until(lambda s: {state_of(s, one), state_of(s, two)} == {"succeeded"})


async def test_a_core_that_ends_in_the_middle_of_a_pass_keeps_what_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.breath.BREATHE_S", 0.0)
    begun, left = asyncio.Event(), []

    def endless(*_: Any) -> Any:
        begun.set()
        try:
            while True:
                yield
        finally:
            left.append(True)

    node = FakeNode("n1")
    made = Bench(tmp_path, inventory("n1"), _fleet(node))
    await made.start()
    await made.ready()
    with monkeypatch.context() as patch:
        patch.setattr("flextui.core.engine.plan_steps", endless)
        submitted = asyncio.ensure_future(made.submit("name: job\nrun: exit 0\n"))
        async with asyncio.timeout(WITHIN_S):
            await begun.wait()
            await made.stop()
            (job,) = await submitted
    assert left
    await made.start()
    await made.until(lambda s: state_of(s, job) == "succeeded")
    await made.stop()


async def test_an_engine_that_dies_says_so_and_the_next_finds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FakeNode("n1", instant=False)
    made = Bench(tmp_path, inventory("n1"), _fleet(node))
    core = await made.start()
    await made.ready()
    attempt = await one_running(made)

    def broken(draft: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(core.engine, "_publish", broken)
    jobs = [made.submit(SLEEP.format(f"w{n}")) for n in range(300)]
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert {type(it) for it in answers} == {CommandError}
    async with asyncio.timeout(10):
        await core.ended.wait()
    await made.stop()
    node.end(attempt, 6)
    await made.start()
    await made.until(lambda s: s.attempts[attempt].exit_code == 6)
    assert set(node.runs.values()) == {1}
    await made.stop()


async def test_a_box_that_got_a_new_name_keeps_its_work(tmp_path: Path) -> None:
    node = FakeNode("n1")
    made = Bench(tmp_path, inventory("n1"), _fleet(node))
    await made.start()
    await made.ready()
    attempt = await one_running(made)
    await made.stop()
    node.name = "gpu1"
    made.fleet.nodes = {"gpu1": node}
    made.inventory = inventory("gpu1")
    await made.start()
    await made.until(lambda s: s.attempts[attempt].node == "gpu1")
    assert made.attempt(attempt).state is AttemptState.RUNNING
    assert made.snapshot.by_node["gpu1"] == {attempt}
    assert not made.snapshot.by_node["n1"]
    await made.running.client().call(c.Stop((attempt.split(".")[0],)))
    await made.until(lambda s: not s.jobs)
    assert node.stops == [attempt]
    await made.stop()


async def test_in_a_shared_fleet_nobody_runs_as_the_core_s_account(tmp_path: Path) -> None:
    import os

    async with bench(
        tmp_path, inventory("n1", "n2"), FakeNode("n1", uid=os.geteuid()), FakeNode("n2"),
        socket_group="root", socket=tmp_path / "lab" / "s",
    ) as made:  # fmt: skip
        assert made.snapshot.nodes["n1"].status is NodeStatus.UNREACHABLE
        assert "trust_users" in made.snapshot.nodes["n1"].reason
        assert made.snapshot.nodes["n2"].status is NodeStatus.READY
