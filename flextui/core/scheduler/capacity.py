"""What is free on each node, as the book and the GPUs themselves tell it.

CPU and memory go by the book: what live attempts were promised, the unknown and the given-up ones
that may still run included. GPUs go by both book and NVML (`device`). A `Room` is a node's
working copy: it knows who has booked what of it, so that a pass changes only what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from flextui.core.model.inventory import Inventory
from flextui.core.model.state import Attempt, Gpu, Node, NodeStatus, Snapshot
from flextui.core.scheduler.device import (
    CORDONED,
    FOREIGN,
    FREE,
    HELD,
    LOST,
    SHARED,
    Device,
    device_of,
    job_name,
    settle,
)
from flextui.core.scheduler.need import MILLI, Need

if TYPE_CHECKING:
    from flextui.core.scheduler.gates import Gate

__all__ = [
    "CORDONED",
    "FOREIGN",
    "FREE",
    "HELD",
    "LOST",
    "SHARED",
    "Booking",
    "Device",
    "Room",
    "allows",
    "job_name",
    "room_of",
]


class Booking(NamedTuple):
    """What one attempt, or one placement of this pass, has of a node."""

    job: str
    """The full name of its job."""
    cpus: int
    memory: int
    devices: tuple[str, ...]
    share: int = 0
    """Thousandths of its device; 0: whole ones."""
    share_bytes: int = 0
    counts: bool = True
    """Jobs that must not meet it look at it: it hasn't been given up."""


@dataclass(slots=True, eq=False)
class Room:
    """A node as the scheduler sees it. CPUs are thousandths of a core."""

    node: Node
    order: int
    """Its place in the inventory."""
    volumes: frozenset[str]
    """Volumes that it has."""
    known: bool
    """Facts are there: totals mean something."""
    open: bool
    """New work may start here: ready, and neither drained nor cordoned."""
    cpus: int
    memory: int
    free_cpus: int
    free_memory: int
    devices: tuple[Device, ...]
    booked: dict[str, Booking] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    """Jobs by full name → how many of their attempts are here."""
    gates: tuple[Gate, ...] = ()
    """What is kept for others; see `gates`."""
    version: int = 0
    """Another number each time that something is booked or given back."""

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def free(self) -> list[Device]:
        """Devices that a whole task can take, the smallest first. None before the first sample."""
        if not self.node.sampled:
            return []
        free = [device for device in self.devices if device.state == FREE]
        free.sort(key=lambda device: (device.memory, device.model, device.index))
        return free

    @property
    def usable(self) -> tuple[Device, ...]:
        """Devices that are free once attempts of ours have ended."""
        return tuple(it for it in self.devices if it.state in _OURS and not it.users)

    def admits(self, need: Need) -> bool:
        """Whether `where` and the volumes let this request onto the node."""
        return _matches(need, self.node) and self.volumes.issuperset(need.volumes)

    def book(self, snapshot: Snapshot, key: str, booking: Booking) -> None:
        """Take what an attempt or placement has."""
        self.version += 1
        self.booked[key] = booking
        self.free_cpus -= booking.cpus
        self.free_memory -= booking.memory
        if booking.counts:
            self.jobs[booking.job] = self.jobs.get(booking.job, 0) + 1
        if booking.devices:
            held = (booking.share or MILLI, booking.share_bytes)
            for gpu, device in self._of(booking.devices):
                device.holders[key] = held
                settle(snapshot, self.node, gpu, device)

    def unbook(self, snapshot: Snapshot, key: str) -> None:
        """Give back what it had."""
        self.version += 1
        booking = self.booked.pop(key)
        self.free_cpus += booking.cpus
        self.free_memory += booking.memory
        if booking.counts:
            left = self.jobs[booking.job] - 1
            if left:
                self.jobs[booking.job] = left
            else:
                del self.jobs[booking.job]
        for gpu, device in self._of(booking.devices):
            device.holders.pop(key, None)
            settle(snapshot, self.node, gpu, device)

    def follow(self, snapshot: Snapshot, live: frozenset[str]) -> bool:
        """Bring the bookings in line with the node's live attempts. Whether what is free changed.

        A placement was booked for the attempt that it would become.
        """
        booked, attempts = self.booked, snapshot.attempts
        gone = [
            key
            for key, it in booked.items()
            if key not in live or it.counts is attempts[key].replaced
        ]
        if not gone and len(booked) == len(live):
            return False
        for key in gone:
            self.unbook(snapshot, key)
        for key in sorted(live - booked.keys()):
            self.book(snapshot, key, booking_of(snapshot, attempts[key]))
        return True

    def _of(self, uuids: Sequence[str]) -> Iterable[tuple[Gpu, Device]]:
        gpus = {gpu.uuid: gpu for gpu in self.node.gpus if gpu.uuid in uuids}
        return [(gpus[it.uuid], it) for it in self.devices if it.uuid in gpus]


_OURS = frozenset({FREE, HELD, SHARED})


def booking_of(snapshot: Snapshot, attempt: Attempt) -> Booking:
    """What a live attempt has."""
    return Booking(
        job_name(snapshot, attempt),
        round(attempt.cpus * MILLI),
        attempt.memory_bytes,
        attempt.gpus,
        attempt.share,
        attempt.gpu_memory_bytes,
        not attempt.replaced,
    )


def allows(need: Need, node: Node, inventory: Inventory) -> bool:
    """Whether `where` and the volumes let this request onto the node."""
    volumes = inventory.volumes
    return _matches(need, node) and all(
        it in volumes and volumes[it].on(node.name) for it in need.volumes
    )


def _matches(need: Need, node: Node) -> bool:
    if need.pin is not None:
        return need.pin == node.name
    if need.names and node.name not in need.names:
        return False
    if node.name in need.not_names:
        return False
    labels = node.spec.labels
    if any(labels.get(name) != value for name, value in need.labels):
        return False
    return not any(labels.get(name) == value for name, value in need.not_labels)


def room_of(
    snapshot: Snapshot, node: Node, live: Sequence[Attempt] | None = None, order: int = 0
) -> Room:
    """What a node has and what of it is free. `live`: as if these were its live attempts."""
    facts, reserve = node.facts, node.spec.reserve
    cpus = round((facts.cpus - reserve.cpus) * MILLI) if facts else 0
    memory = facts.memory_bytes - reserve.memory if facts else 0
    volumes = snapshot.inventory.volumes
    only = node.spec.gpus.only
    cut = {gpu.parent for gpu in node.gpus if gpu.parent}
    gpus = [gpu for gpu in node.gpus if (only is None or gpu.index in only) and gpu.uuid not in cut]
    room = Room(
        node=node,
        order=order,
        volumes=frozenset(name for name, it in volumes.items() if it.on(node.name)),
        known=facts is not None,
        open=node.status is NodeStatus.READY
        and facts is not None
        and node.drain is None
        and node.cordon is None,
        cpus=cpus,
        memory=memory,
        free_cpus=cpus,
        free_memory=memory,
        devices=tuple(device_of(node, gpu) for gpu in gpus),
    )
    if live is None:
        keys = snapshot.by_node.get(node.name, ())
        live = [snapshot.attempts[key] for key in sorted(keys)]
    for gpu, device in zip(gpus, room.devices, strict=True):
        settle(snapshot, node, gpu, device)
    for attempt in live:
        room.book(snapshot, attempt.id, booking_of(snapshot, attempt))
    return room
