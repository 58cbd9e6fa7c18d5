"""The figures of a replay or an experiment, as the document that `--json` prints.

Keys are only ever added. Times end in `_s`, percentages in `_percent`. A job's completion time
(JCT) is from its submission to its end; its wait is what of that it spent without a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from flextui.core.simulate.packing import Packed
from flextui.core.simulate.record import MILLI, Recorder, Run
from flextui.core.simulate.replay import Replayed

BINS = 60
"""Points of the course of a replay."""


# ── packing ────────────────────────────────────────────────────────────────────────────────────


def packing_figures(packed: Packed, seed: int) -> dict[str, Any]:
    """Of a packing experiment."""
    return {
        "experiment": "packing",
        "seed": seed,
        "allocated_percent": round(packed.percent, 3),
        "unallocated_gpus": round(packed.unallocated, 3),
        "gpus": packed.capacity // MILLI,
        "free_whole_gpus": round(packed.free["whole"], 3),
        "free_parts_gpus": round(packed.free["parts"], 3),
        "asked_percent": round(100 * packed.asked / packed.capacity, 3) if packed.capacity else 0.0,
        "placed": packed.placed,
        "decisions": packed.decisions,
        "seconds": round(packed.seconds, 3),
        "processor_seconds": round(packed.processor_s, 3),
        "decisions_per_second": round(packed.decisions / packed.seconds) if packed.seconds else 0,
        "curve": [[round(asked, 4), round(had, 4)] for asked, had in packed.curve],
    }


# ── replays ────────────────────────────────────────────────────────────────────────────────────


def replay_figures(replayed: Replayed) -> dict[str, Any]:
    """Of a replay."""
    record, options = replayed.record, replayed.options
    done = [run for run in record.runs if run.ended is not None]
    jcts = sorted(run.ended - run.job.at for run in done if run.ended is not None)
    waits = sorted(run.waited_s for run in done)
    ends = [run.ended for run in done if run.ended is not None]
    first = min((run.job.at for run in record.runs), default=0.0)
    makespan = max(ends, default=first) - first
    policy = options.policy
    return {
        "trace": replayed.trace.name,
        "policy": policy.get("queue", "priority"),
        "backfill": policy.get("backfill", "easy"),
        "preemption": bool(policy.get("preemption", False)),
        "preemption_cost_s": options.cost_s if policy.get("preemption") else None,
        "durations": "known" if options.known else "unknown",
        "nodes": len(replayed.boxes),
        "gpus": record.capacity // MILLI,
        "jobs": len(record.runs),
        "ended": len(done),
        "never_ended": sum(run.ended is None and not run.refused for run in record.runs),
        "refused": sum(bool(run.refused) for run in record.runs),
        "average_jct_s": _mean(jcts),
        "median_jct_s": percentile(jcts, 0.5),
        "p99_jct_s": percentile(jcts, 0.99),
        "longest_jct_s": percentile(jcts, 1.0),
        "makespan_s": round(makespan, 3),
        **_waits(waits),
        "longest_wait_unbroken_s": round(max((run.longest_s for run in done), default=0.0), 3),
        "average_first_start_s": _mean(
            [it.first - it.job.at for it in done if it.first is not None]
        ),
        "waits_by_gpus": _by_gpus(done),
        "preemptions": sum(run.preempted for run in record.runs),
        **_use(record, options.cost_s),
        "fairness": _fairness(record),
        "really": _really(done),
        "course": course(record),
        "starts": record.starts,
        "decisions": len(record.runs) + record.starts,
        "passes": replayed.passes,
        "seconds": round(replayed.seconds, 3),
        "notes": list(replayed.trace.notes),
        "refusals": _refusals(record.runs),
    }


def percentile(ordered: Sequence[float], part: float) -> float:
    """The least of these (in order) that this part of them doesn't exceed; 0 of none."""
    return round(ordered[max(0, ceil(part * len(ordered)) - 1)], 3) if ordered else 0.0


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0


def _waits(ordered: Sequence[float]) -> dict[str, float]:
    return {
        "average_wait_s": _mean(ordered),
        "median_wait_s": percentile(ordered, 0.5),
        "p99_wait_s": percentile(ordered, 0.99),
        "longest_wait_s": percentile(ordered, 1.0),
    }


