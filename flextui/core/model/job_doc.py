"""A job with its tasks and attempts as the document that leaves the core.

One function for the live state and for rows of the store, so that a job looks the same before
and after it has left memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flextui.core.model.docs import AttemptDoc, JobDoc, TaskDoc
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Attempt, Job, JobState, Task
from flextui.core.model.times import iso, iso_or_none


def job_doc(job: Job, tasks: Iterable[tuple[Task, list[Attempt]]], *, spec: bool = False) -> JobDoc:
    """`tasks` in order of their index, each with its attempts in order of their number."""
    rows = list(tasks)
    doc: JobDoc = {
        "id": job.id,
        "name": job.name,
        "type": job.type,
        "owner": job.owner,
        "project": job.project or None,
        "state": str(job.state),
        "reason": job_reason(job, [task for task, _ in rows]),
        "revision": job.revision,
        "priority": job.priority,
        "count": job.count,
        "nodes": job.spec.nodes,
        "resources": resources(job.spec),
        "submitted_at": iso(job.submitted_at),
        "begin_at": iso_or_none(job.begin_at),
        "deadline_at": iso_or_none(job.deadline_at),
        "stops_at": None if job.stop is None else iso(job.stop.at),
        "held": "" if job.hold is None else job.hold.by,
        "ended_at": iso_or_none(job.ended_at),
        "exit_code": exit_code(job, [task for task, _ in rows]),
        "tasks": [task_doc(task, attempts) for task, attempts in rows],
    }
    if spec:
        doc["spec"] = job.spec.to_json()
        doc["groups"] = list(job.groups)
    return doc


def task_doc(task: Task, attempts: list[Attempt]) -> TaskDoc:
    """A task; `node` is where it is, was last, or must be."""
    node = attempts[-1].node if attempts else task.node
    return {
        "index": task.key.index,
        "state": str(task.state),
        "reason": task.reason,
        "reason_code": task.reason_code,
        "node": node,
        "not_before": iso_or_none(task.not_before),
        "retired": task.retired,
        "attempts": [attempt_doc(attempt) for attempt in attempts],
    }


def attempt_doc(attempt: Attempt) -> AttemptDoc:
    """An attempt; the exit code is null while it lives and when nobody saw its end."""
    return {
        "id": attempt.id,
        "node": attempt.node,
        "gpus": list(attempt.gpus),
        "state": str(attempt.state),
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "reason": attempt.reason,
        "why": attempt.why,
        "placed_at": iso(attempt.placed_at),
        "started_at": iso_or_none(attempt.started_at),
        "ended_at": iso_or_none(attempt.ended_at),
        "revision": attempt.revision,
        "cpus": attempt.cpus,
        "memory_bytes": attempt.memory_bytes,
        "share": attempt.share,
        "gpu_memory_bytes": attempt.gpu_memory_bytes,
        "cpu_set": list(attempt.cpu_set),
        "gang": attempt.gang,
        "replaced": attempt.replaced,
        "last_lines": attempt.last_lines,
        "limit": attempt.limit,
    }


def job_reason(job: Job, tasks: list[Task]) -> str:
    """The job's own reason, else the first of its tasks that has one and isn't at its end."""
    if job.reason or job.state.ended:
        return job.reason
    if job.stop is not None:
        begun = any(it.reason_code == "stopping" for it in tasks)
        return "stopping" if begun else f"to be stopped by {job.stop.by}"
    return next((it.reason for it in tasks if it.reason and not it.retired), "")


def exit_code(job: Job, tasks: list[Task]) -> int | None:
    """Of an ended job: the first code that isn't 0, else 0; None where there was none."""
    if not job.state.ended:
        return None
    codes = [task.exit_code for task in tasks if not task.retired and task.exit_code is not None]
    if job.state is JobState.SUCCEEDED:
        return 0
    return next((code for code in codes if code), codes[0] if codes else None)


def resources(spec: JobSpec) -> dict[str, Any]:
    """What each task asks for."""
    return spec.resources.to_json()
