"""One SSH handshake and login, told in phases, with strict host keys.

The algorithms are OpenSSH's, the cheap ones first: two hundred handshakes share one event loop.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import (
    get_default_certificate_algs,
    get_default_public_key_algs,
    get_public_key_algs,
)

from flextui.core.adapters import ssh_errors
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.known_hosts import Known
from flextui.core.adapters.ssh_config import HostOptions
from flextui.core.adapters.ssh_dial import Tunnel, at
from flextui.core.adapters.ssh_keys import Credentials

HANDSHAKE_S = 20.0
KEEPALIVE_S = 5
KEEPALIVES = 2
"""Unanswered keepalives after which a connection is dead: within 15 s."""

_KEX = "curve25519-sha256,curve25519-sha256@libssh.org,mlkem768x25519-sha256,ecdh-sha2-nistp256"
_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"
_HOST_KEYS = (b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"rsa-sha2-512", b"rsa-sha2-256")


class UnknownHostKey(LinkFailure):
    """Nobody vouched for the key yet; `flextui check --accept-new` may add it."""

    def __init__(self, name: str, port: int, key: asyncssh.SSHKey) -> None:
        failure = ssh_errors.unknown_host_key(at(name, port), key)
        super().__init__(failure.code, failure.text, failure.phase)
        self.name = name
        self.port = port
        self.key = key


@dataclass(frozen=True, slots=True)
class Login:
    """What a login needs to know."""

    options: HostOptions
    credentials: Credentials
    known: Known
    files: tuple[Path, ...]

    @property
    def key_name(self) -> str:
        """The name under which host keys are filed."""
        return self.options.one("hostkeyalias") or self.options.host

    @property
    def who(self) -> str:
        """Account and host as the operator knows them."""
        return f"{self.options.user}@{self.options.alias}"

    @property
    def where(self) -> str:
        return at(self.options.host, self.options.port)


class Client(asyncssh.SSHClient):
    """Hears what happens in a handshake, offers keys one by one, and judges the host key."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._left = list(login.credentials.offered)
        self.phase = "host key"
        self.tried: list[str] = []
        self.banner = ""
        self.host_key_failure: LinkFailure | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        login, known = self._login, self._login.known
        revoked = next((entry for entry in known.revoked if entry.key == key), None)
        others = known.keys or known.authorities
        if revoked is not None:
            self.host_key_failure = ssh_errors.revoked_host_key(login.where, revoked.where)
        elif others:
            same = [entry for entry in others if entry.key.get_algorithm() == key.get_algorithm()]
            where = (same or others)[0].where
            self.host_key_failure = ssh_errors.changed_host_key(login.where, key, where)
        else:
            self.host_key_failure = UnknownHostKey(login.key_name, login.options.port, key)
        return False

    def begin_auth(self, username: str) -> None:
        self.phase = "login"

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.banner = (self.banner + msg)[-4096:]

    def public_key_auth_requested(self) -> Any:
        if not self._left:
            return None
        credential = self._left.pop(0)
        self.tried.append(credential.name)
        return [credential.pair]


async def handshake(
    login: Login, sock: socket.socket | None, tunnel: Tunnel | None
) -> tuple[asyncssh.SSHClientConnection, Client]:
    """Log in over what was dialled. Raises LinkFailure."""
    client = Client(login)
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            connection = await asyncssh.connect(
                login.options.host,
                login.options.port,
                sock=sock,
                tunnel=tunnel,
                client_factory=lambda: client,
                **_settings(login),
            )
    except TimeoutError:
        raise ssh_errors.stalled(login.who, client.phase, HANDSHAKE_S) from None
    except asyncssh.HostKeyNotVerifiable as error:
        raise _host_key_failure(login, client, error) from error
    except (asyncssh.Error, OSError, ValueError, EOFError) as error:
        raise _login_failure(login, client, error) from error
    return connection, client


