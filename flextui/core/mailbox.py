"""What waits for the engine's next turn.

Events keep their order. Of telemetry only the newest of each node waits, and none of a session
that has ended since: a slow turn is followed by one catch-up, not by a queue of old numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from flextui.core.commands import CommandError
from flextui.core.draft import Draft
from flextui.core.events import AttemptReported, NodeDown, NodeEvent, NodeReady, Sampled
from flextui.core.model.state import Snapshot

log = logging.getLogger(__name__)

Answer = Callable[[Snapshot], dict[str, Any]]
Folding = Answer | Generator[None, None, Answer]
"""What a command comes to; where folding it in may take long, the steps to that."""


@dataclass(slots=True, eq=False)
class Ask:
    """A command: folded like an event, and answered when its turn is durable."""

    apply: Callable[[Draft], Folding]
    future: asyncio.Future[dict[str, Any]]

    def reply(self, answer: Answer, snapshot: Snapshot) -> None:
        """Its turn is durable: answer who asked, if they still wait."""
        if self.future.done():
            return
        try:
            self.future.set_result(answer(snapshot))
        except Exception as error:
            log.exception("answering")
            self.refuse(CommandError("failed", f"flextui's own failure: {error!r}"))

    def refuse(self, error: CommandError) -> None:
        """Nothing of it was done."""
        if not self.future.done():
            self.future.set_exception(error)


Item = NodeEvent | Ask


def refuse(item: Item, error: CommandError) -> None:
    """Tell who asked, if it is a command."""
    if isinstance(item, Ask):
        item.refuse(error)


def facts(items: Sequence[Item]) -> list[Item]:
    """Those that aren't commands."""
    return [item for item in items if not isinstance(item, Ask)]


TELEMETRY_S = 0.05
RUNNING_S = 0.005


def patience(item: Item) -> float:
    """Seconds that an item may wait for others, so that they share a turn and a commit.

    Work that was seen to start frees nothing, and short work ends before it matters.
    """
    if isinstance(item, Sampled):
        return TELEMETRY_S
    if isinstance(item, AttemptReported) and item.record.state in ("running", "starting"):
        return RUNNING_S
    return 0.0


class Mailbox:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._samples: dict[str, Sampled] = {}
        self._due = math.inf
        """Monotonic time at which what waits is to be taken up."""
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
        self._hasten(time.monotonic() + patience(item))

    def put_back(self, items: Sequence[Item]) -> None:
        """What was taken and not used up, before everything else."""
        self._items.extendleft(reversed(items))
        self._hasten(0.0)

    def poke(self) -> None:
        """Wake the engine without an item."""
        self._hasten(0.0)

    def _hasten(self, due: float) -> None:
        if due < self._due:
            self._due = due
            self._wake.set()

    def take(self, limit: int) -> list[Item]:
        """Up to `limit` items in order, then the telemetry that fits."""
        taken: list[Item] = []
        while self._items and len(taken) < limit:
            taken.append(self._items.popleft())
        while self._samples and not self._items and len(taken) < limit:
            name = next(iter(self._samples))
            taken.append(self._samples.pop(name))
        self._due = 0.0 if self else math.inf
        return taken

    async def wait(self, timeout_s: float | None) -> None:
        """Until something is to be taken up, or the timeout."""
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while (left := min(self._due, deadline) - time.monotonic()) > 0:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if left == math.inf else left):
                    await self._wake.wait()
