"""How much of a node's free GPUs will be lost: the score that packing goes by.

Free is not the same as of use. Part of a GPU that no request is small enough for is lost; so are
GPUs on a node whose CPUs or memory are used up; and so are single GPUs to a request for eight.
`Outlook.lost` estimates, for what is free on one node, how many thousandths of GPUs will never be
given out if requests like those of late go on arriving. A task goes where it makes that number
grow least: what it spoils, not what it takes, is its price. Work that needs no GPU has a price as
well by this, for the CPUs that it takes from beside free GPUs.

Fragmentation gradient descent (FGD: "Beware of Fragmentation", USENIX ATC'23) has the same aim,
and asks: of what is free, how much could the *next* request not use? That is one step ahead. It
sees nothing wrong with 19 % left of a GPU as long as most requests don't fit either before or
after, nor with a node that gives its CPUs away too fast, until the very last. This score looks
ahead to the end, in three parts, each in closed form or from a small table:

1. Gaps. A GPU that is partly taken goes on being filled with shares, drawn by how often each is
   asked for, until none fits. What is then left, on average, is what the gap loses: a table over
   thousandths, worked out once for each demand, from small gaps to large ones. So a gap that two
   usual shares fill exactly is worth more than a larger one that they don't.
2. CPUs and memory. To fill what the gaps leave takes CPUs and memory in the proportion in which
   requests ask for them, give or take their spread. GPUs beyond what those on the node can
   accompany are lost. So requests with many CPUs for a GPU find their way to nodes that have them
   to spare, and the others leave those alone.
3. The next request (FGD's own term, at a fifth of the weight): for what demands several whole GPUs
   of one node, or much at once, the end comes early. It is what decides where large requests are
   frequent.

The estimate is for one node by itself, so it costs the same on any fleet, and it depends on
nothing but the amounts that are free, so it is kept and used again for all nodes that look alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import gcd, sqrt

from flextui.core.scheduler.demand import Shape
from flextui.core.scheduler.need import MILLI

ENDS = 0.02
"""With this probability per share a gap is left as it is: rare sizes don't fill it in time."""
SPREAD = 0.125
"""Weight of the variance of CPUs and memory per GPU. Less than 1, for placement itself evens out
what each node gets."""
NEXT = 0.2
"""Weight of what the next request can't use."""
STEP = 50
"""CPUs and memory are told apart by the thousandths of GPUs that they go with, in such steps."""
_PLENTY = 1e9
_KEPT = 1 << 16

Gaps = tuple[int, ...]
"""Thousandths that are free of each device that isn't full, most first."""


class Outlook:
    """What to expect of free room, from the requests of late. Without any, nothing is lost."""

    def __init__(self, shapes: Mapping[Shape, float], device_memory: int = 0) -> None:
        """`shapes`: how often each is asked for; `device_memory`: bytes, of a shareable device."""
        asked = [_Asked(it, _milli(it, device_memory), often) for it, often in shapes.items()]
        self.gap = _gaps(asked)
        """Thousandths free → thousandths of them that will be lost."""
        self.cpus = Companion(asked, [it.cpus for it in asked])
        self.memory = Companion(asked, [it.memory for it in asked])
        self._spread = SPREAD * max(self.cpus.spread, self.memory.spread)
        gpus = sum(it.often * it.milli for it in asked)
        for it in asked:
            it.weight = it.often * it.milli / gpus if gpus else 0.0
        self._asked = [it for it in asked if it.milli]
        self._sizes = sorted({it.milli for it in self._asked if it.milli < MILLI})
        self._served: dict[tuple[int, int], _Served] = {}
        self._free: dict[Gaps, Free] = {}
        self._users: dict[int, float] = {}
        """Bytes of a device → the part of the demand that could use it."""

    def lost(self, gaps: Gaps, cpus: int, memory: int) -> float:
        """Of a node with this much free: thousandths of GPUs that nobody will get."""
        free, one, other = self.free(gaps), self.cpus, self.memory
        by_cpus = cpus * one.serves + one.anyway
        by_memory = memory * other.serves + other.anyway
        step = int(min(by_cpus, by_memory)) // STEP
        return free.lost[step] if step in free.lost else self.lose(free, step)

    def free(self, gaps: Gaps) -> Free:
        """What there is to know of such devices; the same object for equal ones."""
        known = self._free.get(gaps)
        if known is None:
            if len(self._free) > _KEPT:
                self._free.clear()
            known = self._free[gaps] = Free(gaps, sum([self.gap[it] for it in gaps]))
        return known

    def lose(self, free: Free, step: int) -> float:
        """Work out how many thousandths will be lost with so many steps of company, once."""
        lost = 0.0
        if free.total:
            left = max(0.0, free.total - free.gone)
            lacks = left - step * STEP
            starved = (lacks + sqrt(lacks * lacks + self._spread * left)) / 2
            served = free.served or self._serves(free)
            next_one = free.total * (1.0 - served.part(step * STEP))
            lost = free.gone + starved + NEXT * next_one
        free.lost[step] = lost
        return lost

    def _serves(self, free: Free) -> _Served:
        """What of the demand fits the GPUs, if CPUs and memory were no matter."""
        whole, largest = free.gaps.count(MILLI), free.gaps[0]
        key = (whole, bisect_right(self._sizes, largest))
        if key not in self._served:
            able = [
                it for it in self._asked if it.gpus <= whole and min(it.milli, MILLI) <= largest
            ]
            self._served[key] = _Served(
                (max(it.cpus * self.cpus.serves, it.memory * self.memory.serves), it.weight)
                for it in able
            )
        free.served = self._served[key]
        return free.served

    def price(self, milli: int, memory: int) -> float:
        """What it costs to take so much of devices with so much memory, for all who can use them.

        Where some ask for large devices, these cost more than small ones.
        """
        users = self._users.get(memory)
        if users is None:
            users = sum([it.weight for it in self._asked if it.gpu_memory <= memory])
            self._users[memory] = users
        return NEXT * milli * users


