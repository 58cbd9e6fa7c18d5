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
        self._turns: dict[str, asyncio.Lock] = {}
        """Orders for one node are carried out one after another: it has one session at a time."""
        self._closing = False

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
        self._begin(self._carry_out(order, node))

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        """Say bye everywhere and end; workloads keep running."""
        self._closing = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(
            *(
                session.close(release=release, suspend_leases=suspend_leases)
                for session in self.sessions.values()
            ),
            return_exceptions=True,
        )
        await self._factory.close()

    async def _carry_out(self, order: SessionOrder, node: Node | None) -> None:
        async with self._turns.setdefault(order.node, asyncio.Lock()):
            if self._closing:
                return
            if order.what == "close" or node is None:
                await self._close(order.node)
            elif order.what == "reopen":
                await self._reopen(node, self.identity, take_over=False)
            elif self.former:
                adopting = replace(self.identity, adopt=self.former)
                await self._reopen(node, adopting, take_over=True)
            elif order.node in self.sessions:
                self.sessions[order.node].take_over()

    async def _close(self, name: str) -> None:
        session = self.sessions.pop(name, None)
        if session is not None:
            await session.close(release=False, suspend_leases=False)

    async def _reopen(self, node: Node, identity: CoreIdentity, *, take_over: bool) -> None:
        await self._close(node.name)
        if self._closing:
            return
        session = self.open(node, identity)
        if take_over:
            session.take_over()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
