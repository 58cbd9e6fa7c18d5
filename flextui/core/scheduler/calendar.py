"""Reservations and maintenance: who may use which devices when.

A window closes what it covers to everybody that it doesn't admit, from its start to its end, and
before it to all whose work isn't sure to be over by then. Of a window that comes again only the
next time matters to a start: whoever is still there then would cross it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from flextui.core.model.inventory import Maintenance, Reservation
from flextui.core.model.state import Snapshot
from flextui.core.model.times import iso
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.gates import NOBODY, Usable

Window = Reservation | Maintenance


@dataclass(frozen=True, slots=True)
class Closed:
    """One window's next time on one node."""

    window: Window
    start: float
    end: float
    barred: frozenset[str] | None
    """UUIDs of the devices that it is about; None: the whole node."""

    def limits(self, ask: Ask) -> Usable | None:
        if ask.until <= self.start or admits(self.window, ask.user, ask.groups, ask.project):
            return None
        if self.barred is None:
            return Usable(frozenset(), NOBODY, NOBODY)
        return Usable(self.barred, 1 << 62, 1 << 62)

    def told(self, ask: Ask) -> str:
        if self.limits(ask) is None:
            return ""
        return f"{title(self.window)} from {iso(self.start)} to {iso(self.end)}"

    @property
    def code(self) -> str:
        return "reserved"

    @property
    def holders(self) -> tuple[str, ...]:
        return ()


def title(window: Window) -> str:
    """'reservation exam of bob', 'maintenance disks'."""
    if isinstance(window, Reservation):
        return f"reservation {window.name} of {', '.join(window.for_)}"
    return f"maintenance {window.name}"


def admits(window: Window, user: str, groups: tuple[str, ...], project: str) -> bool:
    return isinstance(window, Reservation) and window.admits(user, groups, project)


class Clear(NamedTuple):
    """What windows leave of a node for a stretch of time."""

    barred: frozenset[str]
    again: float | None
    """When to ask again, for one of the windows in the way is over then; None: none is."""
    open: bool
    """Not closed as a whole."""


class Calendar:
    """All windows, as of one instant. It holds until the next of them begins or ends."""

    def __init__(self, snapshot: Snapshot, wall: float) -> None:
        self.windows = windows(snapshot)
        self.edge = inf
        """Wall time until which it holds."""
        self._spans: list[tuple[Window, float, float]] = []
        for window in self.windows:
            span = window.next_span(wall)
            if span is not None:
                self._spans.append((window, *span))
                self.edge = min(self.edge, span[0] if span[0] > wall else span[1])

    def holds(self, snapshot: Snapshot, wall: float) -> bool:
        """Whether it is still the one for this state and instant."""
        now = windows(snapshot)
        same = len(now) == len(self.windows)
        return wall < self.edge and same and all(map(_same, now, self.windows))

    def gates(self, room: Room) -> tuple[Closed, ...]:
        """What the windows keep on a node."""
        if not self._spans:
            return ()
        found = (self._closed(room, *it) for it in self._spans if it[0].covers(room.name))
        return tuple(it for it in found if it.barred is None or it.barred)

    def _closed(self, room: Room, window: Window, start: float, end: float) -> Closed:
        return Closed(window, start, end, _devices(window, room))

    def now(self, room: Room, wall: float) -> Iterator[Closed]:
        """The windows that are open on a node at this instant."""
        return (it for it in self.gates(room) if it.start <= wall < it.end)

    def clear(
        self, room: Room, who: tuple[str, tuple[str, ...], str], start: float, end: float
    ) -> Clear:
        """What windows leave of a node to somebody for a stretch of time. `who`: user, groups,
        project."""
        barred: frozenset[str] = frozenset()
        again: float | None = None
        is_open = True
        for window in self.windows:
            if not window.covers(room.name) or admits(window, *who):
                continue
            span = window.next_span(start)
            if span is None or span[0] >= end:
                continue
            again = span[1] if again is None else min(again, span[1])
            devices = _devices(window, room)
            if devices is None:
                is_open = False
            else:
                barred |= devices
        return Clear(barred, again, is_open)


def windows(snapshot: Snapshot) -> tuple[Window, ...]:
    inventory = snapshot.inventory
    return (*inventory.reservations, *snapshot.reservations.values(), *inventory.maintenance)


def _same(one: Window, other: Window) -> bool:
    return one is other


def _devices(window: Window, room: Room) -> frozenset[str] | None:
    if not isinstance(window, Reservation) or window.gpus is None:
        return None
    return frozenset(it.uuid for it in room.devices if window.holds(it.index))
