"""However much comes together, it is taken in, decided and written in small steps.

Steps are measured in calls, of Python's and C's functions, not by a clock: the same on any machine.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sequence
from typing import Any, TypeVar

import pytest

from flextui.core.draft import Counters, Draft
from flextui.core.events import NodeDown
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity, NodeStatus, Now, Snapshot
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

WAITING = 2500
STEP = 17_500
"""Calls; some three milliseconds. At once, names may be sorted; no look is taken at every job."""
GIB = 1 << 30


class Turns:
    """Turns of an engine, each with the most calls that it made without a pause."""

    def __init__(self, nodes: int) -> None:
        gpus = (BoxGpu("A100", 80 * GIB),) * 4
        boxes = [Box(f"n{it}", 64.0, 512 * GIB, gpus, {}, True) for it in range(nodes)]
        self.now = Now(1e6, 1000.0)
        self.memo = Memo()
        inventory = virtual_inventory(boxes, {})
        self.snapshot: Snapshot = restored(Loaded("x", 1, (), 1, 1), inventory, self.now)
        self._counters = Counters()
        self.events([event for box in boxes for event in hello(box)])

    def _draft(self) -> Draft:
        return Draft(self.snapshot, self.now, self._counters, lambda: "nonce")

    def events(self, events: Iterable[Any]) -> int:
        draft = self._draft()
        for event in events:
            fold(draft, event)
        return self._end(draft)

    def submit(self, specs: Sequence[JobSpec]) -> int:
        draft = self._draft()
        _, taken_in = most(jobs.submit_steps(draft, Identity("ann", 1000), False, specs))
        return max(taken_in, self._end(draft))

    def _end(self, draft: Draft) -> int:
        decision, planned = most(plan_steps(draft.freeze(1), self.now, self.memo))
        _, written = most(apply_steps(draft, decision))
        self.snapshot = draft.freeze(1)
        return max(planned, written)


def most(steps: Generator[None, None, T]) -> tuple[T, int]:
    """What they return, and the most calls that one of them made."""
    worst = calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    while True:
        calls = 0
        sys.setprofile(count)
        try:
            next(steps)
        except StopIteration as done:
            value: T = done.value
            return value, max(worst, calls)
        finally:
            sys.setprofile(None)
            worst = max(worst, calls)


def spec(number: int, *, own: bool) -> JobSpec:
    resources = {"gpus": 1 + number % 3, "memory": GIB + (number if own else 0)}
    fields = {"name": "train", "run": "true", "resources": resources}
    return JobSpec.model_validate(fields)


@pytest.mark.parametrize(("nodes", "own"), [(8, True), (300, False)])
def test_no_step_of_a_pass_looks_at_everything(nodes: int, own: bool) -> None:
    turns = Turns(nodes)
    made = [spec(number, own=own) for number in range(WAITING)]
    steps = {"a burst": turns.submit(made), "what follows": turns.events(())}
    turns.memo = Memo()
    steps["nothing known"] = turns.events(())
    names = list(turns.snapshot.nodes)
    silent = [NodeDown(name, NodeStatus.LOST, "timeout", "no answer") for name in names]
    steps["nodes fall silent"] = turns.events(silent[: nodes // 3])
    assert all(calls < STEP for calls in steps.values()), steps
