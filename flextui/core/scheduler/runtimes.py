"""How long jobs run, learned from those that ran before, without anybody's saying so.

A job belongs to several kinds, from what was submitted together with it to all that ask for as
many GPUs; each kind has a record, and a specific one leans on the more general where it has few
runs. What was submitted together counts most: an experiment's runs end or go on alike. Where jobs
give a time limit, what is learned is which part of their limits such jobs use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log

from flextui.core.model.state import Job, RunTimes
from flextui.core.model.units import format_duration
from flextui.core.scheduler.lifetable import (
    PARTS,
    SECONDS,
    Chances,
    Counts,
    Edges,
    blend,
    counted,
    index,
    nothing,
    prior,
    quantile,
)

SAMPLES = 32
"""The last run times that a record keeps as they are."""
ENOUGH = 4
"""So many runs that went on for longer make an estimate from them alone."""
TOGETHER = 3600.0
"""Jobs of one user and size that were submitted within the same such span are siblings."""
FIRST_STEP = 300.0
"""Up to here a run counts as new; then each step is twice as long as the one before."""
OVERRUN = 0.01
"""What is thought to be left, as a part of the limit, of one that should have ended."""
CPU_WEIGHT = 0.125
"""A job without GPUs weighs as much as so many of them."""

_LIMIT = "limit"
_PRIOR_RUNS = 8.0
_LEANS = {"siblings": 0.3, "name": 20.0, "user": 10.0, "size": 10.0, "all": _PRIOR_RUNS}
_KEPT = {"siblings": 1000.0, "name": 100.0, "user": 200.0, "size": 400.0, "all": 1000.0}


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much longer something runs, in seconds, and on what that rests."""

    seconds: float
    low: float
    """One in ten ends within it."""
    high: float
    """Nine in ten do."""
    samples: int
    """Runs of the kind that it rests on; 0: a guess from what jobs are like."""
    basis: str


@dataclass(frozen=True, slots=True)
class Kinds:
    """The keys of a job's records, most specific first. Kept on the job, as its need is."""

    seconds: tuple[str, ...]
    """siblings, name, user, size, all."""
    parts: tuple[str, ...]
    """name, user, all; empty without a time limit."""
    size: float
    """GPUs in all; a share counts as its part."""
    limit: float | None
    name: str


def kinds_of(job: Job) -> Kinds:
    """Which records a job learns from and adds to."""
    kinds: Kinds | None = job.__dict__.get("kinds")
    if kinds is None:
        kinds = job.__dict__["kinds"] = _kinds(job)
    return kinds


def keys_of(job: Job) -> tuple[str, ...]:
    """The keys of a job's records in `Snapshot.runtimes`, most specific first."""
    kinds = kinds_of(job)
    return kinds.parts + kinds.seconds


def size_of(job: Job) -> float:
    """GPUs in all; a share counts as its part, work without any as a little."""
    return _gpus(job) or CPU_WEIGHT


def _gpus(job: Job) -> float:
    resources, nodes = job.spec.resources, job.spec.nodes
    if resources.gpu_share is not None:
        return nodes * (resources.share_milli / 1000 or 0.5)
    return nodes * resources.gpus


def _kinds(job: Job) -> Kinds:
    spec, gpus = job.spec, _gpus(job)
    size = f"{gpus:g}"
    stem = job.name.rstrip("0123456789").rstrip("-") or job.name
    user = f"{size} {job.owner}"
    name = f"{user}/{stem}"
    siblings = f"{user} {int(job.submitted_at // TOGETHER)}"
    limit = spec.time_limit if job.type == "batch" else None
    whose = f"{_LIMIT} {job.owner}"
    return Kinds(
        seconds=(siblings, name, user, size, "all"),
        parts=(f"{whose}/{stem}", whose, _LIMIT) if limit is not None else (),
        size=gpus or CPU_WEIGHT,
        limit=limit,
        name=f"{job.owner}/{stem}",
    )


def learn(
    runtimes: Mapping[str, RunTimes],
    job: Job,
    seconds: float,
    since: float = 0.0,
    ended: bool = True,
) -> dict[str, RunTimes]:
    """The records that change as a run of this job has got from `since` to `seconds`.

    `ended`: it came to its own end there; else it was cut off, and the job goes on from there
    later (or anew, with `since` 0).
    """
    kinds = kinds_of(job)
    changed: dict[str, RunTimes] = {}
    run = (since, seconds)
    by_seconds = zip(kinds.seconds, ("siblings", "name", "user", "size", "all"), strict=True)
    _learn(changed, runtimes, tuple(by_seconds), SECONDS, 1.0, run, ended)
    if kinds.limit is not None:
        by_part = zip(kinds.parts, ("name", "user", "all"), strict=True)
        _learn(changed, runtimes, tuple(by_part), PARTS, kinds.limit, run, ended)
    return changed


