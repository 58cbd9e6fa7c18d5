"""The socket of a core: who gets in, and that nobody who does can hold it up or bring it down."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flextui.core import commands as c
from flextui.core import connection, wire
from flextui.core.commands import CommandError, LogRequest
from flextui.core.model.docs import LogEvent
from flextui.core.model.state import Identity
from flextui.core.server import Server, SocketError
from flextui.core.socket_client import Refused, SocketClient
from tests.unit.core_kit import WITHIN_S, Bench, bench, running
from tests.unit.fake_fleet import FakeNode, FakeSession, inventory

HELLO = wire.encode(wire.client_hello("test", None, None))


@contextlib.asynccontextmanager
async def raw(made: Bench, hello: bytes = HELLO) -> AsyncIterator[tuple[Any, Any]]:
    """A connection that speaks for itself."""
    path = str(made.running.server.path)
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    try:
        if hello:
            writer.write(hello)
            assert json.loads(await reader.readline())["t"] == "hello"
        yield reader, writer
    finally:
        writer.close()


async def said(reader: asyncio.StreamReader) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        line = await reader.readline()
    found: dict[str, Any] = json.loads(line)
    return found


async def still_serves(made: Bench) -> None:
    client = await SocketClient.connect(made.running.server.path)
    assert (await client.call(c.WhoAmI()))["uid"] == os.geteuid()
    await client.close()


# ── who gets in ────────────────────────────────────────────────────────────────────────────────


async def test_the_socket_is_private(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        status = made.running.server.path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert stat.S_IMODE(made.running.server.path.parent.stat().st_mode) == 0o700
    assert not made.fleet["n1"].session


CALLER = """
import asyncio, json, os, sys
from pathlib import Path
from flextui.core import commands as c
from flextui.core.socket_client import SocketClient
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # after the imports: they need root's files
async def main():
    client = await SocketClient.connect(Path(sys.argv[1]))
    print(json.dumps(await client.call(c.WhoAmI())))
    try:
        await client.call(c.Shutdown())
    except c.CommandError as error:
        print(error.code)
    await client.close()
asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
async def test_another_user_on_a_shared_socket_is_who_the_kernel_says(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as open_folder:
        os.chmod(open_folder, 0o755)
        path = Path(open_folder) / "flextui" / "lab.sock"
        options: dict[str, Any] = {"socket": path, "socket_group": "nogroup"}
        async with bench(tmp_path, inventory("n1"), FakeNode("n1"), **options):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
            caller = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CALLER, str(path), stdout=subprocess.PIPE
            )
            out, _ = await caller.communicate()
    me, denied = out.decode().splitlines()
    assert json.loads(me)["uid"] == 65534
    assert json.loads(me)["admin"] is False
    assert denied == "permission"


async def test_a_dead_core_s_socket_is_cleared_away_and_a_live_one_s_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    one = Server(path, None, lambda who: None, "")  # type: ignore[arg-type, return-value]
    await one.start()
    two = Server(path, None, lambda who: None, "")  # type: ignore[arg-type, return-value]
    with pytest.raises(SocketError, match="another core listens"):
        await two.start()
    await one.close()
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(SocketError, match="no socket"):
        await two.start()
    assert path.read_text() == "precious"


async def test_a_folder_that_is_closed_to_the_group_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    group = grp.getgrgid(os.getgid()).gr_name
    server = Server(folder / "s", group, lambda who: None, "")  # type: ignore[arg-type, return-value]
    with pytest.raises(SocketError, match=f"closed to the group {group}: `chgrp"):
        await server.start()
    folder.chmod(0o750)
    await server.start()
    await server.close()


async def test_an_unknown_group_is_said(tmp_path: Path) -> None:
    server = Server(tmp_path / "a" / "s", "no-such-group", lambda who: None, "")  # type: ignore[arg-type, return-value]
    with pytest.raises(SocketError, match="no group no-such-group"):
        await server.start()
    assert not (tmp_path / "a").exists()


