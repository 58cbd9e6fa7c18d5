"""What a pass may keep from the one before, so that a pass costs what has changed since.

It only ever spares work: with or without it, `plan` answers the same. What is kept is known to
hold by the identity of the frozen records that it was made from.
"""

from __future__ import annotations

from flextui.core.model.state import Job, Node, Task
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.need import Need

Waiting = tuple[Job, Task, Need]
"""A task that wants a place."""

_SLACK = 1000


class Memo:
    """One planner's memory; not to be shared between threads."""

    def __init__(self) -> None:
        self.rooms: dict[str, tuple[Node, frozenset[str], Room]] = {}
        """By node: the records its room was made from, and the room, not taken from since."""
        self.waiting: dict[str, Waiting] = {}
        """By job: batch jobs that did nothing but wait for a place."""

    def trim(self, jobs: int) -> None:
        """Forget jobs that are gone, once they are many."""
        if len(self.waiting) > 2 * jobs + _SLACK:
            self.waiting.clear()
