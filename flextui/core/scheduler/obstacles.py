"""What keeps a request from a node: in full for `why`, as a gist for the stored reason.

A gist has nothing in it that ticks (no amounts of memory or CPU in use), for a reason that is
stored is written anew whenever its text changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flextui.core.model.state import NodeStatus, Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.capacity import (
    CORDONED,
    FOREIGN,
    FREE,
    HELD,
    LOST,
    Device,
    Room,
    allows,
    job_name,
)
from flextui.core.scheduler.feasible import fit, how_many, is_model, suitable
from flextui.core.scheduler.need import MILLI, Need

NEAREST = (
    "order",
    "cpus",
    "memory",
    "gpus_busy",
    "gpus_foreign",
    "gpus_cordoned",
    "gpus_unknown",
    "node_drained",
    "node_cordoned",
    "node_down",
    "gpu_memory",
    "gpu_model",
    "too_big",
    "labels",
)
"""Codes, from what clears soonest to what never does."""

NEVER = frozenset({"gpu_memory", "gpu_model", "too_big", "labels"})
"""Codes of obstacles that no waiting removes."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing in the way on one node."""

    code: str
    gist: str
    told: object
    """In full; `str()` of it is the text."""
    holders: tuple[str, ...] = ()
    """Jobs and foreign processes that hold what is needed."""
    attempts: tuple[str, ...] = ()
    """The attempts among them."""

    @property
    def text(self) -> str:
        return str(self.told)


def obstacles(snapshot: Snapshot, room: Room, need: Need) -> Iterator[Obstacle]:
    """Everything in the way on this node, nothing if the request fits there now."""
    never = tuple(_never(room, need))
    yield from never
    if any(it.code == "labels" for it in never):
        return
    yield from _closed(room)
    if never or not room.known:
        return
    if room.node.status is not NodeStatus.READY:
        return  # what is free on a node out of sight isn't known
    yield from _taken(snapshot, room, need)


def _never(room: Room, need: Need) -> Iterator[Obstacle]:
    """What no waiting removes."""
    if not allows(need, room.node):
        yield Obstacle("labels", "doesn't match where", "doesn't match where")
        return
    if room.known and need.cpus > room.cpus:
        text = f"has {count(room.cpus / MILLI, 'CPU')} for jobs"
        yield Obstacle("too_big", text, text)
    if room.known and need.memory > room.memory:
        text = f"has {format_size(max(0, room.memory))} for jobs"
        yield Obstacle("too_big", text, text)
    if need.gpus and (room.devices or room.node.sampled):
        yield from _wrong_gpus(room, need)


def _wrong_gpus(room: Room, need: Need) -> Iterator[Obstacle]:
    devices = room.devices
    if len(devices) < need.gpus:
        text = f"has {count(len(devices), 'GPU')}" if devices else "has no GPU"
        yield Obstacle("too_big", text, text)
        return
    model = [it for it in devices if not need.models or is_any(it.model, need.models)]
    if len(model) < need.gpus:
        wanted = " or ".join(need.models)
        text = f"has {len(model) or 'no'} {wanted}"
        yield Obstacle("gpu_model", text, text)
    elif sum(it.memory >= need.gpu_memory for it in model) < need.gpus:
        most = format_size(max(it.memory for it in model))
        text = f"has GPUs of at most {most}"
        yield Obstacle("gpu_memory", text, text)


def is_any(model: str, wanted: tuple[str, ...]) -> bool:
    return any(is_model(model, it) for it in wanted)


def _closed(room: Room) -> Iterator[Obstacle]:
    """The node takes no new work."""
    node = room.node
    if node.status is not NodeStatus.READY or node.facts is None:
        status = "no answer" if node.status is NodeStatus.LOST else str(node.status)
        if node.status is NodeStatus.OBSERVED and node.driver:
            status = f"driven by {node.driver}"
        text = f"{status}: {node.reason}" if node.reason else status
        yield Obstacle("node_down", status, text)
    for code, word, mark in (
        ("node_drained", "drained", node.drain),
        ("node_cordoned", "cordoned", node.cordon),
    ):
        if mark is not None:
            text = f"{word} by {mark.by}" + (f": {mark.why}" if mark.why else "")
            yield Obstacle(code, word, text)


