"""The time of a simulated fleet, as the terminal shows and changes it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

SPEEDS = (0.0, 1.0, 10.0, 60.0)
"""Seconds there in one of ours; 0: it stands still."""


class Pace(Protocol):
    """How fast time goes there."""

    @property
    def speed(self) -> float:
        """Seconds there in one of ours."""
        ...

    def set_speed(self, speed: float) -> None:
        """From now on."""
        ...

    def now(self) -> float:
        """Unix seconds there."""
        ...


def word(speed: float) -> str:
    """A speed as people read it."""
    return f"{speed:g}×" if speed else "paused"


def speed_of(text: str) -> float | None:
    """The speed that a word means; None for any other word."""
    return next((it for it in SPEEDS if text.lower() in (word(it), f"{it:g}", f"{it:g}x")), None)


def stepped(speed: float, by: int) -> float:
    """The speed so many steps above or below this one."""
    at = max((i for i, it in enumerate(SPEEDS) if it <= speed), default=0)
    return SPEEDS[max(0, min(len(SPEEDS) - 1, at + by))]


def label(pace: Pace | None, fullness: int) -> str:
    """What the top line says of a simulated fleet, the fuller the more room there is."""
    if pace is None or not fullness:
        return " SIMULATED "
    speed = word(pace.speed)
    if fullness < 2:
        return f" SIMULATED {speed} "
    return f" SIMULATED {speed} {datetime.fromtimestamp(pace.now()):%a %H:%M} "
