"""A program on this machine, with a pseudo-terminal of its own or with plain pipes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import shutil
import signal as signals
import struct
import sys
import termios
from collections.abc import AsyncIterator, Sequence

from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.outputs import Stream, outputs
from flextui.core.ports import Program

GRACE_S = 5.0
# In the child. Where the core was started by nohup or in the background of a script, it ignores
# signals, and what ignores one from its start can't be told to end by it.
_PLAIN = (
    "import os,sys,signal as s;"
    "[s.signal(it,s.SIG_DFL) for it in (s.SIGINT,s.SIGQUIT,s.SIGHUP,s.SIGTSTP,s.SIGPIPE)];"
    "os.execvp(sys.argv[1],sys.argv[1:])"
)
# It has a session of its own; here it makes the terminal the session's.
_OWN = "import fcntl,termios;fcntl.ioctl(0,termios.TIOCSCTTY,0);" + _PLAIN


class LocalProgram:
    """A RunningProgram as a subprocess. `start` makes it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        outputs: dict[Stream, asyncio.StreamReader],
        stdin: asyncio.StreamWriter,
        terminal: tuple[int, asyncio.ReadTransport] | None,
    ) -> None:
        self._process = process
        self._outputs = outputs
        self._stdin = stdin
        self._terminal = terminal

    @classmethod
    async def start(cls, argv: Sequence[str], program: Program) -> LocalProgram:
        """Raises LinkFailure."""
        try:
            return await (cls._on_a_terminal if program.term else cls._on_pipes)(argv, program)
        except OSError as error:
            raise LinkFailure("shell", f"{argv[0]}: {error.strerror}", "shell") from error

    @classmethod
    async def _on_pipes(cls, argv: Sequence[str], program: Program) -> LocalProgram:
        pipe = asyncio.subprocess.PIPE
        if shutil.which(argv[0]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-ISc",
            _PLAIN,
            *argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
            cwd=_home(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        return cls(process, {"out": process.stdout, "err": process.stderr}, process.stdin, None)

    @classmethod
    async def _on_a_terminal(cls, argv: Sequence[str], program: Program) -> LocalProgram:
        ours, theirs = pty.openpty()
        _size(ours, program.columns, program.lines)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-ISc", _OWN, *argv, stdin=theirs, stdout=theirs, stderr=theirs,
                start_new_session=True, cwd=_home(), env={**os.environ, "TERM": program.term},
            )  # fmt: skip
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(ours), "rb", 0)
        )
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(ours, "wb", 0)
        )
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        return cls(process, {"out": reader}, writer, (ours, reading))

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        return outputs(self._outputs, OSError)  # a terminal ends with one (EIO)

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._stdin.write(data)
            await self._stdin.drain()

    def end_input(self) -> None:
        if self._terminal is None:
            self._stdin.close()

    def resize(self, columns: int, lines: int) -> None:
        if self._terminal is not None and self._process.returncode is None:
            _size(self._terminal[0], columns, lines)

    def signal(self, name: str) -> None:
        number = getattr(signals, f"SIG{name}", None)
        if number is not None and self._process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, number)

    async def wait(self) -> int:
        status = await self._process.wait()
        return 128 - status if status < 0 else status

    async def close(self) -> None:
        if self._terminal is not None:  # with its end gone, all that runs on it hears so
            self._terminal[1].close()
            self._terminal = None
            self._stdin.transport.abort()
        self.signal("HUP")
        try:
            async with asyncio.timeout(GRACE_S):
                await self._process.wait()
        except TimeoutError:
            self.signal("KILL")
            await self._process.wait()
        self._stdin.close()


def _home() -> str:
    home = os.path.expanduser("~")
    return home if os.path.isdir(home) else "/"


def _size(terminal: int, columns: int, lines: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
