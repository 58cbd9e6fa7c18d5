"""Devices of real sshd nodes, as the core is told of them and hands them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flextui.core.adapters.devices import NO_SLICES
from flextui.core.events import PlacesSeen, Sampled, StartRefused
from flextui.core.model.inventory import NodeSpec
from flextui.core.model.state import Gpu
from flextui.core.ports import StopAttempt, TailRequest
from tests.adapters.link import Session, session
from tests.bench.gpus import MIB
from tests.bench.nodes import SshFleet

pytestmark = [pytest.mark.requires("sshd", "gcc")]

WRITE = "import os, pty, time; pid, fd = pty.fork(); pid or os.execlp('sleep', 'sleep', '99')"
"""Python that holds a terminal with a process at it."""


@pytest.fixture
def bench(ssh_fleet: SshFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SshFleet:
    """Nodes, and a home on this side from which they can be reached."""
    monkeypatch.setenv("HOME", str(ssh_fleet.write_home(tmp_path / "me")))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return ssh_fleet


def named(name: str) -> NodeSpec:
    return NodeSpec(host=name, name=name)


async def devices(node: Session) -> tuple[Gpu, ...]:
    """The devices as a sample tells them."""
    return (await node.events.wait(Sampled, lambda event: event.sample.nvml == "ok")).gpus


async def output(node: Session, attempt: str) -> str:
    """All that an attempt that ended wrote."""
    request = TailRequest(attempt, start={"out": 0, "err": 0})
    return "".join([event["text"] async for event in node.link.tail(request)])


async def test_a_node_tells_once_where_its_devices_sit(bench: SshFleet) -> None:
    gpus = bench.add("gpu1", gpus=2).gpus
    assert gpus is not None
    gpus.link(0, 1)
    gpus.set(0, cpus="0-63")
    async with session(named("gpu1")) as node:
        await node.connected()
        told = await node.events.wait(PlacesSeen)
        await devices(node)
        await devices(node)
    one, two = gpus.uuids
    assert (told.places[one].numa, told.places[one].near) == (0, {two: 101})
    assert told.places[one].cpus
    assert sum(isinstance(event, PlacesSeen) for event in node.events.seen) == 1


async def test_slices_are_devices_and_an_empty_gpu_says_why_it_is_none(bench: SshFleet) -> None:
    gpus = bench.add("gpu1", gpus=2).gpus
    assert gpus is not None
    small, large = gpus.mig(0, ["1g.10gb", "3g.40gb"])
    gpus.mig(1, [])
    async with session(named("gpu1")) as node:
        await node.connected()
        one, two, empty = await devices(node)
        told = [event for event in node.events.seen if isinstance(event, PlacesSeen)]
    assert (one.uuid, one.parent, one.mig) == (small, gpus.uuids[0], "1g.10gb")
    assert (two.uuid, two.memory_bytes) == (large, 40960 * MIB)
    assert (empty.uuid, empty.state, empty.text) == (gpus.uuids[1], "error", NO_SLICES)
    assert set(told[0].places) == {small, large, *gpus.uuids}


async def test_what_runs_on_a_slice_is_seen_there_by_an_account_that_is_no_administrator(
    bench: SshFleet,
) -> None:
    gpus = bench.add("gpu1", gpus=1).gpus
    assert gpus is not None
    small, large = gpus.mig(0, ["1g.10gb", "1g.10gb"])
    async with session(named("gpu1")) as node:
        await node.connected()
        node.start(
            "a1",
            f"{gpus.hold_memory(700)}; exec sleep 99",
            env={"CUDA_VISIBLE_DEVICES": large},
            devices=((large, 1.0),),
        )
        found = await node.events.wait(
            Sampled, lambda event: any(gpu.processes for gpu in event.gpus)
        )
    one, two = found.gpus
    assert (one.uuid, one.processes) == (small, ())
    (process,) = two.processes
    assert (two.uuid, process.attempt, process.memory_bytes) == (large, "a1", 700 * MIB)


async def test_two_shares_fit_a_device_and_a_third_is_refused(bench: SshFleet) -> None:
    """NODE.md, starting: claims of a device add up to a whole; conflict is `claimed`."""
    gpus = bench.add("gpu1", gpus=1).gpus
    assert gpus is not None
    (uuid,) = gpus.uuids
    async with session(named("gpu1")) as node:
        await node.connected()
        for attempt in ("a1", "a2"):
            node.start(attempt, "exec sleep 99", devices=((uuid, 0.5),))
            await node.events.record(attempt, "running")
        node.start("a3", "true", devices=((uuid, 0.5),))
        refused = await node.events.wait(StartRefused)
        assert (refused.attempt, refused.code, refused.device) == ("a3", "claimed", uuid)
        assert refused.text.startswith(f"device {uuid} is claimed by ")
        node.link.send(StopAttempt("a1", 0.0, "to make room"))
        await node.events.record("a1", "ended")
        node.start("a4", "true", devices=((uuid, 0.5),))
        await node.events.record("a4", "ended")


async def test_a_start_pins_its_workload(bench: SshFleet) -> None:
    bench.add("gpu1")
    allowed = sorted(os.sched_getaffinity(0))
    show = "import os; print(sorted(os.sched_getaffinity(0)))"
    async with session(named("gpu1")) as node:
        await node.connected()
        for attempt, cpu_set in (("a1", (allowed[0], 9999)), ("a2", (9999,))):
            node.start(attempt, "", argv=("python3", "-c", show), cpu_set=cpu_set)
            await node.events.record(attempt, "ended")
        assert [await output(node, attempt) for attempt in ("a1", "a2")] == [
            f"{allowed[:1]}\n",
            f"{allowed}\n",
        ]


async def test_an_attempt_with_a_terminal_tells_when_it_was_used(bench: SshFleet) -> None:
    bench.add("gpu1")
    async with session(named("gpu1")) as node:
        await node.connected()
        node.start("a1", "", argv=("python3", "-c", f"{WRITE}; time.sleep(99)"))
        node.start("a2", "exec sleep 99")
        found = await node.events.wait(
            Sampled,
            lambda event: (
                {"a1", "a2"} <= event.sample.attempts.keys()
                and event.sample.attempts["a1"].active_ago_s is not None
            ),
        )
    ago = found.sample.attempts["a1"].active_ago_s
    assert ago is not None
    assert ago < 60
    assert found.sample.attempts["a2"].active_ago_s is None
