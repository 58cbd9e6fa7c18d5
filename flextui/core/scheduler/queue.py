"""Who goes first, and what is kept for those who can't go yet.

The order is priority, then how long a task has waited, then when its job was submitted. Tasks are
placed in that order. One that can't be placed, but will be once attempts of ours end, gets one
node kept for it: the one nearest to holding it. Later tasks may use what that request won't miss
there, and any other node. So a big request that waits is overtaken, but never by what it waits
for: what is missing on its node only falls as attempts end, and it can't starve. A node is kept
for one request at a time, the earliest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from flextui.core.model.state import Job, Task
from flextui.core.scheduler.capacity import Fleet
from flextui.core.scheduler.decision import Placement
from flextui.core.scheduler.feasible import could_fit, missing
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.need import MILLI, Need, need_of
from flextui.core.scheduler.rank import best

Waiting = tuple[Job, Task]


def in_order(waiting: Iterable[Waiting]) -> list[Waiting]:
    """The queue: highest priority first, then the longest wait, then the earliest submitted."""
    return sorted(waiting, key=_rank)


def _rank(entry: Waiting) -> tuple[int, float, int, int]:
    job, task = entry
    return (-job.priority, task.ready_at, job.seq, task.key.index)


def place_all(ledger: Ledger, fleet: Fleet, queue: Iterable[Waiting]) -> list[Waiting]:
    """Place what can be placed, in order. Returns the tasks that still wait, in order."""
    left: list[Waiting] = []
    hopeless: set[Need] = set()
    for entry in queue:
        job, task = entry
        need = need_of(job, task) if task.node is not None else job.__dict__.get("need")
        if need is None:
            need = need_of(job)
        if need in hopeless or not _place(ledger, fleet, job, task, need):
            hopeless.add(need)
            left.append(entry)
    return left


def _place(ledger: Ledger, fleet: Fleet, job: Job, task: Task, need: Need) -> bool:
    rooms = fleet.matching(need)
    beside = replicas(ledger, job) if need.spread and job.count > 1 else {}
    place = best(rooms, need, beside)
    if place is None:
        _keep(fleet, job, need)
        return False
    room, devices = place
    room.take(job.full_name, need, devices)
    if room.hold is need:
        room.hold, room.hold_for = None, ""
    ledger.place(
        Placement(
            task=task.key,
            revision=job.revision,
            node=room.name,
            gpus=tuple(device.uuid for device in devices),
            cpus=need.cpus / MILLI,
            memory_bytes=need.memory,
        )
    )
    return True


def _keep(fleet: Fleet, job: Job, need: Need) -> None:
    """Keep the node nearest to holding this request, if there is one that will."""
    rooms = [it for it in fleet.matching(need) if it.hold is None and could_fit(it, need)]
    if rooms:
        nearest = min(rooms, key=lambda room: missing(room, need))
        nearest.hold, nearest.hold_for = need, job.full_name


def replicas(ledger: Ledger, job: Job) -> Counter[str]:
    """How many replicas of the job each node has, with what this pass placed."""
    nodes: Counter[str] = Counter()
    for task in ledger.tasks_of(job.id):
        name = ledger.starting_on(task.key)
        if name is None and (attempt := ledger.live(task)) is not None:
            name = attempt.node
        if name is not None:
            nodes[name] += 1
    return nodes
