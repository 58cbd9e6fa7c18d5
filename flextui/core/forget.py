"""Memory stays bounded: what is dropped from a draft here is in the store."""

from __future__ import annotations

from flextui.core.draft import Draft
from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.journal import Kind
from flextui.core.model.state import Task

RECENT_JOBS = 500
"""Ended jobs kept in memory."""
KEPT_ATTEMPTS = 10
"""Attempts of one task kept in memory, besides live ones."""


def forget_old_jobs(draft: Draft) -> None:
    """Drop the jobs that ended longest ago. Called before a turn's changes."""
    surplus = len(draft.recent) - RECENT_JOBS
    if surplus < RECENT_JOBS // 10:
        return
    for job in list(draft.recent):
        if surplus <= 0:
            break
        keys = draft.by_job.get(job) or ()
        if any(_has_live_attempt(draft, key) for key in keys):
            continue  # a kill may be owed
        for key in keys:
            _forget_task(draft, key)
        draft.recent.drop(job)
        draft.by_job.drop(job)
        draft.journal.note(Kind.JOB, job)
        draft.touched_jobs.add(job)
        surplus -= 1


def forget_old_attempt(draft: Draft, task: Task) -> None:
    """Drop the attempt that a new one pushes out of the kept window."""
    old = attempt_id(task.key, task.attempts - KEPT_ATTEMPTS)
    attempt = draft.attempts.get(old)
    if attempt is not None and not attempt.state.live and old not in draft.attempts.changed:
        draft.attempts.drop(old)


def _has_live_attempt(draft: Draft, key: TaskKey) -> bool:
    task = draft.tasks.get(key)
    numbers = range(1, task.attempts + 1) if task is not None else ()
    attempts = (draft.attempts.get(attempt_id(key, number)) for number in numbers)
    return any(it is not None and it.state.live for it in attempts)


def _forget_task(draft: Draft, key: TaskKey) -> None:
    task = draft.tasks.get(key)
    if task is None:
        return
    for number in range(1, task.attempts + 1):
        draft.attempts.drop(attempt_id(key, number))
    draft.tasks.drop(key)
    draft.journal.note(Kind.TASK, key)
