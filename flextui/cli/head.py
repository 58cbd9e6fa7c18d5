"""A core on another machine, through the SSH that one has there: no port, no password of ours.

`ssh -T USER@HEAD flextui bridge` joins its stdin and stdout to the core's socket there. The core
sees the login's own identity.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from contextlib import suppress

from flextui.cli.output import INPUT, UNREACHABLE, Failure
from flextui.core import wire
from flextui.core.client import Client
from flextui.core.socket_client import SocketClient

_OPTIONS = ("-T", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
_IGNORING = 'trap "" INT QUIT; exec "$@"'
"""Ctrl-C is for the command, which may go on talking to its core after it."""
_KEPT = 20
"""Lines of what ssh said that an error repeats."""
_LEAVE_S = 2.0


async def over_ssh(destination: str, *, fleet: str = "", path: str | None = None) -> Client:
    """The core at USER@HEAD: that of a fleet, or behind the socket at `path` there, or the one
    that the bridge finds. Raises Failure with what ssh said."""
    if destination.startswith("-") or not destination.isprintable() or " " in destination:
        raise Failure(INPUT, f"--connect {destination!r}: expected USER@HEAD")
    remote = os.environ.get("FLEXTUI_REMOTE", "flextui")
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _IGNORING, "sh", "ssh", *_OPTIONS, "--", destination,
            _bridge(remote, fleet, path), stdin=theirs.fileno(), stdout=theirs.fileno(),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    said = asyncio.ensure_future(_last_lines(process))

    async def ended() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _LEAVE_S)
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        said.cancel()

    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=wire.MAX_REPLY)
    try:
        return await SocketClient.over(reader, writer, ended=ended)
    except ConnectionError as error:
        status = await process.wait()
        raise _unreachable(destination, remote, status, await said) from error
    except BaseException:
        await ended()
        raise


def _bridge(remote: str, fleet: str, path: str | None) -> str:
    """The command line there; `remote` may be several words."""
    socket_there = f" --socket {shlex.quote(path)}" if path else ""
    named = f" --fleet {shlex.quote(fleet)}" if fleet else ""
    return f"{remote}{socket_there} bridge{named}"


async def _last_lines(process: asyncio.subprocess.Process) -> list[str]:
    """What ssh and the bridge say, read so that they never wait; the last lines are kept."""
    assert process.stderr is not None
    kept: list[str] = []
    while line := await process.stderr.readline():
        kept = [*kept[1 - _KEPT :], line.decode("utf-8", "replace").rstrip()]
    return kept


def _unreachable(destination: str, remote: str, status: int, said: list[str]) -> Failure:
    text = f"the core at {destination} can't be reached"
    if status == 127:
        text += (
            f": '{remote}' isn't on the PATH of a login by ssh there; install it there, or name"
            " its path in FLEXTUI_REMOTE"
        )
    return Failure(UNREACHABLE, text, [f"  {line}" for line in said])
