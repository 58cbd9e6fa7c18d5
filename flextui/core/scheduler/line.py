"""The queue of one instant, in order: who is ahead of whom, and why."""

from __future__ import annotations

from collections.abc import Generator, Hashable
from functools import cached_property
from typing import NamedTuple

from flextui.core.model.ids import TaskKey
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.order import Factor, Ranking

AHEAD = 5
"""So many of those ahead are told by name."""


class Crowd(NamedTuple):
    """All those of one kind."""

    first: int
    """The place of the first of them."""
    groups: set[Hashable]


class Line:
    """The queue of one instant."""

    def __init__(self, items: list[Waiting], ranking: Ranking) -> None:
        self.items = items
        self._ranking = ranking
        self._places = {it.task.key: place for place, it in enumerate(items)}
        self._gangs = {it.job.id: it for it in items if it.kind.nodes > 1}

    def __len__(self) -> int:
        return len(self.items)

    def find(self, key: TaskKey) -> Waiting | None:
        """The task in the queue; for a rank, what stands for its gang."""
        place = self._places.get(key)
        return self.items[place] if place is not None else self._gangs.get(key.job)

    def place(self, it: Waiting) -> int:
        """So many are ahead of it."""
        return self._places[it.task.key]

    @cached_property
    def kinds(self) -> dict[Kind, Crowd]:
        """Where those of each kind stand."""
        found: dict[Kind, Crowd] = {}
        for place, it in enumerate(self.items):
            crowd = found.get(it.kind)
            if crowd is None:
                crowd = found[it.kind] = Crowd(place, set())
            crowd.groups.add(self.group(it))
        return found

    def group(self, it: Waiting) -> Hashable:
        """Those of one group never change places."""
        return self._ranking.group(it.job, it.task)

    def ahead(self, place: int) -> tuple[str, ...]:
        """The jobs right before a place, the nearest first."""
        names: dict[str, None] = {}
        me = self.items[place].job.full_name
        for it in reversed(self.items[max(0, place - 20 * AHEAD) : place]):
            if it.job.full_name != me:
                names[it.job.full_name] = None
            if len(names) == AHEAD:
                break
        return tuple(names)

    def factors(self, it: Waiting) -> tuple[Factor, ...]:
        """What gave it its place."""
        return self._ranking.factors(it.job, it.task)

    def behind(self, place: int) -> str:
        """What put it behind the job that is right before it: the factor that differs most, or
        the first that differs where they count one after the other."""
        me = self.items[place]
        other = next((it for it in reversed(self.items[:place]) if it.job.id != me.job.id), None)
        if other is None:
            return ""
        mine, theirs = self.factors(me), {it.name: it for it in self.factors(other)}
        pairs = [(it, theirs[it.name]) for it in mine if it.name in theirs]
        if any(one.weight != 1 for one, _ in pairs):
            pairs.sort(key=lambda pair: pair[0].weight * (pair[0].value - pair[1].value))
            pairs = [pair for pair in pairs if pair[0].value < pair[1].value]
        else:
            pairs = [pair for pair in pairs if pair[0].value != pair[1].value]
        name = pairs[0][0].name if pairs else "age"
        return f"{other.job.full_name} goes first by {name}"


def line_of(future: Future) -> Generator[None, None, Line]:
    """The queue of a state that has just been looked at."""
    ranking = Ranking(future.snapshot, future.now)
    keyed = []
    for number, it in enumerate(future.memo.queue):
        keyed.append((ranking.key(it.job, it.task), number, it))
        if number % 100 == 99:
            yield
    keyed.sort()
    owed = {key: turn for turn, key in enumerate(ranking.owed())}
    items = [it for _, _, it in keyed]
    if owed:
        items.sort(key=lambda it: owed.get(it.task.key, len(owed)))
    return Line(items, ranking)
