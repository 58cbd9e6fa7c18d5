"""What keeps a request from a node: in full for `why`, as a gist for the stored reason.

A gist has nothing in it that ticks (no amounts of memory or CPU in use), for a reason that is
stored is written anew whenever its text changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flextui.core.model.state import NodeStatus, Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import (
    CORDONED,
    FOREIGN,
    FREE,
    HELD,
    LOST,
    SHARED,
    Device,
    Room,
    job_name,
)
from flextui.core.scheduler.feasible import (
    could_have,
    fit,
    holds,
    is_meant,
    meets,
    suitable,
)
from flextui.core.scheduler.need import MILLI, Need

NEAREST = (
    "order",
    "reserved",
    "apart",
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
    "gpu_share",
    "gpu_model",
    "too_big",
    "labels",
)
"""Codes, from what clears soonest to what never does."""

NEVER = frozenset({"gpu_memory", "gpu_share", "gpu_model", "too_big", "labels"})
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


def obstacles(
    snapshot: Snapshot, room: Room, need: Need, ask: Ask | None = None
) -> Iterator[Obstacle]:
    """Everything in the way on this node, nothing if the request fits there now. What is kept
    from whom is told only of somebody who asks."""
    never = tuple(_never(room, need))
    yield from never
    if any(it.code == "labels" for it in never):
        return
    yield from _closed(room)
    if never or not room.known:
        return
    if room.node.status is not NodeStatus.READY:
        return  # what is free on a node out of sight isn't known
    yield from _taken(snapshot, room, need, ask)


def _never(room: Room, need: Need) -> Iterator[Obstacle]:
    """What no waiting removes."""
    if not room.admits(need):
        lacks = [name for name in need.volumes if name not in room.volumes]
        text = f"doesn't have the volume {lacks[0]}" if lacks else "doesn't match where"
        yield Obstacle("labels", text, text)
        return
    if room.known and need.cpus > room.cpus:
        text = f"has {count(room.cpus / MILLI, 'CPU')} for jobs"
        yield Obstacle("too_big", text, text)
    if room.known and need.memory > room.memory:
        text = f"has {format_size(max(0, room.memory))} for jobs"
        yield Obstacle("too_big", text, text)
    if need.wants.anything and (room.devices or room.node.sampled):
        yield from _wrong_gpus(room, need)


def _wrong_gpus(room: Room, need: Need) -> Iterator[Obstacle]:
    devices, wants, number = room.devices, need.wants, need.gpus or 1
    if len(devices) < number:
        text = f"has {count(len(devices), 'GPU')}" if devices else "has no GPU"
        yield Obstacle("too_big", text, text)
        return
    model = [it for it in devices if is_meant(wants, it)]
    if len(model) < number:
        wanted = " or ".join(wants.models) or "GPU that isn't a slice"
        text = f"has {len(model) or 'no'} {wanted}"
        yield Obstacle("gpu_model", text, text)
        return
    most = max(it.memory for it in model)
    least = max(wants.gpu_memory, wants.share_bytes)
    if sum(it.memory >= least for it in model) < number:
        text = f"has GPUs of at most {format_size(most)}"
        yield Obstacle("gpu_memory", text, text)
    elif len(suitable(need, devices)) < number:
        text = "has no GPU that jobs may share"
        yield Obstacle("gpu_share", text, text)


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


def _taken(snapshot: Snapshot, room: Room, need: Need, ask: Ask | None) -> Iterator[Obstacle]:
    """What others have, or wait for."""
    found = list(_used(snapshot, room, need))
    if ask is not None and need.apart and (met := meets(room, ask)):
        text = f"{met[0]} runs there, which it keeps apart from"
        found.append(Obstacle("apart", text, text, met))
    if not found and ask is not None and room.open and fit(room, ask) is None:
        for gate in room.gates:
            if told := gate.told(ask):
                found.append(Obstacle(gate.code, told, told, gate.holders))
    yield from found


def _used(snapshot: Snapshot, room: Room, need: Need) -> Iterator[Obstacle]:
    if need.wants.anything and not room.node.sampled:
        yield Obstacle("gpus_unknown", "GPUs not seen yet", "its GPUs haven't been seen yet")
    elif sum(holds(need.wants, it) for it in room.devices) < (need.gpus or need.wants.shared):
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
    devices, number = suitable(need, room.devices), need.gpus or 1
    free = sum(it.state == FREE for it in devices)
    names: dict[str, int] = {}
    for device in devices:
        for name in _holders_of(snapshot, device):
            names[name] = names.get(name, 0) + 1
    users = tuple(
        dict.fromkeys(who for it in devices if it.state == FOREIGN for who, _ in it.users)
    )
    known = [it for it in devices if it.state in (FREE, HELD, SHARED, FOREIGN)]
    if could_have(room, need) >= number:
        code = "gpus_busy"
    else:
        code = "gpus_foreign" if len(known) >= number else "gpus_cordoned"
    what = "free" if not need.wants.shared else "with so much free"
    gist = f"{free} of {len(devices)} {what}"
    if free == 0 and len(names) + len(users) <= 2 and len(known) == len(devices):
        gist = "held by " + ", ".join((*sorted(names), *users))
    return Obstacle(
        code,
        gist,
        _Busy(devices, free, names),
        (*sorted(names), *users),
        tuple(sorted({key for it in devices for key in it.holders})),
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
            elif it.state == SHARED:
                part = f"GPU {it.index} has {it.free_milli / MILLI:.0%} free"
                parts.append(f"{part} ({_memory(it.free_bytes)})")
            elif it.state in (CORDONED, LOST):
                parts.append(f"GPU {it.index} {it.state}: {it.why}")
        return "; ".join(parts)


def _use(device: Device) -> str:
    return ", ".join(
        f"{who} {_memory(memory)}" if memory is not None else who for who, memory in device.users
    )


def _memory(size: int) -> str:
    return f"{size / 2**30:.0f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def _holders_of(snapshot: Snapshot, device: Device) -> Iterator[str]:
    """The jobs that hold the device, or parts of it."""
    if device.state in (HELD, SHARED):
        for key in device.holders:
            attempt = snapshot.attempts.get(key)
            yield job_name(snapshot, attempt) if attempt is not None else device.taker


def _holders(snapshot: Snapshot, room: Room, what: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Jobs that hold CPUs or memory of the node, and their attempts."""
    live = [snapshot.attempts[key] for key in sorted(snapshot.by_node.get(room.name, ()))]
    held = [it for it in live if (it.cpus if what == "cpus" else it.memory_bytes) > 0]
    names = sorted({job_name(snapshot, it) for it in held})
    return tuple(names), tuple(sorted(it.id for it in held))


def count(number: float, what: str) -> str:
    return f"{number:g} {what}" + ("" if number == 1 else "s")
