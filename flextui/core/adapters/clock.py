"""Time as the engine may trust it.

Loss of a node counts only while the core runs and tries. CLOCK_MONOTONIC goes on while the
process is stopped (SIGSTOP), so the awake clock counts at most `STEP_S` for the time between two
looks at it; the engine looks at least once a second while any node is lost. A laptop's sleep
shows as a jump between CLOCK_BOOTTIME and CLOCK_MONOTONIC.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from flextui.core.model.state import Now

STEP_S = 2.0
STALL_S = 5.0


def boottime() -> float:
    """Seconds since boot, sleep included; where there is no such clock, without it."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()


class SystemClock:
    """A `Clock`. `watching` says that the engine ticks: then a long gap means it was stopped."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        boot: Callable[[], float] = boottime,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._boot = boot
        self._last = monotonic()
        self._asleep = boot() - self._last
        self._awake = 0.0
        self._stalled = False
        self.watching = False

    def now(self) -> Now:
        """Wall time in Unix seconds, and awake seconds since the core's start."""
        monotonic = self._monotonic()
        gap = monotonic - self._last
        self._last = monotonic
        self._awake += min(max(gap, 0.0), STEP_S)
        asleep = self._boot() - monotonic
        if asleep - self._asleep > STALL_S or (self.watching and gap > STALL_S):
            self._stalled = True
        self._asleep = asleep
        return Now(self._wall(), self._awake)

    def stalled(self) -> bool:
        """True once after the process was stopped or the machine slept for more than 5 s."""
        stalled, self._stalled = self._stalled, False
        return stalled
