"""The rooms of all nodes, and the best of them for a request.

What it knows is kept in the memo from pass to pass: only rooms of nodes that changed are brought
up to date, and a decision asks the index rather than every room. With or without a memo, and with
or without being told what changed, the answers are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from flextui.core.model.state import Snapshot
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Booking, Room
from flextui.core.scheduler.feasible import Place, fit
from flextui.core.scheduler.index import Look
from flextui.core.scheduler.kept import Kept
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.need import Need
from flextui.core.scheduler.rank import Rank

_NO_REPLICAS: Mapping[str, int] = MappingProxyType({})

Choice = tuple[tuple[int, int, Rank, int], Place]
"""A place and how good it is: labels preferred, replicas beside, its rank, the room's order."""


class Fleet:
    """The rooms of all nodes, in the inventory's order."""

    @staticmethod
    def make_ahead(snapshot: Snapshot, memo: Memo) -> Iterator[None]:
        """What a fleet of this memo would do at once when it is made, in small steps."""
        if memo.fleet is None:
            memo.fleet = Kept()
        kept: Kept = memo.fleet
        touched = memo.touched
        yield from kept.make_ahead(snapshot, None if touched is None else touched.nodes)

    def __init__(self, snapshot: Snapshot, memo: Memo | None = None) -> None:
        kept = memo.fleet if memo is not None else None
        if kept is None:
            kept = Kept()
        touched = memo.touched if memo is not None else None
        if memo is not None:
            memo.fleet = kept
        self._snapshot = snapshot
        self._kept: Kept = kept
        self.fresh = kept.refresh(snapshot, touched.nodes if touched is not None else None)
        """Rooms that were made anew for this pass, without gates."""
        self._taken: dict[tuple[str, str, Need], list[str]] = {}
        self._takes = 0

    @property
    def rooms(self) -> Sequence[Room]:
        return self._kept.in_order

    def room(self, name: str) -> Room:
        """Raises KeyError for a node that isn't there."""
        return self._kept.rooms[name]

    def has(self, name: str) -> bool:
        """Whether there is such a node."""
        return name in self._kept.rooms

    def matching(self, need: Need) -> Iterator[Room]:
        """Open rooms of nodes that `where` and the volumes allow."""
        return (room for room in self.rooms if room.open and room.admits(need))

    @property
    def most(self) -> tuple[int, int, int]:
        """The most thousandths of GPUs, thousandths of cores and bytes free in any open room."""
        return self._kept.index.most()

    def best(
        self,
        ask: Ask,
        beside: Mapping[str, int] = _NO_REPLICAS,
        *,
        exclude: Collection[str] = (),
    ) -> Place | None:
        """The best place for a request, or None.

        `beside`: replicas of the same job per node; `exclude`: names of nodes not to be taken.
        """
        need = ask.need
        if need.pin is not None or need.names:
            found = self._named(ask, beside, exclude)
        else:
            found = self._searched(ask, beside if need.spread else _NO_REPLICAS, exclude)
        return found[1] if found is not None else None

    def _searched(
        self, ask: Ask, beside: Mapping[str, int], exclude: Collection[str]
    ) -> Choice | None:
        chosen: Choice | None = None
        search = self._kept.index.search(ask.need)
        for ranked, look in search.best_first():
            if chosen is not None and (ranked[0], 0, ranked) > chosen[0][:3]:
                break
            chosen = self._among(ask, look, ranked, beside, exclude, chosen)
            if chosen is not None and not beside and search.leads:
                break
        return chosen

    def _among(
        self,
        ask: Ask,
        look: Look,
        ranked: Rank,
        beside: Mapping[str, int],
        exclude: Collection[str],
        chosen: Choice | None,
    ) -> Choice | None:
        """The best of these rooms, if it is better than what was chosen so far."""
        need, loss = ask.need, self._kept.index.outlook.gap.__getitem__
        if need.cpus > look.cpus or need.memory > look.memory:
            return chosen
        for room in look.in_order():
            replicas = beside.get(room.name, 0) if beside else 0
            key = (ranked[0], replicas, ranked, room.order)
            if chosen is not None and key >= chosen[0]:
                if not beside:
                    break
                continue
            if room.name in exclude or room.name in need.not_names:
                continue
            place = fit(room, ask, loss)
            if place is not None:
                chosen = (key, place)
                if not replicas:
                    break
        return chosen

    def _named(
        self, ask: Ask, beside: Mapping[str, int], exclude: Collection[str]
    ) -> Choice | None:
        """Among nodes that are asked for by name."""
        need, index = ask.need, self._kept.index
        chosen: Choice | None = None
        for name in (need.pin,) if need.pin is not None else need.names:
            look = index.look(name)
            if look is None or name in exclude or not self.room(name).admits(need):
                continue
            place = fit(self.room(name), ask, index.outlook.gap.__getitem__)
            ranked = index.rank(need, look) if place is not None else None
            if place is None or ranked is None:
                continue
            replicas = beside.get(name, 0) if need.spread else 0
            key = (ranked[0], replicas, ranked, place.room.order)
            if chosen is None or key < chosen[0]:
                chosen = (key, place)
        return chosen

    def take(self, place: Place, ask: Ask, attempt: str = "") -> None:
        """Book a placement of this pass. `attempt`: what it will be, if it isn't just a trial."""
        self._takes += 1
        key = attempt or f"+{self._takes}"
        room, need = place.room, ask.need
        self._taken.setdefault((room.name, ask.job, need), []).append(key)
        booking = Booking(
            ask.job,
            need.cpus,
            need.memory,
            tuple([device.uuid for device in place.devices]),
            place.share,
            place.gpu_memory_bytes,
        )
        room.book(self._snapshot, key, booking)
        self._kept.dirty.add(room.name)
        self._kept.index.put(room)

    def give_back(self, place: Place, ask: Ask) -> None:
        """Undo a `take` of the same place for the same request."""
        room = place.room
        keys = self._taken[room.name, ask.job, ask.need]
        devices = tuple([device.uuid for device in place.devices])
        key = next(it for it in reversed(keys) if room.booked[it].devices == devices)
        keys.remove(key)
        room.unbook(self._snapshot, key)
        self._kept.index.put(room)
