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
MERGED = 32 * 1024
"""Small pieces that wait for the reader become one of up to this many bytes."""
EVENTS_BOUND = 32 * 1024
HITS_SIZE, HIT_SIZE = 64, 24
"""What a message of a search takes of the credit, and each line that it tells."""


class Tail:
    """Events of one subscription. `renew` is told how many bytes may be sent anew."""

    def __init__(self, node: str, attempt: str, renew: Callable[[int], None]) -> None:
        self._node = node
        self._attempt = attempt
        self._renew = renew
        self._events: deque[LogEvent] = deque()
        self._held = 0
        self._read = 0
        self._broken = False
        self._wake = asyncio.Event()

    def receive(self, message: dict[str, Any]) -> None:
        """A push of this subscription; nonsense is passed over."""
        event = log_event(self._node, self._attempt, message)
        if event is None or self._broken:
            return
        if not (self._events and _merge(self._events[-1], event)):
            self._events.append(event)
        self._held += _size(event)
        if self._held > WINDOW + SLACK or len(self._events) > EVENTS_BOUND:
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
        event = self._events.popleft()
        size = _size(event)
        self._held -= size
        self._read += size
        if self._read >= WINDOW // 2 and not self._broken:
            self._renew(self._read)
            self._read = 0
        return event


def _size(event: LogEvent) -> int:
    """Bytes of the log that an event carries: what counts against the credit."""
    if event["kind"] == "hits":
        return HITS_SIZE + HIT_SIZE * len(event["hits"])
    return event["to"] - event["at"] if event["kind"] == "data" else 0


def shift(event: LogEvent, by_ms: float) -> None:
    """Put an event's times right by so much; one before all time isn't known."""
    for pairs in (event.get("marks"), event.get("hits")):
        for pair in pairs or ():
            pair[1] = max(0.0, pair[1] + by_ms)


def _merge(last: LogEvent, event: LogEvent) -> bool:
    """Append text to the event before it, if it goes on there."""
    if (
        not last["kind"] == event["kind"] == "data"
        or last["stream"] != event["stream"]
        or last["to"] != event["at"]
        or "b64" in last
        or "b64" in event
        or event["to"] - last["at"] > MERGED
    ):
        return False
    last["text"] += event["text"]
    last["to"] = event["to"]
    if "marks" in event:
        last["marks"] = [*last.get("marks", []), *event["marks"]]
    return True
