"""One subscription to an attempt's log: bounded by credit, read at the reader's own pace."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from flextui.core.adapters.decode import log_event
from flextui.core.model.docs import LogEvent

WINDOW = 256 * 1024
"""Bytes of log that an agent may send ahead of the reader."""
SLACK = 64 * 1024
"""What an agent may send over its credit (its last chunk) before the tail is ended."""


class Tail:
    """Events of one subscription. `renew` is told how many bytes may be sent anew."""

    def __init__(self, node: str, attempt: str, renew: Callable[[int], None]) -> None:
        self._node = node
        self._attempt = attempt
        self._renew = renew
        self._events: deque[tuple[LogEvent, int]] = deque()
        self._held = 0
        self._read = 0
        self._broken = False
        self._wake = asyncio.Event()

    def receive(self, message: dict[str, Any]) -> None:
        """A push of this subscription; nonsense is passed over."""
        decoded = log_event(self._node, self._attempt, message)
        if decoded is None or self._broken:
            return
        self._events.append(decoded)
        self._held += max(decoded[1], 64)  # empty pushes are bounded as well
        if self._held > WINDOW + SLACK:
            self.break_off()
        self._wake.set()

    def break_off(self) -> None:
        """The link is gone, or the agent sends more than it may."""
        self._broken = True
        self._wake.set()

    async def next(self) -> LogEvent:
        """The next event. Raises ConnectionResetError when nothing more can come."""
        while not self._events:
            if self._broken:
                raise ConnectionResetError(f"the link to {self._node} broke")
            self._wake.clear()
            await self._wake.wait()
        event, size = self._events.popleft()
        self._held -= max(size, 64)
        self._read += size
        if self._read >= WINDOW // 2 and not self._broken:
            self._renew(self._read)
            self._read = 0
        return event
