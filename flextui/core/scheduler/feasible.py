"""Whether a request fits a node now, with which devices, and if not, what is in the way there.

`fit` is the fast answer that placement asks for; `obstacles` tells the same in full. They must
agree: a request fits exactly where there is no obstacle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from flextui.core.scheduler.capacity import Device, Room
from flextui.core.scheduler.need import Need

_WORDS = re.compile(r"[a-z0-9]+")


@lru_cache(maxsize=4096)
def is_model(model: str, wanted: str) -> bool:
    """Whether a device's model is meant: `a100` is 'NVIDIA A100-SXM4-80GB', `a10` isn't.

    The wanted name must be a run of whole words of the model, in any case and spelling of the
    gaps: `rtx4090`, `RTX 4090` and `4090` are the same card.
    """
    words = _WORDS.findall(model.lower())
    name = "".join(_WORDS.findall(wanted.lower()))
    return any(
        "".join(words[first:last]) == name
        for first in range(len(words))
        for last in range(first + 1, len(words) + 1)
    )


def suits(need: Need, device: Device) -> bool:
    """Whether the device is of a kind that the request can use, free or not."""
    if device.memory < need.gpu_memory:
        return False
    return not need.models or any(is_model(device.model, it) for it in need.models)


def suitable(need: Need, devices: Sequence[Device]) -> list[Device]:
    """Those of the devices that are of a kind that the request can use."""
    if not need.models and not need.gpu_memory:
        return list(devices)
    return [device for device in devices if suits(need, device)]


def how_many(need: Need, devices: Sequence[Device]) -> int:
    """The number of `suitable` ones."""
    if not need.models and not need.gpu_memory:
        return len(devices)
    return sum(suits(need, device) for device in devices)


def fit(room: Room, need: Need) -> tuple[Device, ...] | None:
    """The devices to take on this node, or None if the request doesn't fit there now.

    Assumes that the node is open and that `where` allows it. What is kept for an earlier request
    is left alone.
    """
    if need.cpus > room.free_cpus or need.memory > room.free_memory:
        return None
    picked: tuple[Device, ...] = ()
    if need.gpus:
        if len(room.free) < need.gpus:
            return None
        devices = suitable(need, room.free)
        if len(devices) < need.gpus:
            return None
        picked = pick(devices, need.gpus)
    if room.hold is None or room.hold is need:
        return picked
    return _beside(room, need, room.hold)


def pick(devices: Sequence[Device], count: int) -> tuple[Device, ...]:
    """The smallest devices, of one model where one model has enough. They come smallest first."""
    groups: dict[tuple[int, str], list[Device]] = {}
    for device in devices:
        groups.setdefault((device.memory, device.model), []).append(device)
    for group in groups.values():
        if len(group) >= count:
            return tuple(group[:count])
    return tuple(devices[:count])


def _beside(room: Room, need: Need, hold: Need) -> tuple[Device, ...] | None:
    """As `fit`, but only from what the request that waits for this node won't miss.

    CPUs and memory that are free beyond what it asks for may go; so may devices that it can't
    use, and those beyond its number.
    """
    if need.cpus and hold.cpus and room.free_cpus - need.cpus < hold.cpus:
        return None
    if need.memory and hold.memory and room.free_memory - need.memory < hold.memory:
        return None
    if not need.gpus:
        return ()
    if not hold.gpus:
        return pick(suitable(need, room.free), need.gpus)
    kept = suitable(hold, room.free)
    spare = kept[hold.gpus :]
    left = [it for it in suitable(need, room.free) if it in spare or it not in kept]
    return pick(left, need.gpus) if len(left) >= need.gpus else None


def could_fit(room: Room, need: Need) -> bool:
    """Whether the request fits once attempts of ours end there: worth waiting for."""
    if need.cpus > room.cpus or need.memory > room.memory:
        return False
    if not need.gpus:
        return True
    return room.node.sampled and how_many(need, room.usable) >= need.gpus


def missing(room: Room, need: Need) -> tuple[int, int, int, str]:
    """How far a room is from holding the request: GPUs, CPUs, memory; the name breaks ties.

    While a room is kept for a request this only falls, so a request never loses what it waited
    for to a room that merely looks as good.
    """
    free = how_many(need, room.free) if need.gpus else 0
    return (
        max(0, need.gpus - free),
        max(0, need.cpus - room.free_cpus),
        max(0, need.memory - room.free_memory),
        room.name,
    )


def fits_somewhere(rooms: Iterable[Room], need: Need) -> bool:
    """Whether any of these open rooms can hold the request now."""
    return any(fit(room, need) is not None for room in rooms)