def _by_gpus(done: Iterable[Run]) -> list[dict[str, Any]]:
    groups: dict[float, list[float]] = {}
    for run in done:
        groups.setdefault(run.gpus, []).append(run.waited_s)
    return [
        {"gpus": gpus, "jobs": len(waits), **_waits(sorted(waits))}
        for gpus, waits in sorted(groups.items())
    ]


def _use(record: Recorder, cost_s: float) -> dict[str, float]:
    """Of all GPU time until the last end."""
    total = busy = waited = idle = 0.0
    for at, seconds in enumerate(_lengths(record)):
        total += record.capacity * seconds
        busy += record.busy[at] * seconds
        if record.waiting[at]:
            waited += record.capacity * seconds
            idle += (record.capacity - record.busy[at]) * seconds
    lost = sum(run.preempted * run.milli * cost_s for run in record.runs)
    return {
        "utilisation_percent": _percent(busy, total),
        "idle_while_waiting_percent": _percent(idle, waited),
        "preemption_overhead_percent": _percent(lost, busy),
    }


def _lengths(record: Recorder) -> list[float]:
    """How long each state of things lasted; the last is the end."""
    return [after - at for at, after in zip(record.times, record.times[1:], strict=False)]


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 3) if whole else 0.0


def _fairness(record: Recorder) -> dict[str, Any]:
    fairness = record.fairness
    waits: dict[str, list[float]] = {}
    for run in record.runs:
        if run.ended is not None:
            waits.setdefault(run.job.project or run.job.owner, []).append(run.waited_s)
    return {
        "error_percent": round(100 * fairness.error, 3),
        "jain_index": round(fairness.jain, 4),
        "accounts": [
            {
                "account": name,
                "weight": it.weight,
                "gpu_hours": round(it.held_s / MILLI / 3600, 2),
                "due_gpu_hours": round(it.due_s / MILLI / 3600, 2),
                "short_gpu_hours": round(it.short_s / MILLI / 3600, 2),
                "jobs": len(waits.get(name, ())),
                **_waits(sorted(waits.get(name, ()))),
            }
            for name, it in sorted(fairness.accounts.items())
        ],
    }


def _really(done: Iterable[Run]) -> dict[str, float] | None:
    """How it really went, where the trace tells."""
    known = [run.job for run in done if run.job.waited_s is not None]
    if not known:
        return None
    jcts = sorted(job.ended_at - job.at for job in known if job.ended_at is not None)
    return {
        "jobs": len(known),
        "average_jct_s": _mean(jcts),
        "p99_jct_s": percentile(jcts, 0.99),
        **_waits(sorted(job.waited_s or 0.0 for job in known)),
    }


def course(record: Recorder, bins: int = BINS) -> list[dict[str, float]]:
    """GPUs in use and waited for, over time: averages of equal spans."""
    if len(record.times) < 2:
        return []
    start, end = record.times[0], record.times[-1]
    span = (end - start) / bins
    busy, waiting = [0.0] * bins, [0.0] * bins
    for at, seconds in enumerate(_lengths(record)):
        begin, left = record.times[at] - start, seconds
        while left > 0:
            place = min(int(begin / span), bins - 1)
            part = left if place == bins - 1 else min(left, (place + 1) * span - begin)
            if part <= 0:  # rounding: the span is over
                part = min(left, span)
            busy[place] += record.busy[at] * part
            waiting[place] += record.waiting[at] * part
            begin += part
            left -= part
    return [
        {
            "at_s": round(start + place * span, 3),
            "busy_gpus": round(busy[place] / span / MILLI, 3),
            "waiting_gpus": round(waiting[place] / span / MILLI, 3),
        }
        for place in range(bins)
    ]


def _refusals(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Why jobs were refused when they were submitted, the most frequent first."""
    told: dict[str, int] = {}
    for run in runs:
        if run.refused:
            told[run.refused] = told.get(run.refused, 0) + 1
    most = sorted(told.items(), key=lambda it: (-it[1], it[0]))
    return [{"jobs": count, "why": why} for why, count in most[:10]]
