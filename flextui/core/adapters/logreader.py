"""Reading logs over one channel: a subscription, its credit, and the clock of the other side."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

from flextui.core.adapters import decode, effects, values
from flextui.core.adapters.channel import Channel
from flextui.core.adapters.tail import WINDOW, Tail, shift
from flextui.core.model.docs import LogEvent
from flextui.core.ports import LogAsk, SearchRequest

SKEW_MS = 250.0
"""A clock that differs by less is taken as right: finer than this, links can't tell."""


class LogReader:
    """Reads the logs of one node, and knows how far its clock is off."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._skew_ms = 0.0
        """How much the node's clock is ahead of this one; 0 if it is near enough."""

    async def read(self, channel: Channel, request: LogAsk) -> AsyncGenerator[LogEvent, None]:
        """Until eof. Raises ConnectionError when the link breaks."""
        attempt = "" if isinstance(request, SearchRequest) else request.attempt
        tail = Tail(self._node, attempt, lambda size: renew(size))
        sub = channel.open_tail(tail)

        def renew(size: int) -> None:
            channel.notify({"t": "credit", "sub": sub, "bytes": size}, bulk=True)

        try:
            asked = time.time()
            answer = await channel.request(effects.tail(request, sub, WINDOW, self._skew_ms))
            if answer.get("t") == "error":
                _, text = decode.complaint(answer)
                yield _event(self._node, attempt, "notice", text)
                yield _event(self._node, attempt, "eof", "")
                return
            self._learn(answer, asked)
            while True:
                event = await tail.next()
                if self._skew_ms:
                    shift(event, -self._skew_ms)
                yield event
                if event["kind"] == "eof":
                    return
        finally:
            channel.close_tail(sub)

    def _learn(self, answer: dict[str, Any], asked: float) -> None:
        there = values.moment(answer.get("now_at"))
        if there is None:
            return
        now = time.time()
        skew = (there - (asked + now) / 2) * 1000
        self._skew_ms = skew if abs(skew) > SKEW_MS + (now - asked) * 1000 else 0.0


def _event(node: str, attempt: str, kind: Any, text: str) -> LogEvent:
    return LogEvent(kind=kind, attempt=attempt, node=node, stream="", at=0, to=0, text=text)
