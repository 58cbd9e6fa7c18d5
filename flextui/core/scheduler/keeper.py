"""Whom places are kept for, where, and from when on.

A request that can't be placed, but will be once attempts of ours have ended, gets the place kept
that is certainly free for it first (`hold`).

Where nothing has a limit no start can be promised. Then the node that lacks least is kept, and
what becomes free there goes to nobody who comes later; what is missing only falls as attempts end.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Generator, Iterable, Iterator
from heapq import merge
from math import inf

from flextui.core.model.state import Attempt
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.calendar import Calendar
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.feasible import could_fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.hold import Hold
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.nearness import FAR, Nearness, Rank, Whose
from flextui.core.scheduler.need import Need
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.timeline import (
    NOW,
    Slot,
    Timeline,
    Use,
    hard_end,
    job_of,
    use_of,
    uses,
)

EASY, CONSERVATIVE = 8, 64
"""So many requests get a place kept: each on nodes of its own, or also one after the other."""

CANDIDATES = 64
"""Of so many nodes, the first in the inventory that could hold a request, one is kept for it. It
may start on any other before."""

_TRIES = 100
"""Instants that are looked at for one place; more than that is too far ahead to promise."""


class Keeper:
    """Keeps places, for one pass."""

    def __init__(
        self,
        ledger: Ledger,
        fleet: Fleet,
        calendar: Calendar,
        timelines: dict[str, Timeline],
        futures: dict[Whose, Nearness],
        outdated: list[str],
    ) -> None:
        """`timelines`: by node, those that are known and still true. `futures`: those known;
        `outdated`: nodes that changed, in turn."""
        self.holds: dict[str, tuple[Hold, ...]] = {}
        """By node."""
        self.changes = 0
        """How often what is kept has changed."""
        self._snapshot = ledger.snapshot
        self._stopping = ledger.stopping
        self._wall = ledger.now.wall
        self._fleet = fleet
        self._calendar = calendar
        self._mode = ledger.snapshot.inventory.policy.backfill
        self._preemption = ledger.snapshot.inventory.policy.preemption
        self._taken: dict[str, list[Use]] = {}
        self._kept: list[tuple[Kind, Rank]] = []
        """Whom places are kept for, and how near the nearest node is."""
        self._timelines = timelines
        self._futures = futures
        self._outdated = outdated
        self._left = CONSERVATIVE if self._mode == "conservative" else EASY
        self._tries = 4 * self._left
        self._looks = 32 * self._left

    @property
    def taken(self) -> set[str]:
        """Nodes that this pass has placed somebody on, or made somebody leave."""
        return set(self._taken)

    @property
    def done(self) -> bool:
        """Whether no more places are kept in this pass."""
        if self._left <= 0 or self._tries <= 0 or self._looks <= 0:
            return True
        return self._mode != "conservative" and len(self.holds) >= len(self._fleet.rooms)

    # ── what happens meanwhile ─────────────────────────────────────────────────────────────────

    def placed(self, room: Room, ask: Ask, use: Use, *, borrowed: bool) -> None:
        """Somebody was placed there. What is borrowed will make room in time."""
        self._taken.setdefault(room.name, []).append(use)
        self._timelines.pop(room.name, None)
        holds = self.holds.get(room.name)
        if holds and not borrowed:
            stays = (it if it.in_time(ask.until) else it.less(ask.need) for it in holds)
            self._set(room, tuple(stays))

    def leaves(self, node: str) -> None:
        """Somebody there has been made to go: it is free by then."""
        self._taken.setdefault(node, [])
        self._timelines.pop(node, None)

    # ── keeping ────────────────────────────────────────────────────────────────────────────────

    def keep(self, it: Waiting, pace: Pace) -> Iterator[None]:
        """Keep a place for this request, if there is one that will hold it."""
        if self.done:
            return
        kind = it.kind
        future = self._futures.get(whose(kind))
        if future is None or not self._follow(kind, future):
            future = self._futures[whose(kind)] = yield from self._foresee(kind, pace)
        self._looks -= 1
        if future.order:
            self._tries -= 1
        slots = self._nearest(kind, future)
        if not slots:
            return
        self._left -= 1
        if self._preemption:  # nobody else asks
            self._kept += [(kind, self._rank(room, kind) or FAR) for room, _ in slots]
        at = max(self._wall, *(slot.at for _, slot in slots))
        for room, slot in slots:
            self._hold(room, it, at, slot)

    def would_move(self, tried: Room, there: Iterable[Attempt]) -> bool:
        """Whether a place that is kept for somebody elsewhere would be kept on this node, if only
        these attempts were there: then who makes others go wouldn't get what they leave."""
        taken = [use_of(it, hard_end(job_of(self._snapshot, it), it)) for it in there]
        timeline = Timeline(tried, taken)
        for kind, rank in self._kept:
            if _able(tried, kind.need) and self._measured(timeline, kind) < rank:
                return True
        return False

    def _foresee(self, kind: Kind, pace: Pace) -> Generator[None, None, Nearness]:
        """How near the candidates for a request are to holding it."""
        future, wanted = Nearness(len(self._outdated)), CANDIDATES + 4 * kind.nodes
        for room in self._fleet.rooms:
            able = future.able[room.name] = _able(room, kind.need)
            if able:
                future.set(room.name, self._rank(room, kind))
                wanted -= 1
                if not wanted:
                    break
            if pace.due(3 if able else 0.3):
                yield
        return future

    def _follow(self, kind: Kind, future: Nearness) -> bool:
        """Bring a future up to date. False: other nodes are candidates now."""
        stale = set(self._outdated[future.seen :])
        for name in stale & future.able.keys():
            if not self._fleet.has(name):
                return False
            room, able = self._fleet.room(name), future.able[name]
            if able is not _able(room, kind.need):
                return False
            if able:
                future.set(name, self._rank(room, kind))
        future.seen = len(self._outdated)
        return True

    def keep_at(self, it: Waiting, places: list[tuple[Room, Slot]]) -> None:
        """Keep what others give way from."""
        at = max(self._wall, *(slot.at for _, slot in places))
        for room, slot in places:
            self._hold(room, it, at, slot, firm=True)

    def _hold(self, room: Room, it: Waiting, at: float, slot: Slot, *, firm: bool = False) -> None:
        kind = it.kind
        hold = Hold(
            need=kind.need,
            project=kind.project,
            user=kind.user,
            job=it.job.full_name,
            key=it.job.id,
            at=at,
            until=kind.until(at),
            gpus=frozenset(slot.gpus),
            spare_cpus=slot.spare_cpus,
            spare_memory=slot.spare_memory,
            firm=firm,
        )
        before = self.holds.get(room.name, ())
        others = (it.less(kind.need) if at < it.at < hold.until else it for it in before)
        self._set(room, (*others, hold))

    def _set(self, room: Room, holds: tuple[Hold, ...]) -> None:
        others = len(room.gates) - len(self.holds.get(room.name, ()))
        self.holds[room.name] = holds
        self.changes += 1
        room.gates = (*room.gates[:others], *holds)

    def _nearest(self, kind: Kind, future: Nearness) -> list[tuple[Room, Slot]]:
        """The places that are certainly free for the request first, all at the same instant; fewer
        than it asks for where there are no more."""
        floor = NOW
        for _ in range(_TRIES):
            found = self._first(kind, future, floor)
            if len(found) < kind.nodes:
                return []
            at = max(slot.at for _, slot in found)
            if kind.nodes == 1 or at in (floor, inf):
                return found
            floor = at
        return []

    def _first(self, kind: Kind, future: Nearness, floor: float) -> list[tuple[Room, Slot]]:
        found: list[tuple[Rank, Room, Slot]] = []
        dirty = [
            rank
            for name in self._taken
            if future.able.get(name)
            and (rank := self._rank(self._fleet.room(name), kind)) is not None
        ]
        untouched = (rank for rank in future.order if rank[-1] not in self._taken)
        for rank in merge(untouched, sorted(dirty)):
            if len(found) >= kind.nodes and found[kind.nodes - 1][0] <= rank:
                break
            room = self._fleet.room(rank[-1])
            slot = self._slot(room, kind, rank, floor)
            if slot is not None:
                insort(found, ((slot.at, *rank[1:]), room, slot), key=_rank)
        return [(room, slot) for _, room, slot in found[: kind.nodes]]

    def _rank(self, room: Room, kind: Kind) -> Rank | None:
        """How near a room is to holding the request, whatever else is kept there."""
        need = kind.need
        if any(f"{kind.user}/{name}" in room.jobs for name in need.apart):
            return None  # who is there may stay
        return self._measured(self._timeline(room), kind)

    def _measured(self, timeline: Timeline, kind: Kind) -> Rank:
        at = inf if self._mode == "off" else timeline.earliest(kind.need)
        return (at, *timeline.lacks(kind.need), timeline.room.name)

    def _timeline(self, room: Room) -> Timeline:
        known = self._timelines.get(room.name)
        if known is None:
            here = uses(self._snapshot, room.name, self._stopping, self._wall)
            taken = [*here, *self._taken.get(room.name, ())]
            known = self._timelines[room.name] = Timeline(room, taken)
        return known

    def _slot(self, room: Room, kind: Kind, rank: Rank, floor: float) -> Slot | None:
        """The first place there, not before `floor`, that nothing else is promised in."""
        holds = self.holds.get(room.name, ())
        if holds and (self._mode != "conservative" or kind.nodes > 1):
            return None
        if any(it.at == inf for it in holds):
            return None
        timeline = self._timeline(room)
        if rank[0] == inf:  # nothing to wait for where nothing is missing
            return timeline.slot(kind.need, inf) if any(rank[1:4]) and not holds else None
        at = max(rank[0], floor)
        starts = sorted(
            {at, *timeline.ends(at), *(it.until for it in holds if at < it.until < inf)}
        )
        for _ in range(_TRIES):
            if not starts:
                break
            start = starts.pop(0)
            end = kind.until(max(start, self._wall))
            clear = self._calendar.clear(room, who(kind), max(start, self._wall), end)
            if clear.again is not None and clear.again not in starts:
                insort(starts, clear.again)
            if clear.open:
                others = [it for it in holds if it.at < end and it.until > start]
                slot = timeline.beside(kind.need, start, others, clear.barred)
                if slot is not None:
                    return slot
        return None


def _able(room: Room, need: Need) -> bool:
    return room.open and could_fit(room, need) and room.admits(need)


def whose(kind: Kind) -> Whose:
    """Requests with the same future: those that keep apart from jobs do so from their owner's."""
    return (kind.need, kind.nodes, kind.user if kind.need.apart else "")


def who(kind: Kind) -> tuple[str, tuple[str, ...], str]:
    return (kind.user, kind.groups, kind.project)


def _rank(found: tuple[Rank, Room, Slot]) -> Rank:
    return found[0]
