"""The sessions of a fleet: picks the transport of each node and shares what they can share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flextui.core.adapters.backoff import Pace
from flextui.core.adapters.local import LocalTransport
from flextui.core.adapters.pacer import Turn
from flextui.core.adapters.session import NodeLink, Setup
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.transport import Finding, Transport
from flextui.core.adapters.zipapp import AgentZip, agent_zip
from flextui.core.events import NodeEvent
from flextui.core.later import imported
from flextui.core.model.inventory import Defaults, NodeSpec
from flextui.core.ports import CoreIdentity, Program, RunningProgram

if TYPE_CHECKING:
    from flextui.core.adapters.ssh import SshTransports

SSH_MODULE = "flextui.core.adapters.ssh"


class Fleet:
    """A SessionFactory; belongs to one event loop.

    `known_hosts` is flextui's own file of host keys, read beside the user's. asyncssh is imported
    when the first ssh node is opened: a fleet of this machine alone never pays for it.
    """

    def __init__(
        self,
        *,
        defaults: Defaults | None = None,
        known_hosts: Path | None = None,
        log_keep_s: float = 14 * 86400.0,
        log_bytes: int = 256 << 20,
        pace: Pace | None = None,
    ) -> None:
        self._defaults = defaults or Defaults()
        self._known_hosts = known_hosts
        self._setup = Setup(
            self._agent, log_keep_s=log_keep_s, log_bytes=log_bytes, pace=pace or Pace()
        )
        self._zip: asyncio.Future[AgentZip] | None = None
        self._ssh: asyncio.Task[SshTransports] | None = None
        self._links: list[NodeLink] = []

    def open(
        self,
        node: NodeSpec,
        identity: CoreIdentity,
        root: tuple[str, str] | None,
        emit: Callable[[NodeEvent], None],
    ) -> NodeLink:
        link = NodeLink(node.name, self._transport(node), identity, root, emit, self._setup)
        self._links.append(link)
        return link

    async def close(self) -> None:
        """End what is still open, without a word to the agents beyond bye."""
        links, self._links = self._links, []
        await asyncio.gather(
            *(link.close(release=False, suspend_leases=False) for link in links if not link.closed)
        )
        if self._ssh is not None:
            await (await self._ssh).close()

    def _transport(self, node: NodeSpec) -> Transport:
        if node.transport == "local":
            return LocalTransport(node.python)
        if self._ssh is None:
            self._ssh = asyncio.get_running_loop().create_task(self._load_ssh())
        return _SshNode(self._ssh, node)

    async def _load_ssh(self) -> SshTransports:
        """Off the loop: importing the SSH library takes a fifth of a second."""
        module = await imported(SSH_MODULE)
        gc.freeze()  # what is imported stays: walking it each time would hold the loop for long
        transports: SshTransports = module.SshTransports(
            self._defaults, self._known_hosts, self._setup.pacer
        )
        return transports

    async def _agent(self) -> AgentZip:
        """The agent's bytes, made once, off the loop: they are compressed."""
        if self._zip is None:
            loop = asyncio.get_running_loop()
            self._zip = loop.run_in_executor(None, agent_zip)
        return await asyncio.shield(self._zip)


class _SshNode:
    """Transport of an ssh node, before and after the SSH library is there."""

    def __init__(self, ssh: asyncio.Task[SshTransports], node: NodeSpec) -> None:
        self._ssh = ssh
        self._node = node
        self._transport: Transport | None = None

    async def open(self, turn: Turn) -> ByteStream:
        if self._transport is None:
            self._transport = (await asyncio.shield(self._ssh)).of(self._node)
        return await self._transport.open(turn)

    async def run(self, turn: Turn, program: Program, core_id: str) -> RunningProgram:
        if self._transport is None:
            self._transport = (await asyncio.shield(self._ssh)).of(self._node)
        return await self._transport.run(turn, program, core_id)

    def findings(self) -> list[Finding]:
        return self._transport.findings() if self._transport is not None else []

    def core_boot(self) -> dict[str, Any] | None:
        return None

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()
