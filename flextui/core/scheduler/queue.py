"""Who waits for a place, kept in order from pass to pass.

Tasks are in lanes (`lane`). How lanes stand to each other may change with time and use, and is for
each pass to say (`order.Ranking`): a pass merges the lanes' heads and sorts nothing. In one lane
there are groups, at levels that change only with the records of run times that they lean on; then a
group moves as a whole. In one group the order never changes: who has waited longest, then whose
job was submitted first.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Protocol

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, Task
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.lane import Account, Lane, Stand


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
