"""Framing of the channel to the core, and the order in which things leave.

Logs can be endless and telemetry is regular, but an exit must never wait behind them: the outbox
sends control first, then the newest telemetry, and asks for log bytes only when nothing else is
left. So its memory is bounded without a limit on what a workload prints.
"""

from __future__ import annotations

import os

from . import fastjson
from .light import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, Dict, Iterator, List, Optional

    Message = Dict[str, Any]

FROM_CORE = 1 << 20
"""Longest line that the core may send, in bytes."""

TO_CORE = 256 << 10
"""Longest line that the agent sends, in bytes."""


def encode(message: Message) -> bytes:
    """One message as a line. Text that is not valid Unicode loses the offending characters."""
    return fastjson.dumps(message).encode("utf-8", "replace") + b"\n"


class Wrong(Exception):
    """A request that can't be done: the wire's code and a text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def error(self) -> Message:
        """The answer, but for the request's id."""
        return {"t": "error", "code": self.code, "text": self.text}


class LineTooLong(ValueError):
    """The peer sent a line beyond the agreed bound."""


class Lines:
    """Cuts a byte stream into lines of at most `limit` bytes."""

    def __init__(self, limit: int = FROM_CORE) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what arrived and yield each line that is complete, without its end.

        Raises LineTooLong once the unfinished line is over the bound.
        """
        self._buffer += data
        *whole, rest = self._buffer.split(b"\n")
        self._buffer = rest
        for line in whole:
            if line.strip():
                yield bytes(line)
        if len(rest) > self._limit:
            raise LineTooLong("a line is longer than %d bytes" % self._limit)


class Outbox:
    """What waits to be written to one non-blocking descriptor, by importance."""

    def __init__(self, fd: int, more: Callable[[], Optional[Message]]) -> None:
        """Write to `fd`; `more` gives the next log message or None, asked only when idle."""
        self._fd = fd
        self._more = more
        self._control: Deque[bytes] = deque()
        self._telemetry: Optional[bytes] = None
        self._partial = b""

    def push(self, message: Message) -> None:
        """Queue an answer or an event: nothing of it is ever dropped."""
        self._control.append(encode(message))

    def telemetry(self, message: Message) -> None:
        """Queue a sample; one that was not sent yet is replaced."""
        self._telemetry = encode(message)

    def flush(self, control_only: bool = False) -> bool:
        """Write what the descriptor takes. True: something is left and it would block.

        Raises OSError when the other end is gone.
        """
        while True:
            data = self._partial or (self._batch() if control_only else self._next())
            if not data:
                return False
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                self._partial = data
                return True
            self._partial = data[sent:]

    def _next(self) -> bytes:
        if self._control:
            return self._batch()
        if self._telemetry is not None:
            data, self._telemetry = self._telemetry, None
            return data
        message = self._more()
        return b"" if message is None else encode(message)

    def _batch(self) -> bytes:
        """As much of the control queue as is worth one write."""
        parts: List[bytes] = []
        size = 0
        while self._control and size < 65536:
            parts.append(self._control.popleft())
            size += len(parts[-1])
        return b"".join(parts)
