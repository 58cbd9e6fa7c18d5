"""The smallest changes to a request, or to the fleet, that would let it start now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flextui.core.model.state import NodeStatus, Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.capacity import Room, allows
from flextui.core.scheduler.feasible import fit, fits_somewhere
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.obstacles import count, obstacles

STEP = 2**30
"""Memory is offered in whole GiB."""


def would_help(snapshot: Snapshot, fleet: Fleet, need: Need) -> tuple[str, ...]:
    """Single changes after which it would start at once, smallest first; none: not one alone."""
    return (*_requests(fleet, need), *_fleet(snapshot, fleet, need))


def _now(fleet: Fleet, need: Need) -> bool:
    rooms = (room for room in fleet.rooms if room.open and allows(need, room.node))
    return fits_somewhere(rooms, need)


def _requests(fleet: Fleet, need: Need) -> Iterator[str]:
    """Changes to the request."""
    for gpus in range(need.gpus - 1, 0, -1):
        if _now(fleet, replace(need, gpus=gpus)):
            yield f"with {count(gpus, 'GPU')} instead of {need.gpus}: now"
            break
    if need.models and _now(fleet, replace(need, models=())):
        yield "without gpu_model: now"
    if need.gpu_memory:
        yield from _less_gpu_memory(fleet, need)
    yield from _less_cpus(fleet, need)
    yield from _less_memory(fleet, need)
    anywhere = replace(need, labels=(), names=(), not_labels=(), not_names=())
    if need.pin is None and not need.anywhere and _now(fleet, anywhere):
        yield "without where: now"


def _less_gpu_memory(fleet: Fleet, need: Need) -> Iterator[str]:
    sizes = {it.memory for room in fleet.rooms for it in room.free if it.memory < need.gpu_memory}
    for size in sorted(sizes, reverse=True):
        if _now(fleet, replace(need, gpu_memory=size)):
            yield f"with gpu_memory {format_size(size)}: now"
            return


def _less_cpus(fleet: Fleet, need: Need) -> Iterator[str]:
    free = {room.free_cpus for room in fleet.rooms if room.open}
    for cpus in sorted((it for it in free if 0 < it < need.cpus), reverse=True):
        if _now(fleet, replace(need, cpus=cpus)):
            yield f"with {count(cpus / MILLI, 'CPU')} instead of {need.cpus / MILLI:g}: now"
            return


def _less_memory(fleet: Fleet, need: Need) -> Iterator[str]:
    free = {room.free_memory // STEP * STEP for room in fleet.rooms if room.open}
    for memory in sorted((it for it in free if 0 < it < need.memory), reverse=True):
        if _now(fleet, replace(need, memory=memory)):
            yield f"with {format_size(memory)} instead of {format_size(need.memory)}: now"
            return


def _fleet(snapshot: Snapshot, fleet: Fleet, need: Need) -> Iterator[str]:
    """Changes to the fleet that an operator can make."""
    for room in fleet.rooms:
        node = room.node
        if node.status is not NodeStatus.READY or not allows(need, node):
            continue
        codes = {it.code for it in obstacles(snapshot, room, need)}
        if codes == {"node_drained"} and fit(room, need) is not None:
            yield f"with {node.name} undrained: now"
        elif codes == {"node_cordoned"} and fit(room, need) is not None:
            yield f"with {node.name} uncordoned: now"
        elif codes == {"gpus_cordoned"}:
            yield from _uncordoned(room, need)


def _uncordoned(room: Room, need: Need) -> Iterator[str]:
    """A cordoned device that is otherwise well, where one is what lacks."""
    for device in room.devices:
        if device.uuid not in room.node.cordoned_gpus or device.users or device.holder:
            continue
        freed = replace(room, free=[*room.free, device])
        if fit(freed, need) is not None:
            yield f"with GPU {device.index} of {room.name} uncordoned: now"
            return
