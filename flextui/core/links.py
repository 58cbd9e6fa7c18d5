"""The sessions of an engine: opened, closed and handed effects, by the name of their node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from flextui.core.draft import SessionOrder
from flextui.core.events import NodeEvent
from flextui.core.model.state import Node
from flextui.core.ports import CoreIdentity, Effect, NodeSession, SessionFactory


class Links:
    """Belongs to one event loop."""

    def __init__(self, factory: SessionFactory, emit: Callable[[NodeEvent], None]) -> None:
        self.sessions: dict[str, NodeSession] = {}
        self.former: tuple[str, ...] = ()
        """Cores whose state this one was copied or restored from: a takeover adopts their work."""
        self.identity = CoreIdentity("", 0, "")
        self._factory = factory
        self._emit = emit
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, node: Node, identity: CoreIdentity | None = None) -> NodeSession:
        """Begin the session of a node."""
        root = (node.root_path, node.root_id) if node.root_id else None
        session = self._factory.open(node.spec, identity or self.identity, root, self._emit)
        self.sessions[node.name] = session
        return session

    def send(self, effects: Iterable[tuple[str, Effect]]) -> None:
        """Hand effects over. Those for nodes without a session are dropped, as ports say."""
        for name, effect in effects:
            session = self.sessions.get(name)
            if session is not None:
                session.send(effect)

    def order(self, order: SessionOrder, node: Node | None) -> None:
        """Do something to a session; `node` is None where the inventory no longer has it."""
        session = self.sessions.get(order.node)
        if order.what == "close" or node is None:
            self._begin(self._close(order.node))
        elif order.what == "reopen":
            self._begin(self._reopen(node, self.identity, take_over=False))
        elif self.former:
            adopting = replace(self.identity, adopt=self.former)
            self._begin(self._reopen(node, adopting, take_over=True))
        elif session is not None:
            session.take_over()

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        """Say bye everywhere and end; workloads keep running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(
            *(
                session.close(release=release, suspend_leases=suspend_leases)
                for session in self.sessions.values()
            ),
            return_exceptions=True,
        )
        await self._factory.close()

    async def _close(self, name: str) -> None:
        session = self.sessions.pop(name, None)
        if session is not None:
            await session.close(release=False, suspend_leases=False)

    async def _reopen(self, node: Node, identity: CoreIdentity, *, take_over: bool) -> None:
        await self._close(node.name)
        session = self.open(node, identity)
        if take_over:
            session.take_over()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
