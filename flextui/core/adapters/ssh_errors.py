"""What went wrong on the way through SSH, in words that name the mend.

Pure: the library's exceptions in, a LinkFailure out. `who` is the account and the node's name as
its owner knows it (`lab@gpu1`).
"""

from __future__ import annotations

import errno
import socket

import asyncssh

from flextui.core.adapters.failure import LinkFailure

_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
_ACCOUNT = ("expired", "locked", "disabled", "not available", "nologin")


def of_lookup(host: str, error: socket.gaierror) -> LinkFailure:
    """DNS has no address for the name."""
    if error.errno == socket.EAI_AGAIN:
        return no_name_server(host)
    return LinkFailure(
        "dns", f"the name {host} isn't known: correct `host` in the inventory, or add it to DNS "
        "or ~/.ssh/config"
    )  # fmt: skip


def no_name_server(host: str) -> LinkFailure:
    return LinkFailure("dns", f"the name {host} can't be looked up: no name server answers")


def of_dial(where: str, error: OSError) -> LinkFailure:
    """No TCP connection to `where` (address and port)."""
    if isinstance(error, ConnectionRefusedError):
        return LinkFailure("refused", f"{where} refuses connections: does sshd run there?")
    if error.errno in _NO_ROUTE:
        return LinkFailure("no_route", f"no route to {where}: is the network or a VPN down?")
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return no_answer(where)
    return LinkFailure("closed", f"no connection to {where}: {error.strerror or error}")


def no_answer(where: str) -> LinkFailure:
    return LinkFailure(
        "timeout", f"{where} doesn't answer: is the machine off, or a firewall shut?"
    )


def no_greeting(where: str, seconds: float) -> LinkFailure:
    """TCP was accepted, and then nothing: a frozen sshd, or a full queue of logins."""
    return LinkFailure(
        "timeout", f"{where} takes the connection but sshd says nothing for {seconds:.0f} s: "
        "the machine hangs or is overloaded"
    )  # fmt: skip


def stalled(who: str, phase: str, seconds: float) -> LinkFailure:
    """The handshake began and didn't end."""
    what = "the login" if phase == "login" else "the SSH handshake"
    return LinkFailure("timeout", f"{what} of {who} took longer than {seconds:.0f} s", phase)


def of_auth(
    who: str, tried: list[str], untried: int, problems: tuple[str, ...], banner: str, reason: str
) -> LinkFailure:
    """The server accepted none of the keys; its banner may say more."""
    said = [line.strip() for line in banner.splitlines() if line.strip()]
    told = [line for line in said if any(word in line.lower() for word in _ACCOUNT)]
    if told:
        return LinkFailure("auth", f"the account {who} can't log in: {told[0]}", "login")
    if untried and not tried:
        return LinkFailure(
            "auth", f"the server asks {who} for no key, and flextui types no passwords: "
            "set PubkeyAuthentication yes in its sshd_config", "login",
        )  # fmt: skip
    offered = f"tried {', '.join(tried)}" if tried else "there was no key to try"
    left_out = f"; left out: {', '.join(problems)}" if problems else ""
    if "too many" in reason.lower():
        mend = (
            "the server stopped after that many: set IdentityFile and IdentitiesOnly for this host"
        )
    elif tried:
        mend = f"add one of them to authorized_keys (`ssh-copy-id {who}`)"
    else:
        mend = "make one (`ssh-keygen`) or start ssh-agent, then `ssh-copy-id`"
    return LinkFailure("auth", f"no key accepted for {who}: {offered}{left_out}; {mend}", "login")


def of_handshake(who: str, where: str, phase: str, error: Exception) -> LinkFailure:
    """Everything else that ends a handshake."""
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return LinkFailure(
            "protocol", f"{where} and flextui have no SSH algorithm in common: {error.reason}",
            "host key",
        )  # fmt: skip
    if isinstance(error, asyncssh.ConnectionLost | ConnectionError | EOFError):
        return LinkFailure(
            "closed", f"{where} closed the connection during the handshake: too many logins at "
            "once (MaxStartups), or a login guard such as fail2ban", phase,
        )  # fmt: skip
    if isinstance(error, asyncssh.ProtocolError | asyncssh.ProtocolNotSupported):
        return LinkFailure("protocol", f"{where} speaks no SSH that flextui understands: {error}")
    if isinstance(error, asyncssh.DisconnectError):
        return LinkFailure("closed", f"{where} ended the connection: {error.reason}", phase)
    if isinstance(error, OSError):
        return of_dial(where, error)
    return LinkFailure("protocol", f"the SSH handshake with {where} failed: {error}", phase)


def of_proxy(who: str, command: str, phase: str) -> LinkFailure:
    """The ProxyCommand hung up."""
    text = f"the ProxyCommand for {who} ended before the login did; run it by hand: {command}"
    return LinkFailure("closed", text, phase)


def of_session(who: str, error: Exception) -> LinkFailure:
    """The login worked and no command may run."""
    if isinstance(error, asyncssh.ChannelOpenError):
        if error.code == asyncssh.OPEN_CONNECT_FAILED:
            return LinkFailure(
                "sessions", f"sshd refuses one more session for {who}: raise MaxSessions in its "
                "sshd_config", "shell",
            )  # fmt: skip
        return LinkFailure(
            "shell", f"sshd lets {who} log in but run no command ({error.reason}): is there a "
            "ForceCommand, or is it an account for file transfer alone?", "shell",
        )  # fmt: skip
    return LinkFailure("closed", f"the connection of {who} broke: {error}", "shell")


def of_tunnel(jump: str, where: str, error: asyncssh.ChannelOpenError) -> LinkFailure:
    """The jump host works and doesn't reach the node."""
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return LinkFailure(
            "jump_forward", f"jump host {jump} forwards no connections: "
            "allow AllowTcpForwarding in its sshd_config"
        )  # fmt: skip
    reason = error.reason.strip().rstrip(".")
    code = "refused" if "refused" in reason.lower() else "jump"
    return LinkFailure(code, f"jump host {jump} can't reach {where}: {reason}")


def unknown_host_key(host: str, key: asyncssh.SSHKey) -> LinkFailure:
    return LinkFailure(
        "host_key", f"the host key of {host} is unknown ({kind(key)} {key.get_fingerprint()}): "
        "compare it, then run `flextui check --accept-new`", "host key",
    )  # fmt: skip


def changed_host_key(host: str, key: asyncssh.SSHKey, where: str) -> LinkFailure:
    return LinkFailure(
        "host_key_changed", f"the host key of {host} CHANGED: it shows {kind(key)} "
        f"{key.get_fingerprint()}, {where} has another. Was the machine set up anew, or does "
        "somebody pose as it? If it is right, remove that line yourself, then run "
        "`flextui check --accept-new`; flextui never replaces a key", "host key",
    )  # fmt: skip


def revoked_host_key(host: str, where: str) -> LinkFailure:
    return LinkFailure(
        "host_key_changed", f"the host key of {host} is revoked by {where}", "host key"
    )


def kind(key: asyncssh.SSHKey) -> str:
    return key.get_algorithm().removeprefix("ssh-")
