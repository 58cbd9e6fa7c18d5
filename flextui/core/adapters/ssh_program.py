"""A program on a node over an SSH connection of its own: somebody's terminal holds up nothing
else, and nothing else holds up the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals
from collections.abc import AsyncIterator
from typing import Any

import asyncssh

from flextui.core.adapters.outputs import Reader, Stream, outputs
from flextui.core.ports import Program

CLOSE_S = 2.0


async def started(
    connection: asyncssh.SSHClientConnection, command: str | None, program: Program
) -> Any:
    """The process of a command; None: the account's login shell. Raises asyncssh.Error."""
    return await connection.create_process(
        command,
        encoding=None,
        request_pty="force" if program.term else False,
        term_type=program.term or None,
        term_size=(program.columns, program.lines),
    )


class SshProgram:
    """A RunningProgram that owns its connection."""

    def __init__(self, connection: asyncssh.SSHClientConnection, process: Any) -> None:
        self._connection = connection
        self._process = process

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """Both streams as they come."""
        both: dict[Stream, Reader] = {"out": self._process.stdout, "err": self._process.stderr}
        return outputs(both, asyncssh.Error, OSError)

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    def end_input(self) -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.stdin.write_eof()

    def resize(self, columns: int, lines: int) -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.change_terminal_size(columns, lines)

    def signal(self, name: str) -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.send_signal(name)

    async def wait(self) -> int:
        await self._process.wait_closed()
        if self._process.exit_status is not None and self._process.exit_status >= 0:
            return int(self._process.exit_status)
        if self._process.exit_signal is not None:
            return 128 + int(getattr(signals, f"SIG{self._process.exit_signal[0]}", 0))
        raise ConnectionError("the connection broke")

    async def close(self) -> None:
        if self._process.exit_status is None:
            self.signal("HUP")
        self._process.close()
        self._connection.close()
        with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
            async with asyncio.timeout(CLOSE_S):
                await self._connection.wait_closed()
        self._connection.abort()
