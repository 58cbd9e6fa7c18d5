"""The simulated world: its machines, what is to happen when, and the clock's hand.

One heap of deeds, each done at its own instant even where time jumps. `advance` is the only way
in which anything happens by itself.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable

from flextui.core.demo.boxes import boxes
from flextui.core.demo.clock import DemoClock
from flextui.core.demo.load import Work
from flextui.core.demo.machine import Machine, Run, guessed, task_name
from flextui.core.demo.node import DemoNode
from flextui.core.events import NodeEvent
from flextui.core.model.inventory import NodeSpec
from flextui.core.ports import CoreIdentity, StartAttempt

LOGS_KEPT = 400


class World:
    """A `SessionFactory` over machines that aren't there."""

    def __init__(self, clock: DemoClock, seed: int) -> None:
        self.seed = seed
        self.nodes: dict[str, DemoNode] = {}
        self.works: dict[str, Work] = {}
        """What jobs of these full names do."""
        self.kept: OrderedDict[str, Run] = OrderedDict()
        """The newest runs that the core has the results of: their logs can still be read."""
        self._clock = clock
        self._machines = {box.name: Machine(box) for box in boxes()}
        self._deeds: list[tuple[float, int, Callable[[], object]]] = []
        self._counted = 0
        self._now: float | None = None
        self._done: dict[str, float] = {}
        self._tick = asyncio.Event()

    # ── time ───────────────────────────────────────────────────────────────────────────────────

    @property
    def now(self) -> float:
        """The instant of the deed being done, else of the clock."""
        return self._clock.wall() if self._now is None else self._now

    def at(self, when: float, deed: Callable[[], object]) -> None:
        """Something will happen then."""
        self._counted += 1
        heapq.heappush(self._deeds, (when, self._counted, deed))

    def advance(self) -> None:
        """Do all that is due, and wake who waits for time to go on."""
        until = self._clock.wall()
        while self._deeds and self._deeds[0][0] <= until:
            self._now, _, deed = heapq.heappop(self._deeds)
            try:
                deed()
            finally:
                self._now = None
        self._tick.set()
        self._tick = asyncio.Event()

    async def ticked(self) -> None:
        """Until time has gone on."""
        await self._tick.wait()

    # ── nodes ──────────────────────────────────────────────────────────────────────────────────

    def open(
        self,
        node: NodeSpec,
        identity: CoreIdentity,
        root: tuple[str, str] | None,
        emit: Callable[[NodeEvent], None],
    ) -> DemoNode:
        session = DemoNode(self, self._machines[node.name], emit)
        self.nodes[node.name] = session
        session.connect()
        return session

    async def close(self) -> None:
        self._tick.set()

    def machine(self, name: str) -> Machine:
        """The machine of that name."""
        return self._machines[name]

    # ── work ───────────────────────────────────────────────────────────────────────────────────

    def work_of(self, start: StartAttempt) -> Work:
        """What an attempt is to do."""
        return self.works.get(start.job) or guessed(start)

    def done(self, start: StartAttempt) -> float:
        """Seconds of its work that earlier attempts of its task have saved."""
        return self._done.get(task_name(start), 0.0)

    def did(self, start: StartAttempt, ran_s: float) -> None:
        """An attempt has ended after so long."""
        if self.work_of(start).resumes:
            self._done[task_name(start)] = self.done(start) + ran_s

    def keep(self, runs: Iterable[Run | None]) -> None:
        """The core has their results."""
        for run in runs:
            if run is not None:
                self.kept[run.start.attempt] = run
        while len(self.kept) > LOGS_KEPT:
            self.kept.popitem(last=False)