async def test_another_version_or_inventory_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        path = made.running.server.path
        with pytest.raises(Refused, match=r"serves .*inventory.yaml, not /other.yaml"):
            await SocketClient.connect(path, inventory="/other.yaml", digest="x")
        client = await SocketClient.connect(path, inventory=made.running.info.inventory)
        await client.close()
        monkeypatch.setattr(wire, "client_hello", lambda *_: {"t": "hello", "wire": [9, 9]})
        with pytest.raises(Refused, match="install the same version"):
            await SocketClient.connect(path)


async def test_nobody_there_is_a_connection_error(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="no core listens"):
        await SocketClient.connect(tmp_path / "nothing")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    with pytest.raises(ConnectionError):
        await SocketClient.connect(tmp_path / "stale")
    with pytest.raises(ConnectionError):
        await SocketClient.connect(tmp_path / ("x" * 200))


@pytest.mark.parametrize(
    "asked",
    [
        {"t": "call", "name": "Show", "args": {"job": "j" + "9" * 25}},
        {"t": "call", "name": "Show", "args": {"job": "j" + "9" * 5000}},
        {"t": "call", "name": "Show", "args": {"job": "j²"}},
        {"t": "open", "stream": "events", "args": {"after": 1 << 70}},
        {"t": "open", "stream": "events", "args": {"after": "1"}},
        *({"t": "open", "stream": "logs", "args": {
            "job": "", "pieces": [{"attempt": it, "stream": "out"}]}}
          for it in ("j1.².1", "j1.0." + "9" * 5000, "j1.0", "../../etc")),
    ],
    ids=lambda it: str(it["args"])[:40],
)  # fmt: skip
async def test_names_and_numbers_that_nothing_can_have_are_wrong_input(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    async with (
        bench(tmp_path, inventory("n1"), FakeNode("n1")) as made,
        raw(made) as (reader, writer),
    ):
        writer.write(wire.encode({"id": 1, **asked}))
        answer = await said(reader)
        assert (answer["t"], answer["code"]) == ("error", "input"), answer


# ── who misbehaves ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"\xff\xfe\x00\n",
        b"[]\n",
        b'{"t":5}\n',
        b'{"t":"call"}\n',
        b'{"t":"call","id":"x"}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (wire.MAX_REQUEST + 10) + b"\n",
    ],
    ids=lambda it: repr(it[:20]),
)
@pytest.mark.parametrize("greeted", [True, False])
async def test_nonsense_is_answered_and_ends_only_that_connection(
    line: bytes, greeted: bool, tmp_path: Path
) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        async with raw(made, HELLO if greeted else b"") as (reader, writer):
            with contextlib.suppress(ConnectionError):
                writer.write(line)
                answer = await said(reader)
                assert answer["t"] == "refused"
                assert "protocol error" in answer["text"]
                assert await reader.read() == b""
        await still_serves(made)


async def test_a_wrong_request_is_an_error_of_that_request_alone(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"t": "call", "name": "Nonsense", "args": {}},
        {"t": "call", "name": "Stop", "args": {"jobs": 5}},
        {"t": "open", "stream": "nonsense"},
        {"t": "open", "stream": "logs", "args": {"job": 7}},
        {"t": "dance"},
    ]
    async with (
        bench(tmp_path, inventory("n1"), FakeNode("n1")) as made,
        raw(made) as (reader, writer),
    ):
        for key, request in enumerate(wrong):
            writer.write(wire.encode({**request, "id": key}))
            answer = await said(reader)
            assert (answer["t"], answer["id"], answer["code"]) == ("error", key, "input")
        writer.write(wire.encode({"t": "cancel", "id": 77}))
        writer.write(wire.encode({"t": "more", "id": 77, "n": -5}))
        writer.write(wire.encode({"t": "call", "id": 99, "name": "WhoAmI", "args": {}}))
        assert (await said(reader))["t"] == "result"


async def test_who_opens_too_much_at_once_is_dropped(tmp_path: Path) -> None:
    async with (
        bench(tmp_path, inventory("n1"), FakeNode("n1")) as made,
        raw(made) as (reader, writer),
    ):
        for key in range(connection.MAX_OPEN + 1):
            writer.write(wire.encode({"t": "open", "id": key, "stream": "events", "args": {}}))
        told = await said(reader)
        assert (told["t"], "too many requests" in told["text"]) == ("refused", True)
        await still_serves(made)


