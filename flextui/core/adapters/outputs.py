"""What a program prints on its streams, as it comes, whatever they are read from: pipes, a
pseudo-terminal, an SSH channel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Literal, Protocol

CHUNK = 32 * 1024
WAITING = 4
"""Pieces that wait for a slow reader; then the program waits."""

Stream = Literal["out", "err"]


class Reader(Protocol):
    """One stream."""

    async def read(self, n: int, /) -> bytes:
        """The next bytes; none at its end."""
        ...


async def outputs(
    readers: Mapping[Stream, Reader], *ends: type[Exception]
) -> AsyncGenerator[tuple[Stream, bytes], None]:
    """Until all have ended; `ends` are errors that end a stream like any other end."""
    pieces: asyncio.Queue[tuple[Stream, bytes]] = asyncio.Queue(WAITING)

    async def copy(stream: Stream, reader: Reader) -> None:
        with contextlib.suppress(*ends):
            while data := await reader.read(CHUNK):
                await pieces.put((stream, data))
        await pieces.put((stream, b""))

    copies = [asyncio.create_task(copy(*it)) for it in readers.items()]
    left = len(copies)
    try:
        while left:
            stream, data = await pieces.get()
            if data:
                yield stream, data
            else:
                left -= 1
    finally:
        for task in copies:
            task.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
