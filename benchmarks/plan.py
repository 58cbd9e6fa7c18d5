"""How long one pass of the scheduler takes, in its own CPU time, with a queue that waits.

Two cases each: nothing has changed since the last pass, and one attempt has just ended (its room
is given to the next, as in a stream of short jobs). A memo is kept, as the engine keeps one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flextui.core.model.state import Node, Snapshot
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.plan import plan
from tests.unit.world import World, node

PASSES = 100


def world(nodes: list[Node], jobs: int, resources: Callable[[int], dict[str, Any]]) -> World:
    """A fleet that is full, with the rest of the jobs waiting."""
    made = World(*nodes)
    for index in range(jobs):
        made.submit(f"job{index}", resources=resources(index))
    made.settle()
    for attempt in list(made.attempts):
        made.started(attempt)
    made.settle()
    return made


def measure(made: World, snapshot: Snapshot) -> str:
    memo = Memo()
    plan(snapshot, made.now, memo)
    times = []
    for _ in range(PASSES):
        start = time.thread_time()
        plan(snapshot, made.now, memo)
        times.append((time.thread_time() - start) * 1000)
    times.sort()
    return f"{times[len(times) // 2]:9.3f} {times[int(len(times) * 0.99)]:9.3f}"


def report(name: str, made: World) -> None:
    print(f"{name:44} {'unchanged':10} {measure(made, made.snapshot())}")
    made.end(next(it.id for it in made.attempts.values() if it.state.live))
    print(f"{'':44} {'one ended':10} {measure(made, made.snapshot())}")


def boxes(count: int) -> list[Node]:
    return [node(f"gpu{index}", cpus=64, memory=512, gpus=8) for index in range(count)]


def main() -> None:
    print(f"{'milliseconds of CPU a pass':44} {'':10} {'p50':>9} {'p99':>9}")
    small = [node("box", cpus=2)]
    report("500 one-CPU jobs wait, 2 slots", world(small, 502, lambda _: {"cpus": 1}))
    few = world(boxes(8), 10_000, lambda index: {"gpus": 1 + index % 3})
    report("10,000 wait, 8 nodes, 3 kinds of request", few)
    many = world(boxes(8), 10_000, lambda index: {"gpus": 1 + index % 3, "memory": 2**30 + index})
    report("10,000 wait, 8 nodes, each request its own", many)
    wide = world(boxes(200), 300, lambda _: {"gpus": 8})
    report("100 wait, 200 nodes of 8 GPUs", wide)


if __name__ == "__main__":
    main()
