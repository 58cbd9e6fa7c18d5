"""What `simulate` decides is what the live engine decides on the same events.

The real engine, with its store, mailbox and effects, is driven beside a replay: the same jobs are
submitted at the same instants of a clock that the test turns, and attempts end when their work is
done. Every start must be the same: when, which attempt, on which node, with which devices.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flextui.core import engine as engine_module
from flextui.core.adapters.store import SqliteStore
from flextui.core.engine import Engine
from flextui.core.model.state import AttemptState, Identity
from flextui.core.ports import Effect, StartAttempt, StopAttempt
from flextui.core.reduce import jobs
from flextui.core.simulate.boxes import virtual_inventory
from flextui.core.simulate.replay import Options, Replay, settings_of
from flextui.core.simulate.specs import Specs
from flextui.core.simulate.trace import Ask, Box, BoxGpu, Trace, TraceJob
from tests.unit.core_kit import ManualClock
from tests.unit.fake_fleet import GIB, FakeFleet, FakeNode, gpu

Start = tuple[float, str, str, tuple[str, ...]]
BEGAN = 1_700_000_000.0
COST_S = 30.0
MODEL = "NVIDIA A100-SXM4-80GB"


# ── a trace ────────────────────────────────────────────────────────────────────────────────────


def random_trace(seed: int) -> Trace:
    """Jobs of two projects that come faster than they can run."""
    rng = random.Random(seed)
    at = 0.0
    made = []
    for index in range(40):
        at += rng.choice((0.0, 0.0, 20.0, 100.0))
        owner = rng.choice(("ada", "ben"))
        ask = Ask(rng.choice((0, 1, 1, 2, 4, 8)), cpus=rng.choice((0.0, 1.0)))
        if rng.random() < 0.2:
            ask = Ask(0, share_milli=rng.choice((250, 500)))
        run = float(rng.choice((10, 50, 300, 900)))
        made.append(TraceJob(at, run, owner, f"p-{owner}", f"job-{index % 5}", ask))
    return Trace("random", tuple(made), BEGAN)


BOXES = tuple(
    Box(name, 8.0, 64 * GIB, tuple(BoxGpu(MODEL, 80 * GIB) for _ in range(4)))
    for name in ("n1", "n2")
)


# ── the replay ─────────────────────────────────────────────────────────────────────────────────


class Watched(Replay):
    """A replay that keeps its instants and its starts."""

    def __init__(self, trace: Trace, options: Options) -> None:
        super().__init__(trace, BOXES, options)
        self.instants: list[float] = []
        self.starts: list[Start] = []

    def _instant(self, at: float) -> bool:
        self.instants.append(at)
        return super()._instant(at)

    def _started(self, at: float, attempt: str) -> None:
        super()._started(at, attempt)
        found = self.core.attempt(attempt)
        self.starts.append((at, attempt, found.node, found.gpus))


# ── the engine ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Live:
    """The real engine over nodes in memory, on the test's clock."""

    engine: Engine
    clock: ManualClock
    fleet: FakeFleet
    starts: list[Start]


class Workbench:
    """Runs what the engine starts for as long as the trace says."""

    def __init__(self, trace: Trace, options: Options) -> None:
        self.jobs = sorted(trace.jobs, key=lambda job: job.at)
        margin = COST_S if options.policy.get("preemption") else 0.0
        self.specs = Specs(BOXES, limits=options.known, margin_s=margin)
        self.at = 0.0
        self.starts: list[Start] = []
        self._done: dict[str, float] = {}
        self._began: dict[str, tuple[float, float]] = {}
        self._ends: list[tuple[float, int, str, FakeNode]] = []
        self._next = 0

    def heard(self, node: FakeNode, effect: Effect) -> None:
        """A node was given an order."""
        if isinstance(effect, StartAttempt):
            task = effect.attempt.rpartition(".")[0]
            seq = int(task[1:].split(".")[0])
            cost = COST_S if task in self._done else 0.0
            needs = cost + self.jobs[seq - 1].run_s - self._done.get(task, 0.0)
            self._began[effect.attempt] = (self.at, cost)
            heapq.heappush(self._ends, (self.at + needs, len(self._began), effect.attempt, node))
            gpus = tuple(effect.env["CUDA_VISIBLE_DEVICES"].split(","))
            self.starts.append((self.at, effect.attempt, node.name, tuple(filter(None, gpus))))
        elif isinstance(effect, StopAttempt) and effect.attempt in self._began:
            task = effect.attempt.rpartition(".")[0]
            began, cost = self._began.pop(effect.attempt)
            worked = max(0.0, self.at - began - cost)
            self._done[task] = self._done.get(task, 0.0) + worked

    def end_what_is_done(self) -> None:
        while self._ends and self._ends[0][0] <= self.at:
            _, _, attempt, node = heapq.heappop(self._ends)
            if self._began.pop(attempt, None) is not None:
                node.end(attempt)

    def coming(self) -> list[TraceJob]:
        """The jobs that are submitted now."""
        first = self._next
        while self._next < len(self.jobs) and self.jobs[self._next].at <= self.at:
            self._next += 1
        return self.jobs[first : self._next]