def _host_key_failure(
    login: Login, client: Client, error: asyncssh.HostKeyNotVerifiable
) -> LinkFailure:
    if client.host_key_failure is not None:
        return client.host_key_failure
    revoked = next((entry.where for entry in login.known.revoked), "a known_hosts file")
    if "revoked" in error.reason:
        return ssh_errors.revoked_host_key(login.where, revoked)
    return LinkFailure(
        "host_key", f"the host certificate of {login.where} isn't valid: {error.reason}", "host key"
    )


def _login_failure(login: Login, client: Client, error: Exception) -> LinkFailure:
    reason = error.reason if isinstance(error, asyncssh.Error) else str(error)
    denied = isinstance(error, asyncssh.PermissionDenied)
    if denied or "authentication failures" in reason:
        credentials = login.credentials
        untried = len(credentials.offered) - len(client.tried)
        return ssh_errors.of_auth(
            login.who, client.tried, untried, credentials.problems, client.banner, reason
        )
    hung_up = isinstance(error, asyncssh.ConnectionLost | OSError | EOFError)
    if hung_up and uses_proxy_command(login.options):
        return ssh_errors.of_proxy(login.who, login.options.one("proxycommand") or "", client.phase)
    return ssh_errors.of_handshake(login.who, login.where, client.phase, error)


def _settings(login: Login) -> dict[str, Any]:
    """The library's options; it reads no file and asks no agent of its own."""
    options = login.options
    known = login.known
    gss = options.flag("gssapiauthentication", False)
    return {
        "config": None,
        "username": options.user,
        "known_hosts": (
            [entry.key for entry in known.keys],
            [entry.key for entry in known.authorities],
            [entry.key for entry in known.revoked],
        ),
        "host_key_alias": login.key_name,
        "server_host_key_algs": _host_key_algs(options, known),
        "kex_algs": _preferred(options.one("kexalgorithms"), _KEX, get_kex_algs()),
        "encryption_algs": _preferred(options.one("ciphers"), _CIPHERS, get_encryption_algs()),
        "mac_algs": _preferred(options.one("macs"), "", get_mac_algs()),
        "compression_algs": None,
        "client_keys": None,
        "client_host_keys": None,
        "preferred_auth": "gssapi-with-mic,publickey" if gss else "publickey",
        "gss_host": options.host if gss else None,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "proxy_command": _proxy_command(options),
        "keepalive_interval": KEEPALIVE_S,
        "keepalive_count_max": KEEPALIVES,
        "login_timeout": 0,
        "agent_forwarding": False,
    }


def uses_proxy_command(options: HostOptions) -> bool:
    return _proxy_command(options) is not None


def _proxy_command(options: HostOptions) -> list[str] | None:
    command = options.one("proxycommand")
    if command is None or command.lower() == "none":
        return None
    return (
        ["/bin/sh", "-c", f"exec {command}"]
        if set(command) & set("|&;<>$`*?(")
        else shlex.split(command)
    )


def _host_key_algs(options: HostOptions, known: Known) -> list[str]:
    """Kinds of key that are known first, so that a server with several shows that one."""
    configured = options.one("hostkeyalgorithms")
    algorithms = [alg for entry in known.keys for alg in entry.key.sig_algorithms]
    if known.authorities:
        algorithms = [*get_default_certificate_algs(), *algorithms]
    if configured is not None:
        possible = [*get_default_certificate_algs(), *get_public_key_algs()]
        algorithms += _listed(configured, possible)
    algorithms += [*_HOST_KEYS, *get_default_public_key_algs()]
    return [alg.decode() for alg in dict.fromkeys(algorithms) if alg != b"ssh-rsa"]


def _preferred(configured: str | None, ours: str, possible: list[bytes]) -> Any:
    """The user's list if there is one, else the library's with ours in front."""
    if configured is None:
        return f"^{ours}" if ours else ()
    return [alg.decode() for alg in _listed(configured, possible)] or ()


def _listed(configured: str, possible: list[bytes]) -> list[bytes]:
    """The possible ones of a configured list; `+`, `-` and `^` change OpenSSH's, not ours."""
    names = {alg.decode(): alg for alg in possible}
    if configured.startswith("-"):
        return []
    return [names[name] for name in configured.lstrip("+^").split(",") if name in names]
