"""Who watches, and what changed for them since they last looked.

Nothing is rendered here and nothing is queued: a watcher that is slow finds the newest state of
whatever changed meanwhile, so its backlog is bounded by the size of the view.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Watcher:
    """One open view: what changed since `take`."""

    def __init__(self) -> None:
        self.jobs: set[str] = set()
        self.nodes: set[str] = set()
        self._wake = asyncio.Event()
        self._closed = False

    def touch(self, jobs: Iterable[str], nodes: Iterable[str]) -> None:
        self.jobs.update(jobs)
        self.nodes.update(nodes)
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def changed(self) -> None:
        """Wait for a change. Raises `ConnectionError` when the core has ended."""
        await self._wake.wait()
        self._wake.clear()
        if self._closed:
            self._wake.set()
            raise ConnectionError("the core has ended")

    def take(self) -> tuple[set[str], set[str]]:
        """The ids of jobs and names of nodes that changed; they count as seen."""
        jobs, nodes = self.jobs, self.nodes
        self.jobs, self.nodes = set(), set()
        return jobs, nodes


class Feed:
    """All watchers of one engine."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._watchers)

    def join(self) -> Watcher:
        """A new watcher; `leave` when done. Raises `ConnectionError` when the core has ended."""
        if self._closed:
            raise ConnectionError("the core has ended")
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def publish(self, jobs: Iterable[str], nodes: Iterable[str]) -> None:
        """Tell everybody that these changed."""
        for watcher in self._watchers:
            watcher.touch(jobs, nodes)

    def close(self) -> None:
        """The core ends: whoever waits hears it."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()
