"""Who starts now, and where: each task tried in its turn.

The first of the order are looked at one by one: they get places kept (`keeper`), make others give
way (`preempt`), and are told in full why they wait. Behind them only those are tried that could
start: nobody of a kind that was refused in this pass, and of a kind that waited already when the
last pass ended only where something has become free since. All else is stepped over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from math import inf

from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.state import Job
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.decision import Placement
from flextui.core.scheduler.feasible import Place, fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.gangs import Meeting
from flextui.core.scheduler.keeper import Keeper
from flextui.core.scheduler.kind import WHOLE, Kind, Waiting
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.need import MILLI
from flextui.core.scheduler.opened import (
    Least,
    Opening,
    calendar_of,
    changed_rooms,
    may_do,
    open_gates,
    openings_of,
    within,
)
from flextui.core.scheduler.order import Ranking
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.preempt import Preempting
from flextui.core.scheduler.queue import Account, Block, Cursor
from flextui.core.scheduler.quota import UNLIMITED, Quotas
from flextui.core.scheduler.runtimes import expected
from flextui.core.scheduler.timeline import NOW, Slot, Use
from flextui.core.scheduler.turns import Turns
from flextui.core.scheduler.windows import clear_windows

FRONT = 20
"""So many of those that wait are told in full why."""


class Placing:
    """The placing of one pass; afterwards, what became of whom."""

    def __init__(
        self,
        ledger: Ledger,
        memo: Memo,
        fleet: Fleet,
        ranking: Ranking,
        quotas: Quotas,
        pace: Pace,
    ) -> None:
        self.fleet = fleet
        self.calendar, self._renewed = calendar_of(ledger, memo)
        self.quotas = quotas
        self.front: list[Waiting] = []
        """The first of those that still wait, in order."""
        self._told: set[TaskKey] = set()
        """Those in front."""
        self.held_before = memo.holds
        """What was kept when the last pass ended."""
        self.changed = changed_rooms(memo, fleet)
        """Rooms that may not be as they were when the last pass ended; all if that isn't known."""
        memo.outdate({room.name for room in self.changed})
        futures, outdated = memo.futures, memo.outdated
        self.keeper = Keeper(ledger, fleet, self.calendar, memo.timelines, futures, outdated)
        self.grown = open_gates(memo, fleet, self.calendar, self.changed)
        """By name: rooms where more may be free than when the last pass ended."""
        self._changed = frozenset(room.name for room in self.changed)
        self.ledger = ledger
        self._memo = memo
        self._ranking = ranking
        self._pace = pace
        self._turns = Turns(ranking)
        self._preempting: Preempting | None = None
        if ledger.snapshot.inventory.policy.preemption:
            queue = memo.queue
            self._preempting = Preempting(ledger, fleet, ranking, self.keeper, queue, pace)
        self._blocked: set[Kind] = set()
        """Kinds that can't start any more in this pass."""
        self._vain: dict[object, list[tuple[Least, float]]] = {}
        """By family: the least of what was looked for in vain, and for how long."""
        self._refused: set[Kind] = set()
        """Those of them that quotas refused: nobody looked for room."""
        self._placed: set[Kind] = set()
        self._headroom: dict[Account, int] = {}
        self._openings: list[Opening] | None = None
        self._lent: list[Opening] | None = None
        self._meeting = Meeting(ledger.snapshot)
        self._learned = False
        """Run times were learned: what is kept may let others in than it did."""

    def run(self) -> Iterator[None]:
        memo, queue = self._memo, self._memo.queue
        if memo.untried is not None:
            memo.untried |= queue.new_kinds
        if memo.touched is not None and memo.touched.runtimes:
            self._learned = self.ledger.learned
        rooms = self.fleet.rooms if self._renewed else self.changed
        if self._renewed or self.calendar.windows:
            yield from clear_windows(self.ledger, self.calendar, rooms, self._pace)
        for attempt in self.ledger.ending:
            self.keeper.leaves(attempt.node)
        yield from self._owed()
        for lane in queue.lanes.values():
            self._turns.join(Cursor(lane))
            if self._pace.due(0.3):
                yield
        yield from self._first()
        yield from self._others()
        wake = self._ranking.wake if queue.lanes else None
        if wake is not None and wake > self.ledger.now.wall:
            self.ledger.wake_wall(wake)
        memo.untried = self._refused | self._placed
        memo.holds = self.keeper.holds
        memo.taken = self.keeper.taken
        memo.headroom = {}
        if self.quotas.any:
            memo.headroom = {it.account: self._left(it.account) for it in queue.lanes.values()}

    def until(self, key: TaskKey) -> Generator[None, None, int | None]:
        """Only what comes before that task's turn. Returns which turn it is; None: never."""
        turn = yield from self._owed(key)
        for lane in self._memo.queue.lanes.values():
            self._turns.join(Cursor(lane))
        while (cursor := self._turns.next()) is not None:
            it = cursor.head()
            turn += 1
            if it is None or it.task.key == key or _is_gang_of(it, key):
                return turn
            if it.kind not in self._blocked and not self._starts(it):
                yield from self._turn(it)
            cursor.step()
            self._turns.push(cursor)
        return None

    def waiting(self, key: TaskKey) -> Waiting | None:
        """The task in the queue; for a rank, what stands for its gang."""
        return self._memo.queue.get(key) or self._memo.queue.of(key.job)

    # ── whose turn it is ───────────────────────────────────────────────────────────────────────

    def _owed(self, before: TaskKey | None = None) -> Generator[None, None, int]:
        """Those that have waited so long that they go before all others. Returns how many."""
        turn = 0
        for key in self._ranking.owed():
            it = self._memo.queue.get(key)
            if it is None:
                continue  # a rank: the first one stands for its gang
            if before is not None and (key == before or _is_gang_of(it, before)):
                break
            turn += 1
            if it.kind not in self._blocked and not (yield from self._turn(it)):
                self._in_front(it)
        return turn

    def _in_front(self, it: Waiting) -> None:
        if len(self.front) < FRONT and it.task.key not in self._told:
            self._told.add(it.task.key)
            self.front.append(it)

    def _starts(self, it: Waiting) -> bool:
        """Whether this pass has placed it already."""
        return self.ledger.starting_on(it.task.key) is not None

    def _first(self) -> Iterator[None]:
        """Those in front, until all places are kept that can be."""
        while not (len(self.front) >= FRONT and self.keeper.done):
            cursor = self._turns.next()
            it = cursor.head() if cursor is not None else None
            if cursor is None or it is None:
                return
            if not self._starts(it):
                placed = False
                if it.kind not in self._blocked:
                    placed = yield from self._turn(it)
                if not placed:
                    self._in_front(it)
            cursor.step()
            if len(self.front) >= FRONT:
                yield from cursor.seek(self._all_blocked, self._is_blocked, self._pace)
            self._turns.push(cursor)

    def _others(self) -> Iterator[None]:
        """Those behind, as far as they may start."""
        for cursor in self._turns.take_all():
            yield from cursor.seek(self._over(cursor), self._past(cursor), self._pace)
            self._turns.push(cursor)
        while (here := self._turns.next()) is not None:
            it = here.head()
            if it is not None and it.kind not in self._blocked and not self._starts(it):
                yield from self._try(it)
            here.step()
            yield from here.seek(self._over(here), self._past(here), self._pace)
            self._turns.push(here)

    def _turn(self, it: Waiting) -> Generator[None, None, bool]:
        """A task in front: it starts, or others give way to it, or a place is kept for it."""
        placed = yield from self._try(it)
        if placed or it.kind in self._refused:
            return placed
        left: list[tuple[Room, Slot]] = []
        if self._preempting is not None:
            left = yield from self._preempting.make_room(it, self._ask(it))
        yield from self._keep(it, left)
        return False

    def _all_blocked(self, block: Block) -> bool:
        return block.kinds <= self._blocked

    def _is_blocked(self, it: Waiting) -> bool:
        return it.kind in self._blocked

    def _over(self, cursor: Cursor) -> Callable[[Block], bool]:
        """Whether nobody in a block can start, as a quick look tells."""
        account = cursor.lane.account

        def over(block: Block) -> bool:
            few, many = block.milli
            if few > self._left(account) or block.kinds <= self._blocked:
                return True
            untried, wall = self._memo.untried, self.ledger.now.wall
            known = untried is not None and block.kinds.isdisjoint(untried)
            known = known and many <= self._memo.headroom.get(account, UNLIMITED)
            openings = self._open(known=known)
            return not any(
                may_do(openings, least, wall + lasts) and not self._in_vain(family, least, lasts)
                for least, lasts, family in block.asks
            )

        return over

    def _past(self, cursor: Cursor) -> Callable[[Waiting], bool]:
        """The same for one task."""
        account = cursor.lane.account

        def past(it: Waiting) -> bool:
            kind, need = it.kind, it.need
            if kind in self._blocked or kind.milli > self._left(account):
                return True
            openings = self._open(known=self._known(kind))
            if not may_do(openings, need.least, self.ledger.now.wall + kind.brief):
                return True
            return self._in_vain(kind.family, need.least, kind.brief)

        return past

    def _in_vain(self, family: object | None, least: Least, lasts: float) -> bool:
        """Whether this pass looked in vain for room for one that asks for no more of anything."""
        vain = self._vain.get(family) if family is not None else None
        return vain is not None and any(within(it, least) and brief <= lasts for it, brief in vain)

    def _block(self, kind: Kind) -> None:
        """There is no room for this kind, nor for any of its family that asks for no less."""
        self._blocked.add(kind)
        if kind.family is not None:
            least, lasts = kind.need.least, kind.brief
            vain = self._vain.get(kind.family, ())
            others = [it for it in vain if not (within(least, it[0]) and lasts <= it[1])]
            self._vain[kind.family] = [*others, (least, lasts)]

    def _known(self, kind: Kind) -> bool:
        """Whether the last pass looked in vain for room for this kind."""
        untried = self._memo.untried
        if untried is None or kind in untried:
            return False
        return kind.milli <= self._memo.headroom.get(kind.account, UNLIMITED)

    def _open(self, *, known: bool) -> list[Opening]:
        """What may be free: on any node; for kinds that are known, where more is than was."""
        if not known:
            return [Opening(self.fleet.most)]
        if self._openings is None:
            self._openings = openings_of(room for room in self.grown.values() if room.open)
        return self._openings

    def _left(self, account: Account) -> int:
        """What quotas leave to an account, in thousandths of GPUs."""
        if not self.quotas.any:
            return UNLIMITED
        left = self._headroom.get(account)
        if left is None:
            left = self._headroom[account] = self.quotas.headroom(account)
        return left

    # ── one task ───────────────────────────────────────────────────────────────────────────────

    def _try(self, it: Waiting) -> Generator[None, None, bool]:
        """Place a task, or a gang as a whole. Returns whether it starts."""
        kind = it.kind
        if self.quotas.refusal(kind):
            self._blocked.add(kind)
            self._refused.add(kind)
            return False
        if self._in_vain(kind.family, kind.need.least, kind.brief):
            self._blocked.add(kind)
            return False
        ask = self._ask(it)
        if self._pace.due(10 + 0.3 * len(self.grown)):
            yield
        places = yield from self._places(it, ask)
        if not places and kind.learns and self._may_borrow(it):
            ask = self.ask_of(it)
            places = yield from self._places(it, ask)
        if not places:
            self._block(kind)
            return False
        self._start(it, ask, places)
        return True

    def _places(self, it: Waiting, ask: Ask) -> Generator[None, None, list[Place]]:
        """Where it can start now."""
        kind = it.kind
        if self._known(kind) and not self._has_grown_for(ask):
            return []
        if kind.nodes > 1:
            return (yield from self._gang(ask, kind.nodes))
        place = self.fleet.best(ask, self._beside(it.job, it))
        return [place] if place is not None else []

    def _may_borrow(self, it: Waiting) -> bool:
        """Whether what is kept for others may be enough for a while."""
        if self._lent is None:
            names = [name for name, held in self.keeper.holds.items() if held]
            self._lent = openings_of(self.fleet.room(name) for name in names)
        return may_do(self._lent, it.need.least, -inf)

    def _has_grown_for(self, ask: Ask) -> bool:
        return any(
            room.open and room.admits(ask.need) and fit(room, ask) is not None
            for room in self.grown.values()
        )

    def ask_of(self, it: Waiting) -> Ask:
        """What a task asks for at this instant, of what is kept for others too."""
        ask = self._ask(it)
        return ask._replace(likely=self._likely(it)) if it.kind.learns else ask

    def _ask(self, it: Waiting) -> Ask:
        kind = it.kind
        return Ask(
            kind.need,
            it.job.full_name,
            kind.project,
            kind.user,
            kind.until(self.ledger.now.wall),
            kind.groups,
            key=it.job.id,
        )

    def _likely(self, it: Waiting) -> float:
        """When it has probably ended if it starts now: nine of ten like it would have."""
        ledger = self.ledger
        told = expected(ledger.snapshot.runtimes, it.job, it.task.served_s)
        return ledger.now.wall + told.high + it.job.spec.grace if told.samples else inf

    def _beside(self, job: Job, it: Waiting) -> Counter[str]:
        return replicas(self.ledger, job) if it.need.spread and job.count > 1 else Counter()

    def _gang(self, ask: Ask, nodes: int) -> Generator[None, None, list[Place]]:
        """Places for all ranks on as many nodes, or none."""
        places: list[Place] = []
        names: set[str] = set()
        while len(places) < nodes:
            place = self.fleet.best(ask, {}, exclude=names)
            if place is None:
                for taken in reversed(places):
                    self.fleet.give_back(taken, ask)
                return []
            self.fleet.take(place, ask)
            places.append(place)
            names.add(place.room.name)
            if self._pace.due(2):
                yield
        for taken in reversed(places):
            self.fleet.give_back(taken, ask)
        return places

    def _start(self, it: Waiting, ask: Ask, places: list[Place]) -> None:
        """Book the places, and order the start."""
        kind, ledger = it.kind, self.ledger
        gang, meets = ("", "")
        if kind.nodes > 1:
            gang, meets = self._meeting.of(ledger.tasks_of(it.job.id), places[0].room.name)
        tasks = [it.task] if kind.nodes == 1 else ledger.tasks_of(it.job.id)
        for task, place in zip(tasks, places, strict=True):
            borrowed = self._borrows(place.room, ask)
            self.fleet.take(place, ask, attempt_id(task.key, task.attempts + 1))
            placement = Placement(
                task=task.key,
                revision=it.job.revision,
                node=place.room.name,
                gpus=tuple(device.uuid for device in place.devices),
                cpus=ask.need.cpus / MILLI,
                memory_bytes=ask.need.memory,
                share=place.share,
                gpu_memory_bytes=place.gpu_memory_bytes,
                cpu_set=place.cpu_set,
                gang=gang,
                master=meets,
                borrowed=borrowed,
            )
            ledger.place(placement)
            self.keeper.placed(place.room, ask, use_of(placement, ask), borrowed=borrowed)
            if self._preempting is not None:
                self._preempting.starts(placement, task)
        self._placed.add(kind)
        self._openings = self._lent = None
        self.quotas.take(kind)
        self._headroom.clear()
        self._turns.rekey(self._ranking.placed(it.job, it.need, kind.nodes))

    def _borrows(self, room: Room, ask: Ask) -> bool:
        """Whether only learned run times let it in there."""
        if ask.likely == inf or not room.gates:
            return False
        return fit(room, ask._replace(likely=inf)) is None

    def _keep(self, it: Waiting, left: list[tuple[Room, Slot]]) -> Iterator[None]:
        """`left`: where others give way to it."""
        before = self.keeper.changes
        if left:
            self.keeper.keep_at(it, left)
        else:
            yield from self.keeper.keep(it, self._pace)
        if self.keeper.changes == before:
            return
        self._lent = self._openings = None
        if self._memo.untried is None or self._learned:
            return
        for name in self._memo.holds:
            kept = self.keeper.holds.get(name)
            if kept == self._memo.holds[name] and name not in self._changed:
                self.grown.pop(name, None)


def _is_gang_of(it: Waiting, key: TaskKey) -> bool:
    return it.kind.nodes > 1 and it.job.id == key.job


def use_of(placement: Placement, ask: Ask) -> Use:
    """What a start of this pass takes of its node."""
    return Use(
        NOW,
        ask.until,
        placement.gpus,
        placement.share or WHOLE,
        placement.gpu_memory_bytes,
        ask.need.cpus,
        ask.need.memory,
    )


def replicas(ledger: Ledger, job: Job) -> Counter[str]:
    """How many replicas of the job each node has, with what this pass placed."""
    nodes: Counter[str] = Counter()
    for task in ledger.tasks_of(job.id):
        name = ledger.starting_on(task.key)
        if name is None and (attempt := ledger.live(task)) is not None:
            name = attempt.node
        if name is not None:
            nodes[name] += 1
    return nodes
