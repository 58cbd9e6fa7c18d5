"""What a pass of the scheduler costs in processor time, how long it holds the loop, how it grows.

    python benchmarks/plan.py [--nodes N ...]

Fleets are of mixed boxes and full; jobs of mixed shapes wait. A turn is the engine's own without
the commit: folded into a draft, planned in steps, written into the draft in steps. The loop is held
for no longer than the longest step.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import random
import statistics
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from common import table

from flextui.core.draft import Counters, Draft
from flextui.core.events import AttemptReported, Exit, Record
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity, Now
from flextui.core.ports import Loaded
from flextui.core.reduce import jobs
from flextui.core.reduce.decisions import apply_steps
from flextui.core.reduce.fold import fold
from flextui.core.restore import restored
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.plan import plan_steps
from flextui.core.simulate.boxes import hello, virtual_inventory
from flextui.core.simulate.trace import Box, BoxGpu

T = TypeVar("T")

WAITING = 10_000
ROUNDS = 30
GIB = 1 << 30
WHO = Identity("ann", 1000)
KINDS = (("A100", 80, 8, 96), ("A100", 80, 4, 64), ("T4", 16, 2, 32), ("V100", 32, 8, 64))
"""Model, GiB of each, how many, cores: what boxes there are."""
SHAPES: tuple[dict[str, Any], ...] = (
    {"gpus": 1, "cpus": 4, "memory": 16 * GIB},
    {"gpus": 1, "cpus": 8, "memory": 32 * GIB},
    {"gpus": 2, "cpus": 8, "memory": 64 * GIB},
    {"gpus": 4, "cpus": 16, "memory": 128 * GIB},
    {"gpus": 8, "cpus": 48, "memory": 256 * GIB},
    {"gpu_share": 0.5, "cpus": 2, "memory": 8 * GIB},
    {"gpu_share": 0.2, "cpus": 1, "memory": 4 * GIB},
    {"gpus": 1, "gpu_model": ["V100"], "cpus": 4, "memory": 16 * GIB},
)


def boxes(count: int) -> list[Box]:
    rng = random.Random(count)
    found = []
    for number in range(count):
        model, memory, gpus, cpus = rng.choice(KINDS)
        devices = (BoxGpu(model, memory * GIB),) * gpus
        found.append(Box(f"n{number}", float(cpus), 8 * cpus * GIB, devices, {}, True))
    return found


class Specs:
    """Endless jobs, of a few shapes or each of its own."""

    def __init__(self, *, own: bool) -> None:
        self._own = own
        self._rng = random.Random(1)
        self._numbers = itertools.count()
        self._known: dict[tuple[int, int], JobSpec] = {}

    def __next__(self) -> JobSpec:
        shape = self._rng.randrange(len(SHAPES))
        more = next(self._numbers) if self._own else 0
        if (shape, more) not in self._known:
            resources = SHAPES[shape] | {"memory": SHAPES[shape]["memory"] + more}
            fields = {"name": "train", "run": "true", "resources": resources}
            self._known[shape, more] = JobSpec.model_validate(fields)
        return self._known[shape, more]


@dataclass
class Turn:
    """What one cost, in milliseconds of processor time."""

    pass_ms: float = 0.0
    write_ms: float = 0.0
    longest_ms: float = 0.0
    placed: int = 0


@dataclass
class Fleet:
    """An engine's state and its turns, without mailbox, store and sessions."""

    nodes: int
    own: bool
    memo: Memo = field(default_factory=Memo)

    def __post_init__(self) -> None:
        self.now = Now(1e6, 1000.0)
        made = boxes(self.nodes)
        inventory = virtual_inventory(made, {})
        self._counters = Counters()
        self._tokens = map(str, itertools.count())
        self._specs = Specs(own=self.own)
        self.snapshot = restored(Loaded("bench", 1, (), 1, 1), inventory, self.now)
        draft = self._draft()
        for event in itertools.chain.from_iterable(map(hello, made)):
            fold(draft, event)
        self.snapshot = draft.freeze(1)

    def _draft(self) -> Draft:
        return Draft(self.snapshot, self.now, self._counters, lambda: next(self._tokens))

    def turn(self, act: Callable[[Draft], None] = lambda draft: None) -> Turn:
        self.now = Now(self.now.wall + 0.1, self.now.mono + 0.1)
        found, draft = Turn(), self._draft()
        act(draft)
        decision, found.pass_ms = self._timed(
            plan_steps(draft.freeze(1), self.now, self.memo), found
        )
        found.placed = len(decision.placements)
        _, found.write_ms = self._timed(apply_steps(draft, decision), found)
        self.snapshot = draft.freeze(1)
        return found

    def _timed(self, steps: Generator[None, None, T], turn: Turn) -> tuple[T, float]:
        total = 0.0
        while True:
            began = time.thread_time()
            try:
                next(steps)
            except StopIteration as done:
                value: T = done.value
                return value, total + self._step(began, turn)
            total += self._step(began, turn)

    def _step(self, began: float, turn: Turn) -> float:
        took = (time.thread_time() - began) * 1000
        turn.longest_ms = max(turn.longest_ms, took)
        return took

    # ── what happens ───────────────────────────────────────────────────────────────────────────

    def submit(self, count: int) -> Callable[[Draft], None]:
        def act(draft: Draft) -> None:
            for _ in range(count):
                jobs.submit(draft, WHO, False, (next(self._specs),))

        return act

    def end_one(self, draft: Draft) -> None:
        """A running job ends, the oldest."""
        key = next(it for live in self.snapshot.by_node.values() for it in sorted(live))
        attempt = self.snapshot.attempts[key]
        how = Exit(0, None, "exit", ended_ago_s=0.0, ran_s=60.0)
        record = Record(key, "ended", pid=1, exit=how, nonce=attempt.nonce)
        fold(draft, AttemptReported(attempt.node, record))

    def fill(self) -> None:
        """Until the fleet is full and so many wait."""
        gpus = sum(len(node.gpus) for node in self.snapshot.nodes.values())
        self.turn(self.submit(gpus))
        waiting = sum(not task.active for task in self.snapshot.tasks.values())
        self.turn(self.submit(max(0, WAITING - waiting)))
        self.turn()


