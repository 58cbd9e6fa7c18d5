"""What rooms look like to a request: rooms that are as good as each other share a `Look`.

A look is a kind of room (its devices, labels and volumes), what is free of the devices (`Fill`),
and what is free of CPUs and memory. What a request would leave of a fill is worked out once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Any

from flextui.core.model.state import GpuPlace
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.device import Device
from flextui.core.scheduler.feasible import pick, share_of, suits
from flextui.core.scheduler.fragmentation import Gaps, Outlook
from flextui.core.scheduler.need import MILLI, Wants
from flextui.core.scheduler.rank import Before, Left


def gaps_of(devices: Iterable[Device]) -> Gaps:
    """Thousandths that are free of each device, most first; without those that are full."""
    return tuple(sorted([it.free_milli for it in devices if it.free_milli], reverse=True))


class Kind:
    """What rooms have in common for good: their devices, their labels and volumes."""

    __slots__ = ("alike", "fits", "groups", "id", "shareable")

    def __init__(self, number: int, room: Room) -> None:
        self.id = number
        kinds: dict[Any, int] = {}
        self.groups = [
            kinds.setdefault((it.memory, it.model, it.mig, it.shareable), len(kinds))
            for it in room.devices
        ]
        self.alike = len(kinds) <= 1
        self.fits: dict[Wants, bool] = {}
        """Where all devices are alike: whether they suit a request."""


class Fill:
    """What is free of the devices of some rooms of a kind, and what requests would leave."""

    __slots__ = ("gaps", "left", "plain")

    def __init__(self, kind: Kind, room: Room) -> None:
        self.gaps: Gaps = gaps_of(room.devices) if room.node.sampled else ()
        self.plain = kind.alike and all(
            it.free_bytes >= it.memory * it.free_milli // MILLI for it in room.devices
        )
        """All devices are alike, and as free by thousandths as by bytes."""
        self.left: dict[Wants, Left | None] = {}
        """What requests would leave; None: they don't fit."""

    def work_out(self, wants: Wants, kind: Kind, room: Room, outlook: Outlook) -> Left | None:
        """What a request would leave, for the first time."""
        find = self._plain if self.plain else self._any
        left = self.left[wants] = find(wants, kind, room, outlook)
        return left

    def _plain(self, wants: Wants, kind: Kind, room: Room, outlook: Outlook) -> Left | None:
        """As `feasible.pick` chooses, where one device is like another."""
        gaps = self.gaps
        if not wants.anything or not gaps:
            return None if wants.anything else Left(outlook.free(gaps))
        fits = kind.fits.get(wants)
        if fits is None:
            fits = kind.fits[wants] = suits(wants, room.devices[0])
        if not fits:
            return None
        memory = room.devices[0].memory
        if not wants.shared:
            count = wants.gpus
            if len(gaps) < count or gaps[count - 1] < MILLI:
                return None
            free = outlook.free(gaps[count:])
            return Left(free, count * memory, outlook.price(count * MILLI, memory))
        milli, gap = share_of(wants, room.devices[0])[0], outlook.gap
        able = [(gap[it - milli] - gap[it], it) for it in set(gaps) if it >= milli]
        if not able:
            return None
        free = outlook.free(_without(gaps, min(able)[1], milli))
        return Left(free, memory, outlook.price(milli, memory))

    def _any(self, wants: Wants, kind: Kind, room: Room, outlook: Outlook) -> Left | None:
        if not wants.anything:
            return Left(outlook.free(self.gaps))
        devices = pick(room, wants, (), outlook.gap.__getitem__, _NOWHERE)
        if not devices:
            return None
        gaps, price = self.gaps, 0.0
        for device in devices:
            free = device.free_milli
            taken = share_of(wants, device)[0] if wants.shared else free
            gaps = _without(gaps, free, taken)
            price += outlook.price(taken, device.memory)
        return Left(outlook.free(gaps), sum(it.memory for it in devices), price)


_NOWHERE: dict[str, GpuPlace] = {}


def _without(gaps: Gaps, free: int, taken: int) -> Gaps:
    """These gaps, with one of them made smaller."""
    left = list(gaps)
    left.remove(free)
    if free > taken:
        left.append(free - taken)
        left.sort(reverse=True)
    return tuple(left)


class Look:
    """Open rooms of one kind with the same amounts free. Dead once it has none."""

    __slots__ = ("_orders", "before", "cpus", "fill", "id", "kind", "memory", "rooms")

    def __init__(self, number: int, kind: Kind, fill: Fill, room: Room) -> None:
        self.id, self.kind, self.fill = number, kind, fill
        self.cpus, self.memory = room.free_cpus, room.free_memory
        self.rooms: dict[int, Room] = {}
        self._orders: list[int] = []
        self.before: Before | None = None

    def expect(self, outlook: Outlook) -> Before:
        """What is free, and what of it will be lost."""
        gaps = self.fill.gaps
        self.before = Before(sum(gaps), outlook.lost(gaps, self.cpus, self.memory))
        return self.before

    def any(self) -> Room:
        """One of its rooms."""
        return next(iter(self.rooms.values()))

    def add(self, room: Room) -> None:
        self.rooms[room.order] = room
        heappush(self._orders, room.order)

    def in_order(self) -> Iterator[Room]:
        """Its rooms in the inventory's order."""
        orders, rooms = self._orders, self.rooms
        while orders[0] not in rooms:
            heappop(orders)
        first = orders[0]
        yield rooms[first]
        if len(rooms) > 1:
            for order in sorted(rooms):
                if order != first:
                    yield rooms[order]
