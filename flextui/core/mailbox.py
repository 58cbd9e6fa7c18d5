"""What waits for the engine's next turn.

Events keep their order. Of telemetry only the newest of each node waits, and none of a session
that has ended since: a slow turn is followed by one catch-up, not by a queue of old numbers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flextui.core.draft import Draft
from flextui.core.events import NodeDown, NodeEvent, NodeReady, Sampled
from flextui.core.model.state import Snapshot

Answer = Callable[[Snapshot], dict[str, Any]]


@dataclass(slots=True, eq=False)
class Ask:
    """A command: folded like an event, and answered when its turn is durable."""

    apply: Callable[[Draft], Answer]
    future: asyncio.Future[dict[str, Any]]


Item = NodeEvent | Ask


class Mailbox:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._samples: dict[str, Sampled] = {}
        self._wake = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._items or self._samples)

    def put(self, item: Item) -> None:
        """Never blocks."""
        if isinstance(item, Sampled):
            self._samples[item.node] = item
        else:
            if isinstance(item, NodeReady | NodeDown):
                self._samples.pop(item.node, None)
            self._items.append(item)
        self._wake.set()

    def take(self, limit: int) -> list[Item]:
        """Up to `limit` items in order, then the telemetry that fits."""
        taken: list[Item] = []
        while self._items and len(taken) < limit:
            taken.append(self._items.popleft())
        while self._samples and not self._items and len(taken) < limit:
            name = next(iter(self._samples))
            taken.append(self._samples.pop(name))
        return taken

    def poke(self) -> None:
        """Wake the engine without an item."""
        self._wake.set()

    async def wait(self, timeout_s: float | None) -> None:
        """Until something is there, or the timeout."""
        if self:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return
