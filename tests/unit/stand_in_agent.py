"""An agent in memory, as far as the wire shows it: what unit tests of the link talk to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.pacer import Turn
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.transport import Finding

Message = dict[str, Any]


def hello(**changes: Any) -> Message:
    """A sound hello of an agent, with changes."""
    return {
        "t": "hello",
        "v": 1,
        "agent": "0.1.0",
        "host_id": "0123456789abcdef-1000",
        "boot": "b.1.1",
        "granted": True,
        "driver": None,
        "root": {"path": "/home/lab/.local/state/flextui", "id": "r1", "state": "ok"},
        "host": {
            "hostname": "gpu1",
            "user": "lab",
            "uid": 1000,
            "cpus": 8,
            "memory_bytes": 1 << 34,
        },
        "attempts": [],
    } | changes


class StandInAgent:
    """Answers the loader and hello; `on_message` sees everything after that."""

    def __init__(
        self,
        *,
        before: bytes = b"",
        have: bool = True,
        answer: Message | None = None,
        on_message: Callable[[StandInAgent, Message], None] | None = None,
    ) -> None:
        self.stream = ByteStream()
        self.stream.attach(self)
        self.received: list[Message] = []
        self.zip_bytes = b""
        self.paused = False
        self._before = before
        self._have = have
        self._answer = answer or hello()
        self._on_message = on_message
        self._booted = False
        self._greeted = False
        self._size = 0
        self._buffer = b""

    # the stream's wire

    def write(self, data: bytes) -> None:
        self._buffer += data
        while b"\n" in self._buffer or (self._size and self._buffer):
            if self._size:
                taken, self._buffer = self._buffer[: self._size], self._buffer[self._size :]
                self.zip_bytes += taken
                self._size -= len(taken)
                continue
            line, _, self._buffer = self._buffer.partition(b"\n")
            self._line(line)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.stream.lost(None)

    # the agent

    def _line(self, line: bytes) -> None:
        if not self._booted:
            self._booted = True
            size = line.partition(b"SIZE=")[2].partition(b";")[0]
            self._size = 0 if self._have else int(size)
            boot = {"have": self._have, "python": "3.8.18", "cache": "/c", "text": ""}
            self.stream.feed(
                self._before + b"\x1eflextui-boot " + json.dumps(boot).encode() + b"\n"
            )
            return
        message = json.loads(line)
        self.received.append(message)
        if not self._greeted:
            self._greeted = True
            self.say(self._answer)
        elif self._on_message is not None:
            self._on_message(self, message)
        if message["t"] == "bye":
            self.end()

    def say(self, message: Message) -> None:
        self.stream.feed(json.dumps(message).encode() + b"\n")

    def end(self) -> None:
        """The agent's process is gone."""
        self.stream.feed_eof()
        self.stream.lost(None)


class StandInTransport:
    """Hands out the agents of `make`, or raises the LinkFailure it returns."""

    def __init__(self, make: Callable[[], StandInAgent | LinkFailure]) -> None:
        self._make = make
        self.agents: list[StandInAgent] = []
        self.tries = 0
        self.opened = asyncio.Event()

    async def open(self, turn: Turn) -> ByteStream:
        await turn.take()
        self.tries += 1
        self.opened.set()
        made = self._make()
        if isinstance(made, LinkFailure):
            raise made
        self.agents.append(made)
        return made.stream

    def findings(self) -> list[Finding]:
        return [Finding("reach", True, "in memory")]

    def core_boot(self) -> None:
        return None

    async def close(self) -> None:
        return None
