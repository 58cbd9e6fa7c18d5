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
    LeaseAsked,
    Record,
    StartRefused,
)
from flextui.core.model.records import changed
from flextui.core.model.state import Attempt, AttemptState, JobState, Orphan
from flextui.core.ports import AckAttempts, GrantLease, StopAttempt
from flextui.core.reduce.devices import claim, device_named
from flextui.core.reduce.endings import active_task, finish, never, note, verdict, without_record
from flextui.core.reduce.starts import abandon

_ENDED_RECORDS = frozenset({"ended", "lost", "never"})
STARTED_S = 0.005
STALE_GRACE_S = 2.0
"""What was replaced runs twice for as long as it may take its time to end."""
_STARTING = (AttemptState.PLACED, AttemptState.STARTING)


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
            note(draft, seen, "attempt.seen", f"seen running again on {seen.node}")
        elif was is not AttemptState.RUNNING:
            note(draft, seen, "attempt.started", f"runs on {seen.node}")
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
        ended = without_record(draft, attempt, "it was abandoned before it started")
        ended = replace(ended, acked=True)
    else:
        ended = verdict(draft, attempt, record)
    finish(draft, ended)
    draft.send(attempt.node, AckAttempts((attempt.id,)))


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
            finish(draft, without_record(draft, attempt, event.text))
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


def attempt_unknown(draft: Draft, event: AttemptUnknown) -> None:
    """A node has no such attempt to stop. What became of it is told when it is abandoned."""
    attempt = draft.attempts.get(event.attempt)
    if attempt is not None and attempt.state.live:
        abandon(draft, attempt)


def lease_asked(draft: Draft, event: LeaseAsked) -> None:
    """Renew what still counts; what was given up or is to end isn't renewed."""
    attempt = draft.attempts.get(event.attempt)
    if attempt is None or not attempt.state.live or attempt.replaced or attempt.stop:
        return
    if attempt.node == event.node:
        draft.lease_mono.put(attempt.id, draft.now.mono)
        draft.send(event.node, GrantLease(event.attempt, event.seq))
