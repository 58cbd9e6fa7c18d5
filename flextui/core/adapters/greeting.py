"""From a fresh byte stream to a talking agent: loader, zipapp, hello; each failure has a reason."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from flextui.core.adapters import decode
from flextui.core.adapters.bootstrap import (
    BootAnswer,
    explain_boot_failure,
    loader_line,
    parse_answer,
)
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.lines import LineSplitter
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.zipapp import AgentZip
from flextui.core.model.state import Facts

CHUNK = 64 * 1024
"""The zipapp is written in pieces of this size: other nodes share the event loop."""
BOOT_S = 25.0
HELLO_S = 30.0
EXIT_S = 2.0
"""How long after its last output a command may take to tell its exit status."""
LINE_BOUND = 1 << 20
NOISE_BOUND = 8 << 20
HELLO_BOUND = 32 << 20
"""A hello lists every attempt that lies on the node; it may be longer than other lines."""

REFUSALS = {"state_unwritable": "disk"}
"""Codes of `refused` that have another name in events."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What booting and hello gave."""

    booted: BootAnswer
    noise: bytes
    """What the account's start-up files printed before the loader answered (its beginning)."""
    hello: dict[str, Any]
    facts: Facts


async def greet(stream: ByteStream, agent: AgentZip, hello: dict[str, Any]) -> Greeting:
    """Boot the agent and exchange hellos. Raises LinkFailure."""
    try:
        async with asyncio.timeout(BOOT_S):
            booted, noise = await _boot(stream, agent)
    except TimeoutError:
        raise LinkFailure(
            "shell",
            f"no Python answered within {BOOT_S:.0f} s of the login: do the account's start-up "
            "files wait for input, or does its home hang?",
            "shell",
        ) from None
    stream.write(json.dumps(hello, separators=(",", ":")).encode() + b"\n")
    try:
        async with asyncio.timeout(HELLO_S):
            answer = await _hello(stream)
    except TimeoutError:
        raise LinkFailure(
            "agent", f"the agent said no hello within {HELLO_S:.0f} s", "state"
        ) from None
    facts = decode.facts(answer, time.time())
    if facts is None:
        raise LinkFailure("agent", "the agent's hello lacks its host or its state folder", "state")
    return Greeting(booted, noise, answer, facts)


async def _boot(stream: ByteStream, agent: AgentZip) -> tuple[BootAnswer, bytes]:
    stream.write(loader_line(agent.sha256, agent.size))
    lines = LineSplitter(LINE_BOUND)
    noise = bytearray()
    seen = 0
    while data := await stream.read():
        seen += len(data)
        complete = lines.feed(data)
        for number, line in enumerate(complete):
            try:
                booted = parse_answer(line)
            except ValueError as error:
                raise LinkFailure("agent", str(error), "python") from error
            if booted is None:
                noise += (line + b"\n")[: 4096 - len(noise)]
                continue
            stream.unread(b"".join(rest + b"\n" for rest in complete[number + 1 :]) + lines.rest())
            if not booted.have:
                await _send(stream, agent.data)
            return booted, bytes(noise) + line.partition(b"\x1e")[0]
        if seen > NOISE_BOUND:
            raise LinkFailure(
                "shell",
                "the account's start-up files print without end: mend its rc files",
                "shell",
            )
    raise await _no_python(stream, bytes(noise) + lines.rest())


async def _send(stream: ByteStream, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            stream.write(bytes(view[:CHUNK]))
            view = view[CHUNK:]
            await stream.drain()
    except ConnectionError:
        raise await _ended(stream, "while the agent was sent") from None


async def _hello(stream: ByteStream) -> dict[str, Any]:
    """The agent's hello with all its attempts: those that didn't fit into its line follow it."""
    lines = LineSplitter(HELLO_BOUND)
    hello: dict[str, Any] = {}
    missing = 0
    others: list[bytes] = []
    seen = 0
    while data := await stream.read():
        seen += len(data)
        complete = lines.feed(data)
        for number, line in enumerate(complete):
            message = _message(line)
            kind = message.get("t")
            if not hello and kind == "refused":
                code, text = decode.complaint(message)
                raise LinkFailure(REFUSALS.get(code, code), text, "state")
            if not hello and kind == "hello":
                hello = message
                hello["attempts"], missing = decode.listed(message)
            elif hello and kind == "attempt":
                hello["attempts"].append(message)
                missing -= 1
            elif hello:
                others.append(line)
            if hello and missing <= 0:
                others += complete[number + 1 :]
                stream.unread(b"".join(line + b"\n" for line in others) + lines.rest())
                return hello
        if seen > HELLO_BOUND:
            raise LinkFailure("agent", f"the agent's hello is over {HELLO_BOUND} bytes", "state")
    raise await _ended(stream, "within its hello" if hello else "before its hello")


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


async def _no_python(stream: ByteStream, noise: bytes) -> LinkFailure:
    await _exited(stream)
    if stream.exit_status is None and stream.error is not None:
        return LinkFailure("closed", f"the connection broke: {stream.error}", "shell")
    said = (noise[-1024:] + b"\n" + stream.stderr).decode("utf-8", "replace")
    text = explain_boot_failure(stream.exit_status, said)
    lowered = said.lower()
    if stream.exit_status in (96, 97):
        return LinkFailure("python", text, "python")
    if "no space left" in lowered or "read-only file system" in lowered:
        return LinkFailure("disk", text, "python")
    if stream.exit_status is None and not said.strip():
        return LinkFailure("closed", text, "shell")
    return LinkFailure("shell", text, "shell")


async def _ended(stream: ByteStream, when: str) -> LinkFailure:
    """Why an agent that had started is gone."""
    await _exited(stream)
    said = stream.stderr.decode("utf-8", "replace").strip()
    if stream.exit_status is None and not said:
        return LinkFailure("closed", f"the connection broke {when}", "state")
    last = said.splitlines()[-1] if said else "nothing said"
    text = f"the agent ended {when} (exit status {stream.exit_status}): {last}"
    return LinkFailure("disk" if "no space left" in said.lower() else "agent", text, "state")


async def _exited(stream: ByteStream) -> None:
    try:
        async with asyncio.timeout(EXIT_S):
            await stream.wait_closed()
    except TimeoutError:
        return
