"""Pure: who holds which device until when, and what a waiting job waits for: `placement`."""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any

from flextui.core.explain_view import expected_view, explanation_view
from flextui.core.model.docs import EndDoc, PlaceDoc, PlacementDoc, WantDoc
from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, JobState, Now, Snapshot
from flextui.core.model.times import iso_or_none
from flextui.core.scheduler.explain import explain_steps
from flextui.core.scheduler.forecast import Start, expected_end, foresee
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.timeline import hard_end, job_of


def placement_view(
    snapshot: Snapshot, job: Job | None, now: Now
) -> Generator[None, None, dict[str, Any]]:
    """When the live attempts that hold GPUs end; and of a waiting job what stands in its way."""
    ends: dict[str, EndDoc] = {}
    for number, attempt in enumerate(_holders(snapshot)):
        if number % 100 == 99:
            yield
        end = expected_end(snapshot, attempt, now.wall)
        hard = hard_end(job_of(snapshot, attempt), attempt)
        ends[attempt.id] = {
            "at": iso_or_none(end.at if end.at < inf else None),
            "latest": iso_or_none(hard if hard < inf else None),
            "sureness": end.sureness,
        }
    doc: PlacementDoc = {"ends": ends, "wants": None}
    if job is not None:
        doc["wants"] = yield from _wants(snapshot, job, now)
    return dict(doc)


def _holders(snapshot: Snapshot) -> list[Any]:
    keys = (key for keys in snapshot.by_node.values() for key in keys)
    return [it for key in keys if (it := snapshot.attempts[key]).gpus]


def _wants(snapshot: Snapshot, job: Job, now: Now) -> Generator[None, None, WantDoc | None]:
    """What the first task of a job that waits for a place waits for, and where it is expected to
    go: all its ranks, where it is a gang."""
    waiting = [key for key in snapshot.by_job.get(job.id, ()) if _waits(snapshot, key)]
    if not waiting:
        return None
    first = waiting[:1]
    told = (yield from explain_steps(snapshot, first, now))[first[0]]
    why = explanation_view(told)
    places: list[PlaceDoc] = []
    if told.feasible_ever and told.position is not None:
        future = Future(snapshot, now)
        wanted = waiting if job.spec.nodes > 1 else first
        forecast = yield from foresee(future, wanted)
        starts = [forecast.starts[key] for key in wanted if key in forecast.starts]
        places = [_place(snapshot, start) for start in starts]
    return {
        "id": job.id,
        "summary": told.summary,
        "blocks": why["blocks"],
        "expected": expected_view(told.expected),
        "would_help": list(told.would_help),
        "places": places,
    }


def _place(snapshot: Snapshot, start: Start) -> PlaceDoc:
    """Of what ends there before, what it has to wait for: that which holds what it would get."""
    wanted = set(start.gpus)
    ended = [key for key in start.ended if key in snapshot.attempts]
    holding = [key for key in ended if wanted & set(snapshot.attempts[key].gpus)]
    return {
        "node": start.node,
        "gpus": list(start.gpus),
        "at": iso_or_none(start.at),
        "ends": holding or ([] if wanted else ended),
    }


def _waits(snapshot: Snapshot, key: TaskKey) -> bool:
    task = snapshot.tasks[key]
    attempt = snapshot.attempts.get(task.active) if task.active else None
    live = attempt is not None and attempt.state.live and not attempt.replaced
    return task.state is JobState.PENDING and not live and not task.retired
