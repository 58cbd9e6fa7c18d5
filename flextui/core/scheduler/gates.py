"""What keeps a part of a free node from some requests: places kept for others, closed windows.

A node nearly always has none. Where it has, a gate looks at who asks and until when the work is
sure to have ended, and says what is left for that request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from flextui.core.scheduler.ask import Ask

if TYPE_CHECKING:
    from flextui.core.scheduler.capacity import Room

NOBODY = -1
"""CPUs or memory of a node that is closed to a request: less than any request asks for."""


class Usable(NamedTuple):
    """What of a room a request may use."""

    barred: frozenset[str]
    """UUIDs of devices that it may not touch."""
    free_cpus: int
    """Thousandths of a core; negative: the node is closed to it."""
    free_memory: int


class Gate(Protocol):
    """One thing that keeps something from somebody."""

    def limits(self, ask: Ask) -> Usable | None:
        """The most that it leaves to this request; None: it is none of its business."""
        ...

    def told(self, ask: Ask) -> str:
        """What is in the way of this request, in a few words; empty where nothing is."""
        ...

    @property
    def code(self) -> str:
        """What kind of obstacle it is."""
        ...

    @property
    def holders(self) -> tuple[str, ...]:
        """The jobs that it is for."""
        ...


def usable(room: Room, ask: Ask) -> Usable:
    """What all gates of a room leave to a request."""
    barred: frozenset[str] = frozenset()
    cpus, memory = room.free_cpus, room.free_memory
    for gate in room.gates:
        limits = gate.limits(ask)
        if limits is not None:
            barred |= limits.barred
            cpus = min(cpus, limits.free_cpus)
            memory = min(memory, limits.free_memory)
    return Usable(barred, cpus, memory)
