"""What a pass keeps for the next one, so that a pass costs what has changed since.

It only ever spares work: with or without it, `plan` answers the same. What changed is told by the
snapshot's journal; where there is none, or the last pass was broken off, everything is forgotten
and found anew.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from flextui.core.model.journal import Changed, Journal
from flextui.core.model.state import NodeStatus, Snapshot
from flextui.core.scheduler.lane import Account
from flextui.core.scheduler.queue import Queue
from flextui.core.scheduler.runtimes import Outlook

if TYPE_CHECKING:
    from flextui.core.scheduler.calendar import Calendar
    from flextui.core.scheduler.hold import Hold
    from flextui.core.scheduler.kind import Kind
    from flextui.core.scheduler.nearness import Nearness, Whose
    from flextui.core.scheduler.tell import Told
    from flextui.core.scheduler.timeline import Timeline

_READ = 4096
"""So many entries of the journal are read between two pauses."""
_FUTURES, _OUTDATED = 512, 1 << 16
"""So many requests' futures are remembered, and changes of nodes."""


class Memo:
    """One planner's memory; not to be shared between threads."""

    def __init__(self) -> None:
        self.fleet: Any = None
        """What `fleet.Fleet` keeps."""
        self.runtimes = Outlook()
        """What `order.Ranking` keeps."""
        self.touched: Changed | None = None
        """What changed since the last pass; None: everything may have."""
        self._journal: Journal | None = None
        self._mark: int | None = None
        self._forget()

    def _forget(self) -> None:
        self.queue = Queue()
        self.restless: set[str] = set()
        """Jobs that each pass has to look at."""
        self.loud: tuple[str, ...] = ()
        """Jobs that the last pass changed: what it decided may have been refused."""
        self.everywhere: set[str] = set()
        """Jobs that want a task on every node."""
        self._lost: set[str] | None = None
        self._wakes: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []
        self._standings: dict[str, object] = {}
        self.leaving: dict[str, float] = {}
        """Nodes that aren't drained yet → wall time when they are."""
        # of the last pass's placing
        self.untried: set[Kind] | None = None
        """Kinds that may fit where nothing changed; None: any may."""
        self.headroom: dict[Account, int] = {}
        """What quotas left to an account at the end, in thousandths of GPUs."""
        self.holds: dict[str, tuple[Hold, ...]] = {}
        """By node: what was kept there for others."""
        self.futures: dict[Whose, Nearness] = {}
        self.outdated: list[str] = []
        """Nodes that changed, in turn: each future knows how far it has read."""
        self.timelines: dict[str, Timeline] = {}
        self.taken: set[str] = set()
        """Nodes that it placed somebody on."""
        self.calendar: Calendar | None = None
        self.told: Told | None = None

    # ── a pass begins and ends ─────────────────────────────────────────────────────────────────

    def begin(self, snapshot: Snapshot) -> Iterator[None]:
        """Read what changed: in steps, for after a burst that is much."""
        journal, mark, same = snapshot.journal, self._mark, snapshot.journal is self._journal
        self._journal, self._mark, self.touched = journal, None, None
        if journal is not None and same and mark is not None:
            self.touched = yield from _told(journal, mark, snapshot.mark)
        if self.touched is None:
            self._forget()

    def end(self, snapshot: Snapshot, loud: tuple[str, ...]) -> None:
        self._mark = snapshot.mark
        self.loud = loud

    def outdate(self, nodes: set[str]) -> None:
        """These nodes may not be as they were."""
        for name in nodes:
            self.timelines.pop(name, None)
        self.outdated += nodes
        if len(self.outdated) > _OUTDATED:
            self.outdated.clear()
            self.futures.clear()
        while len(self.futures) > _FUTURES:
            del self.futures[next(iter(self.futures))]

    # ── jobs ───────────────────────────────────────────────────────────────────────────────────

    def stand(self, job: str, *, wake: float | None, restless: bool, everywhere: bool) -> None:
        """What a look at the job said of the next."""
        (self.restless.add if restless else self.restless.discard)(job)
        if everywhere:
            self.everywhere.add(job)
        if wake is None:
            self._wakes.pop(job, None)
        elif self._wakes.get(job) != wake:
            self._wakes[job] = wake
            heappush(self._timers, (wake, job))

    def forget(self, job: str) -> None:
        """A job that is gone, or has ended."""
        self.queue.put(job, ())
        self.restless.discard(job)
        self.everywhere.discard(job)
        self._wakes.pop(job, None)

    def due(self, wall: float) -> list[str]:
        """Jobs whose moment has come."""
        found = []
        while self._timers and self._timers[0][0] <= wall:
            at, job = heappop(self._timers)
            if self._wakes.get(job) == at:
                del self._wakes[job]
                found.append(job)
        return found

    def next_wake(self) -> float | None:
        """Wall time of the next look at a job that nothing happens to."""
        while self._timers and self._wakes.get(self._timers[0][1]) != self._timers[0][0]:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────

    def moves(self, node: str, standing: object) -> bool:
        """Note how a node stands. Whether that has changed."""
        before = self._standings.get(node)
        self._standings[node] = standing
        return before != standing

    def lost(self, snapshot: Snapshot) -> set[str]:
        """The nodes that are lost."""
        nodes = snapshot.nodes
        if self._lost is None or self.touched is None:
            self._lost = {it.name for it in nodes.values() if it.status is NodeStatus.LOST}
            return self._lost
        for name in self.touched.nodes:
            node = nodes.get(name)
            lost = node is not None and node.status is NodeStatus.LOST
            (self._lost.add if lost else self._lost.discard)(name)
        return self._lost


def _told(journal: Journal, start: int, end: int) -> Generator[None, None, Changed | None]:
    """What the journal tells, read bit by bit; None: it doesn't know."""
    if end - start <= _READ:
        return journal.between(start, end)
    parts = []
    for at in range(start, end, _READ):
        part = journal.between(at, min(at + _READ, end))
        if part is None:
            return None
        parts.append(part)
        yield
    return Changed(*(frozenset().union(*bits) for bits in zip(*parts, strict=True)))
