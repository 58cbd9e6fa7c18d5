"""Why one task isn't running, in full: for `why`, and for `plan` of a spec that would wait.

Unlike the stored reasons this is made when somebody asks, so it may name amounts and times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, JobState, Now, Snapshot, Task
from flextui.core.model.units import format_duration
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.decision import Block, Explanation
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.loss import suspended
from flextui.core.scheduler.memo import Memo, Waiting
from flextui.core.scheduler.need import need_of
from flextui.core.scheduler.obstacles import NEAREST, NEVER, Obstacle, obstacles
from flextui.core.scheduler.queue import in_order, place_all
from flextui.core.scheduler.reasons import reason_for
from flextui.core.scheduler.reconcile import reconcile
from flextui.core.scheduler.relax import would_help

_DISTANCE = {code: place for place, code in enumerate(NEAREST)}


def explain(snapshot: Snapshot, key: TaskKey, now: Now) -> Explanation:
    """Why this task isn't running now, as a pass at this instant sees it."""
    task = snapshot.tasks.get(key)
    job = snapshot.jobs.get(key.job) or snapshot.recent.get(key.job)
    if task is None or job is None:
        return Explanation(key, "there is no such task", "gone")
    ledger = Ledger(snapshot, now, paused=suspended(snapshot))
    queue = in_order(reconcile(ledger, Memo())[0])
    task = ledger.task(key)
    place = next((at for at, it in enumerate(queue, 1) if it[1].key == key), None)
    if place is None:
        return _not_queued(ledger, job, task, now)
    fleet = Fleet(snapshot)
    place_all(ledger, fleet, _before(queue, key))
    return in_queue(snapshot, fleet, job, task, place, now)


def _before(queue: Iterable[Waiting], key: TaskKey) -> Iterable[Waiting]:
    for entry in queue:
        if entry[1].key == key:
            return
        yield entry


def _not_queued(ledger: Ledger, job: Job, task: Task, now: Now) -> Explanation:
    """Ended, running, or waiting for something else than a place."""
    summary, code = task.reason or str(task.state), task.reason_code or str(task.state)
    blocks: tuple[Block, ...] = ()
    if task.state is JobState.PENDING and task.not_before is not None and ledger.live(task) is None:
        left = max(0.0, task.not_before - now.wall)
        text = f"waits {format_duration(left)} before it starts again"
        blocks = (Block("delay", text, clears=f"in {format_duration(left)}"),)
    attempt = ledger.live(task)
    if attempt is not None and task.reason:
        blocks = (Block(code, task.reason, nodes=(attempt.node,)),)
    return Explanation(task.key, summary, code, blocks)


def in_queue(
    snapshot: Snapshot, fleet: Fleet, job: Job, task: Task, place: int, now: Now
) -> Explanation:
    """Why a task that wants a place has none, with what comes before it already placed."""
    need = need_of(job, task)
    ask = Ask(need, job.full_name, job.project, job.owner)
    reason = reason_for(snapshot, fleet, need)
    found = [(room, it) for room in fleet.rooms for it in obstacles(snapshot, room, need, ask)]
    return Explanation(
        task=task.key,
        summary=reason.text,
        code=reason.code,
        blocks=_fold(snapshot, found, now),
        would_help=would_help(snapshot, fleet, ask),
        feasible_ever=reason.ever,
        position=place,
    )


def _fold(
    snapshot: Snapshot, found: Sequence[tuple[Room, Obstacle]], now: Now
) -> tuple[Block, ...]:
    """Nodes with the same obstacle share a block; what clears soonest comes first."""
    blocks: dict[tuple[str, str, tuple[str, ...]], Block] = {}
    for room, it in found:
        key = (it.code, it.text, it.holders)
        same = blocks.get(key)
        if same is not None:
            blocks[key] = replace(same, nodes=(*same.nodes, room.name))
            continue
        blocks[key] = Block(
            code=it.code,
            text=it.text,
            nodes=(room.name,),
            held_by=it.holders,
            clears="" if it.code in NEVER else _clears(snapshot, it, now),
        )
    return tuple(sorted(blocks.values(), key=lambda block: _DISTANCE[block.code]))


def _clears(snapshot: Snapshot, obstacle: Obstacle, now: Now) -> str:
    """When the first of those that hold it ends at the latest, by its time limit."""
    ends: list[tuple[float, str]] = []
    for key in obstacle.attempts:
        attempt = snapshot.attempts[key]
        job = snapshot.jobs.get(attempt.task.job)
        limit = job.spec.time_limit if job is not None else None
        if job is not None and limit is not None:
            start = attempt.started_at if attempt.started_at is not None else attempt.placed_at
            ends.append((max(0.0, start + limit - now.wall), job.full_name))
    if not ends:
        return ""
    left, name = min(ends)
    return f"{name} ends in {format_duration(left)} at the latest"
