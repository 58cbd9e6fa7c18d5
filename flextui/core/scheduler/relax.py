"""The smallest changes to a request, or to the fleet, that would let it start now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flextui.core.model.state import NodeStatus, Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room, room_of
from flextui.core.scheduler.feasible import fit, fits_somewhere
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.obstacles import count, obstacles

STEP = 2**30
"""Memory is offered in whole GiB."""


def would_help(snapshot: Snapshot, fleet: Fleet, ask: Ask) -> tuple[str, ...]:
    """Single changes after which it would start at once, smallest first; none: not one alone."""
    return (*_requests(fleet, ask), *_fleet(snapshot, fleet, ask))


def _now(fleet: Fleet, ask: Ask, need: Need) -> bool:
    rooms = (room for room in fleet.rooms if room.open and room.admits(need))
    return fits_somewhere(rooms, ask._replace(need=need))


def _requests(fleet: Fleet, ask: Ask) -> Iterator[str]:
    """Changes to the request."""
    need = ask.need
    for gpus in range(need.gpus - 1, 0, -1):
        if _now(fleet, ask, replace(need, gpus=gpus)):
            yield f"with {count(gpus, 'GPU')} instead of {need.gpus}: now"
            break
    if need.models and _now(fleet, ask, replace(need, models=())):
        yield "without gpu_model: now"
    if need.gpu_memory:
        yield from _less_gpu_memory(fleet, ask)
    yield from _less_cpus(fleet, ask)
    yield from _less_memory(fleet, ask)
    anywhere = replace(need, labels=(), names=(), not_labels=(), not_names=(), volumes=())
    if need.pin is None and not need.anywhere and _now(fleet, ask, anywhere):
        yield "without where: now"


def _less_gpu_memory(fleet: Fleet, ask: Ask) -> Iterator[str]:
    need = ask.need
    sizes = {it.memory for room in fleet.rooms for it in room.free if it.memory < need.gpu_memory}
    for size in sorted(sizes, reverse=True):
        if _now(fleet, ask, replace(need, gpu_memory=size)):
            yield f"with gpu_memory {format_size(size)}: now"
            return


def _less_cpus(fleet: Fleet, ask: Ask) -> Iterator[str]:
    need = ask.need
    free = {room.free_cpus for room in fleet.rooms if room.open}
    for cpus in sorted((it for it in free if 0 < it < need.cpus), reverse=True):
        if _now(fleet, ask, replace(need, cpus=cpus)):
            yield f"with {count(cpus / MILLI, 'CPU')} instead of {need.cpus / MILLI:g}: now"
            return


def _less_memory(fleet: Fleet, ask: Ask) -> Iterator[str]:
    need = ask.need
    free = {room.free_memory // STEP * STEP for room in fleet.rooms if room.open}
    for memory in sorted((it for it in free if 0 < it < need.memory), reverse=True):
        if _now(fleet, ask, replace(need, memory=memory)):
            yield f"with {format_size(memory)} instead of {format_size(need.memory)}: now"
            return


def _fleet(snapshot: Snapshot, fleet: Fleet, ask: Ask) -> Iterator[str]:
    """Changes to the fleet that an operator can make."""
    need = ask.need
    for room in fleet.rooms:
        node = room.node
        if node.status is not NodeStatus.READY or not room.admits(need):
            continue
        codes = {it.code for it in obstacles(snapshot, room, need, ask)}
        if codes == {"node_drained"} and fit(room, ask) is not None:
            yield f"with {node.name} undrained: now"
        elif codes == {"node_cordoned"} and fit(room, ask) is not None:
            yield f"with {node.name} uncordoned: now"
        elif codes == {"gpus_cordoned"}:
            yield from _uncordoned(snapshot, room, ask)


def _uncordoned(snapshot: Snapshot, room: Room, ask: Ask) -> Iterator[str]:
    """A cordoned device that is otherwise well, where one is what lacks."""
    node = room.node
    for device in room.devices:
        if device.uuid not in node.cordoned_gpus or device.users or device.holders:
            continue
        others = {uuid: it for uuid, it in node.cordoned_gpus.items() if uuid != device.uuid}
        freed = room_of(snapshot, replace(node, cordoned_gpus=others))
        freed.gates = room.gates
        if fit(freed, ask) is not None:
            yield f"with GPU {device.index} of {room.name} uncordoned: now"
            return
