"""Parts of logs, and searches in them: what a reader asks for who goes back, jumps or looks for
something. Each part comes from the attempt's node, else from the core's own copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from flextui.core.commands import CommandError, LogPiece, LogRequest, LogSearch
from flextui.core.copies import Copies
from flextui.core.desk import Desk
from flextui.core.engine import Engine
from flextui.core.model.docs import LogEvent
from flextui.core.model.ids import task_of_attempt
from flextui.core.model.state import Identity, NodeStatus
from flextui.core.ports import LogAsk, SearchRequest, SpotsRequest, TailRequest

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Parts that are read at the same time."""
MOST_PIECES = 4096
SILENT_S = 10.0
"""A node that says nothing for so long is passed over, one that searches only when it is out of
reach: a search may find nothing for long."""
QUEUE = 64
"""Pieces of log that may wait for a slow reader; the nodes' own flow control holds the rest."""
Tell = Callable[[LogEvent], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Where logs can be read: nodes by their sessions, copies."""

    engine: Engine
    copies: Copies | None

    async def read(self, node: str, ask: LogAsk) -> AsyncGenerator[LogEvent, None]:
        """From the node, else from copies; what can't be had becomes a notice."""
        missing = set(ask.attempts if isinstance(ask, SearchRequest) else (ask.attempt,))
        wrong = ""
        try:
            async with contextlib.aclosing(self._from_node(node, ask)) as events:
                async for event in events:
                    if event["kind"] == "notice" and self._copied(missing):
                        wrong = event["text"]
                        break
                    if event["kind"] != "eof" or not isinstance(ask, SearchRequest):
                        missing.discard(event["attempt"])
                    yield event
        except ConnectionError as error:
            wrong = str(error) or f"{node} doesn't answer"
        if copied := self._copied(missing):
            if isinstance(ask, SearchRequest):
                ask = replace(ask, attempts=copied)
            async with contextlib.aclosing(self._from_copy(node, ask, copied[0])) as events:
                async for event in events:
                    yield event
        elif wrong:
            yield notice(node, min(missing, default=""), wrong)

    async def _from_node(self, node: str, ask: LogAsk) -> AsyncGenerator[LogEvent, None]:
        session = self.engine.sessions.get(node)
        if session is None:
            raise ConnectionError(f"{node} isn't connected: its logs can't be read")
        events: AsyncIterator[LogEvent] = session.tail(ask)
        if not (isinstance(ask, TailRequest) and ask.follow):
            searches = isinstance(ask, SearchRequest)
            events = _in_time(events, node, lambda: searches and self._in_reach(node))
        try:
            async for event in events:
                yield event
        finally:
            await close(events)

    def _in_reach(self, name: str) -> bool:
        node = self.engine.snapshot.nodes.get(name)
        return node is not None and node.status in (NodeStatus.READY, NodeStatus.OBSERVED)

    async def _from_copy(
        self, node: str, ask: LogAsk, attempt: str
    ) -> AsyncGenerator[LogEvent, None]:
        assert self.copies is not None
        try:
            async with contextlib.aclosing(self.copies.read(ask)) as events:
                async for event in events:
                    event["node"] = node
                    yield event
        except ConnectionError as error:
            yield notice(node, attempt, str(error))

    def _copied(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of these attempts of which there are copies."""
        return tuple(filter(self.copies.has, names)) if self.copies is not None else ()


async def _next(events: AsyncIterator[LogEvent]) -> LogEvent:
    return await anext(events)


async def _in_time(
    events: AsyncIterator[LogEvent], node: str, busy: Callable[[], bool]
) -> AsyncGenerator[LogEvent, None]:
    """Events that come within a while of each other, or later while the node is busy with them.
    Raises ConnectionError."""
    coming: asyncio.Task[LogEvent] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(_next(events))
            while not (await asyncio.wait((coming,), timeout=SILENT_S))[0]:
                if not busy():
                    raise ConnectionError(f"{node} doesn't answer")
            yield coming.result()
    except StopAsyncIteration:
        return
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await close(events)


async def close(events: AsyncIterator[LogEvent]) -> None:
    """End what is being read."""
    if isinstance(events, AsyncGenerator):
        await events.aclose()


def notice(node: str, attempt: str, text: str) -> LogEvent:
    """A line from flextui itself in between."""
    return {
        "kind": "notice", "attempt": attempt, "node": node, "stream": "", "at": 0, "to": 0,
        "text": text,
    }  # fmt: skip


async def part_events(
    desk: Desk, reader: Reader, request: LogRequest, who: Identity
) -> AsyncGenerator[LogEvent, None]:
    """The parts that a request names, side by side as they come. Raises `CommandError`."""
    if len(request.pieces) > MOST_PIECES:
        raise CommandError("input", f"at most {MOST_PIECES} parts of logs can be asked for at once")
    places = await _places(desk, {piece.attempt for piece in request.pieces}, who)
    if request.search is None:
        asks = [(places[piece.attempt], _ask(piece)) for piece in request.pieces]
    else:
        asks = list(_searches(request.pieces, request.search, places))
    async with contextlib.aclosing(_side_by_side(reader, asks)) as events:
        async for event in events:
            yield event


async def _places(desk: Desk, attempts: set[str], who: Identity) -> dict[str, str]:
    """Attempt → its node. Raises `CommandError` for one that nobody knows."""
    known = desk.engine.snapshot.attempts
    places = {it: known[it].node for it in attempts if it in known}
    for attempt in attempts - places.keys():
        key = task_of_attempt(attempt)
        if key is None:
            raise CommandError("input", f"{attempt!r:.60} is no attempt")
        if attempt in places:
            continue
        doc = await desk.find_doc(key.job, who)
        places.update({a["id"]: a["node"] for task in doc["tasks"] for a in task["attempts"]})
        if attempt not in places:
            raise CommandError("input", f"{doc['name']} has no attempt {attempt}")
    return places


def _ask(piece: LogPiece) -> LogAsk:
    if piece.spots or piece.times:
        spots, moments = piece.spots, piece.times
        return SpotsRequest(piece.attempt, piece.stream, spots, moments, piece.context)
    return TailRequest(
        piece.attempt,
        streams=(piece.stream,),
        start=None if piece.begin is None else {piece.stream: piece.begin},
        until=None if piece.end is None else {piece.stream: piece.end},
        last_lines=piece.lines,
        since_ms=piece.since,
        limit=piece.limit,
    )


def _searches(
    pieces: Iterable[LogPiece], wish: LogSearch, places: dict[str, str]
) -> Iterable[tuple[str, LogAsk]]:
    """One search for each node and set of streams."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    streams: dict[str, set[str]] = {}
    for piece in pieces:
        streams.setdefault(piece.attempt, set()).add(piece.stream)
    for attempt, wanted in streams.items():
        grouped.setdefault((places[attempt], tuple(sorted(wanted))), []).append(attempt)
    for (node, names), attempts in grouped.items():
        yield (
            node,
            SearchRequest(
                tuple(attempts), names, wish.pattern, wish.ignore_case, wish.inverse, wish.most
            ),
        )


def _side_by_side(reader: Reader, asks: list[tuple[str, LogAsk]]) -> AsyncGenerator[LogEvent, None]:
    async def read(node: str, ask: LogAsk, tell: Tell) -> None:
        try:
            async with slots, contextlib.aclosing(reader.read(node, ask)) as events:
                async for event in events:
                    await tell(event)
        except Exception as error:  # one part that can't be read doesn't take the others along
            log.exception("reading logs of %s", node)
            await tell(notice(node, "", f"flextui's own failure: {error!r}"))

    slots = asyncio.Semaphore(AT_ONCE)
    return together([partial(read, node, ask) for node, ask in asks])


async def together(
    tellers: Iterable[Callable[[Tell], Coroutine[Any, Any, None]]],
) -> AsyncGenerator[LogEvent, None]:
    """What several tell at the same time, as it comes, until all have ended; who tells waits
    while nobody reads."""
    queue: asyncio.Queue[LogEvent | None] = asyncio.Queue(QUEUE)

    async def tell(teller: Callable[[Tell], Coroutine[Any, Any, None]]) -> None:
        await teller(queue.put)
        await queue.put(None)

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(tell(it)) for it in tellers]
    left = len(tasks)
    try:
        while left:
            event = await queue.get()
            if event is None:
                left -= 1
            else:
                yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
