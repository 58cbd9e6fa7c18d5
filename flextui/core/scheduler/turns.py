"""The lanes of the queue merged into one order, for one pass.

Only the heads of lanes are compared, and of a lane by itself not even that. What is placed may
change how accounts stand to each other; then the lanes of those accounts get their places anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any

from flextui.core.scheduler.lane import Account, Cursor
from flextui.core.scheduler.order import Ranking


class Turns:
    """Whose turn it is."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._heap: list[tuple[Any, int, Cursor]] = []
        self._stamps: dict[Cursor, int] = {}
        """The newest entry of each lane; older ones don't count."""
        self._alone: Cursor | None = None
        """The first lane, as long as there is no other to compare it with."""
        self._lanes: dict[Account, list[Cursor]] = {}
        self._count = 0

    def join(self, cursor: Cursor) -> None:
        """A lane takes part, from its head on."""
        if not self._lanes:
            self._alone = cursor
        elif self._alone is not None:
            other, self._alone = self._alone, None
            if self._stamps[other]:
                self.push(other)
        self._lanes.setdefault(cursor.lane.account, []).append(cursor)
        self.push(cursor)

    def push(self, cursor: Cursor) -> None:
        """Give a lane the place that its head has now; none if it is at its end."""
        it = cursor.head()
        self._count += 1
        self._stamps[cursor] = self._count
        if it is not None:
            key = () if cursor is self._alone else self._ranking.key(it.job, it.task)
            heappush(self._heap, (key, self._count, cursor))

    def next(self) -> Cursor | None:
        """Take out the lane whose head is next; None: there is none left."""
        while self._heap:
            _, stamp, cursor = heappop(self._heap)
            if self._stamps[cursor] == stamp:
                self._stamps[cursor] = 0
                return cursor
        return None

    def rekey(self, accounts: Iterable[Account]) -> None:
        """These accounts stand differently now."""
        for account in accounts:
            for cursor in self._lanes.get(account, ()):
                if self._stamps[cursor]:
                    self.push(cursor)

    def take_all(self) -> list[Cursor]:
        """Take out all lanes."""
        cursors = [it for _, stamp, it in self._heap if self._stamps[it] == stamp]
        self._heap.clear()
        for cursor in cursors:
            self._stamps[cursor] = 0
        return cursors
