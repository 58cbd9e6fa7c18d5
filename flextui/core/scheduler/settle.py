"""One job at a time: its tasks brought along with what it should have and with how its attempts
stand.

After this every task is in one of these: ended; with a live attempt, whose end may be owed;
waiting for a moment; or waiting for a place, which is what the queue gets.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.model.state import (
    Attempt,
    AttemptState,
    Job,
    JobState,
    Node,
    NodeStatus,
    StopRequest,
    Task,
)
from flextui.core.model.times import iso
from flextui.core.scheduler.ledger import ACTOR, Ledger, changed
from flextui.core.scheduler.loss import judge

_PENDING, _RUNNING = JobState.PENDING, JobState.RUNNING
_MOMENT_S = 0.001


class Look:
    """One look at one job, and when to look again although nothing happens to it."""

    def __init__(self, ledger: Ledger, job: Job) -> None:
        self.ledger = ledger
        self.job = job
        self.wake: float | None = None
        """Wall time of the next look."""
        self.restless = False
        """It must be looked at in each pass."""

    def again_at(self, wall: float) -> None:
        self.wake = wall if self.wake is None else min(self.wake, wall)

    def node_of(self, attempt: Attempt) -> Node | None:
        """The attempt's node. Work on one that isn't in touch is looked at in each pass."""
        node = self.ledger.snapshot.nodes.get(attempt.node)
        if node is None or node.status is not NodeStatus.READY:
            self.restless = True
        return node


def heed_times(look: Look) -> None:
    """A job is stopped when that is due, and at its deadline if it still runs there."""
    job, now = look.job, look.ledger.now.wall
    if job.stop is not None and job.stop.at > now:
        look.again_at(job.stop.at)
    if job.deadline_at is None or job.stops(now):
        return
    if now < job.deadline_at:
        look.again_at(job.deadline_at)
        return
    why = f"its deadline, {iso(job.deadline_at)}, has come"
    look.job = changed(job, stop=StopRequest(ACTOR, now, why, "deadline"))
    look.ledger.put_job(look.job)


def settle(look: Look, task: Task) -> bool:
    """Bring one task along. True: it waits for a place."""
    ledger, job = look.ledger, look.job
    attempt = ledger.live(task)
    end = _end_wanted(job, task)
    if end is not None:
        if end.at <= ledger.now.wall:
            _stop(look, task, attempt, end)
            return False
        if attempt is None or _live(look, task, attempt):
            _starts_no_more(ledger, ledger.task(task.key), end)
        return False
    if attempt is not None:
        if task.restart is not None:
            ledger.kill(attempt, task.restart.why or "restarted", task.restart.by)
        wanted = _live(look, task, attempt)
        task = ledger.task(task.key)
        if not wanted and not task.state.ended:
            return False
    if task.restart is not None or (task.state.ended and _superseded(ledger, job, task)):
        task = fresh(task, ledger.now.wall)
        ledger.put(task)
    if task.state.ended:
        return False
    return _waits(look, task)


def fresh(task: Task, at: float) -> Task:
    """The task at its beginning again; its attempts stay counted."""
    return replace(
        task,
        state=_PENDING,
        reason="",
        reason_code="",
        failures=(),
        not_before=None,
        ready_at=at,
        restart=None,
        ended_at=None,
        exit_code=None,
    )


def _end_wanted(job: Job, task: Task) -> StopRequest | None:
    if job.stop is not None:
        return job.stop
    return StopRequest(ACTOR, 0.0, task.reason or "no longer wanted") if task.retired else None


def _starts_no_more(ledger: Ledger, task: Task, end: StopRequest) -> None:
    """Nothing of it starts until it is stopped, or that is taken back."""
    if not task.state.ended:
        reason = f"is to be stopped at {iso(end.at)}: {end.why or end.by}"
        ledger.put(replace(task, state=_PENDING, reason=reason, reason_code="stopping"))


def _superseded(ledger: Ledger, job: Job, task: Task) -> bool:
    """It ended under an older revision: the new one gets its own chance."""
    last = ledger.snapshot.attempts.get(task.active) if task.active else None
    return job.type != "batch" and last is not None and last.revision < job.revision


# ── without a live attempt ─────────────────────────────────────────────────────────────────────


def _waits(look: Look, task: Task) -> bool:
    """Whether a task without a live attempt wants a place now, not at a later moment."""
    ledger, job, now = look.ledger, look.job, look.ledger.now.wall
    if _too_late(look, task):
        return False
    if job.hold is not None:
        why = f": {job.hold.why}" if job.hold.why else ""
        reason = f"held by {job.hold.by}{why}"
        ledger.put(replace(task, state=_PENDING, reason=reason, reason_code="held"))
        return False
    if job.begin_at is not None and job.begin_at > now:
        look.again_at(job.begin_at)
        reason = f"begins at {iso(job.begin_at)}"
        ledger.put(replace(task, state=_PENDING, reason=reason, reason_code="begin"))
        return False
    if task.not_before is not None and task.not_before > now:
        look.again_at(task.not_before)
        told = task.reason if task.reason_code in ("delay", "restart") else ""
        reason = told or "waits before it starts again"
        ledger.put(replace(task, state=_PENDING, reason=reason, reason_code="delay"))
        return False
    ready_at = max(task.ready_at, job.begin_at or 0.0)
    if task.state is not _PENDING or task.ready_at != ready_at:
        ledger.put(replace(task, state=_PENDING, ready_at=ready_at))
    return True


def _too_late(look: Look, task: Task) -> bool:
    """A batch task that can't end in time any more fails; it would only be stopped half-way."""
    job, now = look.job, look.ledger.now.wall
    limit = job.spec.time_limit if job.deadline_at is not None else None
    if job.deadline_at is None or limit is None or job.type != "batch":
        return False
    latest = job.deadline_at - limit
    if now <= latest:
        look.again_at(latest + _MOMENT_S)
        return False
    reason = (
        f"can't end by its deadline, {iso(job.deadline_at)}: "
        f"with its time limit it had to start by {iso(latest)}"
    )
    failed = replace(task, state=JobState.FAILED, reason=reason, reason_code="deadline")
    look.ledger.put(replace(failed, not_before=None, ended_at=now))
    return True


