"""What was said yes to and can still be taken back. The core waits, not the terminal: what is
asked for is done in time even if the terminal is gone by then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flextui.core.commands import Command


@dataclass(frozen=True, slots=True)
class Pending:
    """One thing that the core will do."""

    word: str
    undo: Sequence[Command]
    """What takes it back."""
    now: Sequence[Command]
    """What does it at once."""
    due: float
    """On the monotonic clock."""


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

    @property
    def said(self) -> str:
        """What will be done and when: `stop bob/train in 8s`."""
        waiting = self.waiting
        if not waiting:
            return ""
        it = waiting[-1]
        more = f" (+{len(waiting) - 1})" if len(waiting) > 1 else ""
        return f"{it.word}{more} in {max(0, math.ceil(it.due - self._clock()))}s"
