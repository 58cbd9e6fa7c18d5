"""Long work in small steps, between which an event loop goes on with other things."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")

BREATHE_S = 0.005
"""The loop goes on with other things so often."""


async def breathing(
    steps: Generator[None, None, T], ends: Callable[[], bool] = lambda: False
) -> T | None:
    """What the steps return. The loop breathes now and then. None if they are broken off, for
    it ends."""
    breath = time.monotonic() + BREATHE_S
    while True:
        try:
            next(steps)
        except StopIteration as done:
            value: T = done.value
            return value
        if time.monotonic() > breath:
            await asyncio.sleep(0)
            if ends():
                steps.close()
                return None
            breath = time.monotonic() + BREATHE_S
