"""What was said yes to and isn't done yet: for a few seconds it can be taken back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flextui.core.commands import Command


class Timer(Protocol):
    """A timer that can be stopped."""

    def stop(self) -> None: ...


@dataclass(slots=True)
class Pending:
    """One thing that will be done."""

    commands: Sequence[Command]
    word: str
    due: float
    """On the monotonic clock."""
    timer: Timer | None = None


class Grace:
    """Waits, then does it; `undo` takes the newest back, `now` does it at once."""

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], Timer],
        do: Callable[[Sequence[Command], str], None],
    ) -> None:
        self._later = later
        self._do = do
        self._pending: list[Pending] = []

    def add(self, commands: Sequence[Command], word: str, seconds: float) -> None:
        """Do it after so many seconds; at once if there are none."""
        if seconds <= 0:
            self._do(commands, word)
            return
        it = Pending(commands, word, time.monotonic() + seconds)
        it.timer = self._later(seconds, lambda: self._fire(it))
        self._pending.append(it)

    def undo(self) -> str:
        """Take the newest back; what it was, empty if there is nothing."""
        if not self._pending:
            return ""
        it = self._pending.pop()
        if it.timer is not None:
            it.timer.stop()
        return it.word

    def flush(self) -> None:
        """Do everything now."""
        for it in list(self._pending):
            self._fire(it)

    def _fire(self, it: Pending) -> None:
        if it in self._pending:
            self._pending.remove(it)
            if it.timer is not None:
                it.timer.stop()
            self._do(it.commands, it.word)

    @property
    def said(self) -> str:
        """What will be done and when: `stop bob/train in 8s`."""
        if not self._pending:
            return ""
        it = self._pending[-1]
        more = f" (+{len(self._pending) - 1})" if len(self._pending) > 1 else ""
        return f"{it.word}{more} in {max(0, math.ceil(it.due - time.monotonic()))}s"
