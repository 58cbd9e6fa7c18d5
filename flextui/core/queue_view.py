"""Pure: everything that waits for a place, in order, as documents: for `queue`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from flextui.core.explain_view import expected_view, factor_view
from flextui.core.model.state import Now, Snapshot
from flextui.core.model.times import iso
from flextui.core.scheduler.decision import Expected
from flextui.core.scheduler.explain import expected_of
from flextui.core.scheduler.forecast import Forecast, foresee
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.kind import Waiting
from flextui.core.scheduler.line import Line, line_of
from flextui.core.scheduler.promise import promised
from flextui.core.scheduler.reasons import asked


def line_view(snapshot: Snapshot, now: Now, limit: int) -> Generator[None, None, dict[str, Any]]:
    """The same as `queue_view` without a look ahead: nobody's start is told."""
    future = Future(snapshot, now)
    yield from future.look()
    line = yield from line_of(future)
    rows = [_row(line, place, it, None) for place, it in enumerate(line.items[:limit])]
    return {"queue": rows, "waiting": len(line), "looked_until": iso(now.wall)}


def queue_view(snapshot: Snapshot, now: Now, limit: int) -> Generator[None, None, dict[str, Any]]:
    """The first of the queue, so many; and how many there are. A gang is one of them."""
    future = Future(snapshot, now)
    yield from future.look()
    line = yield from line_of(future)
    first = line.items[:limit]
    promises = {it.task.key: promised(future, line, it) for it in first}
    forecast = yield from foresee(future, [it.task.key for it in first])
    rows = []
    for place, it in enumerate(first):
        expected = expected_of(snapshot, it.task.key, forecast, promises[it.task.key], (), now)
        rows.append(_row(line, place, it, expected))
        if place % 50 == 49:
            yield
    return {"queue": rows, "waiting": len(line), "looked_until": _until(forecast)}


def _row(line: Line, place: int, it: Waiting, expected: Expected | None) -> dict[str, Any]:
    job, task = it.job, it.task
    return {
        "position": place + 1,
        "id": job.id,
        "owner": job.owner,
        "name": job.name,
        "project": job.project or None,
        "task": task.key.index,
        "nodes": it.kind.nodes,
        "asks": asked(it.need, it.kind.nodes),
        "priority": job.priority,
        "waits_since": iso(task.ready_at),
        "factors": [factor_view(factor) for factor in line.factors(it)],
        "reason": task.reason,
        "reason_code": task.reason_code,
        "expected": expected_view(expected),
    }


def _until(forecast: Forecast) -> str | None:
    return None if forecast.until == float("inf") else iso(forecast.until)
