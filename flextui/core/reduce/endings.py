"""How attempts end: what is written of it, what their task makes of it, and what is learned."""

from __future__ import annotations

from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.events import Exit, Record
from flextui.core.model.records import changed
from flextui.core.model.state import Attempt, AttemptState, Job, Task
from flextui.core.reduce.devices import lost_device
from flextui.core.scheduler.restart import (
    NEVER_RAN,
    PREEMPTED,
    after_attempt,
    fruitless,
    ran_s,
)
from flextui.core.scheduler.runtimes import learn

TELLING_S = 60.0
"""From a failure that came sooner, nothing is learned of run times."""
_BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)

_WHY_TEXT = {
    "time_limit": "over its time limit",
    "memory": "over its memory limit",
    "lease": "its lease ran out while the node was out of touch",
    "supervisor_lost": "its supervisor died; how it ended isn't known",
    "boot": "the node restarted under it",
    "device_lost": "its GPU failed",
}


def never(draft: Draft, attempt: Attempt, reason: str) -> Attempt:
    """The attempt as one that certainly didn't run and won't."""
    return replace(
        attempt, state=AttemptState.KILLED, why="never", reason=reason, ended_at=draft.now.wall
    )


def without_record(draft: Draft, attempt: Attempt, reason: str) -> Attempt:
    """It certainly won't start: it never ran, or it was seen running and its folder is gone."""
    if attempt.started_at is None:
        return never(draft, attempt, attempt.reason or reason)
    return replace(
        attempt,
        state=AttemptState.LOST,
        why="supervisor_lost",
        reason=f"its record is gone from {attempt.node}",
        ended_at=draft.now.wall,
    )


def verdict(draft: Draft, attempt: Attempt, record: Record) -> Attempt:
    """The attempt with the ending that its supervisor recorded, which the node may forget."""
    end = record.exit or Exit(None, None, "supervisor_lost")
    ended_at = draft.now.wall - (end.ended_ago_s or 0.0)
    started = attempt.started_at
    if started is None:
        ago = record.started_ago_s
        started = draft.now.wall - ago if ago is not None else ended_at - (end.ran_s or 0.0)
    code = end.code
    if code is None and end.signal is not None:
        code = 128 + end.signal
    why = end.why or "exit"
    if code != 0 and not attempt.stop and lost_device(draft, attempt):
        why = "device_lost"
    return changed(
        attempt,
        state=_end_state(attempt, code, why, record.state),
        why=why,
        reason=_end_reason(code, end, why),
        exit_code=code,
        signal=end.signal,
        started_at=started,
        ended_at=max(ended_at, started),
        limit=record.limit or attempt.limit,
        last_lines=end.last_lines,
        acked=True,
    )


def _end_state(attempt: Attempt, code: int | None, why: str, state: str) -> AttemptState:
    if state == "lost" or why in ("supervisor_lost", "boot"):
        return AttemptState.LOST
    if why in ("stopped", "lease"):
        return AttemptState.KILLED
    if code == 0 and why == "exit":
        return AttemptState.SUCCEEDED
    return AttemptState.FAILED


def _end_reason(code: int | None, end: Exit, why: str) -> str:
    if why in _WHY_TEXT:
        return f"{_WHY_TEXT[why]}: {end.text}" if end.text else _WHY_TEXT[why]
    if why == "stopped":
        return "stopped"
    if end.signal is not None:
        return end.text or f"killed by signal {end.signal}"
    if code:
        return f"exit {code}: {end.text}" if end.text else f"exit {code}"
    return end.text


def finish(draft: Draft, ended: Attempt) -> None:
    """Record an ending and let the task follow from it, if it is this attempt that counts."""
    draft.put_attempt(ended)
    what = "didn't run" if ended.why in NEVER_RAN else str(ended.state)
    text = f"{what} on {ended.node}" + (f": {ended.reason}" if ended.reason else "")
    note(draft, ended, "attempt.ended", text)
    task = active_task(draft, ended)
    job = draft.jobs.get(ended.task.job)
    if task is not None and job is not None:
        _learn(draft, job, task, ended)
        draft.put_task(after_attempt(job, task, ended, draft.now))
        if fruitless(ended):
            _back_off(draft, ended)


def _learn(draft: Draft, job: Job, task: Task, ended: Attempt) -> None:
    """How long such jobs run: from attempts that came to their own end, of a gang from one rank.

    One that failed at once tells of a mistake, not of its kind. One that made room and goes on
    later tells that it runs for longer than that.
    """
    if job.type != "batch" or ended.started_at is None or (job.spec.nodes > 1 and task.key.index):
        return
    ran, since, lessons = ran_s(ended), task.served_s, draft.lessons
    if ended.stop is None and (
        ended.state is AttemptState.SUCCEEDED
        or (ended.why in ("exit", "time_limit") and ran >= TELLING_S)
    ):
        lessons.learn(learn(lessons.runtimes.data, job, since + ran, since))
    elif ended.stop is not None and ended.stop.code == PREEMPTED and job.spec.preempt == "resume":
        draft.lessons.learn(
            learn(draft.lessons.runtimes.data, job, since + ran, since, ended=False)
        )


def active_task(draft: Draft, attempt: Attempt) -> Task | None:
    """The task that this attempt counts for, or None if it counts for nothing any more."""
    task = draft.tasks.get(attempt.task)
    if task is None or task.active != attempt.id or attempt.replaced:
        return None
    return task


def _back_off(draft: Draft, attempt: Attempt) -> None:
    """Fruitless attempts in a row put the task off for longer and longer, so that nothing spins."""
    task = draft.tasks.get(attempt.task)
    if task is None or task.state.ended or task.active != attempt.id:
        return
    row = 0
    for number in range(attempt.number, 0, -1):
        before = draft.attempts.get(f"{task.key}.{number}")
        if before is None or not fruitless(before):
            break
        row += 1
    delay = _BACKOFF_S[min(row, len(_BACKOFF_S)) - 1]
    until = max(task.not_before or 0.0, draft.now.wall + delay)
    draft.put_task(replace(task, not_before=until))


def note(draft: Draft, attempt: Attempt, kind: str, text: str) -> None:
    """A line of history about an attempt."""
    key = attempt.task
    draft.note(kind, text, job=key.job, task=key.index, attempt=attempt.id, node=attempt.node)
