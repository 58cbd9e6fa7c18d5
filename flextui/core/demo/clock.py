"""Time of a simulated fleet: as fast as one likes, and it may stand still."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flextui.core.model.state import Now


class DemoClock:
    """A `Clock` from a given instant (Unix seconds). It jumps, but never back."""

    watching = False

    def __init__(
        self, at: float, speed: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._began = at
        self._monotonic = monotonic
        self._wall = at
        self._since = monotonic()
        self._speed = speed

    def wall(self) -> float:
        """Unix seconds."""
        return self._wall + (self._monotonic() - self._since) * self._speed

    def now(self) -> Now:
        """As the engine asks for it; nobody ever sleeps through this time."""
        from flextui.core.model.state import Now  # slow to import: not before the first paint

        wall = self.wall()
        return Now(wall, wall - self._began)

    def stalled(self) -> bool:
        """Never: it is the fleet's own time."""
        return False

    @property
    def speed(self) -> float:
        """0 while it stands still."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self.jump(self.wall())
        self._speed = speed

    def jump(self, at: float) -> None:
        """To an instant that isn't past yet."""
        self._wall, self._since = max(at, self.wall()), self._monotonic()
