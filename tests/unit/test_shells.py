"""Who may run what where, and what passes to and fro, over both kinds of client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flextui.cli.shell import Escape, _split
from flextui.core import wire
from flextui.core.adapters.local_program import LocalProgram
from flextui.core.client import Client
from flextui.core.commands import CommandError, ListEvents, ShellRequest, WhoAmI
from flextui.core.model.docs import ShellInput
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import AttemptState, Identity
from flextui.core.ports import Program
from flextui.core.shells import _running
from flextui.core.socket_client import SocketClient
from tests.unit.core_kit import Bench, bench, running
from tests.unit.draft_kit import Book
from tests.unit.fake_fleet import FakeNode

EVE = Identity("eve", 4242)


class Told:
    """What a program is told."""

    def __init__(self, *inputs: ShellInput) -> None:
        self.queue: asyncio.Queue[ShellInput] = asyncio.Queue()
        for it in inputs:
            self.queue.put_nowait(it)

    async def inputs(self) -> AsyncGenerator[ShellInput, None]:
        while True:
            yield await self.queue.get()


def data(text: bytes) -> ShellInput:
    return {"kind": "data", "b64": base64.b64encode(text).decode()}


@contextlib.asynccontextmanager
async def core(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A core over one fake node, on which programs run here."""
    inventory = Inventory.model_validate({"nodes": [{"host": "n1"}]})
    async with bench(folder, inventory, FakeNode("n1")) as made:
        session = made.running.engine.sessions["n1"]

        async def run(program: Program) -> LocalProgram:
            return await LocalProgram.start(list(program.argv) or ["/bin/sh"], program)

        monkeypatch.setattr(session, "run", run, raising=False)
        yield made


async def client(made: Bench, kind: str) -> Client:
    if kind == "embedded":
        return made.running.client()
    return await SocketClient.connect(made.running.server.path)


async def talk(to: Client, request: ShellRequest, told: Told) -> dict[str, Any]:
    """All that a program says, and its end."""
    said: dict[str, Any] = {"out": b"", "err": b""}
    async with asyncio.timeout(30):
        async for event in to.shell(request, told.inputs()):
            if event["kind"] in ("out", "err"):
                said[event["kind"]] += base64.b64decode(event["b64"])
            said[event["kind"] + "!"] = event
    return said


