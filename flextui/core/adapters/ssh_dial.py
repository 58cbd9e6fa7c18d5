"""A way to an sshd that has said its first word: a socket, or a channel through a jump host.

Dialling is kept apart from the handshake. A machine that is off or frozen costs its own ten
seconds and nobody else's turn at the handshake, of which only a few run at a time.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Executor
from typing import Any, cast

import asyncssh

from flextui.core.adapters import ssh_errors
from flextui.core.adapters.failure import LinkFailure

LOOKUP_S = 10.0
"""A first name server that is dead costs 5 s."""
DIAL_S = 5.0
"""Two SYNs may get lost. More patience would only find a machine that returns later: the kernel
asks less and less often."""
GREETING_S = 10.0


def at(host: str, port: int) -> str:
    """An address as people write it."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port == 22 else f"{shown}:{port}"


async def dial(
    host: str, port: int, *, resolver: Executor, family: int = 0, bind: str | None = None,
    timeout_s: float = DIAL_S,
) -> socket.socket:  # fmt: skip
    """A connected socket whose sshd has greeted. Raises LinkFailure."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_S):
            found = await loop.run_in_executor(
                resolver, _resolve, host, port, family or socket.AF_UNSPEC
            )
    except socket.gaierror as error:
        raise ssh_errors.of_lookup(host, error) from error
    except TimeoutError:
        raise ssh_errors.no_name_server(host) from None
    failure: LinkFailure | None = None
    for address_family, address in found:
        try:
            sock = await _connect(address_family, address, bind, timeout_s / len(found))
        except OSError as error:
            failure = ssh_errors.of_dial(at(host, port), error)
            continue
        try:
            await _greeted(sock, at(host, port))
        except BaseException:
            sock.close()
            raise
        return sock
    raise failure or ssh_errors.no_answer(at(host, port))


def _resolve(host: str, port: int, family: int) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return list(dict.fromkeys((entry[0], entry[4]) for entry in found))


async def _connect(family: int, address: Any, bind: str | None, timeout_s: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if bind:
            sock.bind((bind, 0))
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _greeted(sock: socket.socket, where: str) -> None:
    """Wait for the server's first bytes and leave them in the socket. Raises LinkFailure."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        async with asyncio.timeout(GREETING_S):
            await readable.wait()
    except TimeoutError:
        raise ssh_errors.no_greeting(where, GREETING_S) from None
    finally:
        loop.remove_reader(sock)
    try:
        first = sock.recv(256, socket.MSG_PEEK)
    except OSError:
        first = b""
    judge_greeting(where, first)


def judge_greeting(where: str, first: bytes) -> None:
    """Refuse what can't become an SSH session. Raises LinkFailure."""
    if first.startswith(b"SSH-") or b"\nSSH-" in first:
        return
    if not first:
        raise LinkFailure(
            "closed", f"{where} hangs up before greeting: too many logins at once (MaxStartups in "
            "its sshd_config), or a login guard such as fail2ban"
        )  # fmt: skip
    said = first.split(b"\n")[0].decode("ascii", "replace").strip()[:80]
    if said.startswith(("Exceeded", "Not allowed")):
        raise LinkFailure("closed", f"{where} turns us away for now: '{said}'")
    if first.startswith((b"HTTP", b"<", b"220 ", b"* OK")):
        raise LinkFailure("protocol", f"no SSH server at {where}: it says '{said}'; correct `port`")


class Tunnel:
    """A channel through a jump host, greeted, as asyncssh wants tunnels."""

    def __init__(self, channel: Any, ready: _Held) -> None:
        self._channel = channel
        self._ready = ready

    @classmethod
    async def dig(cls, jump: asyncssh.SSHClientConnection, host: str, port: int) -> Tunnel:
        """Open it. Raises asyncssh.ChannelOpenError, TimeoutError, LinkFailure, OSError."""
        async with asyncio.timeout(GREETING_S):
            channel, session = await jump.create_connection(_Held, host, port)
        held = cast(_Held, session)
        try:
            async with asyncio.timeout(GREETING_S):
                await held.greeted.wait()
            judge_greeting(at(host, port), held.first)
        except TimeoutError:
            channel.abort()
            raise ssh_errors.no_greeting(at(host, port), GREETING_S) from None
        except LinkFailure:
            channel.abort()
            raise
        return cls(channel, held)

    async def create_connection(self, factory: Any, host: str, port: int) -> tuple[Any, Any]:
        connection = factory()
        self._ready.hand_over(self._channel, connection)
        return self._channel, connection

    def close(self) -> None:
        self._channel.abort()

    async def wait_closed(self) -> None:
        await self._channel.wait_closed()


class _Held(asyncssh.SSHTCPSession[bytes]):
    """Keeps what comes until a connection takes the channel over."""

    def __init__(self) -> None:
        self.greeted = asyncio.Event()
        self.first = b""
        self._taker: Any = None
        self._ended = False

    def hand_over(self, channel: Any, taker: Any) -> None:
        self._taker = taker
        taker.connection_made(channel)
        taker.session_started()
        if self.first:
            taker.data_received(self.first)
        if self._ended:
            taker.connection_lost(None)

    def data_received(self, data: bytes, datatype: Any) -> None:
        if self._taker is not None:
            self._taker.data_received(data, datatype)
        else:
            self.first += data
            self.greeted.set()

    def eof_received(self) -> bool:
        self.greeted.set()
        return bool(self._taker.eof_received()) if self._taker is not None else False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self.greeted.set()
        if self._taker is not None:
            self._taker.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._taker is not None:
            self._taker.pause_writing()

    def resume_writing(self) -> None:
        if self._taker is not None:
            self._taker.resume_writing()
