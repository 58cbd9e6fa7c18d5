"""Who starts now, and where: each task tried in its turn.

The first of the order are looked at one by one: they get places kept (`keeper`), make others give
way (`preempt`), and are told in full why they wait. Behind them only those are tried that may start
as far as a quick look tells (`sieve`). All else is stepped over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
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
from flextui.core.scheduler.kind import WHOLE, Waiting
from flextui.core.scheduler.lane import Cursor
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.need import MILLI
from flextui.core.scheduler.opened import (
    calendar_of,
    changed_rooms,
    open_gates,
)
from flextui.core.scheduler.order import Ranking
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.preempt import Preempting
from flextui.core.scheduler.quota import Quotas
from flextui.core.scheduler.runtimes import expected
from flextui.core.scheduler.sieve import Sieve
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
        grown = open_gates(memo, fleet, self.calendar, self.changed)
        changed = [room.name for room in self.changed]
        self._sieve = Sieve(ledger, memo, fleet, quotas, self.keeper, grown, changed)
        self.ledger = ledger
        self._memo = memo
        self._ranking = ranking
        self._pace = pace
        self._turns = Turns(ranking)
        self._preempting: Preempting | None = None
        if ledger.snapshot.inventory.policy.preemption:
            queue = memo.queue
            self._preempting = Preempting(ledger, fleet, ranking, self.keeper, queue, pace)
        self._meeting = Meeting(ledger.snapshot)
        self._learned = False
        """Run times were learned: what is kept may let others in than it did."""

    def run(self) -> Iterator[None]:
        memo, queue = self._memo, self._memo.queue
        if memo.untried is not None:
            memo.untried |= queue.new_kinds
        if memo.touched is not None and memo.touched.runtimes:
            self._learned = self.ledger.learned
        if self._renewed or self.calendar.windows:
            rooms = self.fleet.rooms if self._renewed else self._looked()
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
        self._sieve.end()
        memo.holds = self.keeper.holds
        memo.taken = self.keeper.taken

    def _looked(self) -> list[Room]:
        """The rooms that may not be as they were, and those where jobs are that changed."""
        ledger, names = self.ledger, {room.name for room in self.changed}
        for key in ledger.looked:
            live = (ledger.live(task) for task in ledger.tasks_of(key))
            names.update(it.node for it in live if it is not None and self.fleet.has(it.node))
        return [self.fleet.room(name) for name in sorted(names)]

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
            if it.kind not in self._sieve.blocked and not self._starts(it):
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
            if it.kind not in self._sieve.blocked and not (yield from self._turn(it)):
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
        sieve = self._sieve
        while not (len(self.front) >= FRONT and self.keeper.done):
            cursor = self._turns.next()
            it = cursor.head() if cursor is not None else None
            if cursor is None or it is None:
                return
            if not self._starts(it):
                placed = False
                if it.kind not in sieve.blocked:
                    placed = yield from self._turn(it)
                if not placed:
                    self._in_front(it)
            cursor.step()
            if len(self.front) >= FRONT:
                yield from cursor.seek(sieve.all_blocked, sieve.is_blocked, self._pace)
            self._turns.push(cursor)

    def _others(self) -> Iterator[None]:
        """Those behind, as far as they may start."""
        sieve = self._sieve
        for cursor in self._turns.take_all():
            yield from cursor.seek(sieve.over(cursor), sieve.past(cursor), self._pace)
            self._turns.push(cursor)
        while (here := self._turns.next()) is not None:
            it = here.head()
            if it is not None and it.kind not in sieve.blocked and not self._starts(it):
                yield from self._try(it)
            here.step()
            yield from here.seek(sieve.over(here), sieve.past(here), self._pace)
            self._turns.push(here)

    def _turn(self, it: Waiting) -> Generator[None, None, bool]:
        """A task in front: it starts, or others give way to it, or a place is kept for it."""
        placed = yield from self._try(it)
        if placed or it.kind in self._sieve.refused:
            return placed
        left: list[tuple[Room, Slot]] = []
        if self._preempting is not None:
            left = yield from self._preempting.make_room(it, self._ask(it))
        yield from self._keep(it, left)
        return False

    # ── one task ───────────────────────────────────────────────────────────────────────────────

    def _try(self, it: Waiting) -> Generator[None, None, bool]:
        """Place a task, or a gang as a whole. Returns whether it starts."""
        sieve = self._sieve
        kind = it.kind
        if self.quotas.refusal(kind):
            sieve.refuse(kind)
            return False
        if sieve.hopeless(kind):
            return False
        ask = self._ask(it)
        if self._pace.due(10 + 0.3 * len(sieve.grown)):
            yield
        places = yield from self._places(it, ask)
        if not places and kind.learns and sieve.may_borrow(it.need.least):
            ask = self.ask_of(it)
            places = yield from self._places(it, ask)
        if not places:
            sieve.block(kind)
            return False
        self._start(it, ask, places)
        return True

    def _places(self, it: Waiting, ask: Ask) -> Generator[None, None, list[Place]]:
        """Where it can start now."""
        sieve = self._sieve
        kind = it.kind
        if sieve.known(kind) and not sieve.has_grown_for(ask):
            return []
        if kind.nodes > 1:
            return (yield from self._gang(ask, kind.nodes))
        place = self.fleet.best(ask, self._beside(it.job, it))
        return [place] if place is not None else []

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
        self.quotas.take(kind)
        self._sieve.placed(kind)
        held = sum(place.share or WHOLE * len(place.devices) for place in places) / WHOLE
        self._turns.rekey(self._ranking.placed(it.job, held))

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
        if self.keeper.changes > before:
            self._sieve.kept(learned=self._learned)


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
