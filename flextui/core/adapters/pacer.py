"""How many nodes connect at a time: as many as leave the event loop free to answer.

A fixed number is either too small for a fleet behind a slow line or too big for a small machine
whose nodes are containers beside it. So the bound moves: it grows while the loop is on time and
shrinks when it is late. A turn lasts for some seconds at most: who needs longer waits for its
node and not for this machine, so that machines that are off or hang are in nobody's way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

LEAST = 4
FIRST = 8
MOST = 64
DIAL_TURN_S = 0.4
"""A turn for reaching a machine, which may be off."""
TURN_S = 2.0
"""A turn for a handshake and the boot of an agent."""
TICK_S = 0.01
LATE_S = 0.03
"""The loop is late: fewer turns."""
ON_TIME_S = 0.015


class Turn:
    """One node's place: `take` waits for it, leaving the block gives it back."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, seconds: float = TURN_S) -> None:
        """Have the turn from now on for so long; waits for it unless it is still held."""
        if self._timer is None:
            await self._pacer.acquire()
        else:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.give_back)

    def give_back(self) -> None:
        """Let somebody else have it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._pacer.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_back()


class Pacer:
    """Hands out turns; belongs to one event loop."""

    def __init__(self) -> None:
        self.limit = FIRST
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._watching = False
        self._worst = 0.0

    def turn(self) -> Turn:
        return Turn(self)

    async def acquire(self) -> None:
        if self._held < self.limit:
            self._held += 1
        else:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self.release()
                raise
        self._watch()

    def release(self) -> None:
        self._held -= 1
        if self._waiting and self._worst < ON_TIME_S and self.limit < MOST:
            self.limit += 1
        self._worst = 0.0
        while self._waiting and self._held < self.limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._held += 1
                waiter.set_result(None)

    def _watch(self) -> None:
        """Look at the loop's lateness for as long as turns are held."""
        if not self._watching:
            self._watching = True
            self._arm()

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + TICK_S
        loop.call_at(due, self._tick, due)

    def _tick(self, due: float) -> None:
        late = asyncio.get_running_loop().time() - due
        self._worst = max(self._worst, late)
        if late > LATE_S:
            self.limit = max(LEAST, self.limit - 1 - self.limit // 8)
        if self._held:
            self._arm()
        else:
            self._watching = False
