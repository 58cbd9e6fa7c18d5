"""Fair shares of Philly's virtual clusters on a fleet shrunk until it is busy, beside the peers.

    python benchmarks/fairness.py philly.csv

Ten windows of the trace, each beginning with a job that is drawn with a seed from 42 to 51; each
window's fleet has so few nodes of 8 GPUs that its jobs ask for `LOAD` times what it has. Each
virtual cluster is a project of weight 1. The error is the part of what was due to a project (its
max-min part of the fleet, as much as it wanted) that it wasn't given while it wanted it.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from common import table
from packing import spread
from peers import PEERS, Peer, replay_peer

from flextui.core.simulate.boxes import read_boxes
from flextui.core.simulate.figures import percentile
from flextui.core.simulate.formats import read_trace
from flextui.core.simulate.record import Recorder
from flextui.core.simulate.replay import Options, Replay
from flextui.core.simulate.trace import Trace

SEEDS = range(42, 52)
WINDOW_S = 14 * 86_400.0
LOAD = 1.5
GPUS = 8
COST_S = 60.0
OURS = (
    ("fair-share", True, False),
    ("fair-share", False, False),
    ("fair-share", False, True),
    ("priority", False, False),
    ("fifo", True, False),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What is compared."""

    error: float
    jain: float
    average_wait_h: float
    p99_wait_h: float
    longest_wait_h: float
    use: float


def window(trace: Trace, seed: int) -> tuple[Trace, int]:
    """Two weeks of the trace, and the nodes that they fill."""
    last = max(job.at for job in trace.jobs)
    began = random.Random(seed).choice([it.at for it in trace.jobs if it.at <= last - WINDOW_S])
    jobs = tuple(
        replace(job, at=job.at - began)
        for job in trace.jobs
        if began <= job.at < began + WINDOW_S and job.ask.gpus
    )
    wanted = sum(job.ask.gpus * job.run_s for job in jobs)
    widest = max(job.ask.gpus for job in jobs)
    nodes = max(ceil(wanted / WINDOW_S / LOAD / GPUS), ceil(widest / GPUS))
    return replace(trace, jobs=jobs, began=trace.began + began), nodes


def told(record: Recorder) -> Told:
    waits = sorted(run.waited_s / 3600 for run in record.runs if run.ended is not None)
    spans = list(zip(record.times, record.times[1:], record.busy, strict=False))
    busy = sum(held * (after - at) for at, after, held in spans)
    whole = record.capacity * (record.times[-1] - record.times[0])
    return Told(
        100 * record.fairness.error,
        record.fairness.jain,
        statistics.mean(waits),
        percentile(waits, 0.99),
        waits[-1],
        100 * busy / whole,
    )


def ours(path: Path, seed: int, queue: str, known: bool, preemption: bool) -> Told:
    trace, nodes = window(read_trace(path, "philly"), seed)
    options = Options({"queue": queue, "preemption": preemption}, known, COST_S)
    return told(Replay(trace, read_boxes(f"{nodes}x{GPUS}"), options).run().record)


def theirs(path: Path, seed: int, peer: Peer) -> Told:
    trace, nodes = window(read_trace(path, "philly"), seed)
    return told(replay_peer(trace, peer, nodes, GPUS))


def row(name: str, runs: Sequence[Told]) -> tuple[str, ...]:
    columns: tuple[tuple[Callable[[Told], float], int], ...] = (
        (lambda it: it.error, 1),
        (lambda it: it.jain, 3),
        (lambda it: it.average_wait_h, 2),
        (lambda it: it.p99_wait_h, 1),
        (lambda it: it.longest_wait_h, 1),
        (lambda it: it.use, 1),
    )
    return (name, *(spread([of(it) for it in runs], digits) for of, digits in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    seeds = asked.seeds
    heads = ("", "error %", "Jain", "average wait h", "p99 wait h", "longest wait h", "use %")
    rows: list[tuple[str, ...]] = [heads]
    sizes = [window(read_trace(asked.trace, "philly"), seed) for seed in seeds]
    with ProcessPoolExecutor(asked.processes) as pool:
        for queue, known, preemption in OURS:
            runs = [pool.submit(ours, asked.trace, it, queue, known, preemption) for it in seeds]
            name = f"{queue}, durations {'known' if known else 'unknown'}"
            name += ", preemption 60 s" if preemption else ""
            rows.append(row(name, [run.result() for run in runs]))
        for peer in PEERS:
            others = [pool.submit(theirs, asked.trace, seed, peer) for seed in seeds]
            rows.append(row(f"peer: {peer}, durations known", [it.result() for it in others]))
    gpus = spread([nodes * GPUS for _, nodes in sizes], 0)
    jobs = spread([len(it.jobs) for it, _ in sizes], 0)
    table(f"Philly, windows of 14 days: {jobs} jobs on {gpus} GPUs, seeds {seeds}", *rows)


if __name__ == "__main__":
    main()
