"""What would help a task that waits: each change is tried with the very pass that decides.

A change to a batch job is tried as what it would be: the job stopped, and handed in anew at the
end of the line. One to a service or system job is a new revision in its place.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

from flextui.core.model.inventory import Inventory
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Job, Node, NodeStatus
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.decision import Taken
from flextui.core.scheduler.device import CORDONED
from flextui.core.scheduler.feasible import fit, suits
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.kind import Waiting
from flextui.core.scheduler.relax import Change, Offer, changed, offers, rank_of, taken, text_of

TRIAL = "trial"
"""The id of a job that is only tried; no real one has it."""
TRIES = 24
"""So many changes to the request are tried, and so many to the fleet."""
ALIKE = 4
"""So many of them change the same fields."""
TOLD = 5
"""So many that would help are told."""


def would_help(
    future: Future, rooms: Iterable[Room], it: Waiting, ask: Ask
) -> Generator[None, None, tuple[tuple[str, ...], tuple[Taken, ...]]]:
    """Changes after which it would start at once, smallest first, those of the request before those
    of the fleet; and what the first of them change in its spec. `rooms`: as they are when its turn
    comes. `future`: as it is now; it is left so."""
    rooms = list(rooms)
    found = yield from _of_request(future, rooms, it, ask)
    told = [f"{text_of(offer)}: now" for offer in found]
    told += yield from _of_fleet(future, rooms, it, ask)
    return tuple(told[: 2 * TOLD]), tuple(taken(offer) for offer in found[: 2 * TOLD])


def _of_request(
    future: Future, rooms: list[Room], it: Waiting, ask: Ask
) -> Generator[None, None, list[Offer]]:
    found = yield from offers(rooms, ask, it.kind.nodes, future.now.wall, it.job.spec.grace)
    found += other_projects(future.snapshot.inventory, it.job)
    found.sort(key=rank_of)
    told: dict[tuple[str, ...], Offer] = {}
    tried: dict[tuple[str, ...], int] = {}
    fewest = 0
    for offer in found:
        fields = tuple(_sort(change) for change in offer)
        tried[fields] = tried.get(fields, 0) + 1
        if fields in told or tried[fields] > ALIKE:
            continue
        if (fewest and len(fields) > fewest) or len(told) >= TOLD or sum(tried.values()) > TRIES:
            break
        if (yield from starts_with(future, it, changed(it.job.spec, offer))):
            told[fields] = offer
            fewest = len(fields)
    return list(told.values())


def _sort(change: Change) -> str:
    """Of changes of one sort only the smallest that helps is told; projects are all alike."""
    return f"project {change.value}" if change.field == "project" else change.field


def other_projects(inventory: Inventory, job: Job) -> list[Offer]:
    """Charged to another project of its user's, or to none."""
    found: list[Offer] = []
    if not inventory.projects:
        return found
    for name in ("", *inventory.projects_of(job.owner, job.groups)):
        if name != job.project:
            text = f"with project {name}" if name else "without a project"
            found.append((Change("project", name, text, 0.2),))
    return found


def starts_with(future: Future, it: Waiting, spec: JobSpec) -> Generator[None, None, bool]:
    """Whether the task would start now if its job were handed in like this."""
    job = it.job
    tried = replace(job, project=spec.project)
    if job.type == "batch":
        seq = max((known.seq for known in future.snapshot.jobs.values()), default=0) + 1
        tried = replace(tried, id=TRIAL, seq=seq, submitted_at=future.now.wall)
        future.drop_job(job.id)
    tried.__dict__["spec"] = spec
    future.put_job(tried)
    decision = yield from future.look()
    future.drop_job(TRIAL)
    future.put_job(job)
    if job.type == "batch":
        return any(placement.task.job == TRIAL for placement in decision.placements)
    return any(placement.task == it.task.key for placement in decision.placements)


def _of_fleet(
    future: Future, rooms: list[Room], it: Waiting, ask: Ask
) -> Generator[None, None, list[str]]:
    told: list[str] = []
    for tries, (text, before, after) in enumerate(_mended(rooms, ask)):
        if tries >= TRIES or len(told) >= TOLD:
            break
        future.put_node(after)
        decision = yield from future.look()
        future.put_node(before)
        if any(placement.task == it.task.key for placement in decision.placements):
            told.append(f"with {text}: now")
    return told


def _mended(rooms: list[Room], ask: Ask) -> Iterator[tuple[str, Node, Node]]:
    """Single things that an operator can do about a node: the node before and after."""
    for room in rooms:
        node = room.node
        if node.status is not NodeStatus.READY or not room.admits(ask.need):
            continue
        if (node.drain is None) != (node.cordon is None):
            if fit(room, ask) is not None:
                word = "undrained" if node.drain is not None else "uncordoned"
                yield f"{node.name} {word}", node, replace(node, drain=None, cordon=None)
        elif room.open:
            yield from _uncordoned(room, ask)


def _uncordoned(room: Room, ask: Ask) -> Iterator[tuple[str, Node, Node]]:
    node, wants = room.node, ask.need.wants
    if not wants.anything:
        return
    parents = {gpu.uuid: gpu.parent for gpu in node.gpus}
    for device in room.devices:
        if device.state == CORDONED and suits(wants, device):
            marked = {device.uuid, parents.get(device.uuid, "")}
            marks = {key: mark for key, mark in node.cordoned_gpus.items() if key not in marked}
            if len(marks) < len(node.cordoned_gpus):
                after = replace(node, cordoned_gpus=marks)
                yield f"GPU {device.index} of {room.name} uncordoned", node, after
