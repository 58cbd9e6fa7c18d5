"""The log of one attempt in memory, read and searched as a core does it."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator

from flextui.core.commands import LogPiece, LogRequest
from flextui.core.model.docs import LogEvent
from flextui.screens.widgets.logpaint import TooSlow, bounded

NOON = 1_795_435_200_000.0
"""2026-11-23 12:00 UTC in ms; the lines come a second apart from then on."""


class FakeLog:
    """Lines of stdout; stderr is empty."""

    def __init__(self, attempt: str, node: str) -> None:
        self.attempt = attempt
        self.node = node
        self.begins: list[int] = []
        self.times: list[float] = []
        self.data = b""
        self.fresh: asyncio.Queue[LogEvent | None] = asyncio.Queue()
        """What is printed from now on; None: the core goes away."""
        self.asked: list[LogRequest] = []

    def print(self, text: str, at: float | None = None) -> None:
        """A line more."""
        self.begins.append(len(self.data))
        self.times.append(NOON + 1000.0 * len(self.times) if at is None else at)
        self.data += text.encode() + b"\n"
        self.fresh.put_nowait(self._data(self.begins[-1], len(self.data)))

    async def events(self, request: LogRequest) -> AsyncIterator[LogEvent]:
        """What a core would tell."""
        self.asked.append(request)
        if request.search is not None:
            for event in self._search(request):
                yield event
        elif request.pieces and not request.follow:
            for piece in request.pieces:
                for event in self._piece(piece):
                    yield event
        elif request.follow:
            begin = next((p.begin for p in request.pieces if p.attempt == self.attempt
                          and p.stream == "out" and p.begin is not None), 0)  # fmt: skip
            while True:
                event = await self.fresh.get()
                if event is None:
                    raise ConnectionError("the core went away")
                if event["at"] >= begin and request.job == self.attempt.partition(".")[0]:
                    yield event

    def _data(self, begin: int, end: int) -> LogEvent:
        first = max(0, bisect_right(self.begins, begin) - 1)
        marks = [[float(self.begins[n]), self.times[n]] for n in range(first, len(self.begins))
                 if self.begins[n] < end]  # fmt: skip
        return {
            "kind": "data", "attempt": self.attempt, "node": self.node, "stream": "out",
            "at": begin, "to": end, "text": self.data[begin:end].decode(), "marks": marks,
        }  # fmt: skip

    def _piece(self, piece: LogPiece) -> list[LogEvent]:
        found: list[LogEvent] = []
        mine = (piece.attempt, piece.stream) == (self.attempt, "out")
        begin, end = self._range(piece) if mine else (0, 0)
        if mine and piece.spots:
            for spot in piece.spots:
                n = self.begins.index(spot)
                last = n + piece.context + 1
                stop = self.begins[last] if last < len(self.begins) else len(self.data)
                found.append(self._data(self.begins[max(0, n - piece.context)], stop))
        elif begin < end:
            found.append(self._data(begin, end))
        told: LogEvent = {"kind": "eof", "attempt": piece.attempt, "node": self.node, "stream": "",
                          "at": 0, "to": 0, "text": "",
                          "told": {piece.stream: [begin, end]}}  # fmt: skip
        return [*found, told]

    def _range(self, piece: LogPiece) -> tuple[int, int]:
        end = len(self.data) if piece.end is None else int(piece.end)
        if piece.begin is not None:
            begin = int(piece.begin)
            return begin, end if piece.limit is None else min(end, begin + piece.limit)
        found = [0]
        if piece.lines is not None:
            before = [it for it in self.begins if it < end]
            found = [before[-piece.lines] if len(before) >= piece.lines else 0]
        if piece.since is not None:
            n = bisect_left(self.times, piece.since)
            since = self.begins[n] if n < len(self.begins) else len(self.data)
            found = [min(found[0], since) if piece.lines is not None else since]
        return found[0], end

    def _search(self, request: LogRequest) -> list[LogEvent]:
        wish = request.search
        assert wish is not None
        regex = re.compile(wish.pattern, re.IGNORECASE if wish.ignore_case else 0)
        lines = self.data.decode().split("\n")[:-1]
        try:
            with bounded(0.2):
                hits = [
                    [float(at), when]
                    for at, when, text in zip(self.begins, self.times, lines, strict=True)
                    if (regex.search(text) is not None) != wish.inverse
                ]
        except TooSlow:
            return [{"kind": "notice", "attempt": "", "node": self.node, "stream": "", "at": 0,
                     "to": 0, "text": "the pattern takes too long"}]  # fmt: skip
        return [
            {"kind": "hits", "attempt": self.attempt, "node": self.node, "stream": "out", "at": 0,
             "to": 0, "text": "", "hits": hits, "count": len(hits), "whole": True}
            for piece in request.pieces if (piece.attempt, piece.stream) == (self.attempt, "out")
        ]  # fmt: skip
