"""What nodes tell of attempts: seen running, ended, refused, never there.

An attempt that counts for its task (`task.active`) moves the task along; a replaced one is
recorded and changes nothing else. Results are acknowledged to the node by an effect, which goes
out only after the commit.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.events import (
    AttemptReported,
    AttemptUnknown,
    Exit,
    LeaseAsked,
    Record,
    StartRefused,
)
from flextui.core.model.records import changed
from flextui.core.model.state import Attempt, AttemptState, Job, JobState, Orphan, Task
from flextui.core.ports import AckAttempts, GrantLease, StopAttempt
from flextui.core.reduce.devices import claim, device_named, lost_device
from flextui.core.reduce.starts import abandon
from flextui.core.scheduler.restart import (
    NEVER_RAN,
    PREEMPTED,
    after_attempt,
    fruitless,
    ran_s,
)
from flextui.core.scheduler.runtimes import learn

_ENDED_RECORDS = frozenset({"ended", "lost", "never"})
STARTED_S = 0.005
TELLING_S = 60.0
"""From a failure that came sooner, nothing is learned of run times."""
STALE_GRACE_S = 2.0
"""What was replaced runs twice for as long as it may take its time to end."""
_STARTING = (AttemptState.PLACED, AttemptState.STARTING)
_BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)

_WHY_TEXT = {
    "time_limit": "over its time limit",
    "memory": "over its memory limit",
    "lease": "its lease ran out while the node was out of touch",
    "supervisor_lost": "its supervisor died; how it ended isn't known",
    "boot": "the node restarted under it",
    "device_lost": "its GPU failed",
}


# ── reports ────────────────────────────────────────────────────────────────────────────────────


def attempt_reported(draft: Draft, event: AttemptReported) -> None:
    """Fold in a state change, or the answer to a start."""
    take_record(draft, event.node, event.record)


def take_record(draft: Draft, node: str, record: Record) -> None:
    """One record of a node against what we know."""
    attempt = draft.attempts.get(record.attempt)
    settled = draft.settled.get(record.attempt)
    if settled is not None and record.nonce in ("", settled):
        draft.send(node, AckAttempts((record.attempt,)))
    elif attempt is None or attempt.node != node or not attempt.owns(record.nonce):
        _keep_orphan(draft, node, record)
    elif not attempt.state.live:
        _late(draft, attempt, record)
    elif record.state in _ENDED_RECORDS:
        _ended(draft, attempt, record)
    elif record.state == "running":
        _running(draft, attempt, record)
    elif attempt.state is not AttemptState.STARTING:
        draft.put_attempt(replace(attempt, state=AttemptState.STARTING))


def _late(draft: Draft, attempt: Attempt, record: Record) -> None:
    """News of an attempt that has ended for us: forget it there, or end it there too."""
    if record.state in _ENDED_RECORDS:
        draft.send(attempt.node, AckAttempts((attempt.id,)))
    else:
        draft.send(attempt.node, _stop(attempt, 0.0, "it has ended for its core"))


def _running(draft: Draft, attempt: Attempt, record: Record) -> None:
    """Seen running. That frees nothing, so planning waits a little: short work ends meanwhile."""
    urgent = draft.replan
    _set_running(draft, attempt, record)
    if not urgent and attempt.state in _STARTING:
        draft.replan = False
        draft.plan_within(STARTED_S)


def _set_running(draft: Draft, attempt: Attempt, record: Record) -> None:
    started = attempt.started_at
    if started is None:
        started = draft.now.wall - (record.started_ago_s or 0.0)
    was = attempt.state
    limit = record.limit or attempt.limit
    seen = attempt
    if (was, attempt.started_at, attempt.limit) != (AttemptState.RUNNING, started, limit):
        reason = attempt.reason if was is AttemptState.RUNNING else ""
        seen = changed(
            attempt,
            state=AttemptState.RUNNING,
            started_at=started,
            limit=limit,
            reason=reason,
        )
        draft.put_attempt(seen)
        if was is AttemptState.UNKNOWN:
            _note(draft, seen, "attempt.seen", f"seen running again on {seen.node}")
        elif was is not AttemptState.RUNNING:
            _note(draft, seen, "attempt.started", f"runs on {seen.node}")
    task = active_task(draft, seen)
    if task is not None and (task.state is not JobState.RUNNING or task.reason):
        running = changed(task, state=JobState.RUNNING, reason="", reason_code="", not_before=None)
        draft.put_task(running)
    send_owed_stop(draft, seen)


def send_owed_stop(draft: Draft, attempt: Attempt) -> None:
    """A kill that was decided while the attempt couldn't hear of it."""
    stop = attempt.stop
    if stop is not None or attempt.replaced:
        why = stop.why if stop else "replaced"
        grace = grace_of(draft, attempt)
        if attempt.replaced:
            grace = min(grace, STALE_GRACE_S)
        draft.send(attempt.node, _stop(attempt, grace, why))


