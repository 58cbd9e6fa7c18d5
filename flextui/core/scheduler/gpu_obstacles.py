"""What keeps a request from the GPUs of a node: none of the kind, or who has those there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flextui.core.model.state import Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.device import (
    CORDONED,
    FOREIGN,
    HELD,
    LOST,
    SHARED,
    Device,
    holder_name,
)
from flextui.core.scheduler.feasible import could_have, holds, is_meant, suitable
from flextui.core.scheduler.need import MILLI, Need, Wants
from flextui.core.scheduler.obstacle import Obstacle, count

# ── what no waiting removes ────────────────────────────────────────────────────────────────────


def wrong_gpus(room: Room, need: Need) -> Iterator[Obstacle]:
    """Why the node's GPUs can never hold the request; nothing if they could."""
    wants, devices = need.wants, room.devices
    if not wants.anything or not (devices or room.node.sampled):
        return
    if len(devices) < (wants.gpus or 1):
        text = f"has {count(len(devices), 'GPU')}" if devices else "has no GPU"
        yield Obstacle("too_big", text, text)
    elif wants.shared:
        yield from _wrong_for_share(devices, wants)
    else:
        yield from _wrong_whole(devices, wants)


def _wrong_whole(devices: Sequence[Device], wants: Wants) -> Iterator[Obstacle]:
    meant = [it for it in devices if is_meant(wants, it)]
    if len(meant) < wants.gpus:
        text = f"has {len(meant) or 'no'} {' or '.join(wants.models)}"
        if not wants.models:
            text = f"has {count(len(meant), 'GPU')} beside slices" if meant else "has slices only"
        elif wants.gpus > 1 and any(it.mig for it in devices):
            text += f" {count(wants.gpus, 'GPU')} to combine" if not meant else ""
        yield Obstacle("gpu_model", text, text)
    elif sum(it.memory >= wants.gpu_memory for it in meant) < wants.gpus:
        text = f"has GPUs of at most {format_size(max(it.memory for it in meant))}"
        yield Obstacle("gpu_memory", text, text)


def _wrong_for_share(devices: Sequence[Device], wants: Wants) -> Iterator[Obstacle]:
    shareable = [it for it in devices if it.shareable]
    meant = [it for it in shareable if is_meant(wants, it)]
    if not shareable:
        text = "has no GPU that jobs may share"
        yield Obstacle("gpu_share", text, text)
    elif not meant:
        text = f"has no {' or '.join(wants.models)} for shares"
        yield Obstacle("gpu_model", text, text)
    elif max(it.memory for it in meant) < max(wants.gpu_memory, wants.share_bytes):
        text = f"has GPUs for shares of at most {format_size(max(it.memory for it in meant))}"
        yield Obstacle("gpu_memory", text, text)


# ── who has them ───────────────────────────────────────────────────────────────────────────────


def busy_gpus(snapshot: Snapshot, room: Room, need: Need) -> Iterator[Obstacle]:
    """Too few of the GPUs that would do are free: who has the others."""
    wants = need.wants
    if not wants.anything:
        return
    if not room.node.sampled:
        yield Obstacle("gpus_unknown", "GPUs not seen yet", "its GPUs haven't been seen yet")
        return
    number = wants.gpus or 1
    devices = suitable(need, room.devices)
    free = [it for it in devices if holds(wants, it)]
    if len(free) >= number:
        return
    rest = [it for it in devices if it not in free]
    names = {name: None for it in rest for name, _ in _holders(snapshot, it)}
    users = {who: None for it in rest if it.state in _USED for who, _ in it.users}
    code = "gpus_busy"
    if could_have(room, need) < number:
        known = sum(it.state not in (CORDONED, LOST) for it in devices)
        code = "gpus_foreign" if known >= number else "gpus_cordoned"
    yield Obstacle(
        code,
        _gist(wants, devices, len(free), (*sorted(names), *users)),
        _Busy(snapshot, wants, devices, free),
        (*sorted(names), *users),
        tuple(sorted({key for it in rest for key in it.holders if key in snapshot.attempts})),
    )


_USED = (FOREIGN, SHARED)


def _gist(wants: Wants, devices: Sequence[Device], free: int, who: Sequence[str]) -> str:
    if wants.shared:
        return f"no GPU has {share_text(wants)} free"
    all_used = not any(it.state in (CORDONED, LOST) for it in devices)
    if free == 0 and len(who) <= 2 and who and all_used:
        return "held by " + ", ".join(who)
    return f"{free} of {len(devices)} free"


def share_text(wants: Wants) -> str:
    """'0.5', '10GiB'."""
    return format_size(wants.share_bytes) if wants.share_bytes else f"{wants.share / MILLI:g}"


def _holders(snapshot: Snapshot, device: Device) -> list[tuple[str, int]]:
    """The jobs that hold the device, each with the thousandths that it has."""
    return [(holder_name(snapshot, key), milli) for key, (milli, _) in device.holders.items()]


@dataclass(frozen=True, slots=True)
class _Busy:
    """Which GPUs are free and who has the others; put in words only where somebody reads it."""

    snapshot: Snapshot
    wants: Wants
    devices: list[Device]
    free: list[Device]

    def __str__(self) -> str:
        return "; ".join(self._shares() if self.wants.shared else self._whole())

    def _whole(self) -> Iterator[str]:
        yield f"{len(self.free)} of {len(self.devices)} GPUs free"
        held: dict[str, int] = {}
        for it in self.devices:
            if it.state == HELD:
                for name, _ in _holders(self.snapshot, it):
                    held[name] = held.get(name, 0) + 1
        yield from (f"{number} held by {name}" for name, number in sorted(held.items()))
        for it in self.devices:
            if it.state == SHARED:
                yield f"GPU {it.index} shared by {self._parts(it)}"
            else:
                yield from _trouble(it)

    def _shares(self) -> Iterator[str]:
        yield f"no GPU has {share_text(self.wants)} free"
        for it in self.devices:
            if it.state in (CORDONED, LOST):
                yield from _trouble(it)
            else:
                yield f"GPU {it.index} has {self._left(it)} free: {self._parts(it)}"

    def _left(self, device: Device) -> str:
        if self.wants.share_bytes:
            return memory_text(device.free_bytes)
        return f"{device.free_milli / MILLI:g}"

    def _parts(self, device: Device) -> str:
        parts = [f"{name} {milli / MILLI:g}" for name, milli in _holders(self.snapshot, device)]
        parts += [use_text(device)] if device.users else []
        return ", ".join(parts)


def _trouble(device: Device) -> Iterator[str]:
    if device.state == FOREIGN:
        yield f"GPU {device.index} used by {use_text(device)}"
    elif device.state in (CORDONED, LOST):
        yield f"GPU {device.index} {device.state}: {device.why}"


def use_text(device: Device) -> str:
    """Who uses a device beside flextui: 'carol: jupyter 31 GiB'."""
    return ", ".join(
        f"{who} {memory_text(memory)}" if memory is not None else who
        for who, memory in device.users
    )


def memory_text(size: int) -> str:
    """An amount of memory, roughly."""
    return f"{size / 2**30:.0f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
