"""Schedulers to compare with, as their papers and manuals describe them, in a few lines each.

Each replays a trace on nodes of equal GPUs, whole GPUs only, without preemption, and is measured
by the same recorder as flextui's replays. Run times are known to them (EASY needs them), which
flatters them.

- fifo: strictly in order of submission.
- easy: the same with EASY backfill (Lifka 1995): a job may go ahead if it delays nothing of what
  was promised to the first that waits. It looks at the first `DEPTH` that wait, as Slurm's
  `bf_max_job_test` has it.
- shortest: the same, ordered by GPUs times run time.
- drf: dominant-resource fairness (Ghodsi 2011) with the one resource that is scarce: the account
  that holds the least for its weight goes first; each account's own jobs are in order.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

from flextui.core.simulate.record import MILLI, Recorder, Run
from flextui.core.simulate.trace import Trace, TraceJob

Peer = Literal["fifo", "easy", "shortest", "drf"]
PEERS: tuple[Peer, ...] = ("fifo", "easy", "shortest", "drf")
DEPTH = 1000

Place = tuple[tuple[int, int], ...]
"""(node, GPUs of it)."""


@dataclass(slots=True, eq=False)
class Work:
    """A job that waits or runs."""

    run: Run
    seq: int
    gpus: int
    run_s: float


class Nodes:
    """Free GPUs by node: small jobs go where the least is left, large ones on whole nodes."""

    def __init__(self, nodes: int, gpus: int) -> None:
        self.size = gpus
        self.free = [gpus] * nodes

    def place(self, gpus: int) -> Place | None:
        if gpus == 0:
            return ()
        if gpus <= self.size:
            fitting = [(free, node) for node, free in enumerate(self.free) if free >= gpus]
            return ((min(fitting)[1], gpus),) if fitting else None
        count = -(-gpus // self.size)
        while gpus % count:
            count += 1
        each = gpus // count
        nodes = sorted((free, node) for node, free in enumerate(self.free) if free >= each)
        return tuple((node, each) for _, node in nodes[:count]) if len(nodes) >= count else None

    def take(self, place: Place) -> None:
        for node, gpus in place:
            self.free[node] -= gpus

    def give_back(self, place: Place) -> None:
        for node, gpus in place:
            self.free[node] += gpus

    def copy(self) -> Nodes:
        same = Nodes(0, self.size)
        same.free = list(self.free)
        return same


class Machine:
    """What runs, and until when."""

    def __init__(self, trace: Trace, nodes: int, gpus: int, weights: Mapping[str, float]) -> None:
        self.at = 0.0
        self.nodes = Nodes(nodes, gpus)
        self.weights = weights
        self.record = Recorder(nodes * gpus * MILLI, dict(weights))
        self.running: list[tuple[float, int, Work, Place]] = []
        """In order of their ends."""
        self.held: dict[str, int] = {}

    def start(self, work: Work, place: Place) -> None:
        self.nodes.take(place)
        insort(self.running, (self.at + work.run_s, work.seq, work, place))
        account = account_of(work.run.job)
        self.held[account] = self.held.get(account, 0) + work.gpus
        self.record.started(self.at, work.run, str(work.seq), work.gpus * MILLI)

    def end_due(self) -> None:
        while self.running and self.running[0][0] <= self.at:
            _, seq, work, place = self.running.pop(0)
            self.nodes.give_back(place)
            self.held[account_of(work.run.job)] -= work.gpus
            self.record.ended(self.at, str(seq), done=True)


def account_of(job: TraceJob) -> str:
    return job.project or job.owner


def replay_peer(
    trace: Trace, peer: Peer, nodes: int, gpus: int, weights: Mapping[str, float] | None = None
) -> Recorder:
    """The trace under a peer."""
    machine = Machine(trace, nodes, gpus, weights or {})
    queue: Queue = Shares(machine) if peer == "drf" else Line(machine, peer)
    jobs = sorted(trace.jobs, key=lambda job: job.at)
    following = 0
    while following < len(jobs) or machine.running:
        coming = jobs[following].at if following < len(jobs) else inf
        ending = machine.running[0][0] if machine.running else inf
        machine.at = min(coming, ending)
        machine.end_due()
        while following < len(jobs) and jobs[following].at <= machine.at:
            job = jobs[following]
            run = machine.record.submitted(job, 1, job.ask.gpus * MILLI)
            queue.add(Work(run, following, job.ask.gpus, job.run_s))
            following += 1
        queue.place()
        machine.record.tick(machine.at)
    machine.record.fairness.settle(machine.at)
    return machine.record


class Queue:
    """What waits."""

    def add(self, work: Work) -> None:
        raise NotImplementedError

    def place(self) -> None:
        """Start what may start now."""
        raise NotImplementedError


class Line(Queue):
    """One line for all, with or without backfill."""

    def __init__(self, machine: Machine, peer: Peer) -> None:
        self._machine = machine
        self._backfill = peer != "fifo"
        self._key: Callable[[Work], float] = (
            (lambda work: work.gpus * work.run_s) if peer == "shortest" else (lambda work: 0.0)
        )
        self._line: list[tuple[float, int, Work]] = []

    def add(self, work: Work) -> None:
        insort(self._line, (self._key(work), work.seq, work))

    def place(self) -> None:
        machine, line = self._machine, self._line
        started = 0
        for _, _, work in line:
            place = machine.nodes.place(work.gpus)
            if place is None:
                break
            machine.start(work, place)
            started += 1
        del line[:started]
        if line and self._backfill and any(machine.nodes.free):
            self._fill()

    def _fill(self) -> None:
        """EASY: the first of the line is promised a time; others may go where they keep it."""
        machine, line = self._machine, self._line
        first = line[0][2]
        promised, then = self._promise(first)
        hopeless = inf
        gone = set()
        for at, (_, _, work) in enumerate(line[1:DEPTH], 1):
            if work.gpus >= hopeless:
                continue
            place = machine.nodes.place(work.gpus)
            if place is None:
                hopeless = min(hopeless, work.gpus)
                continue
            if machine.at + work.run_s > promised:
                then.take(place)
                if min(then.free) < 0 or then.place(first.gpus) is None:
                    then.give_back(place)
                    continue
            machine.start(work, place)
            gone.add(at)
        if gone:
            line[:] = [entry for at, entry in enumerate(line) if at not in gone]

    def _promise(self, first: Work) -> tuple[float, Nodes]:
        """When the first will have a place, and what is free then."""
        then = self._machine.nodes.copy()
        for end, _, _, place in self._machine.running:
            then.give_back(place)
            if then.place(first.gpus) is not None:
                return end, then
        return inf, then


class Shares(Queue):
    """A line for each account; who holds the least for his weight goes first."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._lines: dict[str, deque[Work]] = {}

    def add(self, work: Work) -> None:
        self._lines.setdefault(account_of(work.run.job), deque()).append(work)

    def place(self) -> None:
        machine = self._machine
        order = [(self._share(name), name) for name, line in self._lines.items() if line]
        heapq.heapify(order)
        while order:
            name = heapq.heappop(order)[1]
            line = self._lines[name]
            place = machine.nodes.place(line[0].gpus)
            if place is None:
                continue
            machine.start(line.popleft(), place)
            if line:
                heapq.heappush(order, (self._share(name), name))

    def _share(self, name: str) -> float:
        return self._machine.held.get(name, 0) / self._machine.weights.get(name, 1.0)
