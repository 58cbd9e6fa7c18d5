"""How near nodes are to holding a request that can't start: kept from pass to pass."""

from __future__ import annotations

from bisect import bisect_left, insort
from math import inf

from flextui.core.scheduler.need import Need

Whose = tuple[Need, int, str]

Rank = tuple[float, int, int, int, str]
"""How near a node is to holding a request: when it certainly will, what it lacks, its name."""
FAR: Rank = (inf, 1 << 60, 0, 0, "")


class Nearness:
    """How near its candidates are to holding one request: kept from pass to pass."""

    def __init__(self, seen: int) -> None:
        self.seen = seen
        """How much it has read of what tells which nodes changed."""
        self.able: dict[str, bool] = {}
        """The nodes that were looked at for it, and whether they could ever hold it."""
        self._ranks: dict[str, Rank] = {}
        self.order: list[Rank] = []

    def set(self, name: str, rank: Rank | None) -> None:
        """How near this node is now; None: it never will."""
        old = self._ranks.pop(name, None)
        if old is not None:
            del self.order[bisect_left(self.order, old)]
        if rank is not None:
            self._ranks[name] = rank
            insort(self.order, rank)
