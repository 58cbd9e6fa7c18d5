"""Which records changed between two snapshots, so that a planner needn't look at all of them.

A journal is a hint: what it tells is always enough, and may be too much. It only grows; a snapshot
remembers how far it had grown (`mark`). What a draft changed that came to nothing is told once
more, for then those records are again what they were before. Without a journal, or for a snapshot
of another one, or of too long ago, the answer is "not known", and everything must be looked at.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import IntEnum
from typing import Any, NamedTuple

from flextui.core.model.ids import TaskKey

KEPT = 200_000
"""Entries kept at least."""


class Kind(IntEnum):
    """What an entry is about."""

    JOB = 0
    TASK = 1
    NODE = 2
    ACCOUNT = 3
    RUNTIMES = 4


class Changed(NamedTuple):
    """Keys of records that aren't as they were, added and dropped ones included."""

    jobs: frozenset[str]
    tasks: frozenset[TaskKey]
    """Of which the task, or one of its attempts, changed."""
    nodes: frozenset[str]
    """In what a placement can depend on: plain telemetry isn't told."""
    accounts: frozenset[tuple[str, str]]
    runtimes: frozenset[str]


class Journal:
    """Shared by all snapshots of one core; only the core's own loop writes to it."""

    __slots__ = ("_entries", "_start")

    def __init__(self) -> None:
        self._entries: list[tuple[Kind, Any]] = []
        self._start = 0

    @property
    def end(self) -> int:
        """The mark of a snapshot that is taken now."""
        return self._start + len(self._entries)

    def note(self, kind: Kind, key: Hashable) -> None:
        """A record is being changed."""
        self._entries.append((kind, key))

    def again(self, mark: int) -> None:
        """What was noted since then came to nothing: it changes back."""
        if self.end > mark:
            self._entries += dict.fromkeys(self._entries[max(0, mark - self._start) :])

    def trim(self) -> None:
        """Forget the oldest entries, once they are many."""
        if len(self._entries) > 2 * KEPT:
            drop = len(self._entries) - KEPT
            self._start += drop
            del self._entries[:drop]

    def between(self, start: int, end: int) -> Changed | None:
        """What changed from one mark to a later one; None: not known."""
        if not self._start <= start <= end <= self.end:
            return None
        told: tuple[set[Any], ...] = (set(), set(), set(), set(), set())
        for kind, key in self._entries[start - self._start : end - self._start]:
            told[kind].add(key)
        return Changed(*map(frozenset, told))
