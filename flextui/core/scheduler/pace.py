"""Work counted in small units, so that a long pass can pause between them.

A pass has no clock: whoever drives it looks at one each time it pauses. What is counted is only
roughly alike (a unit is about ten microseconds), which is enough to pause often.
"""

from __future__ import annotations

SLICE = 100
"""Units between two pauses: about a millisecond."""


class Pace:
    """How much has been done since the last pause."""

    __slots__ = ("_done",)

    def __init__(self) -> None:
        self._done = 0.0

    def due(self, units: float = 1.0) -> bool:
        """Count work; whether it is time to pause."""
        self._done += units
        if self._done < SLICE:
            return False
        self._done = 0.0
        return True