def _learn(
    changed: dict[str, RunTimes],
    runtimes: Mapping[str, RunTimes],
    kinds: Sequence[tuple[str, str]],
    edges: Edges,
    unit: float,
    run: tuple[float, float],
    ended: bool,
) -> None:
    """Add a stretch to each kind, the most general first: the others lean on it."""
    since, until = run[0] / unit, run[1] / unit
    chances = prior(edges)
    for key, name in reversed(kinds):
        old = runtimes.get(key, RunTimes())
        before = Counts(old.reached, old.ended) if old.reached else nothing(edges)
        counts = counted(before, edges, since, until, ended=ended, kept=_KEPT[name])
        chances = blend(chances, counts, _LEANS[name])
        samples = (*old.samples[-SAMPLES + 1 :], round(run[1], 1)) if ended else old.samples
        changed[key] = RunTimes(samples, *counts, chances)


def step_of(served: float) -> float:
    """What has been served, rounded down to a step: the order moves with it, and so it seldom
    moves."""
    if served < FIRST_STEP:
        return 0.0
    return float(FIRST_STEP * 2 ** int(log(served / FIRST_STEP, 2) + 1e-9))


def next_step(served: float) -> float:
    """Where the step after that begins."""
    return FIRST_STEP if served < FIRST_STEP else 2 * step_of(served)


def part_of(kinds: Kinds, served: float) -> float:
    """Which part of its limit a job has been served, to a thousandth; 0 without a limit."""
    return 0.0 if kinds.limit is None else round(min(served / kinds.limit, 1.0), 3)


class Outlook:
    """Answers from the records, remembered as long as a record stays the same object."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], tuple[RunTimes | None, float]] = {}

    def left(self, runtimes: Mapping[str, RunTimes], job: Job, served: float) -> float:
        """GPU-seconds that decide about the order: `lifetable.index` times the job's size.

        With a limit it follows every second that was served, else only steps.
        """
        kinds = kinds_of(job)
        if kinds.limit is None:
            record = _first(runtimes, kinds.seconds)
            return kinds.size * self._index(record, SECONDS, step_of(served))
        return kinds.size * kinds.limit * self.part_left(runtimes, kinds, part_of(kinds, served))

    def part_left(self, runtimes: Mapping[str, RunTimes], kinds: Kinds, part: float) -> float:
        """The same for one GPU, as a part of its limit."""
        return max(OVERRUN, self._index(_first(runtimes, kinds.parts), PARTS, part))

    def _index(self, record: RunTimes | None, edges: Edges, so_far: float) -> float:
        key = (id(record) if record is not None else len(edges), so_far)
        known = self._known.get(key)
        if known is not None:
            return known[1]
        value = index(record.chance if record is not None else prior(edges), edges, so_far)
        if len(self._known) > _MOST:
            self._known.clear()
        self._known[key] = (record, value)
        return value


_MOST = 1 << 16


def _first(runtimes: Mapping[str, RunTimes], keys: Sequence[str]) -> RunTimes | None:
    for key in keys:
        record = runtimes.get(key)
        if record is not None:
            return record
    return None


def expected(runtimes: Mapping[str, RunTimes], job: Job, served_s: float = 0.0) -> Estimate:
    """How much longer a job runs that has been served so long, never beyond its time limit."""
    kinds = kinds_of(job)
    cap = inf if kinds.limit is None else max(OVERRUN * kinds.limit, kinds.limit - served_s)
    told = (f"of {kinds.name}", f"of {job.owner}'s jobs of this size", "of jobs of this size")
    for key, basis in zip(kinds.seconds[1:4], told, strict=True):
        record = runtimes.get(key)
        longer = sorted(it - served_s for it in record.samples if it > served_s) if record else []
        if len(longer) >= ENOUGH:
            return _from_runs(longer, cap, basis)
    chances, edges, unit, samples = _chances(runtimes, kinds)
    so_far = served_s / unit
    low, middle, high = (
        min(cap, unit * quantile(chances, edges, so_far, part)) for part in (0.1, 0.5, 0.9)
    )
    if kinds.limit is not None and not samples:
        text = f"the time limit, {format_duration(kinds.limit)}"
        return Estimate(cap, low, cap, 0, text)
    basis = f"{samples} earlier runs" if samples else "what jobs are like"
    return Estimate(middle, low, high, samples, basis)


def _from_runs(longer: Sequence[float], cap: float, basis: str) -> Estimate:
    count = len(longer)
    low, middle, high = (
        min(cap, longer[min(count - 1, int(part * count))]) for part in (0.1, 0.5, 0.9)
    )
    return Estimate(middle, low, high, count, f"{count} earlier runs {basis}")


def _chances(runtimes: Mapping[str, RunTimes], kinds: Kinds) -> tuple[Chances, Edges, float, int]:
    if kinds.limit is not None:
        record, edges, unit = _first(runtimes, kinds.parts), PARTS, kinds.limit
    else:
        record, edges, unit = _first(runtimes, kinds.seconds), SECONDS, 1.0
    if record is None:
        return prior(edges), edges, unit, 0
    return record.chance, edges, unit, len(record.samples)
