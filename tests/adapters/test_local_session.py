"""Transport local with the real agent: it works, it survives, and it has one driver."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from flextui.core.adapters.backoff import Pace
from flextui.core.events import NodeDown, NodeFenced, Sampled, StartRefused
from flextui.core.model.inventory import NodeSpec
from flextui.core.model.state import NodeStatus
from flextui.core.ports import AckAttempts, CoreIdentity, StopAttempt, TailRequest
from tests.adapters.link import ALICE, session

HERE = NodeSpec(host="localhost", name="here", transport="local")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State and cache of the agents of one test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def agents_here() -> list[int]:
    """Agents that are children of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [
        int(pid)
        for pid in children
        if b"flextui-agent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


async def test_an_attempt_runs_to_its_end_and_its_log_is_read() -> None:
    async with session(HERE) as node:
        ready = await node.connected()
        assert ready.granted
        assert (await node.events.wait(Sampled)).sample.memory_bytes > 0
        node.start("j1.0.1", "echo out; echo err >&2; exit 7")
        ended = await node.events.record("j1.0.1", "ended")
        assert ended.record.exit is not None
        assert (ended.record.exit.code, ended.record.exit.why) == (7, "exit")
        request = TailRequest("j1.0.1", start={"out": 0, "err": 0})
        events = [event async for event in node.link.tail(request)]
        text = {e["stream"]: e["text"] for e in events if e["kind"] == "data"}
        assert text == {"out": "out\n", "err": "err\n"}
        assert events[-1]["kind"] == "eof"
        node.link.send(AckAttempts(("j1.0.1",)))


async def test_a_stop_reaches_the_attempt() -> None:
    async with session(HERE) as node:
        await node.connected()
        node.start("j1.0.1", "exec sleep 600")
        await node.events.record("j1.0.1", "running")
        node.link.send(StopAttempt("j1.0.1", 2.0, "stopped"))
        ended = await node.events.record("j1.0.1", "ended")
        assert ended.record.exit is not None
        assert (ended.record.exit.signal, ended.record.exit.why) == (signal.SIGTERM, "stopped")


async def test_a_killed_agent_comes_back_and_the_attempt_never_left() -> None:
    async with session(HERE) as node:
        await node.connected()
        node.start("j1.0.1", "exec sleep 600")
        before = await node.events.record("j1.0.1", "running")
        for pid in agents_here():
            os.kill(pid, signal.SIGKILL)
        down = await node.events.wait(NodeDown)
        assert (down.code, down.status) == ("closed", NodeStatus.LOST)
        ready = await node.connected()
        assert [(r.attempt, r.state, r.pid) for r in ready.records] == [
            ("j1.0.1", "running", before.record.pid)
        ]
        node.link.send(StopAttempt("j1.0.1", 2.0, "stopped"))
        await node.events.record("j1.0.1", "ended")


async def test_a_frozen_agent_is_noticed_and_replaced() -> None:
    pace = Pace(first_s=0.01, ping_s=0.1, silent_s=2.0, tick_s=0.1)
    async with session(HERE, pace=pace) as node:
        await node.connected()
        (agent,) = agents_here()
        os.kill(agent, signal.SIGSTOP)
        assert (await node.events.wait(NodeDown)).code == "timeout"
        await node.connected()
        assert agent not in agents_here()


async def test_a_refused_start_is_told_with_its_code() -> None:
    async with session(HERE) as node:
        await node.connected()
        node.start("j1.0.1", "true", boot="another boot")
        assert (await node.events.wait(StartRefused)).code == "boot_mismatch"
        node.start("j1.0.2", "true", workdir="/there/is/no/such/folder")
        assert (await node.events.wait(StartRefused)).code == "no_workdir"


async def test_a_second_core_watches_and_may_take_over() -> None:
    async with session(HERE) as alice:
        await alice.connected()
        alice.start("j1.0.1", "exec sleep 600")
        await alice.events.record("j1.0.1", "running")
        heir = CoreIdentity("c-bob", 1, "bob@desk", adopt=(ALICE.core_id,))
        async with session(HERE, heir) as bob:
            ready = await bob.connected()
            assert (ready.granted, ready.driver) == (False, "alice@head")
            bob.start("j1.0.1", "true")
            assert (await bob.events.wait(StartRefused)).code == "not_driver"
            bob.link.take_over()
            taken = await bob.connected()
            assert taken.granted
            assert [record.attempt for record in taken.records] == ["j1.0.1"]
            assert (await alice.events.wait(NodeFenced)).by == "bob@desk"
            assert not (await alice.connected()).granted
            bob.link.send(StopAttempt("j1.0.1", 2.0, "stopped"))
            await bob.events.record("j1.0.1", "ended")


async def test_check_tells_of_this_machine() -> None:
    async with session(HERE) as node:
        await node.connected()
        rows = {row["name"]: row for row in await node.link.check()}
    assert rows["reach"]["ok"]
    assert rows["python"]["ok"]
    assert rows["clock"]["ok"]
    assert "shell" not in rows


async def test_nothing_is_left_behind_after_close() -> None:
    async with session(HERE) as node:
        await node.connected()
        assert agents_here()
    assert agents_here() == []


async def test_a_fleet_of_this_machine_never_loads_the_ssh_library(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from flextui.core.events import NodeReady
from flextui.core.model.inventory import NodeSpec
from tests.adapters.link import session

async def main():
    async with session(NodeSpec(host="localhost", name="here", transport="local")) as node:
        await node.connected()
    print(sorted(name for name in sys.modules if name in ("asyncssh", "cryptography", "textual")))

asyncio.run(main())
"""
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await done.communicate()
    assert out.decode().strip() == "[]"
