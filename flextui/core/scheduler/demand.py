"""What jobs have lately asked for: the distribution that packing goes by.

Each submission counts once, and the counts of old ones fade. Packing must not see every single
count change, or all that is worked out from it would be worth nothing a moment later; so the
counts are put in force only now and then: the first time soon, and then when they tell of another
demand than those in force. Everything is in one mapping with keys of integers, so that it is kept
and copied like any other table; it is made anew from the jobs when a core starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from flextui.core.model.spec import JobSpec
from flextui.core.scheduler.need import Need, need_of_spec

Demand = Mapping[tuple[int, ...], float]

KEPT = 64
"""So many of the most frequent shapes are put in force."""
FIRST = 16
"""After so many submissions they are put in force for the first time."""
NEW = 0.25
"""Such a part of the counts must be new before it is asked whether to put them in force again."""
MOVED = 0.08
"""Such a part of the demand must be for other shapes than the counts in force say."""
FADE = 2.0 ** (1 / 5_000)
"""A submission counts half as much as one that came 5,000 later."""
ROUND = 4
"""Sizes are told by so many binary digits: requests that hardly differ count as one."""
_TOO_BIG = 2.0**60

_COUNTED, _IN_FORCE = 0, 1
_TOTAL, _WEIGHT, _SINCE, _EPOCH = (2,), (3,), (4,), (5,)


class Shape(NamedTuple):
    """What a task asks for, roughly."""

    gpus: int
    share: int
    """Thousandths of a GPU."""
    share_bytes: int
    cpus: int
    """Thousandths of a core."""
    memory: int
    """Bytes."""
    gpu_memory: int
    """Bytes that each GPU must have."""


@lru_cache(maxsize=1 << 14)
def shape_of(need: Need) -> Shape:
    """The shape of a request."""
    return Shape(
        need.gpus,
        need.share,
        _rough(need.share_bytes),
        _rough(need.cpus),
        _rough(need.memory),
        need.gpu_memory,
    )


def shape_of_spec(spec: JobSpec) -> Shape:
    """The shape of a job's tasks."""
    return shape_of(need_of_spec(spec))


def _rough(amount: int) -> int:
    """Rounded up to a few binary digits."""
    spare = max(0, amount.bit_length() - ROUND)
    return -(-amount >> spare) << spare if spare else amount


def seen(demand: Demand, shape: Shape) -> dict[tuple[int, ...], float]:
    """One more task of this shape was submitted: the entries of `demand` that change."""
    weight = demand.get(_WEIGHT, 1.0)
    if weight > _TOO_BIG:
        return _scaled(demand, weight) | seen(_scaled(demand, weight), shape)
    key = (_COUNTED, *shape)
    total = demand.get(_TOTAL, 0.0) + weight
    since = demand.get(_SINCE, 0.0) + 1.0
    changes = {
        key: demand.get(key, 0.0) + weight,
        _TOTAL: total,
        _WEIGHT: weight * FADE,
        _SINCE: since,
    }
    if since >= max(FIRST, NEW * total / weight):
        changes[_SINCE] = 0.0
        force = _worth_it({**demand, **changes})
        if force:
            changes[_EPOCH] = demand.get(_EPOCH, 0.0) + 1.0
            changes |= force
    return changes


def _scaled(demand: Demand, weight: float) -> dict[tuple[int, ...], float]:
    """The same counts in smaller numbers."""
    plain = {key: value / weight for key, value in demand.items() if key[0] == _COUNTED}
    return {**demand, **plain, _TOTAL: demand.get(_TOTAL, 0.0) / weight, _WEIGHT: 1.0}


def _worth_it(demand: Demand) -> dict[tuple[int, ...], float]:
    """What to put in force: the most frequent shapes; nothing if little has changed."""
    counts = {key: value for key, value in demand.items() if key[0] == _COUNTED}
    most = sorted(counts.items(), key=lambda it: (-it[1], it[0]))[:KEPT]
    before = {key: value for key, value in demand.items() if key[0] == _IN_FORCE}
    after = dict.fromkeys(before, 0.0) | {(_IN_FORCE, *key[1:]): value for key, value in most}
    old, new = sum(before.values()) or 1.0, sum(after.values())
    moved = sum(abs(value / new - before.get(key, 0.0) / old) for key, value in after.items()) / 2
    return after if moved > MOVED else {}


def epoch(demand: Demand) -> float:
    """Which counts are in force: another number each time that they are put in force."""
    return demand.get(_EPOCH, 0.0)


def in_force(demand: Demand) -> dict[Shape, float]:
    """Shape → its part of all submissions; empty until something is known."""
    found = {
        Shape(*key[1:]): value
        for key, value in sorted(demand.items())
        if key[0] == _IN_FORCE and value > 0
    }
    total = sum(found.values())
    return {shape: value / total for shape, value in found.items()}
