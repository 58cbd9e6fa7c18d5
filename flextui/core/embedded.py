"""The client of a core that lives in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from flextui.core import view
from flextui.core.client import CoreInfo
from flextui.core.commands import Command, CommandError, LogRequest, ShellRequest
from flextui.core.desk import Desk
from flextui.core.feed import Watcher
from flextui.core.logs import log_events
from flextui.core.model.docs import Delta, EventDoc, LogEvent, ShellEvent, ShellInput
from flextui.core.model.state import Identity
from flextui.core.ports import EventQuery, StoreError
from flextui.core.shells import shell_events

FRAME_S = 0.25
"""A view that changes all the time is sent this often."""
BURST = 4
"""Changes that go out at once after a while without any: a command that waits isn't kept."""
EVENTS_S = 0.1
EVENTS_STEP = 1000
LEAST_S = 0.005
LOOK_S = 10.0
"""How often problems are looked for while nothing changes."""
CHUNK = 100
BEGINNING = -1
"""Before every event."""


class Frames:
    """When the changes of a view go out: BURST of them at once, then one each FRAME_S."""

    def __init__(self) -> None:
        self._due = 0.0
        """When the last one would have gone out, had all kept their distance."""

    def delay(self, now: float) -> float:
        """Seconds that the next one, which is there `now`, has to wait."""
        self._due = max(self._due + FRAME_S, now)
        return max(0.0, self._due - now - (BURST - 1) * FRAME_S)


async def _changed_within(watcher: Watcher, seconds: float) -> bool:
    """Whether something has changed before that time was over."""
    try:
        async with asyncio.timeout(seconds):
            await watcher.changed()
    except TimeoutError:
        return False
    return True


class EmbeddedClient:
    """A `Client` for one identified caller; the socket server makes one for each connection."""

    def __init__(self, desk: Desk, who: Identity, info: CoreInfo) -> None:
        self._desk = desk
        self._who = who
        self._info = info

    @property
    def info(self) -> CoreInfo:
        return self._info

    async def call(self, command: Command) -> dict[str, Any]:
        return await self._desk.call(command, self._who)

    async def watch(self) -> AsyncGenerator[Delta, None]:
        engine, board = self._desk.engine, self._desk.board
        loop = asyncio.get_running_loop()
        watcher = engine.feed.join()
        try:
            whole = await self._whole()
            whole["problems"], told = board.docs, board.revision
            yield whole
            frames = Frames()
            late = board.due_s
            while True:
                changed = await _changed_within(watcher, late)
                if changed:
                    await asyncio.sleep(frames.delay(loop.time()))
                fleet = self._desk.fleet()
                # What just changed may be a problem when it looks; some come with time alone.
                late = max(board.due_s, LEAST_S) if changed or board.looking else LOOK_S
                if not changed and board.revision == told:
                    continue
                jobs, nodes = watcher.take()
                delta = view.delta(engine.snapshot, jobs, nodes, fleet, full=False)
                if board.revision != told:
                    delta["problems"], told = board.docs, board.revision
                yield delta
        finally:
            engine.feed.leave(watcher)

    async def _whole(self) -> Delta:
        """Everything, made in steps that don't hold the loop."""
        snapshot = self._desk.engine.snapshot
        whole = view.delta(snapshot, (), snapshot.nodes, self._desk.fleet(), full=True)
        jobs = [*snapshot.jobs, *snapshot.recent]
        for at in range(0, len(jobs), CHUNK):
            for key in jobs[at : at + CHUNK]:
                job = view.find(snapshot, key)
                if job is not None:
                    whole["jobs"][key] = view.job_view(snapshot, job)
            await asyncio.sleep(0)
        return whole

    async def logs(self, request: LogRequest) -> AsyncGenerator[LogEvent, None]:
        async with contextlib.aclosing(log_events(self._desk, request, self._who)) as events:
            async for event in events:
                yield event

    async def shell(
        self, request: ShellRequest, inputs: AsyncIterator[ShellInput]
    ) -> AsyncGenerator[ShellEvent, None]:
        shell = shell_events(self._desk, request, self._who, inputs)
        async with contextlib.aclosing(shell) as events:
            async for event in events:
                yield event

    async def events(self, *, after: int | None = None) -> AsyncGenerator[EventDoc, None]:
        engine = self._desk.engine
        watcher = engine.feed.join()
        try:
            last = engine.last_event if after is None else after
            while True:
                for event in await self._stored(last):
                    last = event["seq"]
                    yield event
                if last < engine.last_event:
                    continue
                await watcher.changed()
                watcher.take()
                await asyncio.sleep(EVENTS_S)
        finally:
            engine.feed.leave(watcher)

    async def _stored(self, last: int) -> list[EventDoc]:
        try:
            query = EventQuery(after=last or BEGINNING, limit=EVENTS_STEP)
            return await self._desk.engine.store.events(query)
        except StoreError as error:
            raise CommandError("failed", str(error)) from error

    async def close(self) -> None:
        """Nothing to give back: the core lives on."""
