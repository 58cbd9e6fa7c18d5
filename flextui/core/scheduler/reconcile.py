"""What each job should have, against what it has: tasks made, retired, stopped and started anew.

A pass looks only at the jobs for which something may have to change: those that the journal
names, those whose moment has come, and those that can't rest (see `Look.restless`). What was
found of the others still stands: a look that changed nothing would change nothing again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import (
    AttemptState,
    Job,
    JobState,
    Node,
    NodeStatus,
    Snapshot,
    Task,
)
from flextui.core.scheduler.capacity import allows
from flextui.core.scheduler.gangs import settle_gang
from flextui.core.scheduler.kind import Waiting, kind_of
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.need import need_of
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.settle import Look, fresh, heed_times, settle

_PENDING, _RUNNING = JobState.PENDING, JobState.RUNNING
_BEGINS = frozenset({AttemptState.PLACED, AttemptState.STARTING})


def reconcile(
    ledger: Ledger, memo: Memo, pace: Pace, stopped: Iterable[str] = ()
) -> Iterator[None]:
    """Bring the jobs along, and the memo's queue with them. `stopped`: jobs that this pass has
    stopped already."""
    keys = yield from _to_look_at(ledger, memo, pace, stopped)
    for key in keys:
        known = ledger.snapshot.jobs.get(key)
        if known is None or known.state.ended:
            memo.forget(key)
            continue
        job = ledger.job(key)
        look = Look(ledger, job)
        memo.queue.put(key, _look_at(look))
        everywhere = job.type == "system"
        memo.stand(key, wake=look.wake, restless=look.restless, everywhere=everywhere)
        if pace.due(2):
            yield
    wake = memo.next_wake()
    if wake is not None:
        ledger.wake_wall(wake)
    for at in memo.leaving.values():
        ledger.wake_wall(at)


def _to_look_at(
    ledger: Ledger, memo: Memo, pace: Pace, stopped: Iterable[str]
) -> Generator[None, None, list[str]]:
    """The jobs that may need something, in the order of their submission."""
    snapshot, touched = ledger.snapshot, memo.touched
    jobs = snapshot.jobs
    if touched is None:
        for name in snapshot.nodes:
            _has_moved(snapshot, memo, name, ledger.now.wall)
        keys = list(jobs)
    else:
        found = {*stopped, *touched.jobs, *memo.restless, *memo.loud, *memo.due(ledger.now.wall)}
        found.update(key.job for key in touched.tasks)
        wall = ledger.now.wall
        drained = [name for name, at in memo.leaving.items() if at <= wall]
        looked = dict.fromkeys((*touched.nodes, *drained))
        moved = [name for name in looked if _has_moved(snapshot, memo, name, wall)]
        for name in moved:
            live = snapshot.by_node.get(name, ())
            found.update(snapshot.attempts[it].task.job for it in live)
        if moved:
            found |= memo.everywhere
        keys = list(found)
    if pace.due(len(keys) / 20):
        yield
    keys.sort(key=lambda key: job.seq if (job := jobs.get(key)) is not None else 0)
    return keys


def _has_moved(snapshot: Snapshot, memo: Memo, name: str, wall: float) -> bool:
    """Whether a node doesn't stand as it did, for the tasks that it has or should have."""
    node = snapshot.nodes.get(name)
    memo.leaving.pop(name, None)
    if node is not None and node.drain is not None and node.drain.at > wall:
        memo.leaving[name] = node.drain.at
    return memo.moves(name, _standing(node, wall) if node is not None else None)


def _standing(node: Node, wall: float) -> object:
    up = node.status is NodeStatus.READY
    return (node.status, node.drains(wall), "" if up else node.reason)


def _look_at(look: Look) -> list[Waiting]:
    """Bring one job along. Returns its tasks that want a place; a gang's first stands for all."""
    ledger, job, snapshot = look.ledger, look.job, look.ledger.snapshot
    keys = snapshot.by_job.get(job.id, ())
    if job.type == "batch" and len(keys) <= 1 and job.deadline_at is None:
        new = Task(TaskKey(job.id, 0), ready_at=ledger.now.wall) if not keys else None
        task = new or snapshot.tasks[keys[0]]
        if _only_waits(job, task):
            kind = kind_of(job, task, learned=ledger.learned)
            if kind.nodes == 1:
                if new is not None:
                    ledger.put(new)
                return [Waiting(job, task, kind.need, kind)]
        elif _goes_well(snapshot, job, task):
            if (job.state, job.reason) != (task.state, task.reason):
                ledger.looked.append(job.id)
            return []
    ledger.looked.append(job.id)
    heed_times(look)
    tasks = _wanted(ledger, look.job)
    if look.job.type == "batch" and look.job.spec.nodes > 1:
        ranks = settle_gang(look, tasks)
        return [_waiting(ledger, look.job, ranks[0])] if ranks else []
    found = [task for task in tasks if settle(look, task)]
    return [_waiting(ledger, look.job, ledger.task(task.key)) for task in found]


def _waiting(ledger: Ledger, job: Job, task: Task) -> Waiting:
    kind = kind_of(job, task, learned=ledger.learned)
    return Waiting(job, task, kind.need, kind)


def _only_waits(job: Job, task: Task) -> bool:
    """A batch job that was never started and only waits for a place: nothing to reconcile."""
    return (
        task.state is _PENDING
        and task.active is None
        and job.state is _PENDING
        and job.stop is None
        and job.hold is None
        and task.restart is None
        and task.not_before is None
        and (job.begin_at is None or job.begin_at <= task.ready_at)
    )


def _goes_well(snapshot: Snapshot, job: Job, task: Task) -> bool:
    """A batch job's task that starts or runs on a node in touch, as it tells itself, and nobody
    wants anything else of it."""
    attempt = snapshot.attempts.get(task.active) if task.active else None
    if attempt is None or attempt.replaced or attempt.stop is not None:
        return False
    if job.stop is not None or task.restart is not None or task.retired:
        return False
    if attempt.state is AttemptState.RUNNING:
        as_told = task.state is _RUNNING and not task.reason
    else:
        begins = attempt.state in _BEGINS and task.state is _PENDING and not attempt.reason
        as_told = begins and task.reason == f"starting on {attempt.node}"
    node = snapshot.nodes.get(attempt.node)
    return as_told and node is not None and node.status is NodeStatus.READY


# ── which tasks there should be ────────────────────────────────────────────────────────────────


def _wanted(ledger: Ledger, job: Job) -> list[Task]:
    """The job's tasks, made and retired as it says. A stopped job gets no new ones."""
    tasks = ledger.tasks_of(job.id)
    if job.stop is not None:
        return tasks
    if job.type == "system":
        _per_node(ledger, job, tasks)
    else:
        count = job.count if job.type == "service" else job.spec.nodes
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
    nodes = matching_nodes(ledger.snapshot, job, ledger.now.wall)
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


def matching_nodes(snapshot: Snapshot, job: Job, wall: float) -> tuple[str, ...]:
    """The nodes that a system job wants a task on."""
    need = need_of(job)
    return tuple(
        node.name
        for node in snapshot.nodes.values()
        if not node.drains(wall) and allows(need, node, snapshot.inventory)
    )


def _revive(ledger: Ledger, task: Task) -> None:
    """Wanted again. What still has a live attempt first sees it end."""
    back = replace(task, retired=False)
    if ledger.live(task) is None:
        back = fresh(back, ledger.now.wall)
    ledger.put(back)
