"""A job's own state, as its tasks make it."""

from __future__ import annotations

from flextui.core.model.state import Job, JobState, Task
from flextui.core.scheduler.ledger import Ledger, changed


def roll_up(ledger: Ledger, job: Job) -> None:
    """Let the job follow its tasks."""
    state, reason = _summary(ledger, job, ledger.tasks_of(job.id))
    if state is job.state and reason == job.reason:
        return
    ended_at = ledger.now.wall if state.ended else None
    ledger.put_job(changed(job, state=state, reason=reason, ended_at=ended_at))


def _summary(ledger: Ledger, job: Job, tasks: list[Task]) -> tuple[JobState, str]:
    if len(tasks) == 1 and not tasks[0].retired and not tasks[0].state.ended:
        return tasks[0].state, _reason(ledger, tasks[0])
    wanted = [task for task in tasks if not task.retired]
    stops = job.stops(ledger.now.wall)
    if all(task.state.ended for task in tasks) and (wanted or stops):
        return _ended(job, wanted, stops=stops)
    if not wanted:
        reason = "no node matches" if job.type == "system" else "scaled to 0"
        return JobState.PENDING, reason
    running = sum(task.state is JobState.RUNNING for task in wanted)
    state = JobState.RUNNING if running else JobState.PENDING
    if len(wanted) == 1:
        return state, _reason(ledger, wanted[0])
    told = next((task for task in wanted if _reason(ledger, task)), None)
    if told is None:
        return state, ""
    return state, f"{running} of {len(wanted)} run; {told.key.index}: {_reason(ledger, told)}"


def _reason(ledger: Ledger, task: Task) -> str:
    node = ledger.starting_on(task.key)
    return task.reason if node is None else f"starting on {node}"


def _ended(job: Job, wanted: list[Task], *, stops: bool) -> tuple[JobState, str]:
    states = {task.state for task in wanted}
    if stops and job.stop is not None and states != {JobState.SUCCEEDED}:
        return JobState.STOPPED, job.stop.why or f"stopped by {job.stop.by}"
    failed = [task for task in wanted if task.state is JobState.FAILED]
    if failed:
        reason = failed[0].reason
        if len(wanted) > 1:
            reason = f"{len(failed)} of {len(wanted)} failed; {failed[0].key.index}: {reason}"
        return JobState.FAILED, reason
    if JobState.STOPPED in states:
        return JobState.STOPPED, next(it.reason for it in wanted if it.state is JobState.STOPPED)
    return JobState.SUCCEEDED, ""
