"""Who waits for a place, kept in order from pass to pass.

Tasks are in lanes. In one lane the order never changes: who has waited longest, then whose job
was submitted first. How lanes stand to each other may change with time and use, and is for each
pass to say (`order.Ranking`): a pass merges the lanes' heads and sorts nothing.

A lane is cut into blocks, each with the least that any task in it asks for. So a pass steps over
whatever can't start, however many tasks that are and however different their requests.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterator, Sequence

from flextui.core.model.ids import TaskKey
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.pace import Pace

_BLOCK = 64
"""Tasks in a block; at most twice as many."""

Account = tuple[str, str]
Stand = tuple[float, int, int]
"""Where a task stands in its lane."""


def stand_of(it: Waiting) -> Stand:
    return (it.task.ready_at, it.job.seq, it.task.key.index)


Least = tuple[int, int, int]
"""Thousandths of GPUs, thousandths of cores, bytes: what is asked of one node, or the most that is
free on one. A look before the thorough one."""

NONE: Least = (-1, -1, -1)
"""Less than anybody asks for."""


def within(least: Least, most: Least) -> bool:
    return least[0] <= most[0] and least[1] <= most[1] and least[2] <= most[2]


class Block:
    """Some tasks of a lane that follow each other."""

    __slots__ = ("_kinds", "_lasting", "_least", "_milli", "items")

    def __init__(self, items: list[tuple[Stand, Waiting]]) -> None:
        self.items = items
        self._forget()

    def _forget(self) -> None:
        self._least: Least | None = None
        self._kinds: frozenset[Kind] | None = None
        self._milli: tuple[int, int] | None = None
        self._lasting: bool | None = None

    @property
    def kinds(self) -> frozenset[Kind]:
        if self._kinds is None:
            self._kinds = frozenset(it.kind for _, it in self.items)
        return self._kinds

    @property
    def least(self) -> Least:
        if self._least is None:
            gpus, cpus, memory = zip(*(kind.need.least for kind in self.kinds), strict=True)
            self._least = (min(gpus), min(cpus), min(memory))
        return self._least

    @property
    def lasting(self) -> bool:
        """Whether all of them are."""
        if self._lasting is None:
            self._lasting = all(kind.lasting for kind in self.kinds)
        return self._lasting

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


def _stand(item: tuple[Stand, Waiting]) -> Stand:
    return item[0]


def _last(block: Block) -> Stand:
    return block.items[-1][0]


class Lane:
    """Tasks of one account whose order among each other never changes."""

    __slots__ = ("account", "blocks", "group")

    def __init__(self, group: Hashable, account: Account) -> None:
        self.group = group
        self.account = account
        self.blocks: list[Block] = []

    @property
    def first(self) -> Waiting:
        return self.blocks[0].items[0][1]

    def add(self, it: Waiting) -> None:
        stand = stand_of(it)
        if not self.blocks:
            self.blocks.append(Block([(stand, it)]))
            return
        at = min(bisect_left(self.blocks, stand, key=_last), len(self.blocks) - 1)
        block = self.blocks[at]
        block.add(stand, it)
        if len(block.items) > 2 * _BLOCK:
            items = block.items
            self.blocks[at : at + 1] = [Block(items[:_BLOCK]), Block(items[_BLOCK:])]

    def remove(self, it: Waiting) -> None:
        stand = stand_of(it)
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
            if not over(block):
                items = block.items
                while self._at < len(items):
                    if not past(items[self._at][1]):
                        return
                    self._at += 1
                if pace.due(4):
                    yield
            elif pace.due(0.1):
                yield
            self._block, self._at = self._block + 1, 0


class Queue:
    """All tasks that want a place."""

    def __init__(self) -> None:
        self.lanes: dict[tuple[Hashable, Account], Lane] = {}
        self.by_kind: dict[Kind, dict[TaskKey, Waiting]] = {}
        self.looked: dict[TaskKey, Waiting] = {}
        """Those that this pass has looked at, whether they are new or not."""
        self.new_kinds: set[Kind] = set()
        """Kinds that nobody was of before this pass."""
        self.gone_kinds: set[Kind] = set()
        """Kinds that nobody may be of any more."""
        self._by_job: dict[str, dict[TaskKey, tuple[Waiting, Lane]]] = {}
        self._group: Callable[[Waiting], Hashable] = lambda it: None

    def __len__(self) -> int:
        return sum(map(len, self._by_job.values()))

    def __iter__(self) -> Iterator[Waiting]:
        """All of them, in no order."""
        for entries in self._by_job.values():
            for it, _ in entries.values():
                yield it

    def begin(self, group: Callable[[Waiting], Hashable]) -> None:
        """A pass begins; `group` tells which lane a task belongs in."""
        self._group = group
        self.looked, self.new_kinds, self.gone_kinds = {}, set(), set()

    def get(self, key: TaskKey) -> Waiting | None:
        entry = self._by_job.get(key.job, {}).get(key)
        return entry[0] if entry is not None else None

    def of(self, job: str) -> Waiting | None:
        """What stands for a gang."""
        for it, _ in self._by_job.get(job, {}).values():
            if it.kind.nodes > 1:
                return it
        return None

    def put(self, job: str, waiting: Sequence[Waiting]) -> None:
        """These are the tasks of the job that want a place now, and no others."""
        known = self._by_job.get(job)
        if known is None and not waiting:
            return
        before = known or {}
        after: dict[TaskKey, tuple[Waiting, Lane]] = {}
        for it in waiting:
            self.looked[it.task.key] = it
            old = before.get(it.task.key)
            if old is not None and old[0].job is it.job and old[0].task is it.task:
                after[it.task.key] = before.pop(it.task.key)
        for it in waiting:
            if it.task.key not in after:
                after[it.task.key] = (it, self._add(it))
        for it, lane in before.values():
            self._remove(it, lane)
        if after:
            self._by_job[job] = after
        else:
            self._by_job.pop(job, None)

    def _add(self, it: Waiting) -> Lane:
        same = self.by_kind.get(it.kind)
        if same is None:
            same = self.by_kind[it.kind] = {}
            self.new_kinds.add(it.kind)
        same[it.task.key] = it
        return self._enter(it, self._group(it))

    def _remove(self, it: Waiting, lane: Lane) -> None:
        self._leave(it, lane)
        same = self.by_kind[it.kind]
        if same.get(it.task.key) is it:
            del same[it.task.key]
            if not same:
                del self.by_kind[it.kind]
                self.gone_kinds.add(it.kind)

    def _enter(self, it: Waiting, group: Hashable) -> Lane:
        account = it.kind.account
        lane = self.lanes.get((group, account))
        if lane is None:
            lane = self.lanes[(group, account)] = Lane(group, account)
        lane.add(it)
        return lane

    def _leave(self, it: Waiting, lane: Lane) -> None:
        lane.remove(it)
        if not lane.blocks:
            del self.lanes[(lane.group, lane.account)]
