"""Which of the nodes that could hold a request gets it.

Packing is best fit: the node that is left with the least, so that big holes stay whole for big
requests, and the smallest device that does, so that large memories stay free for those that need
them. A request without GPUs keeps away from nodes whose GPUs are free. Spreading puts the
replicas of a job on as many nodes as can be, and packs among equals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flextui.core.scheduler.capacity import Device, Room
from flextui.core.scheduler.feasible import fit
from flextui.core.scheduler.need import Need

Place = tuple[Room, tuple[Device, ...]]


def best(rooms: Iterable[Room], need: Need, beside: Mapping[str, int]) -> Place | None:
    """The best place for a request, or None. `beside`: replicas of the same job per node."""
    chosen: Place | None = None
    chosen_key: tuple[object, ...] = ()
    for room in rooms:
        devices = fit(room, need)
        if devices is None:
            continue
        key = _key(room, devices, need, beside)
        if chosen is None or key < chosen_key:
            chosen, chosen_key = (room, devices), key
    return chosen


def _key(
    room: Room, devices: tuple[Device, ...], need: Need, beside: Mapping[str, int]
) -> tuple[object, ...]:
    """Smaller is better."""
    labels = room.node.spec.labels
    preferred = sum(labels.get(name) == value for name, value in need.prefer)
    return (
        -preferred,
        beside.get(room.name, 0) if need.spread else 0,
        sum(device.memory for device in devices),
        len({device.model for device in devices}),
        len(room.free) - need.gpus,
        room.free_cpus - need.cpus,
        room.free_memory - need.memory,
        room.name,
    )
