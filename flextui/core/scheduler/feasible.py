"""Whether a request fits a node now, with which devices, and if not, what is in the way there.

`fit` is the exact answer that placement asks for; `obstacles` tells the same in full. They must
agree: a request fits exactly where there is no obstacle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.device import Device
from flextui.core.scheduler.gates import usable
from flextui.core.scheduler.need import MILLI, Need, Wants
from flextui.core.scheduler.topology import Places, cpus_near, nearest

_WORDS = re.compile(r"[a-z0-9]+")

ANY_SLICE = "mig"
"""What a request says that takes a slice of any profile."""


class Place(NamedTuple):
    """Where a task can go: a node and what it takes there."""

    room: Room
    devices: tuple[Device, ...]
    share: int = 0
    """Thousandths of the one device; 0: whole devices."""
    gpu_memory_bytes: int = 0
    """The most that a share may use of the device's memory; 0 for whole devices."""
    cpu_set: tuple[int, ...] = ()
    """CPUs near the devices; empty: any."""


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


def is_meant(wants: Wants, device: Device) -> bool:
    """Whether the device is of a model that the request names, or it names none.

    A slice is only for requests that name its profile (`1g.10gb`) or `mig`, and ask for one.
    """
    return _is_meant(wants, device.model, device.mig)


def _is_meant(wants: Wants, model: str, mig: str) -> bool:
    if mig:
        return wants.gpus == 1 and any(_is_slice(mig, it) for it in wants.models)
    return not wants.models or any(is_model(model, it) for it in wants.models)


@lru_cache(maxsize=4096)
def _is_slice(profile: str, wanted: str) -> bool:
    name = "".join(_WORDS.findall(wanted.lower()))
    return name == ANY_SLICE or name.removeprefix(ANY_SLICE) == "".join(
        _WORDS.findall(profile.lower())
    )


def suits(wants: Wants, device: Device) -> bool:
    """Whether the device is of a kind that the request can use, free or not."""
    return _suits(wants, device.memory, device.model, device.mig, device.shareable)


@lru_cache(maxsize=1 << 16)
def _suits(wants: Wants, memory: int, model: str, mig: str, shareable: bool) -> bool:
    if memory < wants.gpu_memory or not _is_meant(wants, model, mig):
        return False
    return not wants.shared or (shareable and memory >= wants.share_bytes)


def suitable(need: Need, devices: Sequence[Device]) -> list[Device]:
    """Those of the devices that are of a kind that the request can use."""
    wants = need.wants
    return [device for device in devices if suits(wants, device)]


def how_many(need: Need, devices: Sequence[Device]) -> int:
    """The number of `suitable` ones."""
    wants = need.wants
    return sum(suits(wants, device) for device in devices)


