"""Who waits for a place, kept in order from pass to pass.

Tasks are in lanes. How lanes stand to each other may change with time and use, and is for each
pass to say (`order.Ranking`): a pass merges the lanes' heads and sorts nothing. In one lane there
are groups, at levels that change only with the records of run times that they lean on; then a
group moves as a whole. In one group the order never changes: who has waited longest, then whose
job was submitted first.

A lane is cut into blocks, each with the least that any task in it asks for. So a pass steps over
whatever can't start, however many tasks that are and however different their requests.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, Task
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


class Order(Protocol):
    """Where tasks belong: `order.Ranking`, as far as this is concerned."""

    def group(self, job: Job, task: Task) -> Hashable:
        """Those of one group never change places."""

    def lane(self, job: Job, task: Task) -> Hashable:
        """Groups of one lane stand to each other by their levels."""

    def level(self, job: Job, task: Task) -> float:
        """The same for all of one group."""

    def leans(self, job: Job) -> tuple[str, ...]:
        """The keys of the records of run times that the level of its group follows from."""


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
            for it in self.kinds:
                same = found.setdefault(it.family, [])
                least, lasts = it.need.least, it.brief
                if not any(within(one, least) and brief <= lasts for one, brief in same):
                    same[:] = [
                        (one, brief)
                        for one, brief in same
                        if not (within(least, one) and lasts <= brief)
                    ]
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


class Group:
    """Tasks of one lane that never change places."""

    __slots__ = ("lane", "leans", "level", "members", "name")

    def __init__(
        self, name: tuple[Hashable, Account], lane: Lane, level: float, leans: tuple[str, ...]
    ) -> None:
        self.name = name
        self.lane = lane
        self.level = level
        self.leans = leans
        self.members: dict[TaskKey, Waiting] = {}

    def stand(self, it: Waiting) -> Stand:
        return (self.level, it.task.ready_at, it.job.seq, it.task.key.index)


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
        self._by_job: dict[str, dict[TaskKey, tuple[Waiting, Group]]] = {}
        self._groups: dict[tuple[Hashable, Account], Group] = {}
        self._leaning: dict[str, dict[Group, None]] = {}
        """Key of a record → the groups whose level follows from it."""
        self._order: Order | None = None

    def __len__(self) -> int:
        return sum(map(len, self._by_job.values()))

    def __iter__(self) -> Iterator[Waiting]:
        """All of them, in no order."""
        for entries in self._by_job.values():
            for it, _ in entries.values():
                yield it

    def begin(self, order: Order, learned: Iterable[str]) -> None:
        """A pass begins. `learned`: the keys of records that have changed since the last."""
        self._order = order
        self.looked, self.new_kinds, self.gone_kinds = {}, set(), set()
        for key in learned:
            for group in list(self._leaning.get(key, ())):
                self._move(order, group)

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
        after: dict[TaskKey, tuple[Waiting, Group]] = {}
        for it in waiting:
            self.looked[it.task.key] = it
            old = before.get(it.task.key)
            if old is not None and old[0].job is it.job and old[0].task is it.task:
                after[it.task.key] = before.pop(it.task.key)
        for it in waiting:
            if it.task.key not in after:
                after[it.task.key] = (it, self._add(it))
        for it, group in before.values():
            self._remove(it, group)
        if after:
            self._by_job[job] = after
        else:
            self._by_job.pop(job, None)

    def _add(self, it: Waiting) -> Group:
        same = self.by_kind.get(it.kind)
        if same is None:
            same = self.by_kind[it.kind] = {}
            self.new_kinds.add(it.kind)
        same[it.task.key] = it
        return self._enter(it)

    def _remove(self, it: Waiting, group: Group) -> None:
        self._leave(it, group)
        same = self.by_kind[it.kind]
        if same.get(it.task.key) is it:
            del same[it.task.key]
            if not same:
                del self.by_kind[it.kind]
                self.gone_kinds.add(it.kind)

    def _enter(self, it: Waiting) -> Group:
        order, account = self._order, it.kind.account
        assert order is not None
        name = (order.group(it.job, it.task), account)
        group = self._groups.get(name)
        if group is None:
            lane = self._lane(order.lane(it.job, it.task), account)
            level, leans = order.level(it.job, it.task), order.leans(it.job)
            group = self._groups[name] = Group(name, lane, level, leans)
            self._lean(group)
        group.members[it.task.key] = it
        group.lane.add(group.stand(it), it)
        return group

    def _leave(self, it: Waiting, group: Group) -> None:
        lane = group.lane
        lane.remove(group.stand(it))
        if group.members.get(it.task.key) is it:
            del group.members[it.task.key]
        if not group.members:
            del self._groups[group.name]
            self._unlean(group)
        if not lane.blocks:
            del self.lanes[(lane.name, lane.account)]

    def _lane(self, name: Hashable, account: Account) -> Lane:
        lane = self.lanes.get((name, account))
        if lane is None:
            lane = self.lanes[(name, account)] = Lane(name, account)
        return lane

    def _move(self, order: Order, group: Group) -> None:
        """Give a group the level that it has now."""
        one = next(iter(group.members.values()))
        leans, level = order.leans(one.job), order.level(one.job, one.task)
        if leans != group.leans:
            self._unlean(group)
            group.leans = leans
            self._lean(group)
        if level != group.level:
            for it in group.members.values():
                group.lane.remove(group.stand(it))
            group.level = level
            for it in group.members.values():
                group.lane.add(group.stand(it), it)

    def _lean(self, group: Group) -> None:
        for key in group.leans:
            self._leaning.setdefault(key, {})[group] = None

    def _unlean(self, group: Group) -> None:
        for key in group.leans:
            same = self._leaning[key]
            del same[group]
            if not same:
                del self._leaning[key]
