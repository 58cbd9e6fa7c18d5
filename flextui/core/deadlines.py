"""When the engine must look again although nothing happens."""

from __future__ import annotations

import time

from flextui.core.model.state import Now

TICK_S = 1.0
"""While a node is lost: awake time is only counted where it was looked at."""
SHORTEST_S = 0.005
"""Between two plans for the sake of deadlines alone."""
LONGEST_S = 30.0
"""The wall clock may jump: deadlines on it are looked at this often."""


class Deadlines:
    """Of planning. Times to plan at are monotonic; those of decisions on their own clocks."""

    def __init__(self) -> None:
        self._plan_at: float | None = 0.0
        self._wall: float | None = None
        self._mono: float | None = None

    def plan_within(self, seconds: float) -> None:
        """Plan so soon, even if nothing urgent happens."""
        at = time.monotonic() + seconds
        self._plan_at = at if self._plan_at is None else min(at, self._plan_at)

    def planned(self, next_wall: float | None, next_mono: float | None) -> None:
        """It was planned; the decision said when to look again."""
        self._plan_at = None
        self._wall = next_wall
        self._mono = next_mono

    def failed(self, seconds: float) -> None:
        """Planning failed: not again before this."""
        self._plan_at = time.monotonic() + seconds
        self._wall = self._mono = None

    def due(self, now: Now) -> bool:
        """Whether to plan now."""
        return (
            (self._plan_at is not None and time.monotonic() >= self._plan_at)
            or (self._wall is not None and now.wall >= self._wall)
            or (self._mono is not None and now.mono >= self._mono)
        )

    def wait_s(self, now: Now) -> float | None:
        """Seconds until it is due; None: there is nothing to wait for."""
        waits: list[float] = []
        if self._plan_at is not None:
            waits.append(max(self._plan_at - time.monotonic(), 0.0))
        if self._wall is not None:
            waits.append(min(max(self._wall - now.wall, SHORTEST_S), LONGEST_S))
        if self._mono is not None:
            waits.append(max(self._mono - now.mono, SHORTEST_S))
        return min(waits) if waits else None
