"""Transport `ssh`: asyncssh under the user's own SSH configuration.

One connection per (host, account); it serves one channel, the agent's, and ends with it.
"""

from __future__ import annotations

import asyncio
import shlex
import signal as signals
from pathlib import Path
from typing import Any

import asyncssh

from flextui.core.adapters import ssh_errors
from flextui.core.adapters.bootstrap import remote_command
from flextui.core.adapters.enter import entering, remote_entry
from flextui.core.adapters.pacer import DIAL_TURN_S, Pacer, Turn
from flextui.core.adapters.ssh_dial import at
from flextui.core.adapters.ssh_login import Client, Login
from flextui.core.adapters.ssh_pool import SshPool
from flextui.core.adapters.ssh_program import SshProgram, started
from flextui.core.adapters.ssh_route import Hop
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.transport import Finding
from flextui.core.model.inventory import Defaults, NodeSpec
from flextui.core.ports import Program, RunningProgram

SESSION_S = 15.0
WINDOW = 512 * 1024


class SshTransports:
    """Makes the transports of a fleet's ssh nodes, which share one pool."""

    def __init__(self, defaults: Defaults, known_hosts: Path | None, pacer: Pacer) -> None:
        self._pool = SshPool(defaults, known_hosts, pacer)

    def of(self, node: NodeSpec) -> SshTransport:
        return SshTransport(self._pool, node)

    async def close(self) -> None:
        await self._pool.close()


class SshTransport:
    """Opens streams to one node."""

    def __init__(self, pool: SshPool, node: NodeSpec) -> None:
        self._pool = pool
        self._node = node
        self._findings: list[Finding] = []

    async def open(self, turn: Turn) -> ByteStream:
        loop = asyncio.get_running_loop()
        await turn.take(DIAL_TURN_S)
        hop = await self._pool.route(self._node)
        begin = loop.time()
        connection, client, login = await self._pool.connect(hop, turn)
        self._findings = _findings(hop, connection, client, login, loop.time() - begin)
        stream = ByteStream()
        try:
            async with asyncio.timeout(SESSION_S):
                await connection.create_session(
                    lambda: _Command(stream, connection),
                    remote_command(self._node.python),
                    encoding=None,
                    request_pty=False,
                    window=WINDOW,
                )
        except TimeoutError:
            connection.abort()
            raise ssh_errors.stalled(login.who, "shell", SESSION_S) from None
        except (asyncssh.Error, OSError) as error:
            connection.abort()
            raise ssh_errors.of_session(login.who, error) from error
        except BaseException:
            connection.abort()
            raise
        return stream

    async def run(self, turn: Turn, program: Program, core_id: str) -> RunningProgram:
        await turn.take(DIAL_TURN_S)
        hop = await self._pool.route(self._node)
        connection, _, login = await self._pool.connect(hop, turn)
        command = None
        if program.attempt:
            code = entering(program.attempt, core_id, program.argv, program.term)
            command = remote_entry(code, self._node.python)
        elif program.argv:
            command = shlex.join(program.argv)
        try:
            async with asyncio.timeout(SESSION_S):
                return SshProgram(connection, await started(connection, command, program))
        except TimeoutError:
            connection.abort()
            raise ssh_errors.stalled(login.who, "shell", SESSION_S) from None
        except (asyncssh.Error, OSError) as error:
            connection.abort()
            raise ssh_errors.of_session(login.who, error) from error
        except BaseException:
            connection.abort()
            raise

    def findings(self) -> list[Finding]:
        return self._findings

    def core_boot(self) -> dict[str, Any] | None:
        return None

    async def close(self) -> None:
        return None


def _findings(
    hop: Hop, connection: asyncssh.SSHClientConnection, client: Client, login: Login, took: float
) -> list[Finding]:
    options = hop.options
    via = f" via {', '.join(v.alias for v in hop.via)}" if hop.via else ""
    reach = f"{at(options.host, options.port)}{via}, connected in {took * 1000:.0f} ms"
    key = connection.get_server_host_key()
    shown = f"{ssh_errors.kind(key)} {key.get_fingerprint()}, as filed" if key else "as filed"
    by = f" by {client.tried[-1]}" if client.tried else ""
    return [
        Finding("reach", True, reach),
        Finding("host key", True, shown),
        Finding("login", True, f"{options.user}{by}"),
    ]


class _Command(asyncssh.SSHClientSession[bytes]):
    """Feeds a stream from a channel; the connection serves this one channel."""

    def __init__(self, stream: ByteStream, connection: asyncssh.SSHClientConnection) -> None:
        self._stream = stream
        self._connection = connection

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        self._stream.attach(self)

    def data_received(self, data: bytes, datatype: Any) -> None:
        if datatype is None:
            self._stream.feed(data)
        else:
            self._stream.feed_stderr(data)

    def eof_received(self) -> bool:
        self._stream.feed_eof()
        return True

    def exit_status_received(self, status: int) -> None:
        self._stream.exit_status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._stream.exit_status = -int(getattr(signals, f"SIG{signal}", 128))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.lost(exc)
        self._connection.close()

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()

    # the stream's wire

    def write(self, data: bytes) -> None:
        try:
            self._channel.write(data)
        except OSError:  # it closed in this very turn: `lost` follows
            return

    def pause_reading(self) -> None:
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        self._channel.resume_reading()

    def abort(self) -> None:
        self._connection.abort()
