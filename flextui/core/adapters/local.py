"""Transport `local`: the same agent as a subprocess, so that this machine is a node like others."""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from typing import Any, cast

from flextui.agent import procs, root
from flextui.core.adapters.bootstrap import local_argv
from flextui.core.adapters.enter import entering, local_entry
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.local_program import LocalProgram
from flextui.core.adapters.pacer import Turn
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.transport import Finding
from flextui.core.ports import Program, RunningProgram


class LocalTransport:
    """Runs the loader with this core's own Python, in a session of its own."""

    def __init__(self, python: str | None = None) -> None:
        """`python` runs the agent; None: the one that runs this core."""
        self._argv = local_argv(python)

    async def open(self, turn: Turn) -> ByteStream:
        await turn.take()
        if not sys.platform.startswith("linux"):
            raise LinkFailure("python", "nodes run Linux: this machine can only be the head")
        loop = asyncio.get_running_loop()
        stream = ByteStream()
        try:
            # Its own session: a Ctrl-C in the terminal is the core's alone.
            await loop.subprocess_exec(
                lambda: Pipes(stream), *self._argv, start_new_session=True, cwd="/"
            )
        except OSError as error:
            raise LinkFailure("python", f"{self._argv[0]}: {error.strerror}", "python") from error
        return stream

    async def run(self, turn: Turn, program: Program, core_id: str) -> RunningProgram:
        return await LocalProgram.start(_argv(program, core_id, self._argv[0]), program)

    def findings(self) -> list[Finding]:
        return [Finding("reach", True, "this machine")]

    def core_boot(self) -> dict[str, Any] | None:
        pid = os.getpid()
        return {"boot": root.boot(), "pid": pid, "ticks": procs.ticks(pid)}

    async def close(self) -> None:
        return None


def _argv(program: Program, core_id: str, python: str) -> list[str]:
    if program.attempt:
        code = entering(program.attempt, core_id, program.argv, program.term)
        return local_entry(code, python)
    return list(program.argv) or [pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh", "-l"]


class Pipes(asyncio.SubprocessProtocol):
    """Feeds a stream from a subprocess's pipes."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast(asyncio.SubprocessTransport, transport)
        self._stream.attach(self)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._stream.feed(data)
        else:
            self._stream.feed_stderr(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._stream.feed_eof()

    def process_exited(self) -> None:
        self._stream.exit_status = self._process.get_returncode()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.lost(exc)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()

    # the stream's wire

    def write(self, data: bytes) -> None:
        cast(asyncio.WriteTransport, self._process.get_pipe_transport(0)).write(data)

    def pause_reading(self) -> None:
        self._stdout.pause_reading()

    def resume_reading(self) -> None:
        if not self._stdout.is_closing():
            self._stdout.resume_reading()

    @property
    def _stdout(self) -> asyncio.ReadTransport:
        return cast(asyncio.ReadTransport, self._process.get_pipe_transport(1))

    def abort(self) -> None:
        self._process.close()  # closes the pipes and kills: workloads don't depend on the agent
