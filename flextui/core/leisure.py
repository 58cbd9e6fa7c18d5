"""Long answers, made in steps beside everything else, and given again while they are fresh.

A look ahead over a large fleet takes a good part of a second of work. The loop breathes between
its steps; and who asks the same again and again is given the answer that is there, for as long as
ten times what it took, so that asking costs a tenth of a processor at most. Quick answers are
always made anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Hashable
from typing import Any

Steps = Generator[None, None, dict[str, Any]]

SLICE_S = 0.006
"""So much of an answer is made at a time. Where the loop is busy each slice waits for its turn:
with one for every step, of which a forecast has hundreds, an answer takes many times its work."""
_TIMES = 10.0
_QUICK_S = 0.05
_KEPT = 256


class Leisure:
    """Makes one answer at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._known: dict[Hashable, tuple[dict[str, Any], float]] = {}

    async def answer(self, key: Hashable, steps: Callable[[], Steps]) -> dict[str, Any]:
        """What the steps return. Equal keys may get the same answer again."""
        async with self._lock:
            known = self._known.get(key)
            if known is not None and time.monotonic() < known[1]:
                return known[0]
            answer, took = await _made(steps())
            if len(self._known) >= _KEPT:
                self._known.clear()
            if took > _QUICK_S:
                self._known[key] = (answer, time.monotonic() + _TIMES * took)
            return answer

    async def beside(self, steps: Steps) -> dict[str, Any]:
        """What the steps return, without waiting for another answer: for what is quickly made."""
        return (await _made(steps))[0]

    async def fresh(self, steps: Steps) -> dict[str, Any]:
        """What the steps return."""
        async with self._lock:
            return (await _made(steps))[0]


async def _made(steps: Steps) -> tuple[dict[str, Any], float]:
    """The answer, and how many seconds of work it took."""
    took = 0.0
    while True:
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < SLICE_S:
                next(steps)
        except StopIteration as done:
            answer: dict[str, Any] = done.value
            return answer, took + time.monotonic() - begun
        took += time.monotonic() - begun
        await asyncio.sleep(0)