async def test_an_ended_job_of_somebody_elses_is_named_not_taken_for_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.adapters.store.RECENT", 0)
    bob = Identity("bob", 1002)
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        (job,) = await made.submit("name: work\nrun: exit 0\n")
        await made.until(lambda s: job in s.recent)
        await made.stop()
        await made.start()
        assert job not in made.snapshot.recent, "only the store has it"
        me = made.running.info.user
        assert (await made.running.client().call(c.Show("work")))["id"] == job
        with pytest.raises(CommandError, match=f"you have no job 'work'; there is {me}/work"):
            await made.running.client_for(bob).call(c.Show("work"))
        assert (await made.running.client_for(bob).call(c.Show(f"{me}/work")))["id"] == job


@pytest.mark.parametrize("limit", [-1, 0, 1])
async def test_a_list_has_at_least_one_line_and_is_never_endless(
    limit: int, tmp_path: Path
) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        for name in ("a", "b", "c"):
            await made.submit(f"name: {name}\nrun: sleep\nresources: {{cpus: 8}}\n")
        await made.until(running("j1"))
        client = made.running.client()
        assert len((await client.call(c.ListEvents(limit=limit)))["events"]) == 1
        assert len((await client.call(c.ListQueue(limit, forecast=False)))["queue"]) == 1


async def test_who_says_nothing_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HELLO_S", 0.05)
    async with (
        bench(tmp_path, inventory("n1"), FakeNode("n1")) as made,
        raw(made, b"") as (reader, _),
    ):
        assert "nothing was said" in (await said(reader))["text"]


async def test_who_does_not_read_is_dropped_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "UNREAD_S", 0.2)
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        async with raw(made) as (_, writer):
            for key in range(200):
                writer.write(wire.encode({"t": "call", "id": key, "name": "ListNodes", "args": {}}))
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await still_serves(made)
        async with asyncio.timeout(WITHIN_S):
            while tasks := made.running.server._tasks:
                await asyncio.wait(tasks)


async def test_a_stream_that_is_not_taken_stops_being_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log pieces wait at their source: neither core nor client piles them up."""
    told = 0

    async def endless(self: FakeSession, request: Any) -> AsyncIterator[LogEvent]:
        nonlocal told
        while True:
            told += 1
            yield {
                "kind": "data", "attempt": request.attempt, "node": "n1", "stream": "out",
                "at": told, "to": told + 1, "text": "x",
            }  # fmt: skip
            await asyncio.sleep(0)

    monkeypatch.setattr(FakeSession, "tail", endless)
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        (job,) = await made.submit("name: work\nrun: sleep\n")
        await made.until(lambda s: s.attempts[f"{job}.0.1"].started_at)
        client = await SocketClient.connect(made.running.server.path)
        pieces = client.logs(LogRequest(job))
        first = await anext(pieces)
        assert first["at"] == 1
        for _ in range(20):
            await client.call(c.WhoAmI())
        assert told <= wire.WINDOW + 2
        for _ in range(wire.WINDOW * 3):
            last = await anext(pieces)
        assert last["at"] == wire.WINDOW * 3 + 1
        await pieces.aclose()
        await client.call(c.WhoAmI())
        ended = told
        for _ in range(5):
            await client.call(c.WhoAmI())
        assert told == ended, "a cancelled stream goes on"
        await client.close()


async def test_many_clients_at_once(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1"), FakeNode("n1")) as made:
        clients = [await SocketClient.connect(made.running.server.path) for _ in range(50)]
        text = "name: work{}\nrun: exit 0\n"
        await asyncio.gather(
            *(it.call(c.Submit((c.Source("x", text.format(n)),))) for n, it in enumerate(clients))
        )
        await made.until(lambda s: not s.jobs)
        assert len(made.snapshot.recent) == 50
        assert sum(made.fleet.runs.values()) == 50
        await asyncio.gather(*(it.close() for it in clients))
