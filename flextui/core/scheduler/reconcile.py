"""What each job should have, against what it has: tasks made, retired, stopped and started anew.

After this every task is in one of these: ended; with a live attempt, whose end may be owed;
waiting for a moment (`not_before`); or waiting for a place, which is what the queue gets.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import (
    Attempt,
    AttemptState,
    Job,
    JobState,
    NodeStatus,
    Snapshot,
    StopRequest,
    Task,
)
from flextui.core.scheduler.capacity import allows
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.loss import judge
from flextui.core.scheduler.memo import Memo, Waiting
from flextui.core.scheduler.need import need_of

_PENDING, _RUNNING = JobState.PENDING, JobState.RUNNING
_UP = (NodeStatus.READY,)

_LASTING = frozenset({"moving", "idle", "share"})
"""`reason_code` of what is told of a running task and taken back elsewhere: in `rollout`, or where
telemetry is folded in."""


def reconcile(ledger: Ledger, memo: Memo) -> tuple[list[Waiting], list[Job]]:
    """The tasks that want a place, and the jobs whose own state may have to follow."""
    waiting: list[Waiting] = []
    restless: list[Job] = []
    by_job, tasks, known = ledger.snapshot.by_job, ledger.snapshot.tasks, memo.waiting
    for name, job in ledger.snapshot.jobs.items():
        if job.type == "batch" and (keys := by_job.get(name)) is not None:
            task = tasks[keys[0]]
            entry = known.get(name)
            if entry is not None and entry[0] is job and entry[1] is task:
                waiting.append(entry)
                continue
            if _only_waits(job, task):
                known[name] = entry = (job, task, need_of(job))
                waiting.append(entry)
                continue
            if len(keys) == 1 and _only_runs(ledger.snapshot, job, task):
                continue
        if job.state.ended:
            continue
        restless.append(job)
        for task in _wanted(ledger, job):
            if _settle(ledger, job, task):
                task = ledger.task(task.key)
                waiting.append((job, task, need_of(job, task)))
    memo.trim(len(ledger.snapshot.jobs))
    return waiting, restless


def _only_waits(job: Job, task: Task) -> bool:
    """A batch job that was never started and only waits for a place: nothing to reconcile."""
    return (
        task.state is _PENDING
        and task.active is None
        and job.state is _PENDING
        and job.stop is None
        and task.restart is None
        and task.not_before is None
    )


def _only_runs(snapshot: Snapshot, job: Job, task: Task) -> bool:
    """A batch job that runs on a node in touch, and nobody wants anything else of it."""
    if task.state is not _RUNNING or job.state is not _RUNNING or task.reason or job.reason:
        return False
    attempt = snapshot.attempts.get(task.active) if task.active else None
    if attempt is None or attempt.state is not AttemptState.RUNNING or attempt.replaced:
        return False
    node = snapshot.nodes.get(attempt.node)
    return (
        job.stop is None
        and task.restart is None
        and attempt.stop is None
        and not task.retired
        and node is not None
        and node.status is NodeStatus.READY
    )


# ── which tasks there should be ────────────────────────────────────────────────────────────────


def _wanted(ledger: Ledger, job: Job) -> list[Task]:
    """The job's tasks, made and retired as it says. A stopped job gets no new ones."""
    tasks = ledger.tasks_of(job.id)
    if job.stop is not None:
        return tasks
    if job.type == "system":
        _per_node(ledger, job, tasks)
    else:
        count = job.count if job.type == "service" else 1
        _per_index(ledger, job, tasks, count)
    return ledger.tasks_of(job.id)


def _per_index(ledger: Ledger, job: Job, tasks: list[Task], count: int) -> None:
    known = {task.key.index: task for task in tasks}
    for index in range(count):
        if index not in known:
            ledger.put(Task(TaskKey(job.id, index), ready_at=ledger.now.wall))
        elif known[index].retired:
            _revive(ledger, known[index])
    for index, task in known.items():
        if index >= count and not task.retired:
            ledger.put(replace(task, retired=True, reason=f"scaled down to {count}"))


def _per_node(ledger: Ledger, job: Job, tasks: list[Task]) -> None:
    """One task per node that `where` allows; a drained node needs none."""
    nodes = matching_nodes(ledger.snapshot, job)
    known = {task.node: task for task in tasks}
    index = max((task.key.index for task in tasks), default=-1)
    for name in nodes:
        task = known.get(name)
        if task is None:
            index += 1
            ledger.put(Task(TaskKey(job.id, index), node=name, ready_at=ledger.now.wall))
        elif task.retired:
            _revive(ledger, task)
    for node, task in known.items():
        if node not in nodes and not task.retired:
            ledger.put(replace(task, retired=True, reason=f"{node} needs none"))


