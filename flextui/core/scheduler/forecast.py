"""When waiting tasks are expected to start, and how sure that is.

The state is let go on by itself: what runs ends when it is expected to, passes decide as they
would, and so on until those that are asked about have started. An attempt is expected to end
when the run times that were learned say so, at its time limit where nothing was learned, and
never where it has no limit either. Nothing new is handed in and no node fails, so a forecast is
no promise: see `promise`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Attempt, Job, Snapshot
from flextui.core.scheduler.decision import Decision
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.runtimes import expected
from flextui.core.scheduler.timeline import hard_end, job_of

EVENTS = 200
"""So many instants are looked at; of the later ones those that are close together as one."""
STEPS = 400
"""So many slices of work, of one to two milliseconds, are spent."""
ENOUGH = 5
"""Run times that a forecast can lean on."""
SPREAD = 3.0
"""The longest likely run time over the shortest, in a forecast that can be leant on."""

CERTAIN, LIKELY, ROUGH, UNKNOWN = "certain", "likely", "rough", "unknown"
_ORDER = (CERTAIN, LIKELY, ROUGH, UNKNOWN)


class Start(NamedTuple):
    """An expected start."""

    at: float
    """Wall time."""
    sureness: str
    """certain, likely, rough."""
    text: str
    """On what that rests."""
    node: str = ""
    gpus: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    """The attempts that have ended on that node before."""


class End(NamedTuple):
    """An expected end of an attempt."""

    at: float
    """Wall time; infinite: nobody knows."""
    sureness: str


class Forecast(NamedTuple):
    """What a look ahead has found."""

    starts: dict[TaskKey, Start]
    """Those that are expected to start, up to where the look ended."""
    until: float
    """Wall time up to which it looked; infinite: nothing is left that could change anything."""
    endless: tuple[str, ...] = ()
    """Where nothing is left: jobs that run then and of whose end nothing is known."""


def expected_end(snapshot: Snapshot, attempt: Attempt, wall: float) -> End:
    """When a live attempt is expected to end."""
    job = job_of(snapshot, attempt)
    if attempt.stop is not None or attempt.replaced:
        return End(wall, LIKELY) if attempt.stop is not None else End(inf, UNKNOWN)
    if job is None:
        return End(inf, UNKNOWN)
    hard = hard_end(job, attempt)
    if job.type == "batch":
        task = snapshot.tasks[attempt.task]
        since = attempt.started_at if attempt.started_at is not None else wall
        estimate = expected(snapshot.runtimes, job, task.served_s + max(0.0, wall - since))
        if estimate.samples:
            sure = estimate.samples >= ENOUGH and estimate.high <= SPREAD * max(estimate.low, 60.0)
            return End(min(hard, wall + estimate.seconds), LIKELY if sure else ROUGH)
    return End(hard, ROUGH if hard < inf else UNKNOWN)


class _Ends:
    """When what runs will end."""

    def __init__(self, future: Future) -> None:
        self._future = future
        self._heap: list[tuple[float, str]] = []
        self.sureness: dict[str, str] = {}
        """Of each attempt's end."""
        self._begun: dict[str, str] = {}
        """Of its start."""
        self.nodes: dict[str, str] = {}
        """Of the least sure end on each node so far."""
        self.ended: dict[str, tuple[str, ...]] = {}
        """On each node so far."""

    def add(self, attempt: Attempt, start: str) -> None:
        end = expected_end(self._future.snapshot, attempt, self._future.now.wall)
        self._begun[attempt.id] = start
        self.sureness[attempt.id] = max(start, end.sureness, key=_ORDER.index)
        if end.at < inf:
            heappush(self._heap, (end.at, attempt.id))

    def stop(self, attempt: str) -> None:
        """It was told to end, however long it would have run."""
        self.sureness[attempt] = max(self._begun[attempt], LIKELY, key=_ORDER.index)
        heappush(self._heap, (self._future.now.wall, attempt))

    @property
    def next(self) -> float:
        return self._heap[0][0] if self._heap else inf

    def happen(self) -> None:
        """Let those end whose time has come."""
        while self._heap and self._heap[0][0] <= self._future.now.wall:
            _, key = heappop(self._heap)
            attempt = self._future.snapshot.attempts[key]
            before = self.nodes.get(attempt.node, CERTAIN)
            self.nodes[attempt.node] = max(before, self.sureness[key], key=_ORDER.index)
            self.ended[attempt.node] = (*self.ended.get(attempt.node, ()), key)
            self._future.end(key)


