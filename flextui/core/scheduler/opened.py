"""What a pass finds open: rooms where more is free than was, and the most that may be free there.

A look at that comes before the thorough ones, so that a pass steps over whoever can't start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from flextui.core.scheduler.calendar import Calendar
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.hold import Hold

if TYPE_CHECKING:
    from flextui.core.scheduler.fleet import Fleet
    from flextui.core.scheduler.ledger import Ledger
    from flextui.core.scheduler.memo import Memo

Least = tuple[int, int, int]
"""Thousandths of GPUs, thousandths of cores, bytes: what is asked of one node, or the most that is
free on one. A look before the thorough one."""


NONE: Least = (-1, -1, -1)
"""Less than anybody asks for."""


def within(least: Least, most: Least) -> bool:
    return least[0] <= most[0] and least[1] <= most[1] and least[2] <= most[2]


class Opening(NamedTuple):
    """What may be free for somebody."""

    most: Least
    until: float = inf
    """Who takes it must have ended by then."""


def may_do(openings: Sequence[Opening], least: Least, soonest: float) -> bool:
    """Whether one of them may do for a request that has ended by then at the soonest."""
    return any(soonest <= it.until and within(least, it.most) for it in openings)


def openings_of(rooms: Iterable[Room]) -> list[Opening]:
    """What may be free in one of these: beside what is kept there, and until it is needed."""
    beside: Least = NONE
    kept: list[Opening] = []
    for room in rooms:
        holds = [it for it in room.gates if isinstance(it, Hold)]
        free = sum(it.free_milli for it in room.devices), room.free_cpus, room.free_memory
        if holds:
            until = max((it.at for it in holds if not it.firm), default=-inf)
            kept.append(Opening(free, until))
            barred = frozenset().union(*(it.gpus for it in holds))
            free = (
                sum(it.free_milli for it in room.devices if it.uuid not in barred),
                min([room.free_cpus, *(it.spare_cpus for it in holds)]),
                min([room.free_memory, *(it.spare_memory for it in holds)]),
            )
        beside = (max(beside[0], free[0]), max(beside[1], free[1]), max(beside[2], free[2]))
    return [Opening(beside), *(it for it in kept if not within(it.most, beside))]


def calendar_of(ledger: Ledger, memo: Memo) -> tuple[Calendar, bool]:
    """The windows as they stand now, and whether that is news: then everybody is tried anew."""
    wall, known = ledger.now.wall, memo.calendar
    calendar = known
    if calendar is None or not calendar.holds(ledger.snapshot, wall):
        calendar = memo.calendar = Calendar(ledger.snapshot, wall)
        memo.untried = memo.told = None
    if calendar.edge < inf:
        ledger.wake_wall(calendar.edge)
    return calendar, calendar is not known


def changed_rooms(memo: Memo, fleet: Fleet) -> list[Room]:
    """Of the nodes that the journal names, and of those that the last pass placed somebody on; and
    all that were made anew, for those have no gates yet."""
    if memo.touched is None:
        return list(fleet.rooms)
    names = {*memo.touched.nodes, *memo.taken, *(room.name for room in fleet.fresh)}
    return [fleet.room(name) for name in sorted(names) if fleet.has(name)]


def open_gates(
    memo: Memo, fleet: Fleet, calendar: Calendar, changed: list[Room]
) -> dict[str, Room]:
    """Set the gates of a pass that begins: those of windows. Returns the rooms where more may be
    free than when the last one ended, as far as that is known."""
    if memo.untried is None:
        for room in fleet.rooms:
            room.gates = calendar.gates(room)
        return {}
    grown = {name: fleet.room(name) for name in memo.holds if fleet.has(name)}
    grown.update((room.name, room) for room in changed)
    for room in grown.values():
        room.gates = calendar.gates(room)
    return grown
