"""Logins to many machines: what they share, and how many run at a time.

sshd drops logins beyond a handful at a time (MaxStartups), so there are at most four handshakes
with one sshd and through one jump host; how many run in all is the pacer's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh

from flextui.core.adapters import ssh_errors
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.known_hosts import KnownHosts
from flextui.core.adapters.pacer import DIAL_TURN_S, Pacer, Turn
from flextui.core.adapters.ssh_config import ConfigError, HostOptions
from flextui.core.adapters.ssh_dial import DIAL_S, Tunnel, dial
from flextui.core.adapters.ssh_keys import KeyRing
from flextui.core.adapters.ssh_login import Client, Login, handshake, uses_proxy_command
from flextui.core.adapters.ssh_route import Hop, Routes
from flextui.core.model.inventory import Defaults, NodeSpec

PER_SSHD = 4
"""Handshakes at a time with one sshd, and through one jump host."""
DIALS = 128
"""Connections being opened at a time; those of dead machines wait here, in nobody's way."""
FAILED_JUMP_S = 2.0
"""How long the failure of a jump host answers for all nodes behind it."""
_FAMILIES = {"inet": 2, "inet6": 10}

asyncssh.set_log_level("ERROR")


class SshPool:
    """What all ssh nodes of a fleet share; belongs to one event loop."""

    def __init__(self, defaults: Defaults, known_hosts: Path | None, pacer: Pacer) -> None:
        self._own_known_hosts = known_hosts
        self._routes = Routes(defaults)
        self._known_hosts = KnownHosts()
        self._keys = KeyRing()
        self._pacer = pacer
        self._dials = asyncio.Semaphore(DIALS)
        self._gates: dict[tuple[str, str, int], asyncio.Semaphore] = {}
        self._jumps: dict[Any, JumpHost] = {}
        self._resolver = ThreadPoolExecutor(16, "flextui-dns")
        self._reader = ThreadPoolExecutor(1, "flextui-ssh-config")

    async def close(self) -> None:
        for jump in self._jumps.values():
            await jump.close()
        await self._keys.close()
        self._resolver.shutdown(wait=False, cancel_futures=True)
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def route(self, node: NodeSpec) -> Hop:
        """Where a node is and what lies before it. Raises LinkFailure."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reader, self._routes.to, node)
        except ConfigError as error:
            raise LinkFailure("config", f"the SSH configuration: {error}") from error

    async def connect(
        self, hop: Hop, turn: Turn
    ) -> tuple[asyncssh.SSHClientConnection, Client, Login]:
        """Log in at the end of the way. Raises LinkFailure."""
        login = await self._login(hop.options)
        jump = None
        if hop.via:
            turn.give_back()  # the jump host needs one itself
            jump = await self._jump_connection(hop.via)
        async with self._gate("sshd", hop.options):
            if jump is not None:
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
        try:
            async with self._gate("through", last):
                await turn.take()
                return await handshake(login, None, tunnel)
        except BaseException:
            tunnel.close()
            raise

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
