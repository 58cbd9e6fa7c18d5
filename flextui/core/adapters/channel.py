"""JSON lines between the core and one agent: requests with answers, pushes, tailed logs.

Everything here is bounded. What the agent sends is cut into lines of at most 256 KiB and handled
as it comes; what waits to be sent is bounded too, and leaves in order of importance: control
before log traffic. A tail never holds more than its credit, which the reader renews by reading.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from flextui.core.adapters.lines import LineSplitter
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.tail import Tail

TO_AGENT = 1 << 20
"""Longest line that the core may send, in bytes."""
FROM_AGENT = 256 * 1024
"""Longest line that an agent may send, in bytes."""
QUEUE_BOUND = 8 << 20
"""Bytes waiting for an agent that doesn't read, after which the link is given up."""
BATCH = 64 * 1024
NONSENSE_BOUND = 1000
"""Lines of one link that may be no messages before it is given up."""
TAIL_TYPES = frozenset({"log", "gap", "eof", "hits", "notice"})

Message = dict[str, Any]


class MessageTooLong(ValueError):
    """The message doesn't fit into one line of the wire."""


class Channel:
    """One agent, from its boot to the end of its stream; belongs to one event loop."""

    def __init__(self, stream: ByteStream, on_push: Callable[[Message], None]) -> None:
        self._stream = stream
        self._on_push = on_push
        self._loop = asyncio.get_running_loop()
        self._lines = LineSplitter(FROM_AGENT)
        self._next_id = 0
        self._pending: dict[int, tuple[asyncio.Future[Message], float]] = {}
        self._tails: dict[int, Tail] = {}
        self._control: deque[bytes] = deque()
        self._bulk: deque[bytes] = deque()
        self._queued = 0
        self._flushing = False
        self._nonsense = 0
        self.broken = ""
        """Why this side gave the link up, empty if it didn't."""
        self.last_heard = self._loop.time()
        self.last_said = self.last_heard
        stream.on_writable = self._flush

    # ── sending ────────────────────────────────────────────────────────────────────────────────

    def request(self, message: Message) -> asyncio.Future[Message]:
        """Send with an id; the future gets the agent's `ok` or `error`, or ConnectionError.

        Raises MessageTooLong.
        """
        self._next_id += 1
        future: asyncio.Future[Message] = self._loop.create_future()
        self._send({**message, "id": self._next_id}, self._control)
        if self._stream.closed or self.broken:
            future.set_exception(ConnectionResetError("the link is closed"))
        else:
            self._pending[self._next_id] = (future, self._loop.time())
        return future

    def notify(self, message: Message, *, bulk: bool = False) -> None:
        """Send what has no answer; `bulk` lets control pass. Raises MessageTooLong."""
        self._send(message, self._bulk if bulk else self._control)

    def ping(self) -> None:
        """Ask for a sign of life; its answer is the sign."""
        self.request({"t": "ping"}).add_done_callback(lambda done: done.exception())

    def _send(self, message: Message, lane: deque[bytes]) -> None:
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if len(line) > TO_AGENT:
            raise MessageTooLong(f"{len(line)} bytes, at most {TO_AGENT} can be sent to a node")
        if self._stream.closed or self.broken:
            return
        lane.append(line)
        self._queued += len(line)
        if self._queued > QUEUE_BOUND:
            self.give_up("the agent doesn't read what it is sent")
        elif not self._flushing and self._stream.writable:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        while self._queued and self._stream.writable:
            parts = []
            size = 0
            while size < BATCH and (lane := self._control or self._bulk):
                parts.append(lane.popleft())
                size += len(parts[-1])
            self._queued -= size
            self.last_said = self._loop.time()
            self._stream.write(b"".join(parts))

    # ── receiving ──────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Handle what the agent sends until the stream ends, then fail what is pending."""
        try:
            while data := await self._stream.read():
                self.last_heard = self._loop.time()
                for line in self._lines.feed(data):
                    self._handle(line)
                if self._lines.dropped + self._nonsense > NONSENSE_BOUND:
                    self.give_up("the agent sends nonsense")
                    break
                await asyncio.sleep(0)  # a flood from one node mustn't starve the others
        finally:
            self._fail_pending()

    def _handle(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._nonsense += bool(line.strip())
            return
        if not isinstance(message, dict):
            self._nonsense += 1
            return
        kind = message.get("t")
        if kind in ("ok", "error"):
            self._answer(message)
        elif kind in TAIL_TYPES:
            sub = message.get("sub")
            tail = self._tails.get(sub) if isinstance(sub, int) else None
            if tail is not None:
                tail.receive(message)
        else:
            self._on_push(message)

    def _answer(self, message: Message) -> None:
        number = message.get("id")
        entry = self._pending.pop(number, None) if isinstance(number, int) else None
        if entry is not None and not entry[0].done():
            entry[0].set_result(message)

    def _fail_pending(self) -> None:
        pending, self._pending = self._pending, {}
        for future, _ in pending.values():
            if not future.done():
                future.set_exception(ConnectionResetError("the link broke"))
                future.exception()  # a caller that is gone by now needn't hear of it
        tails, self._tails = self._tails, {}
        for tail in tails.values():
            tail.break_off()

    # ── tails ──────────────────────────────────────────────────────────────────────────────────

    def open_tail(self, tail: Tail) -> int:
        """Route pushes of a new subscription to `tail`; returns its number."""
        self._next_id += 1
        self._tails[self._next_id] = tail
        return self._next_id

    def close_tail(self, sub: int) -> None:
        """Forget a subscription and tell the agent."""
        if self._tails.pop(sub, None) is not None:
            self.notify({"t": "untail", "sub": sub}, bulk=True)

    # ── state ──────────────────────────────────────────────────────────────────────────────────

    @property
    def tailing(self) -> bool:
        return bool(self._tails)

    def oldest_request_age(self) -> float:
        """Seconds since the request that has waited longest for its answer, 0.0 without one."""
        for _, since in self._pending.values():
            return self._loop.time() - since
        return 0.0

    def give_up(self, why: str) -> None:
        """Drop the link; run() ends soon after."""
        self.broken = self.broken or why
        self._control.clear()
        self._bulk.clear()
        self._queued = 0
        self._stream.abort()