class Free:
    """What is free of a node's devices, with what an outlook has found out about it."""

    __slots__ = ("gaps", "gone", "lost", "served", "total")

    def __init__(self, gaps: Gaps, gone: float) -> None:
        self.gaps, self.gone = gaps, gone
        """`gone`: what the gaps will lose by themselves."""
        self.total = sum(gaps)
        self.served: _Served | None = None
        self.lost: dict[int, float] = {}
        """By the CPUs and memory beside it, in steps."""


class _Served:
    """Requests whose GPUs fit somewhere: how much of all demand they are."""

    __slots__ = ("_needs", "_parts")

    def __init__(self, asked: Iterable[tuple[float, float]]) -> None:
        """`asked`: what each takes of CPUs and memory, as thousandths of GPUs; its weight."""
        in_order = sorted(asked)
        self._needs = [needs for needs, _ in in_order]
        self._parts = [0.0, *accumulate(weight for _, weight in in_order)]

    def part(self, company: float) -> float:
        """The part of the demand that goes with such CPUs and memory."""
        return self._parts[bisect_right(self._needs, company)]


class _Asked:
    """One shape, as arithmetic wants it."""

    __slots__ = ("cpus", "gpu_memory", "gpus", "memory", "milli", "often", "weight")

    def __init__(self, shape: Shape, milli: int, often: float) -> None:
        self.gpus, self.milli, self.often = shape.gpus, milli, often
        self.cpus, self.memory, self.gpu_memory = shape.cpus, shape.memory, shape.gpu_memory
        self.weight = 0.0
        """Its part of all GPUs that are asked for."""


def _milli(shape: Shape, device_memory: int) -> int:
    """Thousandths of GPUs that it asks for."""
    if shape.share_bytes and not shape.share:
        part = -(-shape.share_bytes * MILLI // device_memory) if device_memory else MILLI
        return min(MILLI - 1, max(1, part))
    return shape.share or shape.gpus * MILLI


def _gaps(asked: Sequence[_Asked]) -> list[float]:
    """What is left of a gap that is filled with shares as they come, until none fits.

    Between multiples of what all sizes have in common nothing changes, so only those are summed.
    """
    often: dict[int, float] = {}
    for it in asked:
        if 0 < it.milli < MILLI:
            often[it.milli] = often.get(it.milli, 0.0) + it.often
    if not often:
        return [*map(float, range(MILLI)), 0.0]
    step = gcd(MILLI, *often)
    sizes = sorted(often.items())
    ends = ENDS * sum(often.values())
    table = [0.0]
    for free in range(step, MILLI + 1, step):
        weight, left = ends, ends * free
        for milli, part in sizes:
            if milli > free:
                break
            weight += part
            left += part * table[(free - milli) // step]
        table.append(left / weight)
    return [table[free // step] + free % step for free in range(MILLI + 1)]


class Companion:
    """CPUs, or memory: what requests ask for beside GPUs, on average and how unevenly."""

    __slots__ = ("anyway", "serves", "spread")

    def __init__(self, asked: Sequence[_Asked], amounts: Sequence[int]) -> None:
        gpus = sum(it.often * it.milli for it in asked)
        beside = sum(it.often * amount for it, amount in zip(asked, amounts, strict=True))
        self.serves = gpus / beside if beside else 0.0
        """Thousandths of GPUs that one of them goes with; those for no GPU take theirs as well."""
        self.anyway = 0.0 if self.serves else _PLENTY
        """Where nobody asks for it."""
        self.spread = 0.0
        """Variance of the thousandths that what one GPU is given of it would serve."""
        if self.serves:
            self.spread = (
                sum(
                    it.often * (amount * self.serves - it.milli) ** 2
                    for it, amount in zip(asked, amounts, strict=True)
                )
                / gpus
            )