def foresee(
    future: Future, wanted: Collection[TaskKey] | None = None
) -> Generator[None, None, Forecast]:
    """Let the future go on until all that are wanted have started, or all that wait."""
    missing = None if wanted is None else set(wanted)
    starts: dict[TaskKey, Start] = {}
    ends = _Ends(future)
    for number, attempt in enumerate(future.live()):
        ends.add(attempt, CERTAIN)
        if number % 50 == 49:
            yield
    begun = future.now.wall
    left = STEPS
    for number in range(EVENTS):
        steps = future.look()
        while True:
            try:
                next(steps)
            except StopIteration as done:
                decision: Decision = done.value
                break
            left -= 1
            yield
        for attempt in future.carry_out(decision):
            sureness = ends.nodes.get(attempt.node, CERTAIN)
            text = _TEXTS[sureness]
            if future.now.wall > begun and sureness == CERTAIN:
                sureness, text = LIKELY, "times that somebody set"
            ended, node = ends.ended.get(attempt.node, ()), attempt.node
            start = Start(future.now.wall, sureness, text, node, attempt.gpus, ended)
            starts.setdefault(attempt.task, start)
            ends.add(attempt, sureness)
            if missing is not None:
                missing.discard(attempt.task)
        for kill in decision.kills:
            ends.stop(kill.attempt)
        if missing is not None and not missing:
            return Forecast(starts, future.now.wall)
        if missing is None and not future.memo.queue.by_kind:
            return Forecast(starts, inf)
        at = min(ends.next, _again(future, decision))
        if at == inf or left <= 0:
            return Forecast(starts, inf if at == inf else future.now.wall, _endless(future))
        future.pass_to(at + (at - begun) * _coarseness(number))
        ends.happen()
        yield
    return Forecast(starts, future.now.wall)


def _coarseness(number: int) -> float:
    """Ends so close together, as a part of the time from now to them, are taken as one."""
    if number < EVENTS // 4:
        return 0.0
    return 0.01 if number < EVENTS // 2 else 0.05


def _again(future: Future, decision: Decision) -> float:
    """Wall time of the next pass although nothing happens."""
    times = [inf]
    if decision.next_wall is not None:
        times.append(decision.next_wall)
    if decision.next_mono is not None:
        times.append(future.now.wall + decision.next_mono - future.now.mono)
    return max(min(times), future.now.wall + _SOON_S)


_SOON_S = 0.001
_TEXTS = {
    CERTAIN: "it fits now",
    LIKELY: "how long such jobs ran before",
    ROUGH: "time limits, and the little that is known of how long such jobs run",
}


def _endless(future: Future) -> tuple[str, ...]:
    """The batch jobs that run for all that is known, by full name."""
    snapshot = future.snapshot
    jobs = (job_of(snapshot, attempt) for attempt in future.live())
    return tuple(
        dict.fromkeys(it.full_name for it in jobs if it is not None and it.type == "batch")
    )


def endless(snapshot: Snapshot, attempts: Collection[str], wall: float) -> list[Job]:
    """The jobs among those attempts of whose end nothing is known."""
    found: dict[str, Job] = {}
    for key in attempts:
        attempt = snapshot.attempts.get(key)
        job = job_of(snapshot, attempt) if attempt is not None else None
        if attempt is None or job is None:
            continue
        if expected_end(snapshot, attempt, wall).at == inf:
            found[job.id] = job
    return list(found.values())