def matching_nodes(snapshot: Snapshot, job: Job) -> tuple[str, ...]:
    """The nodes that a system job wants a task on."""
    need = need_of(job)
    return tuple(
        node.name
        for node in snapshot.nodes.values()
        if node.drain is None and allows(need, node, snapshot.inventory)
    )


def _revive(ledger: Ledger, task: Task) -> None:
    """Wanted again. What still has a live attempt first sees it end."""
    back = replace(task, retired=False)
    if ledger.live(task) is None:
        back = fresh(back, ledger.now.wall)
    ledger.put(back)


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


# ── one task ───────────────────────────────────────────────────────────────────────────────────


def _settle(ledger: Ledger, job: Job, task: Task) -> bool:
    """Bring one task along. True: it waits for a place."""
    attempt = ledger.live(task)
    end = _end_wanted(job, task)
    if end is not None:
        _stop(ledger, job, task, attempt, end)
        return False
    if attempt is not None:
        if task.restart is not None:
            ledger.kill(attempt, task.restart.why or "restarted", task.restart.by)
        return _live(ledger, job, task, attempt)
    if task.restart is not None or (task.state.ended and _superseded(ledger, job, task)):
        task = fresh(task, ledger.now.wall)
        ledger.put(task)
    if task.state.ended:
        return False
    return _waits(ledger, task)


def _end_wanted(job: Job, task: Task) -> StopRequest | None:
    if job.stop is not None:
        return job.stop
    return StopRequest("flextui", 0.0, task.reason or "no longer wanted") if task.retired else None


def _superseded(ledger: Ledger, job: Job, task: Task) -> bool:
    """It ended under an older revision: the new one gets its own chance."""
    last = ledger.snapshot.attempts.get(task.active) if task.active else None
    return job.type != "batch" and last is not None and last.revision < job.revision


def _waits(ledger: Ledger, task: Task) -> bool:
    """Whether a task without a live attempt wants a place now, not at a later moment."""
    now = ledger.now.wall
    if task.not_before is not None and task.not_before > now:
        ledger.wake_wall(task.not_before)
        reason = task.reason or "waits before it starts again"
        ledger.put(replace(task, state=_PENDING, reason=reason, reason_code="delay"))
        return False
    if task.state is not _PENDING:
        ledger.put(replace(task, state=_PENDING))
    return True


def _stop(ledger: Ledger, job: Job, task: Task, attempt: Attempt | None, end: StopRequest) -> None:
    """See a task to its end."""
    why = end.why or f"stopped by {end.by}"
    stopped = replace(
        task,
        state=JobState.STOPPED,
        reason=why,
        reason_code="",
        not_before=None,
        restart=None,
        ended_at=ledger.now.wall,
    )
    if attempt is None:
        if not task.state.ended:
            ledger.put(stopped)
        return
    ledger.kill(attempt, why, end.by)
    node = ledger.snapshot.nodes.get(attempt.node)
    if node is not None and node.status is NodeStatus.LOST:
        verdict = judge(ledger.snapshot, job, attempt, node, ledger.now, paused=ledger.paused)
        if verdict.give_up:
            ledger.give_up(attempt, verdict.reason)
            ledger.put(stopped)
            return
        if verdict.at_mono is not None:
            ledger.wake_mono(verdict.at_mono)
    if node is None or node.status not in _UP:
        reason, code = f"stops when {attempt.node} answers", "node_lost"
    else:
        reason, code = f"stopping: {why}", "stopping"
    if task.retired:  # its own reason says why
        reason = task.reason
    ledger.put(replace(task, reason=reason, reason_code=code))


def _live(ledger: Ledger, job: Job, task: Task, attempt: Attempt) -> bool:
    """A task with a live attempt. True: the attempt is given up and another is wanted."""
    node = ledger.snapshot.nodes.get(attempt.node)
    if node is None:
        reason = f"waits for {attempt.node}: it isn't in the inventory"
        ledger.put(replace(task, reason=reason, reason_code="node_lost"))
    elif node.status is NodeStatus.READY:
        ledger.put(_as_attempt(ledger, task, attempt))
    elif node.status is not NodeStatus.LOST:
        reason = f"waits for {node.name}: {node.reason or node.status}"
        ledger.put(replace(task, reason=reason, reason_code="node_lost"))
    else:
        return _on_lost_node(ledger, job, task, attempt)
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
    elif state is _RUNNING and task.reason_code in _LASTING:
        reason, code = task.reason, task.reason_code
    return replace(task, state=state, reason=reason, reason_code=code)


def _on_lost_node(ledger: Ledger, job: Job, task: Task, attempt: Attempt) -> bool:
    node = ledger.snapshot.nodes[attempt.node]
    verdict = judge(ledger.snapshot, job, attempt, node, ledger.now, paused=ledger.paused)
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
