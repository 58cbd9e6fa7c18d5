"""What a pass may keep from the one before, so that a pass costs what has changed since.

It only ever spares work: with or without it, `plan` answers the same. What is kept is known to
hold by the identity of the frozen records that it was made from.
"""

from __future__ import annotations

from typing import Any

from flextui.core.model.journal import Changed, Journal
from flextui.core.model.state import Job, Snapshot, Task
from flextui.core.scheduler.need import Need

Waiting = tuple[Job, Task, Need]
"""A task that wants a place."""

_SLACK = 1000


class Memo:
    """One planner's memory; not to be shared between threads."""

    def __init__(self) -> None:
        self.fleet: Any = None
        """What `fleet.Fleet` keeps."""
        self.touched: Changed | None = None
        """What changed since the last pass; None: everything may have."""
        self._journal: Journal | None = None
        self._mark = 0
        self.waiting: dict[str, Waiting] = {}
        """By job: batch jobs that did nothing but wait for a place."""

    def begin(self, snapshot: Snapshot) -> None:
        """A pass over this snapshot begins."""
        journal = snapshot.journal
        self.touched = None
        if journal is not None and journal is self._journal:
            self.touched = journal.between(self._mark, snapshot.mark)
        self._journal, self._mark = journal, snapshot.mark

    def trim(self, jobs: int) -> None:
        """Forget jobs that are gone, once they are many."""
        if len(self.waiting) > 2 * jobs + _SLACK:
            self.waiting.clear()
