"""A lane of the queue: tasks of one account in an order that doesn't change within a pass.

A lane is cut into blocks, each with the least that any task in it asks for. So a pass steps over
whatever can't start, however many tasks that are and however different their requests.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from operator import itemgetter

from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.opened import Least, within
from flextui.core.scheduler.pace import Pace

_BLOCK = 64
"""Tasks in a block; at most twice as many."""
_LOOKS = 256
"""So many are looked at from the beginning of a lane to find one."""

Account = tuple[str, str]
Stand = tuple[float, float, int, int]
"""Where a task stands in its lane."""


class Block:
    """Some tasks of a lane that follow each other."""

    __slots__ = ("_asks", "_kinds", "_milli", "items")

    def __init__(self, items: list[tuple[Stand, Waiting]]) -> None:
        self.items = items
        self._forget()

    def _forget(self) -> None:
        self._asks: tuple[tuple[Least, float, object | None], ...] | None = None
        self._kinds: frozenset[Kind] | None = None
        self._milli: tuple[int, int] | None = None

    @property
    def new(self) -> bool:
        """Nobody has asked yet what is in it."""
        return self._kinds is None

    @property
    def kinds(self) -> frozenset[Kind]:
        if self._kinds is None:
            self._kinds = frozenset(it.kind for _, it in self.items)
        return self._kinds

    @property
    def asks(self) -> tuple[tuple[Least, float, object | None], ...]:
        """What they ask of a node, how many seconds it lasts at the fewest, and of which family
        each is. Where another of the family asks no more of anything, a request isn't told: if it
        may do, so may the other."""
        if self._asks is None:
            found: dict[object | None, list[tuple[Least, float]]] = {}
            for least, lasts, family in sorted(map(_ask, self.kinds), key=_FIRST_TWO):
                same = found.setdefault(family, [])
                if not any(within(it, least) and brief <= lasts for it, brief in same):
                    same.append((least, lasts))
            self._asks = tuple((*ask, family) for family, same in found.items() for ask in same)
        return self._asks

    @property
    def milli(self) -> tuple[int, int]:
        """The fewest and the most thousandths of GPUs that one of them counts for."""
        if self._milli is None:
            each = [kind.milli for kind in self.kinds]
            self._milli = (min(each), max(each))
        return self._milli

    def add(self, stand: Stand, it: Waiting) -> None:
        insort(self.items, (stand, it), key=_stand)
        self._forget()

    def remove(self, stand: Stand) -> None:
        del self.items[bisect_left(self.items, stand, key=_stand)]
        self._forget()


_FIRST_TWO = itemgetter(0, 1)


def _ask(kind: Kind) -> tuple[Least, float, object | None]:
    return kind.need.least, kind.brief, kind.family


def _stand(item: tuple[Stand, Waiting]) -> Stand:
    return item[0]


def _last(block: Block) -> Stand:
    return block.items[-1][0]


class Lane:
    """Tasks of one account, in order."""

    __slots__ = ("account", "blocks", "name")

    def __init__(self, name: Hashable, account: Account) -> None:
        self.name = name
        self.account = account
        self.blocks: list[Block] = []

    def first(self, test: Callable[[Waiting], bool]) -> Waiting | None:
        """The first that passes, as far as is looked."""
        items = (it for block in self.blocks for _, it in block.items)
        return next((it for it in islice(items, _LOOKS) if test(it)), None)

    def add(self, stand: Stand, it: Waiting) -> None:
        if not self.blocks:
            self.blocks.append(Block([(stand, it)]))
            return
        at = min(bisect_left(self.blocks, stand, key=_last), len(self.blocks) - 1)
        block = self.blocks[at]
        block.add(stand, it)
        if len(block.items) > 2 * _BLOCK:
            items = block.items
            self.blocks[at : at + 1] = [Block(items[:_BLOCK]), Block(items[_BLOCK:])]

    def remove(self, stand: Stand) -> None:
        at = bisect_left(self.blocks, stand, key=_last)
        block = self.blocks[at]
        block.remove(stand)
        if not block.items:
            del self.blocks[at]


class Cursor:
    """One pass's way along a lane, which doesn't change meanwhile."""

    __slots__ = ("_at", "_block", "lane")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._block = 0
        self._at = 0

    def head(self) -> Waiting | None:
        """The task that it has come to; None at the end."""
        blocks = self.lane.blocks
        if self._block >= len(blocks):
            return None
        return blocks[self._block].items[self._at][1]

    def step(self) -> None:
        self._at += 1
        if self._at >= len(self.lane.blocks[self._block].items):
            self._block, self._at = self._block + 1, 0

    def seek(
        self, over: Callable[[Block], bool], past: Callable[[Waiting], bool], pace: Pace
    ) -> Iterator[None]:
        """Go on to the first task that isn't stepped over, by itself or with its whole block."""
        blocks = self.lane.blocks
        while self._block < len(blocks):
            block = blocks[self._block]
            units = 20.0 if block.new else 12.0
            if not over(block):
                items = block.items
                while self._at < len(items):
                    if not past(items[self._at][1]):
                        return
                    self._at += 1
                units += 4
            if pace.due(units):
                yield
            self._block, self._at = self._block + 1, 0
