"""A byte stream to an agent with bounded buffers on both sides.

Transports (an SSH channel, a subprocess) push bytes in and are paused when nobody reads; the
channel pulls bytes out and stops writing when the transport says so. Both transports are the
same thing to everything above.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

HIGH_WATER = 256 * 1024
"""Bytes waiting to be read at which the transport is paused."""
LOW_WATER = 64 * 1024
STDERR_KEPT = 4096
"""The last bytes of stderr that are kept, to explain an agent that ends at once."""


class Wire(Protocol):
    """What a stream needs from its transport."""

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        """Drop the connection now; `lost` follows."""


class ByteStream:
    """Both directions of one channel; belongs to one event loop."""

    def __init__(self) -> None:
        self.stderr = b""
        self.exit_status: int | None = None
        self.error: BaseException | None = None
        """Why the transport broke, if it knows."""
        self.on_writable: Callable[[], None] | None = None
        self._wire: Wire | None = None
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._paused = False
        self._eof = False
        self._writable = True
        self._lost = asyncio.Event()
        self._readable = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    # ── the transport's side ───────────────────────────────────────────────────────────────────

    def attach(self, wire: Wire) -> None:
        self._wire = wire

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._waiting += len(data)
        self._readable.set()
        if self._waiting > HIGH_WATER and not self._paused and self._wire is not None:
            self._paused = True
            self._wire.pause_reading()

    def feed_stderr(self, data: bytes) -> None:
        self.stderr = (self.stderr + data)[-STDERR_KEPT:]

    def feed_eof(self) -> None:
        self._eof = True
        self._readable.set()

    def lost(self, error: BaseException | None) -> None:
        self.error = self.error or error
        self._eof = True
        self._lost.set()
        self._readable.set()
        self._drained.set()

    def pause_writing(self) -> None:
        self._writable = False
        self._drained.clear()

    def resume_writing(self) -> None:
        self._writable = True
        self._drained.set()
        if self.on_writable is not None:
            self.on_writable()

    # ── the reader's and writer's side ─────────────────────────────────────────────────────────

    @property
    def writable(self) -> bool:
        return self._writable and not self._lost.is_set()

    @property
    def closed(self) -> bool:
        return self._lost.is_set()

    async def read(self) -> bytes:
        """All bytes that wait, empty at the end of the stream."""
        while not self._chunks:
            if self._eof:
                return b""
            self._readable.clear()
            await self._readable.wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._waiting = 0
        if self._paused and self._wire is not None:
            self._paused = False
            self._wire.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """Put bytes back in front: what followed the part that was looked for."""
        if data:
            self._chunks.appendleft(data)
            self._waiting += len(data)
            self._readable.set()

    def write(self, data: bytes) -> None:
        if not self._lost.is_set() and self._wire is not None:
            self._wire.write(data)

    async def drain(self) -> None:
        """Wait until more may be written. Raises ConnectionError when the stream is gone."""
        await self._drained.wait()
        if self._lost.is_set():
            raise ConnectionResetError("the stream is closed")

    def abort(self) -> None:
        if self._wire is not None and not self._lost.is_set():
            self._wire.abort()

    async def wait_closed(self) -> None:
        await self._lost.wait()
