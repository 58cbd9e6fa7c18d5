"""Why one task isn't running, in full: for `why`, and for `plan` of a spec that would wait.

Unlike the stored reasons this is made when somebody asks, so it may name amounts and times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, JobState, Now, Snapshot, Task
from flextui.core.model.units import format_duration
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.decision import Block, Explanation
from flextui.core.scheduler.kind import Waiting
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.obstacles import NEAREST, NEVER, Obstacle, obstacles
from flextui.core.scheduler.placing import Placing
from flextui.core.scheduler.plan import placed_before
from flextui.core.scheduler.reasons import reason_for
from flextui.core.scheduler.relax import would_help

_DISTANCE = {code: place for place, code in enumerate(NEAREST)}


def explain(snapshot: Snapshot, key: TaskKey, now: Now) -> Explanation:
    """Why this task isn't running now, as a pass at this instant sees it."""
    task = snapshot.tasks.get(key)
    job = snapshot.jobs.get(key.job) or snapshot.recent.get(key.job)
    if task is None or job is None:
        return Explanation(key, "there is no such task", "gone")
    placing, place = placed_before(snapshot, key, now)
    it = placing.waiting(key)
    if it is None or place is None:
        ledger = placing.ledger
        return _not_queued(ledger, job, ledger.task(key), now)
    return in_queue(snapshot, placing, it, place, now)


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
    snapshot: Snapshot, placing: Placing, it: Waiting, place: int, now: Now
) -> Explanation:
    """Why a task that wants a place has none, with what comes before it already placed."""
    fleet, need, ask = placing.fleet, it.need, placing.ask_of(it)
    reason = reason_for(snapshot, fleet.rooms, need, ask, it.kind.nodes)
    found = [(room, one) for room in fleet.rooms for one in obstacles(snapshot, room, need, ask)]
    blocks = _fold(snapshot, found, now)
    refusal = placing.quotas.refusal(it.kind)
    if refusal:
        blocks = (Block("quota", refusal), *blocks)
    return Explanation(
        task=it.task.key,
        summary=refusal or reason.text,
        code="quota" if refusal else reason.code,
        blocks=blocks,
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
