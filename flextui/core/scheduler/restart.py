"""What an attempt's end means for its task: done, failed, or once more and when.

Ends that aren't the workload's doing (a node that restarted, a GPU that failed, a start that was
refused) are repeated without being counted. The others are counted within a window; too many of
them are a crash loop.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.model.records import changed
from flextui.core.model.spec import Restart
from flextui.core.model.state import Attempt, AttemptState, Job, JobState, Now, Task
from flextui.core.model.units import format_duration

NEVER_RAN = frozenset({"never", "refused"})
"""`why` of attempts that were placed and didn't run."""

UNCOUNTED = frozenset({"refused", "never", "device_lost", "boot", "supervisor_lost", "lease"})
"""`why` of ends that say nothing about the workload."""

PREEMPTED = "preempted"
OVER_SHARE = "share"
"""`code` of requests that stop an attempt: it makes room and waits again with its age, or it took
more of a shared GPU than its part, which counts as a failure."""

SHORT_S = 10.0
"""An uncounted end of an attempt that ran for less than this waits like a first failure."""


_QUOTED = 160
"""Characters of a crash-looping workload's last line that its reason repeats."""


def after_attempt(job: Job, task: Task, attempt: Attempt, now: Now) -> Task:
    """The task after its attempt has ended. An attempt that doesn't count changes nothing."""
    if task.active != attempt.id or attempt.replaced or task.state.ended:
        return task
    task = changed(task, exit_code=attempt.exit_code, not_before=None)
    after = _after(job, task, attempt, now)
    if job.spec.preempt == "resume" and not after.state.ended and attempt.started_at is not None:
        return replace(after, served_s=after.served_s + ran_s(attempt))
    return after


def _after(job: Job, task: Task, attempt: Attempt, now: Now) -> Task:
    succeeded = attempt.state is AttemptState.SUCCEEDED
    if task.retired:
        return _ended(task, JobState.STOPPED, task.reason or "no longer wanted", now)
    if job.stop is not None and job.stops(now.wall):
        if succeeded and job.type == "batch":
            return _ended(task, JobState.SUCCEEDED, "", now)
        return _ended(task, JobState.STOPPED, job.stop.why or f"stopped by {job.stop.by}", now)
    if task.restart is not None:
        fresh = replace(task, failures=(), restart=None)
        return _again(fresh, task.restart.why or f"restarted by {task.restart.by}", now)
    if attempt.stop is not None and attempt.stop.code == OVER_SHARE:
        if not succeeded:
            attempt = replace(attempt, why=OVER_SHARE, reason=attempt.stop.why)
        return _by_policy(job.spec.restart, task, attempt, now, succeeded=succeeded)
    if attempt.stop is not None and attempt.stop.code == PREEMPTED:
        if succeeded and job.type == "batch":
            return _ended(task, JobState.SUCCEEDED, "", now)
        return replace(_again(task, attempt.stop.why, now), ready_at=task.ready_at)
    if attempt.stop is not None:
        return _again(task, attempt.stop.why, now)
    if attempt.why in UNCOUNTED or attempt.state is AttemptState.LOST:
        return _uncounted(job.spec.restart, task, attempt, now)
    if attempt.why == "time_limit":
        limit = job.spec.time_limit
        text = f"time limit {format_duration(limit)}" if limit is not None else "time limit"
        return _ended(task, JobState.FAILED, text, now)
    return _by_policy(job.spec.restart, task, attempt, now, succeeded=succeeded)


def _uncounted(policy: Restart, task: Task, attempt: Attempt, now: Now) -> Task:
    text = attempt.reason or attempt.why or "lost"
    if attempt.why != "refused" and ran_s(attempt) < SHORT_S:
        return _later(task, text, policy.delay, now)
    return _again(task, text, now)


def fruitless(attempt: Attempt) -> bool:
    """Whether it ended without being counted before it did anything.

    Nothing else bounds how often that is repeated: whoever folds it in puts the next one off.
    """
    if attempt.state.live or attempt.stop is not None:
        return False
    uncounted = attempt.why in UNCOUNTED or attempt.state is AttemptState.LOST
    return uncounted and (attempt.why in NEVER_RAN or ran_s(attempt) < SHORT_S)


def ran_s(attempt: Attempt) -> float:
    """Seconds that an ended attempt ran."""
    since = attempt.started_at or attempt.placed_at
    return (attempt.ended_at or since) - since


def _by_policy(policy: Restart, task: Task, attempt: Attempt, now: Now, *, succeeded: bool) -> Task:
    last = _last(attempt)
    if succeeded and policy.on != "always":
        return _ended(task, JobState.SUCCEEDED, "", now)
    if policy.on == "never":
        return _ended(task, JobState.FAILED, last, now)
    if attempt.exit_code in policy.not_on_exit and attempt.exit_code is not None:
        return _ended(task, JobState.FAILED, f"{last}, which is not restarted", now)
    failures = (*(at for at in task.failures if at > now.wall - policy.within), now.wall)
    task = replace(task, failures=failures)
    if len(failures) > policy.attempts:
        if policy.attempts == 0:
            return _ended(task, JobState.FAILED, last, now)
        what = "ends" if succeeded else "failures"
        window = format_duration(policy.within)
        text = f"crash loop: {len(failures)} {what} in {window}, last {last}"
        if attempt.last_lines:
            text += f": {attempt.last_lines.splitlines()[-1][:_QUOTED]}"
        return _ended(task, JobState.FAILED, text, now)
    return _later(task, last, restart_delay(policy, len(failures)), now)


def restart_delay(policy: Restart, failures: int) -> float:
    """Seconds to wait after this many failures within the window."""
    if policy.delay <= 0:
        return 0.0
    delay = policy.delay
    for _ in range(failures - 1):
        delay *= policy.backoff
        if delay >= policy.max_delay:
            return policy.max_delay
    return delay


def _last(attempt: Attempt) -> str:
    """The end in a few words."""
    if attempt.why == "memory":
        return "killed for its memory use"
    if attempt.why not in ("", "exit"):
        return attempt.reason or attempt.why
    if attempt.signal is not None:
        return f"killed by signal {attempt.signal}"
    if attempt.exit_code is None:
        return attempt.reason or "an end that nobody saw"
    return f"exit {attempt.exit_code}"


def _ended(task: Task, state: JobState, reason: str, now: Now) -> Task:
    return changed(
        task, state=state, reason=reason, reason_code="", restart=None, ended_at=now.wall
    )


def _again(task: Task, reason: str, now: Now) -> Task:
    return replace(
        task,
        state=JobState.PENDING,
        reason=f"starts again: {reason}" if reason else "starts again",
        reason_code="restart",
        ready_at=now.wall,
    )


def _later(task: Task, reason: str, delay: float, now: Now) -> Task:
    until = now.wall + delay if delay > 0 else None
    again = _again(task, reason, now)
    return replace(again, reason_code="delay" if until else "restart", not_before=until)
