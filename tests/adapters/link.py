"""A session with the real agent, and ways to wait for what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from flextui.core.adapters.fleet import Fleet
from flextui.core.adapters.session import NodeLink
from flextui.core.events import AttemptReported, NodeEvent, NodeReady
from flextui.core.model.inventory import NodeSpec
from flextui.core.ports import CoreIdentity, StartAttempt

E = TypeVar("E", bound=NodeEvent)
ALICE = CoreIdentity("c-alice", 1, "alice@head")


class Events:
    """Collects what sessions emit; `wait` returns what came after the last wait."""

    def __init__(self) -> None:
        self.seen: list[NodeEvent] = []
        self._read = 0
        self._more = asyncio.Event()

    def __call__(self, event: NodeEvent) -> None:
        self.seen.append(event)
        self._more.set()

    async def wait(
        self, kind: type[E], matching: Callable[[E], bool] = lambda event: True, within: float = 30
    ) -> E:
        try:
            async with asyncio.timeout(within):
                while True:
                    while self._read < len(self.seen):
                        event = self.seen[self._read]
                        self._read += 1
                        if isinstance(event, kind) and matching(event):
                            return event
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(
                f"no {kind.__name__} within {within} s: {self.seen[-5:]}"
            ) from None

    async def record(self, attempt: str, state: str) -> AttemptReported:
        return await self.wait(
            AttemptReported, lambda e: e.record.attempt == attempt and e.record.state == state
        )


class Session:
    """An open link and its events."""

    def __init__(self, link: NodeLink, events: Events) -> None:
        self.link = link
        self.events = events
        self.ready: NodeReady | None = None

    async def connected(self, within: float = 30) -> NodeReady:
        self.ready = await self.events.wait(NodeReady, within=within)
        return self.ready

    def start(self, attempt: str, command: str, **changes: Any) -> None:
        assert self.ready is not None
        fields: dict[str, Any] = {
            "attempt": attempt,
            "boot": self.ready.facts.boot,
            "job": "alice/test",
            "task": 0,
            "argv": ("/bin/sh", "-c", command),
            "env": {},
            "workdir": "/",
            "time_limit_s": None,
            "grace_s": 2.0,
            "memory_bytes": None,
            "lease_s": None,
            "devices": (),
        }
        self.link.send(StartAttempt(**(fields | changes)))


@asynccontextmanager
async def session(
    node: NodeSpec, identity: CoreIdentity = ALICE, **fleet_options: Any
) -> AsyncIterator[Session]:
    """A session of a fleet of its own, closed at the end."""
    events = Events()
    fleet = Fleet(**fleet_options)
    try:
        yield Session(fleet.open(node, identity, None, events), events)
    finally:
        await fleet.close()
