"""The `idle:` rule of a job: all its GPUs idle for so long, then a warning, then perhaps its end.

It is about the job as a whole, so that a gang isn't stopped for one rank that waits for the
others. An interactive job counts as idle only since its terminal or kernel was last used.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.model.docs import ACTOR
from flextui.core.model.spec import Idle
from flextui.core.model.state import Attempt, AttemptState, Job, JobState, StopRequest
from flextui.core.model.units import format_duration

CODE = "idle"
"""`reason_code` of a task, and `code` of the request that stops its job."""


def heed_idle(draft: Draft, job_id: str) -> None:
    """Warn or stop a job, or take the warning back, after a sample of one of its nodes."""
    job = draft.jobs.get(job_id)
    if job is None or job.stop is not None or job.spec.idle is None:
        return
    policy, now = job.spec.idle, draft.now.wall
    held = draft.holding(job_id)
    since = _idle_since(draft, job, held)
    warned_at = _warned_at(draft, held)
    if since is None or now - since < policy.for_:
        if warned_at is not None:
            _take_back(draft, job, held)
        return
    warning = _warning(policy)
    for attempt in held:
        _mark(draft, attempt, warning, CODE)
    if warned_at is None:
        for attempt in held:
            draft.books.put_meter(attempt.id, replace(draft.meters[attempt.id], warned_at=now))
        draft.note("job.idle", f"{job.full_name}: {warning}", job=job.id)
    elif policy.then == "stop" and now - warned_at >= policy.grace:
        why = f"idle: GPUs below {policy.gpu_below:g} % for {_time(now - since)}"
        draft.put_job(replace(job, stop=StopRequest(ACTOR, now, why, CODE)))
        draft.note("job.idle_stopped", f"{job.full_name}: {why}", job=job.id)


def _idle_since(draft: Draft, job: Job, held: list[Attempt]) -> float | None:
    """Since when nothing of the job uses its GPUs; None: something does, or that isn't known."""
    since = 0.0
    for attempt in held:
        meter = draft.meters.get(attempt.id)
        if meter is None or meter.idle_at is None or attempt.state is not AttemptState.RUNNING:
            return None
        since = max(since, meter.idle_at)
        if job.spec.interactive:
            since = max(since, _active_at(draft, attempt))
    return since if held else None


def _active_at(draft: Draft, attempt: Attempt) -> float:
    """When its terminal or kernel was last used."""
    node = draft.nodes.get(attempt.node)
    use = node.sample.attempts.get(attempt.id) if node is not None else None
    if use is None or use.active_ago_s is None:
        return 0.0
    return draft.now.wall - use.active_ago_s


def _warned_at(draft: Draft, held: list[Attempt]) -> float | None:
    times = [draft.meters[it.id].warned_at for it in held if it.id in draft.meters]
    told = [at for at in times if at is not None]
    return max(told) if told and len(told) == len(held) else None


def _warning(policy: Idle) -> str:
    text = f"idle: GPUs below {policy.gpu_below:g} % for {_time(policy.for_)}"
    if policy.then == "stop":
        text += f"; it is stopped after {_time(policy.grace)} more"
    return text


def _take_back(draft: Draft, job: Job, held: list[Attempt]) -> None:
    for attempt in held:
        meter = draft.meters[attempt.id]
        draft.books.put_meter(attempt.id, replace(meter, warned_at=None))
        _mark(draft, attempt, "", "")
    draft.note("job.in_use", f"{job.full_name} uses its GPUs again", job=job.id)


def _mark(draft: Draft, attempt: Attempt, reason: str, code: str) -> None:
    """Show it on the running task, unless that tells something else."""
    task = draft.tasks.get(attempt.task)
    if task is None or task.state is not JobState.RUNNING or task.active != attempt.id:
        return
    if task.reason_code in ("", CODE) and task.reason != reason:
        draft.put_task(replace(task, reason=reason, reason_code=code))


def _time(seconds: float) -> str:
    return format_duration(round(seconds))