def _taken(snapshot: Snapshot, room: Room, need: Need) -> Iterator[Obstacle]:
    """What others have, or wait for."""
    found = list(_used(snapshot, room, need))
    if not found and room.open and fit(room, need) is None:
        text = f"kept for {room.hold_for}"
        found.append(Obstacle("order", text, text, (room.hold_for,)))
    yield from found


def _used(snapshot: Snapshot, room: Room, need: Need) -> Iterator[Obstacle]:
    if need.gpus and not room.node.sampled:
        yield Obstacle("gpus_unknown", "GPUs not seen yet", "its GPUs haven't been seen yet")
    elif need.gpus and how_many(need, room.free) < need.gpus:
        yield _busy(snapshot, room, need)
    if need.cpus > room.free_cpus:
        text = f"{max(0, room.free_cpus) / MILLI:g} of {count(room.cpus / MILLI, 'CPU')} free"
        yield Obstacle("cpus", "too few CPUs free", text, *_holders(snapshot, room, "cpus"))
    if need.memory > room.free_memory:
        text = f"{format_size(max(0, room.free_memory))} of {format_size(room.memory)} free"
        yield Obstacle(
            "memory", "too little memory free", text, *_holders(snapshot, room, "memory")
        )


def _busy(snapshot: Snapshot, room: Room, need: Need) -> Obstacle:
    """Too few of the GPUs that would do are free: who has the others."""
    devices = suitable(need, room.devices)
    free = sum(it.state == FREE for it in devices)
    names: dict[str, int] = {}
    for device in devices:
        if device.state == HELD:
            name = _holder(snapshot, device)
            names[name] = names.get(name, 0) + 1
    users = tuple(
        dict.fromkeys(who for it in devices if it.state == FOREIGN for who, _ in it.users)
    )
    known = free + sum(names.values()) + sum(it.state == FOREIGN for it in devices)
    if how_many(need, room.usable) >= need.gpus:
        code = "gpus_busy"
    else:
        code = "gpus_foreign" if known >= need.gpus else "gpus_cordoned"
    gist = f"{free} of {len(devices)} free"
    if free == 0 and len(names) + len(users) <= 2 and known == len(devices):
        gist = "held by " + ", ".join((*sorted(names), *users))
    return Obstacle(
        code,
        gist,
        _Busy(devices, free, names),
        (*sorted(names), *users),
        tuple(sorted({it.holder for it in devices if it.state == HELD and it.holder})),
    )


@dataclass(frozen=True, slots=True)
class _Busy:
    """Which GPUs are free and who has the others; put in words only where somebody reads it."""

    devices: list[Device]
    free: int
    names: dict[str, int]

    def __str__(self) -> str:
        parts = [f"{self.free} of {len(self.devices)} GPUs free"]
        parts += [f"{number} held by {name}" for name, number in sorted(self.names.items())]
        for it in self.devices:
            if it.state == FOREIGN:
                parts.append(f"GPU {it.index} used by {_use(it)}")
            elif it.state in (CORDONED, LOST):
                parts.append(f"GPU {it.index} {it.state}: {it.why}")
        return "; ".join(parts)


def _use(device: Device) -> str:
    return ", ".join(
        f"{who} {_memory(memory)}" if memory is not None else who for who, memory in device.users
    )


def _memory(size: int) -> str:
    return f"{size / 2**30:.0f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def _holder(snapshot: Snapshot, device: Device) -> str:
    attempt = snapshot.attempts.get(device.holder) if device.holder else None
    return job_name(snapshot, attempt) if attempt is not None else device.taker


def _holders(snapshot: Snapshot, room: Room, what: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Jobs that hold CPUs or memory of the node, and their attempts."""
    live = [snapshot.attempts[key] for key in sorted(snapshot.by_node.get(room.name, ()))]
    held = [it for it in live if (it.cpus if what == "cpus" else it.memory_bytes) > 0]
    names = sorted({job_name(snapshot, it) for it in held})
    return tuple(names), tuple(sorted(it.id for it in held))


def count(number: float, what: str) -> str:
    return f"{number:g} {what}" + ("" if number == 1 else "s")
