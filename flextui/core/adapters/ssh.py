"""Transport `ssh`: asyncssh under the user's own SSH configuration, for many nodes at once.

One connection per (host, account), one shared connection per jump host. sshd drops logins beyond
a handful at a time (MaxStartups), so there are at most four handshakes per sshd and through one
jump host; how many run in all is the pacer's to say.
"""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from flextui.core.adapters import ssh_errors
from flextui.core.adapters.bootstrap import remote_command
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.known_hosts import KnownHosts
from flextui.core.adapters.pacer import DIAL_TURN_S, Pacer, Turn
from flextui.core.adapters.ssh_config import ClientConfig, ConfigError, HostOptions
from flextui.core.adapters.ssh_dial import DIAL_S, Tunnel, at, dial
from flextui.core.adapters.ssh_keys import KeyRing
from flextui.core.adapters.ssh_login import Client, Login, handshake, uses_proxy_command
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.transport import Finding
from flextui.core.model.inventory import Defaults, NodeSpec

PER_SSHD = 4
"""Handshakes at a time with one sshd, and through one jump host."""
DIALS = 128
"""Connections being opened at a time; those of dead machines wait here, in nobody's way."""
SESSION_S = 15.0
WINDOW = 512 * 1024
FAILED_JUMP_S = 2.0
"""How long the failure of a jump host answers for all nodes behind it."""

asyncssh.set_log_level("ERROR")


@dataclass(frozen=True, slots=True)
class Hop:
    """One machine on the way, the node last."""

    options: HostOptions
    via: tuple[HostOptions, ...]

    @property
    def key(self) -> tuple[str, int, str, tuple[tuple[str, int], ...]]:
        options = self.options
        return options.host, options.port, options.user, tuple((v.host, v.port) for v in self.via)


