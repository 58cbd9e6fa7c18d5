"""Pure: the scheduler's explanations and trials as documents, for `why` and `plan`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Attempt, Job, JobState, Now, Snapshot, Task
from flextui.core.model.times import iso_or_none
from flextui.core.model.units import format_size, parse_size
from flextui.core.scheduler.decision import Expected, Explanation, Taken, Trial
from flextui.core.scheduler.explain import explain_steps
from flextui.core.scheduler.order import Factor
from flextui.core.view import job_view


def why_view(snapshot: Snapshot, job: Job, now: Now) -> Generator[None, None, dict[str, Any]]:
    """Each task with the reason that it is as it is, in small steps."""
    tasks = [snapshot.tasks[key] for key in snapshot.by_job.get(job.id, ())]
    waiting = [it.key for it in tasks if job.id in snapshot.jobs and _waits(snapshot, it)]
    found = (yield from explain_steps(snapshot, waiting, now)) if waiting else {}
    told = []
    for task in tasks:
        doc: dict[str, Any] = {
            "index": task.key.index,
            "state": str(task.state),
            "summary": task.reason,
            "code": task.reason_code,
            "blocks": [],
            "would_help": [],
        }
        if task.key in found:
            doc |= explanation_view(found[task.key])
        told.append(doc)
    return {"job": job_view(snapshot, job), "tasks": told}


def _waits(snapshot: Snapshot, task: Task) -> bool:
    attempt = snapshot.attempts.get(task.active) if task.active else None
    live = attempt is not None and attempt.state.live and not attempt.replaced
    return task.state is JobState.PENDING and not live


def explanation_view(explanation: Explanation) -> dict[str, Any]:
    """Why a task waits: what is in the way, its place, when it starts, what would help."""
    return {
        "summary": explanation.summary,
        "code": explanation.code,
        "blocks": [
            {
                "code": it.code,
                "text": it.text,
                "nodes": list(it.nodes),
                "device": it.device,
                "held_by": list(it.held_by),
                "clears": it.clears,
            }
            for it in explanation.blocks
        ],
        "would_help": list(explanation.would_help),
        "feasible_ever": explanation.feasible_ever,
        "position": explanation.position,
        "waiting": explanation.waiting,
        "ahead": list(explanation.ahead),
        "behind": explanation.behind,
        "factors": [factor_view(it) for it in explanation.factors],
        "expected": expected_view(explanation.expected),
    }


def factor_view(factor: Factor) -> dict[str, Any]:
    """One of the things that gave a task its place: `value` times `weight`."""
    return {
        "name": factor.name,
        "weight": factor.weight,
        "value": round(factor.value, 4),
        "text": factor.text,
    }


def expected_view(expected: Expected | None) -> dict[str, Any] | None:
    """When a task is expected to start."""
    if expected is None:
        return None
    return {
        "at": iso_or_none(expected.at),
        "latest": iso_or_none(expected.latest),
        "sureness": expected.sureness,
        "text": expected.text,
    }


def trial_view(
    snapshot: Snapshot, spec: JobSpec, action: str, diff: list[dict[str, Any]], trial: Trial
) -> dict[str, Any]:
    """Where a spec that isn't submitted yet would go."""
    return {
        "name": spec.name,
        "type": spec.type,
        "action": action,
        "diff": diff,
        "tasks": [
            {
                "index": it.index,
                "node": it.node,
                "gpus": [_gpu_index(snapshot, it.node, uuid) for uuid in it.gpus],
                "gpu_uuids": list(it.gpus),
                "gpu_share": it.share / 1000 if it.share else None,
                "reason": it.reason,
                "why": explanation_view(it.explanation) if it.explanation else None,
                "takes": [takes_view(it) for it in it.explanation.takes] if it.explanation else [],
            }
            for it in trial.tasks
        ],
        "warnings": list(trial.warnings),
    }


def takes_view(takes: Taken) -> list[dict[str, Any]]:
    """Changes of a spec as they are written into it; `value` None: the field is left out."""
    return [{"field": list(path), "value": _written(path[-1], value)} for path, value in takes]


def _written(field: Any, value: Any) -> str | None:
    if value is None:
        return None
    if field == "time_limit":
        return f"{int(value) // 60}m"
    if field in ("memory", "gpu_memory") or (field == "gpu_share" and value > 1):
        text = format_size(value)
        return text if parse_size(text) <= value else f"{value >> 20}MiB"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def held_view(snapshot: Snapshot, index: int, attempt: Attempt) -> dict[str, Any]:
    """Where a task runs, in the form that a trial tells it."""
    return {
        "index": index,
        "node": attempt.node,
        "gpus": [_gpu_index(snapshot, attempt.node, uuid) for uuid in attempt.gpus],
        "gpu_uuids": list(attempt.gpus),
        "gpu_share": attempt.share / 1000 if attempt.share else None,
        "reason": "",
        "why": None,
    }


def _gpu_index(snapshot: Snapshot, node: str | None, uuid: str) -> int | None:
    known = snapshot.nodes.get(node) if node else None
    if known is None:
        return None
    return next((gpu.index for gpu in known.gpus if gpu.uuid == uuid), None)
