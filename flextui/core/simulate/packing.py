"""How full a fleet gets: tasks of a trace are placed one after the other and nothing departs.

The recipe is that of "Beware of Fragmentation" (FGD, USENIX ATC'23): the list of tasks is shuffled
with a seed, then drawn from again, with replacement, until the GPUs asked for reach 1.3 times
those that there are. Each is submitted and decided on by itself; what doesn't fit at once is taken
back. What is left unallocated in the end is the cost of fragmentation. Nodes have no part in this
but their room: that a task runs is news that no later decision depends on.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

from flextui.core.commands import CommandError
from flextui.core.model.state import Identity
from flextui.core.ports import StartAttempt
from flextui.core.simulate.boxes import hello, virtual_inventory
from flextui.core.simulate.clock import VirtualCore
from flextui.core.simulate.record import MILLI
from flextui.core.simulate.replay import FIRST_UID
from flextui.core.simulate.specs import Specs
from flextui.core.simulate.trace import Box, Trace, TraceJob

DEMAND = 1.3
"""GPUs asked for, of those that there are."""
STEP_S = 0.001
"""Between two tasks, on the virtual clock."""
CURVE = 100
"""Points of the curve."""


@dataclass(slots=True)
class Packed:
    """How it went. Amounts are thousandths of GPUs."""

    capacity: int
    asked: int = 0
    allocated: int = 0
    decisions: int = 0
    placed: int = 0
    seconds: float = 0.0
    """From the first task to the last decision."""
    processor_s: float = 0.0
    """Of them, on the processor: on a busy machine they tell more."""
    curve: list[tuple[float, float]] = field(default_factory=list)
    """(asked, allocated), each of the capacity."""
    free: Mapping[str, float] = field(default_factory=dict)
    """GPUs that are left: whole ones, and what is left of partly used ones."""

    @property
    def percent(self) -> float:
        return 100 * self.allocated / self.capacity

    @property
    def unallocated(self) -> float:
        """In GPUs."""
        return (self.capacity - self.allocated) / MILLI


def tasks_for(trace: Trace, capacity: int, seed: int) -> list[TraceJob]:
    """The tasks of an experiment, in order."""
    rng = random.Random(seed)
    original = list(trace.jobs)
    tasks = list(original)
    rng.shuffle(tasks)
    if not any(map(asks, original)):
        return tasks
    asked = sum(map(asks, tasks))
    while asked < DEMAND * capacity:
        task = rng.choice(original)
        tasks.append(task)
        asked += asks(task)
    return tasks


def asks(job: TraceJob) -> int:
    """Thousandths of GPUs."""
    return job.ask.share_milli or job.ask.gpus * MILLI


def pack(trace: Trace, boxes: Sequence[Box], seed: int, policy: Mapping[str, Any]) -> Packed:
    """Run the experiment. Nothing departs, so nothing makes room either."""
    packed = Packed(capacity=sum(len(box.gpus) for box in boxes) * MILLI)
    tasks = tasks_for(trace, packed.capacity, seed)
    core = VirtualCore(
        virtual_inventory(boxes, {"policy": {**policy, "preemption": False}}), trace.began
    )
    core.join(trace.began, [it for box in boxes for it in hello(box)])
    specs = Specs(boxes, limits=False)
    for task in tasks:
        specs.of(task)
    began, used = perf_counter(), process_time()
    _place(core, specs, tasks, packed)
    packed.seconds, packed.processor_s = perf_counter() - began, process_time() - used
    packed.free = _left(core)
    return packed


def _place(core: VirtualCore, specs: Specs, tasks: Sequence[TraceJob], packed: Packed) -> None:
    who = Identity("packing", FIRST_UID)
    every = max(1, len(tasks) // CURVE)
    at, waits = core.now, ""
    for task in tasks:
        at += STEP_S
        core.begin(at)
        if waits:
            core.stop(who, waits)
        try:
            waits = core.submit(who, specs.of(task))
        except CommandError:
            waits = ""
        for _, effect in core.end():
            if isinstance(effect, StartAttempt):
                waits = ""
                packed.placed += 1
                packed.allocated += asks(task)
        packed.asked += asks(task)
        packed.decisions += 1
        if packed.decisions % every == 0:
            packed.curve.append(
                (packed.asked / packed.capacity, packed.allocated / packed.capacity)
            )


def _left(core: VirtualCore) -> dict[str, float]:
    """GPUs that nobody has: whole ones, and what is left of others."""
    snapshot = core.snapshot
    held: Counter[str] = Counter()
    for live in snapshot.by_node.values():
        for key in live:
            attempt = snapshot.attempts[key]
            for uuid in attempt.gpus:
                held[uuid] += attempt.share or MILLI
    whole = sum(gpu.uuid not in held for node in snapshot.nodes.values() for gpu in node.gpus)
    parts = sum(MILLI - milli for milli in held.values()) / MILLI
    return {"whole": float(whole), "parts": parts}