@pytest.mark.parametrize("kind", ["embedded", "socket"])
async def test_streams_and_status_pass(
    tmp_path: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    async with core(state_dir, monkeypatch) as made:
        to = await client(made, kind)
        request = ShellRequest(node="n1", argv=("sh", "-c", "cat; echo no >&2; exit 7"))
        blob = bytes(range(256)) * 4000
        pieces = [data(blob[at : at + 8000]) for at in range(0, len(blob), 8000)]
        said = await talk(to, request, Told(*pieces, {"kind": "end"}))
        assert said["out"] == blob
        assert said["err"] == b"no\n"
        assert said["exit!"]["status"] == 7
        await to.close()


@pytest.mark.parametrize("kind", ["embedded", "socket"])
async def test_a_terminal_has_a_size_and_takes_ctrl_c(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    async with core(state_dir, monkeypatch) as made:
        to = await client(made, kind)
        code = "trap 'echo caught; stty size; exit 3' INT; stty size; echo up; sleep 1000 & wait"
        request = ShellRequest(node="n1", argv=("sh", "-c", code), term="xterm", columns=91,
                               lines=31)  # fmt: skip
        told, said = Told(), b""
        async with asyncio.timeout(30):
            async for event in to.shell(request, told.inputs()):
                if event["kind"] == "out":
                    said += base64.b64decode(event["b64"])
                    if said.endswith(b"up\r\n"):
                        told.queue.put_nowait({"kind": "size", "columns": 70, "lines": 20})
                        told.queue.put_nowait(data(b"\x03"))
                if event["kind"] == "exit":
                    assert event["status"] == 3
        assert b"31 91\r\nup" in said
        assert b"caught\r\n20 70" in said
        await to.close()


@pytest.mark.parametrize("term", ["", "xterm"])
async def test_what_the_core_ignores_the_program_hears(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    """As where the core was started in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        async with core(state_dir, monkeypatch) as made:
            code = "trap 'exit 3' INT; kill -INT $$; exit 4"
            request = ShellRequest(node="n1", argv=("sh", "-c", code), term=term)
            said = await talk(made.running.client(), request, Told())
            assert said["exit!"]["status"] == 3
    finally:
        signal.signal(signal.SIGINT, before)


async def test_leaving_ends_the_program(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with core(state_dir, monkeypatch) as made:
        note = tmp_path / "ended"
        code = f"trap 'echo hup > {note}; exit' HUP; echo up; while :; do sleep 0.05; done"
        request = ShellRequest(node="n1", argv=("sh", "-c", code), term="xterm")
        events = made.running.client().shell(request, Told().inputs())
        async with asyncio.timeout(30), contextlib.aclosing(events) as shown:  # type: ignore[type-var]
            async for event in shown:
                if event["kind"] == "out":
                    break
        assert note.read_text() == "hup\n", "it heard so before the session was over"


async def test_who_may(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with core(state_dir, monkeypatch) as made:
        (job,) = await made.submit("name: train\nrun: sleep 1000\nresources: {cpus: 1}\n")
        await made.until(running(job))
        eve, mine = made.running.client_for(EVE), made.running.client()
        for request, code in (
            (ShellRequest(node="n1"), "permission"),
            (ShellRequest(job=job), "permission"),
        ):
            with pytest.raises(CommandError) as refused:
                await talk(eve, request, Told())
            assert refused.value.code == code
        for request in (
            ShellRequest(node="n9"),
            ShellRequest(job="nobody"),
            ShellRequest(job=job, task=4),
            ShellRequest(node="n1", term="xterm; rm"),
            ShellRequest(node="n1", argv=("x" * 70_000,)),
            ShellRequest(node="n1", argv=("echo", "a\0b")),
        ):
            with pytest.raises(CommandError) as refused:
                await talk(mine, request, Told())
            assert refused.value.code == "input", request
        assert (await talk(mine, ShellRequest(job=job, argv=("true",)), Told()))["exit!"]
        events = (await mine.call(ListEvents(audit=True)))["events"]
        assert [it["text"] for it in events if it["kind"] == "audit.exec"] == [
            f"{made.running.info.user}/train: true in {job}.0.1"
        ]


def test_only_what_runs_and_was_not_replaced_is_entered() -> None:
    book = Book()
    job = book.submit("train", tasks=2)
    first = book.start(job, "n1-0")
    second = book.start(job, "n1-1", index=1)
    assert _running(book.later(0.0), job, -1) == first
    book.draft.put_attempt(replace(first, replaced=True))
    assert _running(book.later(0.0), job, -1) == second
    with pytest.raises(CommandError, match="task 0 of ann/train isn't running now") as failed:
        _running(book.later(0.0), job, 0)
    assert failed.value.code == "failed"
    book.draft.put_attempt(replace(second, state=AttemptState.UNKNOWN))
    with pytest.raises(CommandError, match="ann/train isn't running now"):
        _running(book.later(0.0), job, -1)


async def test_a_program_that_reads_nothing_holds_up_nobody(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with core(state_dir, monkeypatch) as made:
        to = await SocketClient.connect(made.running.server.path)
        told = Told(*(data(b"x" * 8000) for _ in range(500)))
        request = ShellRequest(node="n1", argv=("sh", "-c", "echo up; exec sleep 1000"))
        events = to.shell(request, told.inputs())
        async with asyncio.timeout(30):
            async for event in events:
                if event["kind"] == "out":
                    break
            assert (await to.call(WhoAmI()))["user"]
        await to.close()


@pytest.mark.parametrize("kind", ["embedded", "socket"])
async def test_a_signal_waits_for_no_byte_that_nobody_reads(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    async with core(state_dir, monkeypatch) as made:
        to = await client(made, kind)
        code = "trap 'exit 3' INT; echo up; while :; do sleep 0.05; done"
        told = Told(*(data(b"x" * 16_000) for _ in range(60)))
        async with asyncio.timeout(30):
            async for event in to.shell(ShellRequest(node="n1", argv=("sh", "-c", code)),
                                        told.inputs()):  # fmt: skip
                if event["kind"] == "out":
                    told.queue.put_nowait({"kind": "signal", "name": "INT"})
                if event["kind"] == "exit":
                    assert event["status"] == 3
        await to.close()


async def test_who_tells_a_program_more_than_it_takes_is_dropped(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with core(state_dir, monkeypatch) as made:
        path = str(made.running.server.path)
        reader, writer = await asyncio.open_unix_connection(path)
        shell = {"t": "open", "id": 1, "stream": "shell",
                 "args": {"node": "n1", "argv": ["sleep", "1000"]}}  # fmt: skip
        more = {"t": "input", "id": 1, "value": {"kind": "data", "b64": ""}}
        lines = [wire.client_hello("test", None, None), shell, *([more] * 1000)]
        writer.writelines(map(wire.encode, lines))
        async with asyncio.timeout(10):
            *_, last = [json.loads(line) async for line in reader]
        assert last["t"] == "refused"
        assert "more input than the program has taken" in last["text"]
        writer.close()


def test_the_escape_is_found_after_enter_alone() -> None:
    assert Escape().found(b"~.")
    escape = Escape()
    assert not escape.found(b"ls ~.")
    assert not escape.found(b"\r")
    assert not escape.found(b"~")
    assert escape.found(b".")


@pytest.mark.parametrize(
    ("text", "job"), [("train", ("train", -1)), ("bob/train:2", ("bob/train", 2))]
)
def test_a_task_is_named_after_a_colon(text: str, job: tuple[str, int]) -> None:
    assert _split(text) == job
