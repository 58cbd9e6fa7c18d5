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
from collections.abc import Iterable, Sequence
from math import inf

from flextui.core.model.state import Job, Task
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.decision import Placement
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Waiting
from flextui.core.scheduler.need import MILLI, Need


def in_order(waiting: Iterable[Waiting]) -> list[Waiting]:
    """The queue: highest priority first, then the longest wait, then the earliest submitted.

    Jobs come in the order of their submission almost always; the check is cheaper than a sort.
    """
    levels: dict[int, list[Waiting]] = {}
    for entry in waiting:
        level = levels.get(entry[0].priority)
        if level is None:
            levels[entry[0].priority] = level = []
        level.append(entry)
    queue: list[Waiting] = []
    for priority in sorted(levels, reverse=True):
        level = levels[priority]
        if not _is_in_order(level):
            level.sort(key=_age)
        queue += level
    return queue


def _age(entry: Waiting) -> tuple[float, int, int]:
    job, task, _ = entry
    return (task.ready_at, job.seq, task.key.index)


def _is_in_order(level: Sequence[Waiting]) -> bool:
    ready, seq, index = -inf, 0, 0
    for job, task, _ in level:
        at = task.ready_at
        if at <= ready and (at < ready or (job.seq, task.key.index) < (seq, index)):
            return False
        ready, seq, index = at, job.seq, task.key.index
    return True


def place_all(ledger: Ledger, fleet: Fleet, queue: Iterable[Waiting]) -> list[Waiting]:
    """Place what can be placed, in order. Returns the tasks that still wait, in order."""
    left: list[Waiting] = []
    hopeless: set[Need] = set()
    for entry in queue:
        need = entry[2]
        if need not in hopeless:
            if _place(ledger, fleet, entry[0], entry[1], need):
                continue
            hopeless.add(need)
        left.append(entry)
    return left


def _place(ledger: Ledger, fleet: Fleet, job: Job, task: Task, need: Need) -> bool:
    if not fleet.may_fit(need):
        return False
    ask = Ask(need, job.full_name, job.project, job.owner)
    beside = replicas(ledger, job) if need.spread and job.count > 1 else {}
    place = fleet.best(ask, beside)
    if place is None:
        return False
    fleet.take(place, ask)
    ledger.place(
        Placement(
            task=task.key,
            revision=job.revision,
            node=place.room.name,
            gpus=tuple(device.uuid for device in place.devices),
            cpus=need.cpus / MILLI,
            memory_bytes=need.memory,
            share=place.share,
            gpu_memory_bytes=place.gpu_memory_bytes,
            cpu_set=place.cpu_set,
        )
    )
    return True


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
