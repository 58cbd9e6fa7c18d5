"""Which of the devices that would do are chosen, by where they sit, and the CPUs near them.

Ranks of one training job talk to each other all the time: over NVLink this costs little, across
sockets a lot. Among sets of devices that pack equally the one whose worst pair is nearest wins;
and what is left should stay near to each other, so a single GPU is taken where it is missed
least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb

from flextui.core.model.state import GpuPlace
from flextui.core.scheduler.device import Device
from flextui.core.scheduler.need import MILLI

TRIED = 2000
"""So many sets are compared at most; beyond that the set grows one device at a time."""

Places = Mapping[str, GpuPlace]


def nearest(places: Places, devices: Sequence[Device], count: int) -> tuple[Device, ...]:
    """The `count` of these devices that are nearest to each other, in the order given.

    Among sets as near: the one that leaves those behind nearest to each other, then the first.
    """
    if count >= len(devices) or not any(it.uuid in places for it in devices):
        return tuple(devices[:count])
    near = [[_between(places, one, other) for other in devices] for one in devices]
    everyone = range(len(devices))
    if comb(len(devices), count) <= TRIED:
        chosen = max(combinations(everyone, count), key=lambda it: _worth(near, it, everyone))
    else:
        chosen = _grown(near, count)
    return tuple(devices[at] for at in sorted(chosen))


def _between(places: Places, one: Device, other: Device) -> int:
    """How near two devices are, as far as either says."""
    told = [
        places[a.uuid].near[b.uuid]
        for a, b in ((one, other), (other, one))
        if a.uuid in places and b.uuid in places[a.uuid].near
    ]
    if told:
        return min(told)
    here, there = places.get(one.uuid), places.get(other.uuid)
    same = here and there and here.numa is not None and here.numa == there.numa
    return 10 if same else 0


def _worth(
    near: Sequence[Sequence[int]], chosen: Sequence[int], everyone: Sequence[int]
) -> tuple[int, int, int]:
    """Larger is better: the worst pair, all pairs, and the pairs with what is left (fewer)."""
    pairs = [near[a][b] for a, b in combinations(chosen, 2)]
    missed = sum(near[a][b] for a in chosen for b in everyone if b not in chosen)
    return (min(pairs, default=0), sum(pairs), -missed)


def _grown(near: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    """From each device on, the nearest is added until there are enough; the best of these."""
    everyone = range(len(near))
    found = []
    for first in everyone:
        chosen = [first]
        while len(chosen) < count:
            rest = (it for it in everyone if it not in chosen)
            chosen.append(
                max(
                    rest,
                    key=lambda it: (
                        min(near[it][a] for a in chosen),
                        sum(near[it][a] for a in chosen),
                    ),
                )
            )
        found.append(tuple(chosen))
    return max(found, key=lambda it: _worth(near, it, everyone))


def cpus_near(places: Places, devices: Sequence[Device], cpus: int) -> tuple[int, ...]:
    """The CPUs to pin a task to: those near its devices, if they are as many as it asked for.

    `cpus`: thousandths of a core. Empty: not pinned, for nothing is known or they are too few.
    """
    found: set[int] = set()
    for device in devices:
        place = places.get(device.uuid)
        if place is None or not place.cpus:
            return ()
        found.update(place.cpus)
    return tuple(sorted(found)) if 0 < cpus <= MILLI * len(found) else ()
