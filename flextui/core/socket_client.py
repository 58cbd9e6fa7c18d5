"""The client of a core in another process: over a Unix socket, or any pair of streams."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from flextui import __version__
from flextui.core import wire
from flextui.core.client import CoreInfo
from flextui.core.refusal import CommandError
from flextui.core.wire import Message, WireError

if TYPE_CHECKING:  # slow to import
    from flextui.core.commands import Command, LogRequest, ShellRequest
    from flextui.core.model.docs import Delta, EventDoc, LogEvent, ShellEvent, ShellInput

HELLO_S = 10.0
_TAKEN = wire.WINDOW // 4
"""Items taken before more are asked for."""


class Refused(CommandError):
    """The core is of another version or serves another inventory; nothing was asked of it."""

    def __init__(self, text: str) -> None:
        super().__init__("input", text)


class SocketClient:
    """A `Client` over one connection, which it owns. Make it with `connect` or `over`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        info: CoreInfo,
        ended: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._info = info
        self._ended = ended
        self._last = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._streams: dict[int, asyncio.Queue[Message | None]] = {}
        self._broken: str | None = None
        self._task = asyncio.get_running_loop().create_task(self._read(), name="client")

    @classmethod
    async def connect(
        cls, path: Path, *, inventory: str | None = None, digest: str | None = None
    ) -> Self:
        """To the core that listens at `path`.

        `inventory` is the path the caller insists on, `digest` its fingerprint. Raises `Refused`,
        and `ConnectionError` when nobody listens there.
        """
        try:
            streams = await asyncio.open_unix_connection(str(path), limit=wire.MAX_REPLY)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ConnectionError(f"no core listens at {path}: {why}") from error
        return await cls.over(*streams, inventory=inventory, digest=digest)

    @classmethod
    async def over(
        cls,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        inventory: str | None = None,
        digest: str | None = None,
        ended: Callable[[], Awaitable[None]] | None = None,
    ) -> Self:
        """Over streams that lead to a core. `ended` is awaited when the client is closed."""
        try:
            writer.write(wire.encode(wire.client_hello(__version__, inventory, digest)))
            async with asyncio.timeout(HELLO_S):
                line = await reader.readline()
            if not line:
                raise ConnectionError("the core closed the connection")
            message = wire.decode(line)
            if message["t"] == "refused":
                raise Refused(str(message.get("text", "")))
            return cls(reader, writer, wire.info_of(message), ended)
        except BaseException as error:
            writer.close()
            if isinstance(error, WireError | TimeoutError | ValueError):
                raise ConnectionError(f"no flextui core answers there: {error}") from error
            raise

    # ── Client ─────────────────────────────────────────────────────────────────────────────────

    @property
    def info(self) -> CoreInfo:
        return self._info

    async def call(self, command: Command) -> dict[str, Any]:
        key = self._next()
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[key] = future
        try:
            await self._send({"t": "call", "id": key, **wire.command_message(command)})
            return await future
        finally:
            self._answers.pop(key, None)

    async def watch(self) -> AsyncGenerator[Delta, None]:
        async with contextlib.aclosing(self._stream("watch", {})) as items:
            async for item in items:
                yield item

    async def logs(self, request: LogRequest) -> AsyncGenerator[LogEvent, None]:
        args = dataclasses.asdict(request)
        async with contextlib.aclosing(self._stream("logs", args)) as items:
            async for item in items:
                yield item

    async def shell(
        self, request: ShellRequest, inputs: AsyncIterator[ShellInput]
    ) -> AsyncGenerator[ShellEvent, None]:
        credit = asyncio.Semaphore(wire.WINDOW)

        async def feed(key: int) -> None:
            async for it in inputs:
                if it["kind"] == "data":
                    await credit.acquire()
                await self._send({"t": "input", "id": key, "value": it})

        args = dataclasses.asdict(request)
        async with contextlib.aclosing(self._stream("shell", args, feed)) as items:
            async for item in items:
                if item["kind"] == "taken":
                    credit.release()
                yield item

    async def events(self, *, after: int | None = None) -> AsyncGenerator[EventDoc, None]:
        async with contextlib.aclosing(self._stream("events", {"after": after})) as items:
            async for item in items:
                yield item

    async def close(self) -> None:
        self._broken = self._broken or "the client was closed"
        self._writer.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self._ended is not None:
            await self._ended()

    # ── the connection ─────────────────────────────────────────────────────────────────────────

    async def _stream(
        self,
        stream: str,
        args: Mapping[str, Any],
        feed: Callable[[int], Coroutine[Any, Any, None]] | None = None,
    ) -> AsyncGenerator[Any, None]:
        key = self._next()
        feeding: asyncio.Task[None] | None = None
        queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._streams[key] = queue
        taken = 0
        try:
            await self._send({"t": "open", "id": key, "stream": stream, "args": dict(args)})
            if feed is not None:
                feeding = asyncio.get_running_loop().create_task(feed(key))
            while True:
                message = await queue.get()
                if message is None:
                    raise ConnectionError(self._broken or "the core went away")
                if message["t"] == "error":
                    raise wire.error_of(message)
                if message["t"] == "end":
                    return
                yield message.get("value")
                taken += 1
                if taken == _TAKEN:
                    await self._send({"t": "more", "id": key, "n": taken})
                    taken = 0
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            self._streams.pop(key, None)
            if self._broken is None:
                self._writer.write(wire.encode({"t": "cancel", "id": key}))

    def _next(self) -> int:
        if self._broken is not None:
            raise ConnectionError(self._broken)
        self._last += 1
        return self._last

    async def _send(self, message: Message) -> None:
        if self._broken is not None:
            raise ConnectionError(self._broken)
        self._writer.write(wire.encode(message))
        await self._writer.drain()

    async def _read(self) -> None:
        """Hand out what arrives until the core goes away."""
        why = "the core went away"
        try:
            while line := await self._reader.readline():
                self._take(wire.decode(line))
        except (ConnectionError, WireError, ValueError) as error:
            why = f"the core went away: {error}"
        finally:
            self._broken = self._broken or why
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(ConnectionError(self._broken))
            for queue in self._streams.values():
                queue.put_nowait(None)

    def _take(self, message: Message) -> None:
        if message["t"] == "refused":
            raise WireError(str(message.get("text")))
        key = message.get("id")
        if not isinstance(key, int):
            return
        if key in self._streams:
            self._streams[key].put_nowait(message)
        future = self._answers.get(key)
        if future is None or future.done():
            return
        if message["t"] == "result":
            future.set_result(message.get("value") or {})
        else:
            future.set_exception(wire.error_of(message))
