"""Nodes in groups that fare alike with whatever is asked for, as far as attempts of ours don't
matter: boxes are mostly bought by the dozen.

With thousands of requests that wait and as many nodes that are closed to them, as after a start,
each request looks at one node of a group.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.device import CORDONED, FOREIGN, LOST, Device
from flextui.core.scheduler.need import Need

_TROUBLE = frozenset({CORDONED, FOREIGN, LOST})


class Alike:
    """Kept from pass to pass; `set` tells of each room that is new or different."""

    def __init__(self) -> None:
        self.group_of: dict[str, Hashable] = {}
        """By the room's name."""
        self._groups: dict[Hashable, dict[str, Room]] = {}

    def set(self, room: Room) -> None:
        """Put a room where it belongs now."""
        name, group = room.name, _group(room)
        before = self.group_of.get(name)
        if before is not None and before != group:
            same = self._groups[before]
            del same[name]
            if not same:
                del self._groups[before]
        self.group_of[name] = group
        self._groups.setdefault(group, {})[name] = room

    def some(self, need: Need) -> Iterable[Room]:
        """Rooms that stand for all others, for this request."""
        if need.names or need.not_names or need.pin is not None:
            return [room for same in self._groups.values() for room in same.values()]
        return [next(iter(same.values())) for same in self._groups.values()]


def _group(room: Room) -> Hashable:
    node = room.node
    return (
        node.status,
        node.driver,
        node.drain is None,
        node.cordon is None,
        room.known,
        node.sampled,
        room.cpus,
        room.memory,
        room.volumes,
        tuple(sorted(node.spec.labels.items())),
        tuple(map(_kind, room.devices)),
    )


def _kind(it: Device) -> Hashable:
    trouble = it.state if it.state in _TROUBLE else ""
    foreign = (it.foreign, it.users) if it.users else ()
    return (it.model, it.memory, it.mig, it.shareable, trouble, foreign)