class Node(FakeNode):
    """A fake node that tells the workbench of its orders."""

    bench: Workbench

    def take(self, effect: Effect) -> None:
        self.bench.heard(self, effect)
        super().take(effect)


def box_node(box: Box, bench: Workbench) -> Node:
    gpus = tuple(gpu(f"{box.name}/{index}", index) for index in range(len(box.gpus)))
    node = Node(box.name, cpus=box.cpus, gpus=gpus, host_id=box.name, root_id=box.name)
    node.bench = bench
    return node


async def live_starts(
    folder: Path, trace: Trace, options: Options, instants: Sequence[float]
) -> list[Start]:
    bench = Workbench(trace, options)
    clock = ManualClock(BEGAN, 0.0)
    fleet = FakeFleet(*(box_node(box, bench) for box in BOXES))
    inventory = virtual_inventory(BOXES, settings_of(trace, options.policy))
    folder.mkdir()
    engine = Engine(inventory, SqliteStore(folder), fleet, clock, owner="test@here")
    await engine.start()
    try:
        async with asyncio.timeout(60):
            while not all(node.sampled for node in engine.snapshot.nodes.values()):
                await turn(engine)
            for at in instants:
                bench.at = at
                clock.wall, clock.mono = BEGAN + at, at
                await asyncio.gather(*_all_at_once(engine, bench))
                while _unsettled(engine):
                    await turn(engine)
                engine._deadlines.plan_within(0.0)  # the pass that follows starts, without its 5 ms
                await turn(engine)
    finally:
        await engine.close(release=True, suspend_leases=False)
    return bench.starts


def _all_at_once(engine: Engine, bench: Workbench) -> list[Any]:
    """This instant's events, all of them in the mailbox before the engine takes any."""

    async def ends() -> None:
        bench.end_what_is_done()
        await turn(engine)

    return [ends(), *(submit(engine, bench.specs, job) for job in bench.coming())]


async def submit(engine: Engine, specs: Specs, job: TraceJob) -> None:
    who = Identity(job.owner, 1000)
    await engine.ask(lambda draft: jobs.submit(draft, who, False, (specs.of(job),)))


async def turn(engine: Engine) -> None:
    await engine.ask(lambda draft: lambda snapshot: {})


def _unsettled(engine: Engine) -> bool:
    """Whether nodes have yet to be heard of what they were told."""
    return any(
        it.state in (AttemptState.PLACED, AttemptState.STARTING) or (it.stop and it.state.live)
        for it in engine.snapshot.attempts.values()
    )


# ── the comparison ─────────────────────────────────────────────────────────────────────────────

POLICIES = [
    {"queue": "fifo", "backfill": False},
    {"queue": "priority"},
    {"queue": "fair-share", "preemption": True},
    {"queue": "shortest", "preemption": True},
    {"queue": "shortest", "backfill": "conservative"},
]


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda it: "-".join(map(str, it.values())))
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_engine_starts_what_the_replay_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    policy: dict[str, Any],
    known: bool,
) -> None:
    # what comes at one instant is one turn, also on a machine that needs longer for it
    monkeypatch.setattr(engine_module, "TURN_S", 3600.0)
    trace = random_trace(seed)
    options = Options(policy, known, COST_S)
    replay = Watched(trace, options)
    replayed = replay.run()
    assert all(run.ended is not None for run in replayed.record.runs)
    live = await live_starts(tmp_path / "state", trace, options, replay.instants)
    assert live == replay.starts