def _stop(attempt: Attempt, grace_s: float, why: str) -> StopAttempt:
    return StopAttempt(attempt.id, grace_s, why, attempt.nonce)


def grace_of(draft: Draft, attempt: Attempt) -> float:
    """Seconds from SIGTERM to SIGKILL."""
    job = draft.job(attempt.task.job)
    return job.spec.grace if job is not None else 30.0


def _keep_orphan(draft: Draft, node: str, record: Record) -> None:
    """A record under our name that we don't know: shown, never killed by itself."""
    known = draft.nodes.get(node)
    if known is None:
        return
    others = tuple(it for it in known.orphans if it.attempt != record.attempt)
    gpus = tuple(device_named(known, name) for name in record.devices)
    orphan = Orphan(record.attempt, record.job, record.state, gpus)
    if record.state in _ENDED_RECORDS and len(others) == len(known.orphans):
        draft.note(
            "node.orphan", f"{node} holds the result of {record.attempt}, unknown here", node=node
        )
    draft.put_node(replace(known, orphans=(*others, orphan)), matters=True)


# ── endings ────────────────────────────────────────────────────────────────────────────────────


def _ended(draft: Draft, attempt: Attempt, record: Record) -> None:
    if record.state == "never":
        ended = _without_record(draft, attempt, "it was abandoned before it started")
        ended = replace(ended, acked=True)
    else:
        ended = _verdict(draft, attempt, record)
    finish(draft, ended)
    draft.send(attempt.node, AckAttempts((attempt.id,)))


def never(draft: Draft, attempt: Attempt, reason: str) -> Attempt:
    """The attempt as one that certainly didn't run and won't."""
    return replace(
        attempt, state=AttemptState.KILLED, why="never", reason=reason, ended_at=draft.now.wall
    )


def _verdict(draft: Draft, attempt: Attempt, record: Record) -> Attempt:
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
    _note(draft, ended, "attempt.ended", text)
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


# ── refusals and absences ──────────────────────────────────────────────────────────────────────


def start_refused(draft: Draft, event: StartRefused) -> None:
    """The node said no. Only codes that prove that nothing ran end the attempt."""
    attempt = draft.attempts.get(event.attempt)
    if attempt is None or not attempt.state.live:
        return
    match event.code:
        case "boot_mismatch" | "tombstone" | "stale":
            finish(draft, never(draft, attempt, event.text))
        case "taken":
            finish(draft, _without_record(draft, attempt, event.text))
        case "no_workdir" | "too_big":
            failed = replace(never(draft, attempt, event.text), state=AttemptState.FAILED)
            finish(draft, replace(failed, why=event.code))
        case "claimed" | "no_space" | "epoch" | "not_driver":
            if event.code == "claimed" and event.device:
                claim(draft, attempt.node, event.device, event.text)
            finish(draft, replace(never(draft, attempt, event.text), why="refused"))
        case _:
            draft.put_attempt(replace(attempt, reason=f"{event.code}: {event.text}"))
            abandon(draft, attempt)


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


def attempt_unknown(draft: Draft, event: AttemptUnknown) -> None:
    """A node has no such attempt to stop. What became of it is told when it is abandoned."""
    attempt = draft.attempts.get(event.attempt)
    if attempt is not None and attempt.state.live:
        abandon(draft, attempt)


def _without_record(draft: Draft, attempt: Attempt, reason: str) -> Attempt:
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


def lease_asked(draft: Draft, event: LeaseAsked) -> None:
    """Renew what still counts; what was given up or is to end isn't renewed."""
    attempt = draft.attempts.get(event.attempt)
    if attempt is None or not attempt.state.live or attempt.replaced or attempt.stop:
        return
    if attempt.node == event.node:
        draft.lease_mono.put(attempt.id, draft.now.mono)
        draft.send(event.node, GrantLease(event.attempt, event.seq))


def _note(draft: Draft, attempt: Attempt, kind: str, text: str) -> None:
    key = attempt.task
    draft.note(kind, text, job=key.job, task=key.index, attempt=attempt.id, node=attempt.node)
