"""Pure: the scheduler's explanations and trials as documents, for `why` and `plan`."""

from __future__ import annotations

from typing import Any

from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Job, JobState, Now, Snapshot
from flextui.core.scheduler.decision import Explanation, Trial
from flextui.core.scheduler.explain import explain
from flextui.core.view import job_view


def why_view(snapshot: Snapshot, job: Job, now: Now) -> dict[str, Any]:
    """Each task with the reason that it is as it is."""
    tasks = []
    for key in snapshot.by_job.get(job.id, ()):
        task = snapshot.tasks[key]
        told: dict[str, Any] = {
            "index": key.index,
            "state": str(task.state),
            "summary": task.reason,
            "code": task.reason_code,
            "blocks": [],
            "would_help": [],
        }
        waits = task.state is JobState.PENDING and job.id in snapshot.jobs
        if waits and not _has_live_attempt(snapshot, task.active):
            told |= explanation_view(explain(snapshot, key, now))
        tasks.append(told)
    return {"job": job_view(snapshot, job), "tasks": tasks}


def _has_live_attempt(snapshot: Snapshot, active: str | None) -> bool:
    attempt = snapshot.attempts.get(active) if active else None
    return attempt is not None and attempt.state.live and not attempt.replaced


def explanation_view(explanation: Explanation) -> dict[str, Any]:
    """Why a task waits: what is in the way, when that clears, what would help."""
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
                "reason": it.explanation.summary if it.explanation else "",
                "why": explanation_view(it.explanation) if it.explanation else None,
            }
            for it in trial.tasks
        ],
        "warnings": list(trial.warnings),
    }


def _gpu_index(snapshot: Snapshot, node: str | None, uuid: str) -> int | None:
    known = snapshot.nodes.get(node) if node else None
    if known is None:
        return None
    return next((gpu.index for gpu in known.gpus if gpu.uuid == uuid), None)