# ── to be stopped ──────────────────────────────────────────────────────────────────────────────


def _stop(look: Look, task: Task, attempt: Attempt | None, end: StopRequest) -> None:
    """See a task to its end."""
    ledger = look.ledger
    why = end.why or f"stopped by {end.by}"
    if attempt is None:
        if not task.state.ended:
            ledger.put(stopped(task, why, ledger.now.wall))
        return
    ledger.kill(attempt, why, end.by, end.code)
    node = look.node_of(attempt)
    if node is not None and node.status is NodeStatus.LOST:
        verdict = judge(ledger.snapshot, look.job, attempt, node, ledger.now, paused=ledger.paused)
        if verdict.give_up:
            ledger.give_up(attempt, verdict.reason)
            ledger.put(stopped(task, why, ledger.now.wall))
            return
        if verdict.at_mono is not None:
            ledger.wake_mono(verdict.at_mono)
    if node is None or node.status is not NodeStatus.READY:
        reason, code = f"stops when {attempt.node} answers", "node_lost"
    else:
        reason, code = f"stopping: {why}", "stopping"
    if task.retired:  # its own reason says why
        reason = task.reason
    ledger.put(replace(task, reason=reason, reason_code=code))


def stopped(task: Task, why: str, at: float) -> Task:
    """The task as ended without having run to its end."""
    return replace(
        task,
        state=JobState.STOPPED,
        reason=why,
        reason_code="",
        not_before=None,
        restart=None,
        ended_at=at,
    )


# ── with a live attempt ────────────────────────────────────────────────────────────────────────


def _live(look: Look, task: Task, attempt: Attempt) -> bool:
    """A task with a live attempt. True: the attempt is given up and another is wanted."""
    ledger, node = look.ledger, look.node_of(attempt)
    if node is None:
        reason = f"waits for {attempt.node}: it isn't in the inventory"
        ledger.put(replace(task, reason=reason, reason_code="node_lost"))
    elif node.status is NodeStatus.READY:
        ledger.put(_as_attempt(ledger, task, attempt))
    elif node.status is not NodeStatus.LOST:
        reason = f"waits for {node.name}: {node.reason or node.status}"
        ledger.put(replace(task, reason=reason, reason_code="node_lost"))
    else:
        return _on_lost_node(look, task, attempt, node)
    return False


def _as_attempt(ledger: Ledger, task: Task, attempt: Attempt) -> Task:
    """The task as its attempt stands, on a node in touch."""
    state, reason, code = task.state, "", ""
    match attempt.state:
        case AttemptState.RUNNING:
            state = _RUNNING
        case AttemptState.UNKNOWN:
            reason, code = attempt.reason or f"waits for word from {attempt.node}", "unknown"
        case _:
            state, reason, code = _PENDING, f"starting on {attempt.node}", "starting"
            if attempt.reason:
                reason = f"{reason}: {attempt.reason}"
    if ledger.stopping(attempt):
        why = attempt.stop.why if attempt.stop else task.restart.why if task.restart else ""
        reason, code = f"stopping: {why}" if why else "stopping", "stopping"
    elif state is _RUNNING and task.reason_code in SETTLED_ELSEWHERE:
        reason, code = task.reason, task.reason_code
    if (state, reason, code) == (task.state, task.reason, task.reason_code):
        return task
    return replace(task, state=state, reason=reason, reason_code=code)


SETTLED_ELSEWHERE = ("moving", "reserved", "idle", "share")
"""Codes of reasons that stand on a running task until who gave them takes them back."""


def _on_lost_node(look: Look, task: Task, attempt: Attempt, node: Node) -> bool:
    ledger = look.ledger
    verdict = judge(ledger.snapshot, look.job, attempt, node, ledger.now, paused=ledger.paused)
    if verdict.at_mono is not None:
        ledger.wake_mono(verdict.at_mono)
    if not verdict.give_up:
        ledger.put(replace(task, reason=verdict.reason, reason_code="node_lost"))
        return False
    ledger.give_up(attempt, verdict.reason)
    if verdict.fail:
        failed = replace(
            task,
            state=JobState.FAILED,
            reason=f"lost with {node.name}: {verdict.reason}",
            reason_code="",
            ended_at=ledger.now.wall,
        )
        ledger.put(failed)
        return False
    again = replace(fresh(task, ledger.now.wall), failures=task.failures)
    ledger.put(again)
    return True
