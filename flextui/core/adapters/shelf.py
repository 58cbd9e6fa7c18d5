"""Reads copies of logs through a process of their own, which speaks as an agent does.

It begins when a copy is asked for and ends when none has been for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import flextui
from flextui.core.adapters.channel import Channel
from flextui.core.adapters.local import Pipes
from flextui.core.adapters.logreader import LogReader
from flextui.core.adapters.stream import ByteStream
from flextui.core.model.docs import LogEvent
from flextui.core.ports import LogAsk

IDLE_S = 30.0
PING_S = 10.0
_RUN = "import sys; sys.path.insert(0, sys.argv[2]); from flextui.agent.shelf import main; "
_RUN += "sys.exit(main(sys.argv[1]))"


class Shelf:
    """A folder of copies; belongs to one event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs = LogReader("copy")
        self._channel: Channel | None = None
        self._begun = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def read(self, request: LogAsk) -> AsyncGenerator[LogEvent, None]:
        """What is kept of it, until eof. Raises ConnectionError where it can't be read."""
        async with self._begun:
            channel = self._channel or await self._begin()
        async with contextlib.aclosing(self._logs.read(channel, request)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """End the process."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _begin(self) -> Channel:
        loop = asyncio.get_running_loop()
        stream = ByteStream()
        package = str(Path(flextui.__file__).parent.parent)
        argv = (sys.executable, "-I", "-c", _RUN, str(self._folder), package)
        try:
            await loop.subprocess_exec(lambda: Pipes(stream), *argv, start_new_session=True)
        except OSError as error:
            raise ConnectionError(f"copies of logs can't be read: {error.strerror}") from error
        channel = Channel(stream, lambda message: None)
        self._channel = channel
        self._task = loop.create_task(self._serve(channel, stream), name="copies of logs")
        return channel

    async def _serve(self, channel: Channel, stream: ByteStream) -> None:
        idle = asyncio.get_running_loop().create_task(self._until_idle(channel))
        try:
            await channel.run()
        finally:
            idle.cancel()
            self._channel = None
            stream.abort()

    async def _until_idle(self, channel: Channel) -> None:
        quiet = 0.0
        while quiet < IDLE_S:
            await asyncio.sleep(PING_S)
            quiet = 0.0 if channel.tailing else quiet + PING_S
            channel.ping()
        channel.give_up("nobody reads")
