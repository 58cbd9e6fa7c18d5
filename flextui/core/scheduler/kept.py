"""What a fleet keeps between passes: the rooms of all nodes, and the index of the open ones.

A pass brings up to date only the rooms of nodes that changed, and those that the last one took
from; in steps, for after a start or a burst that is many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from flextui.core.model.inventory import Inventory
from flextui.core.model.state import Snapshot
from flextui.core.scheduler.capacity import Room, room_of
from flextui.core.scheduler.demand import epoch, in_force
from flextui.core.scheduler.fragmentation import Outlook
from flextui.core.scheduler.index import Index

_NONE: frozenset[str] = frozenset()
_STEP = 8
"""So many rooms are made ahead between two pauses: about a millisecond."""


class Kept:
    """What a fleet keeps between passes."""

    def __init__(self) -> None:
        self.inventory: Inventory | None = None
        self.rooms: dict[str, Room] = {}
        self.in_order: list[Room] = []
        self.index = Index(Outlook({}))
        self.dirty: set[str] = set()
        """Rooms that a pass has booked something in."""
        self._others = False
        """Nodes came or went."""
        self._basis: tuple[object, ...] = ()
        """What the outlook was made from."""
        self._memories: Counter[int] = Counter()
        """Bytes of a shareable device → how many have so much."""
        self._made: list[Room] = []
        """Made ahead of the next `refresh`."""
        self._seen: Snapshot | None = None
        """The state that `make_ahead` has looked at."""
        self._left: list[str] = []
        """What of it is left to `refresh`."""

    def make_ahead(self, snapshot: Snapshot, nodes: Collection[str] | None) -> Iterator[None]:
        """What `refresh` would do at once with these nodes, in small steps."""
        if self.inventory is not None and self.inventory is not snapshot.inventory:
            return
        self.inventory = snapshot.inventory
        first, left = not self.rooms, []
        names = (*snapshot.nodes, *self.rooms) if first or nodes is None else nodes
        for order, name in enumerate(dict.fromkeys((*names, *self.dirty))):
            if not first and name in snapshot.nodes and name not in self.rooms:
                left.append(name)  # it changes the others' numbers
                continue
            room = self._see(snapshot, name, again=False)
            if room is not None:
                if first:
                    room.order = order
                self.index.put(room, fresh=True)
                self._made.append(room)
            if order % _STEP == 0:
                yield
        self._seen, self._left = snapshot, left

    def refresh(self, snapshot: Snapshot, nodes: Iterable[str] | None) -> list[Room]:
        """Look at these nodes, and at rooms taken from; None: at all. Returns rooms made anew."""
        again = snapshot.inventory is not self.inventory
        self.inventory = snapshot.inventory
        everything = again or nodes is None
        names = [*snapshot.nodes, *self.rooms] if everything else [*(nodes or ()), *self.dirty]
        if self._seen is snapshot:
            names = self._left
        self._seen = None
        self.dirty.clear()
        fresh = []
        for name in dict.fromkeys(names):
            room = self._see(snapshot, name, again=again)
            if room is not None:
                fresh.append(room)
        if everything or self._others:
            self._number(snapshot)
        for room in fresh:
            self.index.put(room, fresh=True)
        self._expect(snapshot, anew=everything)
        ahead, self._made = self._made, []
        return [*(it for it in ahead if self.rooms.get(it.name) is it), *fresh]

    def _see(self, snapshot: Snapshot, name: str, *, again: bool) -> Room | None:
        """Bring one room up to date; returned if it was made anew."""
        node, room = snapshot.nodes.get(name), self.rooms.get(name)
        if node is None:
            if room is not None:
                self._count(room, -1)
                self.index.drop(name)
                del self.rooms[name]
                self._others = True
            return None
        if room is not None and room.node is node and not again:
            if room.follow(snapshot, snapshot.by_node.get(name, _NONE)):
                self.index.put(room)
            return None
        made = self.rooms[name] = room_of(snapshot, node)
        if room is not None:
            self._count(room, -1)
            made.order = room.order
            self.in_order[room.order] = made
        else:
            self._others = True
        self._count(made, 1)
        return made

    def _count(self, room: Room, by: int) -> None:
        for device in room.devices:
            if device.shareable:
                self._memories[device.memory] += by

    def _number(self, snapshot: Snapshot) -> None:
        """Number the rooms as the inventory has them."""
        self._others = False
        self.in_order = [self.rooms[name] for name in snapshot.nodes]
        for order, room in enumerate(self.in_order):
            if room.order != order:
                room.order = order
                self.index.put(room, fresh=True)

    def _expect(self, snapshot: Snapshot, *, anew: bool) -> None:
        """See whether other requests are to be expected. `anew`: don't go by the number alone."""
        usual = max(((n, size) for size, n in self._memories.items() if n), default=(0, 0))[1]
        number = epoch(snapshot.demand)
        if not anew and self._basis[:2] == (number, usual):
            return
        shapes = in_force(snapshot.demand)
        if self._basis[1:] != (usual, shapes):
            self.index.expect(Outlook(shapes, usual))
        self._basis = (number, usual, shapes)