def settle_memory() -> None:
    """As a core does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 1_000_000)


def told(values: list[float]) -> tuple[str, str]:
    """p50 and p99; of few rounds the latter is the worst."""
    ordered = sorted(values)
    worst = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(ordered):.1f}", f"{worst:.1f}"


def passes(nodes: int, *, own: bool) -> Iterator[tuple[str, ...]]:
    fleet = Fleet(nodes, own)
    fleet.fill()
    settle_memory()
    kinds = "each request its own" if own else f"{len(SHAPES)} kinds of request"
    name = f"{nodes:,} nodes, {kinds}"
    cases: dict[str, list[Turn]] = {"nothing known": [], "one ended": [], "one submitted": []}
    for _ in range(ROUNDS):
        fleet.memo = Memo()
        cases["nothing known"].append(fleet.turn())
        cases["one ended"].append(fleet.turn(fleet.end_one))
        cases["one submitted"].append(fleet.turn(fleet.submit(1)))
    for case, turns in cases.items():
        longest = max(it.longest_ms for it in turns)
        yield (name, case, *told([it.pass_ms for it in turns]), f"{longest:.1f}")


def burst(nodes: int) -> tuple[str, ...]:
    """So many jobs at once for an empty fleet."""
    settle_memory()
    fleet = Fleet(nodes, own=False)
    turn = fleet.turn(fleet.submit(WAITING))
    both = turn.pass_ms + turn.write_ms
    return (
        f"{nodes:,}",
        f"{turn.placed:,}",
        f"{turn.pass_ms:.0f}",
        f"{turn.write_ms:.0f}",
        f"{turn.longest_ms:.1f}",
        f"{WAITING / both * 1000:.0f}",
    )


def growth(nodes: int, count: int) -> tuple[str, ...]:
    """What a decision costs where all of many jobs find a place, beside half as many before."""
    settle_memory()
    costs = []
    for _ in range(3):
        fleet = Fleet(nodes, own=False)
        fleet.turn(fleet.submit(count // 2))
        turn = fleet.turn(fleet.submit(count))
        assert turn.placed == count, "the fleet is too small for them"
        costs.append((turn.pass_ms + turn.write_ms) / count * 1000)
    each = min(costs)
    return (f"{nodes:,}", f"{count:,}", f"{each:.0f}", f"{1e6 / each:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="*", default=[8, 1213])
    sizes = parser.parse_args().nodes
    head = (f"{WAITING:,} wait, milliseconds", "since the last pass", "p50", "p99", "longest step")
    found = [it for size in sizes for own in (False, True) for it in passes(size, own=own)]
    table("one pass, in processor time", head, *found)
    head = ("nodes", "start", "pass ms", "written ms", "longest step ms", "jobs decided/s")
    table(f"{WAITING:,} jobs at once, an empty fleet", head, *map(burst, sizes))
    head = ("nodes", "jobs", "µs of processor time each", "decisions/s")
    ways = [(303, 200), (607, 200), (1213, 200), (2426, 200)]
    ways += [(2426, 400), (2426, 800), (2426, 1600)]
    table("jobs that all find a place in one pass", head, *(growth(*it) for it in ways))


if __name__ == "__main__":
    main()
