"""What was said yes to and can still be taken back. The core waits, not the terminal: what is
asked for is done in time even if the terminal is gone by then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flextui.core.commands import Command

MARGIN_S = 2.0
"""What no longer waits so shortly before its time is being done."""


@dataclass(slots=True, eq=False)
class Pending:
    """One thing that the core will do."""

    word: str
    undo: Sequence[Command]
    """What takes it back."""
    now: Sequence[Command]
    """What does it at once."""
    due: float
    """On the monotonic clock."""
    seen: bool = False
    """The core has told that it waits."""


class Grace:
    """The newest last; what is done leaves by itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pending: list[Pending] = []

    def add(
        self, word: str, seconds: float, undo: Sequence[Command], now: Sequence[Command]
    ) -> None:
        """The core does it after so many seconds."""
        self._pending.append(Pending(word, undo, now, self._clock() + seconds))

    def take(self) -> Pending | None:
        """The newest that isn't done yet, and keep it no longer; None: there is none."""
        return self._pending.pop() if self.waiting else None

    @property
    def waiting(self) -> Sequence[Pending]:
        """What isn't done yet."""
        now = self._clock()
        self._pending = [it for it in self._pending if it.due > now]
        return self._pending

    def settled(self, waits: Callable[[Pending], bool]) -> Sequence[Pending]:
        """What the core waited with and doesn't any more, long before its time: somebody else has
        taken it back, or has done it. It is kept no longer."""
        found = []
        for it in self.waiting:
            if waits(it):
                it.seen = True
            elif it.seen and it.due > self._clock() + MARGIN_S:
                found.append(it)
        self._pending = [it for it in self._pending if it not in found]
        return found

    @property
    def said(self) -> str:
        """What will be done and when: `stop bob/train in 8s`."""
        waiting = self.waiting
        if not waiting:
            return ""
        it = waiting[-1]
        more = f" (+{len(waiting) - 1})" if len(waiting) > 1 else ""
        return f"{it.word}{more} in {max(0, math.ceil(it.due - self._clock()))}s"
