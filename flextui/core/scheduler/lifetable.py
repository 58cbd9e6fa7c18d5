"""What run times seen so far say about how much longer something will run.

Run times of jobs are spread over many orders of magnitude, and what has run long mostly goes on
for long. So they are counted in levels, each twice as long as the one before: of the runs that
reached a level, which part ended in it? Runs that were cut off count up to where they were cut;
leaving them out would make everything look short while the long ones still run. A kind with few
runs leans on what is known of more general kinds, down to a prior that knows no scale.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

Edges = tuple[float, ...]
"""Where levels begin, rising from 0; the last number is where the last level ends."""
Chances = tuple[float, ...]
"""For each level: the part of those that reach it that ends in it."""

SECONDS: Edges = (0.0, *(15.0 * 2**power for power in range(20)))
"""Levels of run times: 15 s, 30 s, … 91 days."""
PARTS: Edges = (0.0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 9 / 10, 1.0)
"""Levels of run times as parts of the time limit."""

_SHAPE, _OFFSET = 0.7, 300.0
"""The prior of run times: P(S > t) falls like (t + offset) ** -shape."""
_EARLY = 0.02
"""The prior of parts: so many end in each level before the limit, all others at the limit."""

_PRIOR_PARTS: Chances = (*((_EARLY,) * (len(PARTS) - 2)), 1.0)
_PRIOR_SECONDS: Chances = tuple(
    1 - ((low + _OFFSET) / (high + _OFFSET)) ** _SHAPE for low, high in pairwise(SECONDS)
)


class Counts(NamedTuple):
    """How many runs reached each level, and how many ended in it; old ones count less and less."""

    reached: tuple[float, ...]
    ended: tuple[float, ...]


def nothing(edges: Edges) -> Counts:
    """Before the first run."""
    zero = (0.0,) * (len(edges) - 1)
    return Counts(zero, zero)


def prior(edges: Edges) -> Chances:
    """What is believed before anything was seen."""
    return _PRIOR_PARTS if edges is PARTS else _PRIOR_SECONDS


def level_of(edges: Edges, amount: float) -> int:
    """The level that an amount lies in; the last one has no end."""
    return min(bisect_right(edges, amount), len(edges) - 1) - 1


def counted(
    counts: Counts, edges: Edges, since: float, until: float, *, ended: bool, kept: float
) -> Counts:
    """With one more stretch of a run, from `since` to `until`, where it ended or was cut off.

    `kept`: after about so many runs, earlier ones hardly count.
    """
    fade = 1 - 1 / kept if ended else 1.0
    last = level_of(edges, until)
    after, before = _share(edges, until), _share(edges, since)
    reached = [it * fade for it in counts.reached]
    ends = [it * fade for it in counts.ended]
    for level in range(level_of(edges, since), last + 1):
        gone = 1.0 if level < last or ended else after[1]
        reached[level] += gone - (before[1] if level == before[0] else 0.0)
    if ended:
        ends[last] += 1.0
    return Counts(tuple(reached), tuple(ends))


def _share(edges: Edges, amount: float) -> tuple[int, float]:
    level = level_of(edges, amount)
    low, high = edges[level], edges[level + 1]
    return level, min(1.0, (amount - low) / (high - low))


def blend(general: Chances, counts: Counts, lean: float) -> Chances:
    """Chances of a kind, leaning on the more general ones as if on so many runs.

    A run that was cut off and went on counts for a level bit by bit, its first bits for less than
    its end: what ended may count for more than what reached.
    """
    found = zip(general, counts.reached, counts.ended, strict=True)
    chances = [(ends + lean * chance) / (reached + lean) for chance, reached, ends in found]
    return tuple([min(1.0, chance) for chance in chances])


def index(chances: Chances, edges: Edges, so_far: float) -> float:
    """The Gittins index as a time: the least expected time per end that any goal ahead offers.

    Serving the smallest first is the best order there is where only the chances are known: what
    is likely to end soon goes first, though it may run long if it doesn't.
    """
    alive, spent, ended, least = 1.0, 0.0, 0.0, float("inf")
    for width, chance in _ahead(chances, edges, so_far):
        spent += alive * width * (1 - chance / 2)
        ended += alive * chance
        alive *= 1 - chance
        if ended > 0:
            least = min(least, spent / ended)
    return least


def quantile(chances: Chances, edges: Edges, so_far: float, part: float) -> float:
    """Within how much more time the given part has ended."""
    alive, spent = 1.0, 0.0
    for width, chance in _ahead(chances, edges, so_far):
        if 1 - alive * (1 - chance) >= part:
            return spent + width * (part - (1 - alive)) / (alive * chance)
        alive *= 1 - chance
        spent += width
    return spent


def _ahead(chances: Chances, edges: Edges, so_far: float) -> Sequence[tuple[float, float]]:
    """(what is left of it, chance to end in what is left) of each level ahead."""
    first = level_of(edges, so_far)
    ahead = []
    for level in range(first, len(chances)):
        low, high, chance = edges[level], edges[level + 1], chances[level]
        width = high - low
        if so_far > low:
            left = max(high - so_far, width / 16)
            if chance < 1:
                chance = 1 - (1 - chance) ** (left / width)
            width = left
        ahead.append((width, chance))
    return ahead
