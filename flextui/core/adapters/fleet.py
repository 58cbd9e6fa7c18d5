"""The sessions of a fleet: picks the transport of each node and shares what they can share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flextui.core.adapters.backoff import Pace
from flextui.core.adapters.local import LocalTransport
from flextui.core.adapters.session import NodeLink, Setup
from flextui.core.adapters.transport import Transport
from flextui.core.adapters.zipapp import AgentZip, agent_zip
from flextui.core.events import NodeEvent
from flextui.core.model.inventory import Defaults, NodeSpec
from flextui.core.ports import CoreIdentity

if TYPE_CHECKING:
    from flextui.core.adapters.ssh import SshPool


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
        pace: Pace | None = None,
    ) -> None:
        self._defaults = defaults or Defaults()
        self._known_hosts = known_hosts
        self._setup = Setup(self._agent, log_keep_s=log_keep_s, pace=pace or Pace())
        self._zip: asyncio.Future[AgentZip] | None = None
        self._pool: SshPool | None = None
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
        if self._pool is not None:
            await self._pool.close()

    def _transport(self, node: NodeSpec) -> Transport:
        if node.transport == "local":
            return LocalTransport()
        if self._pool is None:
            from flextui.core.adapters.ssh import SshPool

            self._pool = SshPool(self._defaults, self._known_hosts)
        return self._pool.transport(node)

    async def _agent(self) -> AgentZip:
        """The agent's bytes, made once, off the loop: they are compressed."""
        if self._zip is None:
            loop = asyncio.get_running_loop()
            self._zip = loop.run_in_executor(None, agent_zip)
        return await asyncio.shield(self._zip)
