"""The rooms of all nodes, for one pass."""

from __future__ import annotations

from collections.abc import Iterable

from flextui.core.model.state import Node, Snapshot
from flextui.core.scheduler.capacity import Device, Room, allows, room_of
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.need import Need

_NONE: frozenset[str] = frozenset()


class Fleet:
    """The rooms of all nodes, in the inventory's order."""

    def __init__(self, snapshot: Snapshot, memo: Memo | None = None) -> None:
        self._memo = memo or Memo()
        self.rooms = tuple(self._room(snapshot, node) for node in snapshot.nodes.values())
        self._open = tuple(room for room in self.rooms if room.open)
        self.unkept = list(self._open)
        """Open rooms that aren't kept for a request yet."""
        self._matching: dict[Need, tuple[Room, ...]] = {}
        self._measure()

    def _measure(self) -> None:
        """The most that is free on any one node: what is beyond it needn't be tried."""
        self._gpus = max((len(room.free) for room in self._open), default=-1)
        self._cpus = max((room.free_cpus for room in self._open), default=-1)
        self._memory = max((room.free_memory for room in self._open), default=-1)

    def may_fit(self, need: Need) -> bool:
        """False: no node can hold this request now, whatever its kind."""
        return need.gpus <= self._gpus and need.cpus <= self._cpus and need.memory <= self._memory

    def _room(self, snapshot: Snapshot, node: Node) -> Room:
        live = snapshot.by_node.get(node.name, _NONE)
        kept = self._memo.rooms.get(node.name)
        if kept is not None and kept[0] is node and kept[1] == live:
            kept[2].reset()
            return kept[2]
        room = room_of(snapshot, node)
        self._memo.rooms[node.name] = (node, live, room)
        return room

    def matching(self, need: Need) -> tuple[Room, ...]:
        """Open rooms of nodes that `where` allows."""
        if need.anywhere:
            return self._open
        rooms = self._matching.get(need)
        if rooms is None:
            rooms = tuple(room for room in self._open if allows(need, room.node))
            self._matching[need] = rooms
        return rooms

    def take(self, room: Room, job: str, need: Need, devices: Iterable[Device]) -> None:
        """Book a placement of this pass."""
        self._memo.rooms.pop(room.name, None)
        room.take(job, need, devices)
        self._measure()
        if room.hold is need:
            room.reset()
            self.unkept.append(room)

    def keep(self, room: Room, need: Need, job: str) -> None:
        """Keep what becomes free there for this request."""
        room.hold, room.hold_for = need, job
        self.unkept.remove(room)