def share_of(wants: Wants, device: Device) -> tuple[int, int]:
    """What a share takes of this device: thousandths, and bytes of its memory.

    Either follows from the other: half a device is half its memory, and the other way round.
    """
    if wants.share:
        return wants.share, device.memory * wants.share // MILLI
    part = -(-wants.share_bytes * MILLI // device.memory) if device.memory else MILLI
    return max(1, part), wants.share_bytes


def holds(wants: Wants, device: Device) -> bool:
    """Whether what is free of the device now is enough for the request, or for one GPU of it."""
    if not device.free_milli or not suits(wants, device):
        return False
    if not wants.shared:
        return device.free_milli == MILLI
    milli, memory = share_of(wants, device)
    return milli <= device.free_milli and memory <= device.free_bytes


Loss = Callable[[int], float]
"""What is lost of a device with so many thousandths free."""


def pick(
    room: Room, wants: Wants, barred: Collection[str], loss: Loss, places: Places
) -> tuple[Device, ...]:
    """The devices to take: the smallest that do; of one model if possible; near to each other.

    A share goes where it spoils least. Empty where there aren't enough.
    """
    if not room.node.sampled:
        return ()
    able = [it for it in room.devices if it.uuid not in barred and holds(wants, it)]
    if len(able) < (wants.gpus or 1):
        return ()
    able.sort(key=lambda it: (it.memory, it.model, it.index))
    if wants.shared:
        return (min(able, key=lambda it: _spoils(wants, it, loss)),)
    groups: dict[tuple[int, str], list[Device]] = {}
    for device in able:
        groups.setdefault((device.memory, device.model), []).append(device)
    for group in groups.values():
        if len(group) >= wants.gpus:
            return nearest(places, group, wants.gpus)
    return nearest(places, able, wants.gpus)


def _spoils(wants: Wants, device: Device, loss: Loss) -> tuple[int, float, int]:
    free, milli = device.free_milli, share_of(wants, device)[0]
    return (device.memory, loss(free - milli) - loss(free), free)


def tightest(free: int) -> float:
    """The loss to go by where nothing is known of it: a share goes where the least is free."""
    return 0.0


def fit(room: Room, ask: Ask, loss: Loss = tightest) -> Place | None:
    """The place on this node, or None if the request doesn't fit there now.

    Assumes that the node is open and that `where` allows it. What its gates keep is left alone.
    """
    need = ask.need
    barred: Collection[str] = ()
    cpus, memory = room.free_cpus, room.free_memory
    if room.gates:
        barred, cpus, memory = usable(room, ask)
    if need.cpus > cpus or need.memory > memory or (need.apart and meets(room, ask)):
        return None
    wants = need.wants
    if not wants.anything:
        return Place(room, ())
    devices = pick(room, wants, barred, loss, room.node.places)
    if not devices:
        return None
    cpu_set = cpus_near(room.node.places, devices, need.cpus) if room.node.places else ()
    milli, part = share_of(wants, devices[0]) if wants.shared else (0, 0)
    return Place(room, devices, milli, part, cpu_set)


def meets(room: Room, ask: Ask) -> tuple[str, ...]:
    """The jobs there that it must keep apart from."""
    names = (f"{ask.user}/{name}" for name in ask.need.apart)
    return tuple(name for name in names if name in room.jobs)


def could_fit(room: Room, need: Need) -> bool:
    """Whether the request fits once attempts of ours end there: worth waiting for."""
    if need.cpus > room.cpus or need.memory > room.memory:
        return False
    if not need.wants.anything:
        return True
    return room.node.sampled and could_have(room, need) >= (need.gpus or 1)


def could_have(room: Room, need: Need) -> int:
    """How many devices will do once attempts of ours end; a share also beside foreign use."""
    if not need.wants.shared:
        return how_many(need, room.usable)
    return sum(once_left(need.wants, it) for it in room.devices)


def once_left(wants: Wants, device: Device) -> bool:
    """Whether the share fits the device once nobody of ours holds any of it."""
    if device.state not in ("free", "held", "shared", "foreign") or not suits(wants, device):
        return False
    foreign = device.foreign if device.users else 0
    if any(memory is None for _, memory in device.users):
        return False
    milli, memory = share_of(wants, device)
    taken = -(-MILLI * foreign // device.memory) if device.memory else MILLI
    return milli <= MILLI - taken and memory <= device.memory - foreign


def missing(room: Room, need: Need) -> tuple[int, int, int, str]:
    """How far a room is from holding the request: GPUs, CPUs, memory; the name breaks ties.

    While a room is kept for a request this only falls, so a request never loses what it waited
    for to a room that merely looks as good.
    """
    free = sum(holds(need.wants, it) for it in room.devices) if room.node.sampled else 0
    return (
        max(0, (need.gpus or int(need.wants.shared)) - free),
        max(0, need.cpus - room.free_cpus),
        max(0, need.memory - room.free_memory),
        room.name,
    )


def fits_somewhere(rooms: Iterable[Room], ask: Ask) -> bool:
    """Whether any of these open rooms can hold the request now."""
    return any(fit(room, ask) is not None for room in rooms)