class SshPool:
    """What all ssh nodes of a fleet share; belongs to one event loop."""

    def __init__(self, defaults: Defaults, known_hosts: Path | None, pacer: Pacer) -> None:
        self._defaults = defaults
        self._own_known_hosts = known_hosts
        self._config = ClientConfig()
        self._known_hosts = KnownHosts()
        self._keys = KeyRing()
        self._pacer = pacer
        self._dials = asyncio.Semaphore(DIALS)
        self._gates: dict[tuple[str, str, int], asyncio.Semaphore] = {}
        self._jumps: dict[Any, JumpHost] = {}
        self._resolver = ThreadPoolExecutor(16, "flextui-dns")
        self._reader = ThreadPoolExecutor(1, "flextui-ssh-config")

    def transport(self, node: NodeSpec) -> SshTransport:
        return SshTransport(self, node)

    async def close(self) -> None:
        for jump in self._jumps.values():
            await jump.close()
        await self._keys.close()
        self._resolver.shutdown(wait=False, cancel_futures=True)
        self._reader.shutdown(wait=False, cancel_futures=True)

    # ── the way to a node ──────────────────────────────────────────────────────────────────────

    async def route(self, node: NodeSpec) -> Hop:
        """Where a node is and what lies before it. Raises LinkFailure."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reader, self._route, node)
        except ConfigError as error:
            raise LinkFailure("config", f"the SSH configuration: {error}") from error

    def _route(self, node: NodeSpec) -> Hop:
        options = self._config.lookup(
            node.host.strip("[]"),
            user=node.user,
            port=node.port,
            default_user=self._defaults.user,
            default_port=self._defaults.port,
        )
        return Hop(options, self._jumps_of(options, set()))

    def _jumps_of(self, options: HostOptions, seen: set[str]) -> tuple[HostOptions, ...]:
        """The chain of jump hosts, the first to connect to first."""
        written = options.one("proxyjump")
        if written is None or written.lower() == "none":
            return ()
        if written in seen:
            raise ConfigError(f"ProxyJump {written} of {options.alias} leads back to itself")
        hops = [self._jump(part) for part in written.replace(" ", "").split(",") if part]
        return (*self._jumps_of(hops[0], seen | {written}), *hops)

    def _jump(self, written: str) -> HostOptions:
        user, _, place = written.removeprefix("ssh://").rpartition("@")
        host, colon, port = place.rpartition(":")
        if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
            host, port = place, ""
        return self._config.lookup(
            host.strip("[]"), user=user or None, port=int(port) if port else None
        )

    # ── connecting ─────────────────────────────────────────────────────────────────────────────

    async def connect(
        self, hop: Hop, turn: Turn
    ) -> tuple[asyncssh.SSHClientConnection, Client, Login]:
        """Log in at the end of the way. Raises LinkFailure."""
        login = await self._login(hop.options)
        jump = await self._jump_connection(hop.via) if hop.via else None
        async with self._gate("sshd", hop.options):
            if jump is not None:
                async with self._gate("through", hop.via[-1]):
                    connection, client = await self._tunnelled(login, jump, hop.via[-1], turn)
            elif uses_proxy_command(hop.options):
                await turn.take()
                connection, client = await handshake(login, None, None)
            else:
                connection, client = await self._direct(login, turn)
        return connection, client, login

    async def _direct(
        self, login: Login, turn: Turn
    ) -> tuple[asyncssh.SSHClientConnection, Client]:
        options = login.options
        patience = options.one("connecttimeout")
        await turn.take(DIAL_TURN_S)
        async with self._dials:
            sock = await dial(
                options.host,
                options.port,
                resolver=self._resolver,
                family=_FAMILIES.get(options.one("addressfamily") or "", 0),
                bind=options.one("bindaddress"),
                timeout_s=float(patience) if patience and patience.isdigit() else DIAL_S,
            )
        try:
            await turn.take()
            return await handshake(login, sock, None)
        except BaseException:
            sock.close()
            raise

    async def _tunnelled(
        self, login: Login, jump: asyncssh.SSHClientConnection, last: HostOptions, turn: Turn
    ) -> tuple[asyncssh.SSHClientConnection, Client]:
        try:
            await turn.take(DIAL_TURN_S)
            async with self._dials:
                tunnel = await Tunnel.dig(jump, login.options.host, login.options.port)
        except asyncssh.ChannelOpenError as error:
            raise ssh_errors.of_tunnel(last.alias, login.where, error) from error
        except TimeoutError:
            text = f"jump host {last.alias} gets no answer from {login.where}"
            raise LinkFailure("timeout", text) from None
        except OSError as error:
            raise LinkFailure("closed", f"jump host {last.alias}: the connection broke") from error
        await turn.take()
        return await handshake(login, None, tunnel)

    async def _login(self, options: HostOptions) -> Login:
        files = self._known_hosts_files(options)
        name = options.one("hostkeyalias") or options.host
        loop = asyncio.get_running_loop()
        known = await loop.run_in_executor(
            self._reader, self._known_hosts.lookup, files, name, options.port
        )
        return Login(options, await self._keys.credentials(options), known, files)

    def _known_hosts_files(self, options: HostOptions) -> tuple[Path, ...]:
        user = options.paths("userknownhostsfile")
        system = options.paths("globalknownhostsfile")
        if user is None:
            folder = Path("~/.ssh").expanduser()
            user = (folder / "known_hosts", folder / "known_hosts2")
        if system is None:
            system = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
        own = (self._own_known_hosts,) if self._own_known_hosts else ()
        return (*user, *system, *own)

    def _gate(self, kind: str, options: HostOptions) -> asyncio.Semaphore:
        key = (kind, options.host, options.port)
        return self._gates.setdefault(key, asyncio.Semaphore(PER_SSHD))

    async def _jump_connection(self, via: tuple[HostOptions, ...]) -> asyncssh.SSHClientConnection:
        hop = Hop(via[-1], via[:-1])
        jump = self._jumps.get(hop.key)
        if jump is None:
            jump = self._jumps[hop.key] = JumpHost(hop.options.alias, lambda: self._alone(hop))
        return await jump.connection()

    async def _alone(self, hop: Hop) -> tuple[asyncssh.SSHClientConnection, Client, Login]:
        async with self._pacer.turn() as turn:
            return await self.connect(hop, turn)


_FAMILIES = {"inet": 2, "inet6": 10}


class JumpHost:
    """The one connection to a jump host. Nodes behind it share it, and its failure."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[tuple[asyncssh.SSHClientConnection, Client, Login]]],
    ) -> None:
        self._name = name
        self._connect = connect
        self._attempt: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._failed_at = 0.0

    async def connection(self) -> asyncssh.SSHClientConnection:
        """The open connection, opened anew if need be. Raises LinkFailure."""
        if self._attempt is None or self._spent(self._attempt):
            self._attempt = asyncio.create_task(self._open(), name=f"jump host {self._name}")
        return await asyncio.shield(self._attempt)

    async def close(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        attempt.cancel()
        await asyncio.wait([attempt])
        if not attempt.cancelled() and attempt.exception() is None:
            attempt.result().close()

    async def _open(self) -> asyncssh.SSHClientConnection:
        try:
            connection, _, _ = await self._connect()
        except LinkFailure as failure:
            self._failed_at = asyncio.get_running_loop().time()
            failure.text = f"jump host {self._name}: {failure.text}"
            failure.phase = "reach"
            raise
        return connection

    def _spent(self, attempt: asyncio.Task[asyncssh.SSHClientConnection]) -> bool:
        if not attempt.done():
            return False
        if attempt.cancelled():
            return True
        if attempt.exception() is not None:
            return asyncio.get_running_loop().time() - self._failed_at > FAILED_JUMP_S
        return attempt.result().is_closed()


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
