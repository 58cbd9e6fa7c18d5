"""The keys to log in with: files read once for all hosts, and one connection to the SSH agent.

What was tried, and why something was not, is kept in words: 'permission denied' alone helps
nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from flextui.core.adapters.ssh_config import HostOptions

DEFAULT_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
AGENT_S = 5.0


@dataclass(frozen=True, slots=True)
class _KeyFile:
    """A private key as it was found: usable, or the reason why it isn't."""

    path: Path
    key: asyncssh.SSHKey | None
    certificate: asyncssh.SSHCertificate | None
    public: bytes | None
    """The public half, by which the agent may hold it."""
    problem: str


@dataclass(frozen=True, slots=True)
class Credential:
    """One key to offer, and what to call it."""

    name: str
    pair: asyncssh.SSHKeyPair


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys in the order in which they are offered, and what was left out and why."""

    offered: tuple[Credential, ...]
    problems: tuple[str, ...]


class KeyRing:
    """Loads each file once, until it changes; belongs to one event loop."""

    def __init__(self) -> None:
        self._files: dict[tuple[Path, Path | None], tuple[tuple[int | None, ...], _KeyFile]] = {}
        self._loading = asyncio.Lock()
        self._agents: dict[str, asyncssh.SSHAgentClient] = {}

    async def credentials(self, options: HostOptions) -> Credentials:
        """What to offer to a host. Never raises: problems are told in words."""
        files, explicit = await self._identities(options)
        held, problem = await self._agent_keys(options)
        problems = [problem] if problem else []
        in_agent = {pair.public_data: pair for pair in held}
        offered: list[Credential] = []
        for file in files:
            pair = in_agent.pop(file.public, None) if file.public else None
            if pair is not None:
                offered.append(Credential(f"{_short(file.path)} (agent)", pair))
            elif file.key is not None:
                offered += self._pairs(file)
            elif file.problem:
                problems.append(f"{_short(file.path)} {file.problem}")
        if not options.flag("identitiesonly", False):
            others = [Credential(_agent_name(pair), pair) for pair in in_agent.values()]
            # Keys that the user named for this host go first; else the agent's do, as with ssh.
            offered = offered + others if explicit else others + offered
        return Credentials(tuple(offered), tuple(problems))

    async def close(self) -> None:
        agents, self._agents = self._agents, {}
        for agent in agents.values():
            agent.close()
            await agent.wait_closed()

    @staticmethod
    def _pairs(file: _KeyFile) -> list[Credential]:
        """New pairs for each connection: a pair carries the signature algorithm of its server."""
        assert file.key is not None
        loaded: list[Credential] = []
        if file.certificate is not None:
            pairs = asyncssh.load_keypairs([(file.key, file.certificate)])
            loaded += [Credential(f"{_short(file.path)} with certificate", pairs[0])]
        pairs = asyncssh.load_keypairs([file.key])
        return [*loaded, *(Credential(_short(file.path), pair) for pair in pairs)]

    # ── files ──────────────────────────────────────────────────────────────────────────────────

    async def _identities(self, options: HostOptions) -> tuple[list[_KeyFile], bool]:
        named = options.paths("identityfile")
        certificates = options.paths("certificatefile") or ()
        folder = Path("~/.ssh").expanduser()
        paths: Sequence[Path] = named if named is not None else [folder / n for n in DEFAULT_NAMES]
        found = []
        async with self._loading:  # others wait for the one that reads
            for path in paths:
                certificate = next((c for c in certificates if c.name.startswith(path.name)), None)
                file = await self._file(path, certificate)
                if named is None and file.key is None and not path.exists():
                    continue
                found.append(file)
        return found, named is not None

    async def _file(self, path: Path, certificate: Path | None) -> _KeyFile:
        sides = (path, path.with_name(path.name + ".pub"), path.with_name(path.name + "-cert.pub"))
        stamps = tuple(_stamp(side) for side in sides)
        cached = self._files.get((path, certificate))
        if cached is not None and cached[0] == stamps:
            return cached[1]
        file = await asyncio.get_running_loop().run_in_executor(None, _load, path, certificate)
        self._files[(path, certificate)] = (stamps, file)
        return file

    # ── the agent ──────────────────────────────────────────────────────────────────────────────

    async def _agent_keys(self, options: HostOptions) -> tuple[list[asyncssh.SSHKeyPair], str]:
        path = _agent_path(options)
        if not path:
            return [], ""
        agent = self._agents.get(path)
        if agent is None:
            agent = self._agents[path] = asyncssh.SSHAgentClient(path)
        try:
            async with asyncio.timeout(AGENT_S):
                return list(await agent.get_keys()), ""
        except TimeoutError:
            del self._agents[path]
            return [], f"the SSH agent at {path} doesn't answer"
        except (OSError, ValueError) as error:
            return [], f"the SSH agent at {path} can't be asked ({error})"


def _agent_path(options: HostOptions) -> str:
    configured = options.one("identityagent")
    if configured is None or configured == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK", "")
    if configured.lower() == "none":
        return ""
    return os.environ.get(configured[1:], "") if configured.startswith("$") else configured


def _load(path: Path, certificate: Path | None) -> _KeyFile:
    public = None
    beside = path.with_name(path.name + "-cert.pub")
    with contextlib.suppress(OSError, asyncssh.KeyImportError):
        public = asyncssh.read_public_key(path.with_name(path.name + ".pub")).public_data
    try:
        key = asyncssh.read_private_key(path)
    except FileNotFoundError:
        return _KeyFile(path, None, None, public, "doesn't exist")
    except OSError as error:
        return _KeyFile(path, None, None, public, f"can't be read ({error.strerror})")
    except asyncssh.KeyEncryptionError as error:
        return _KeyFile(path, None, None, public, str(error))
    except asyncssh.KeyImportError as error:
        if "assphrase" in str(error):
            mend = f"needs its passphrase: ssh-add {_short(path)}"
            return _KeyFile(path, None, None, public, mend)
        return _KeyFile(path, None, None, public, f"is no private key ({error})")
    return _KeyFile(path, key, _certificate(certificate or beside), key.public_data, "")


def _certificate(path: Path) -> asyncssh.SSHCertificate | None:
    try:
        return asyncssh.read_certificate(path)
    except (OSError, asyncssh.KeyImportError):
        return None


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _short(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def _agent_name(pair: asyncssh.SSHKeyPair) -> str:
    comment = pair.get_comment()
    return f"{comment or pair.get_algorithm()} (agent)"
