"""Python's collector walks every job and node it knows, which takes longer than a key may wait.

So full collections happen only while nobody types, and what has come to stay isn't walked by the
small ones in between.
"""

from __future__ import annotations

import gc

QUIET_S = 3.0
"""Nobody typed for so long."""
EVERY_S = 120.0
"""A full collection, at most this often."""


class Collector:
    """Asked now and then (`moment`); both times are of one monotonic clock."""

    def __init__(self) -> None:
        self._typed_at = 0.0
        self._next = 0.0

    def start(self, now: float) -> None:
        """Take over, once what stays has been loaded."""
        gc.set_threshold(2_000, 10, 1_000_000)
        gc.freeze()
        self._next = now + EVERY_S

    def typed(self, now: float) -> None:
        """A key was pressed."""
        self._typed_at = now

    def moment(self, now: float) -> bool:
        """Collect everything if it is time and nobody would notice; whether it did."""
        if not self._next or now < self._next or now - self._typed_at < QUIET_S:
            return False
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._next = now + EVERY_S
        return True
