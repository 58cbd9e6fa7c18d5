"""Running work that makes room for work that goes before it.

Who may take whose place is the order's to say (`Ranking.may_preempt`): strictly, so that nobody
ever gets his place back from who took it. Here the choice is made: on which node, and whom, so
that the least work is lost; only if that really lets the other one start, and nobody who could
stay. What makes room is stopped with its grace, waits again with its age, and isn't counted as
failed. Until it has gone, its place is kept for whom it left it to, and nobody else has to go.

What was let in on learned run times (`hold`) makes room for anybody before it in the order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from math import inf

from flextui.core.model.ids import attempt_id
from flextui.core.model.state import Attempt, AttemptState, Task
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import FREE, Room, room_of
from flextui.core.scheduler.decision import Placement
from flextui.core.scheduler.feasible import Place, could_fit, fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.keeper import Keeper
from flextui.core.scheduler.kind import Waiting
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.order import Ranking, account_of
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.queue import Queue
from flextui.core.scheduler.restart import PREEMPTED
from flextui.core.scheduler.timeline import Slot
from flextui.core.scheduler.victims import Claim, Residents, Victim, attempts_of, gpus_of

TRIES = 16
"""So many kinds of request may make others give way in one pass, the first in order."""


@dataclass(slots=True)
class Way:
    """What it takes to make room on one node."""

    room: Room
    victims: list[Victim]
    slot: Slot
    """What the request gets there once they have gone."""

    @property
    def cost(self) -> tuple[int, float, float, int, str]:
        return (
            max((it.job.priority for it in self.victims), default=-1),
            sum(it.loss for it in self.victims),
            max((it.standing for it in self.victims), default=-inf),
            len(self.victims),
            self.room.name,
        )


class Preempting:
    """Makes room, for one pass."""

    def __init__(
        self,
        ledger: Ledger,
        fleet: Fleet,
        ranking: Ranking,
        keeper: Keeper,
        queue: Queue,
        pace: Pace,
    ) -> None:
        self._started: dict[str, list[Attempt]] = {}
        """By node: what this pass starts there."""
        self._ledger = ledger
        self._snapshot = ledger.snapshot
        self._fleet = fleet
        self._ranking = ranking
        self._keeper = keeper
        self._queue = queue
        self._pace = pace
        self._tries = TRIES
        self._residents = Residents(ledger, ranking, pace)

    def starts(self, placement: Placement, task: Task) -> None:
        """This pass starts somebody."""
        here = self._started.setdefault(placement.node, [])
        here.append(as_attempt(placement, task, self._ledger.now.wall))

    def make_room(self, it: Waiting, ask: Ask) -> Generator[None, None, list[tuple[Room, Slot]]]:
        """Have others give way to this request, if that lets it start. Returns where it then
        starts; nothing: it has to wait as it is."""
        if self._tries <= 0:
            return []
        self._tries -= 1
        ask = ask._replace(likely=inf)  # nobody gives way to what would only borrow the place
        right, key = self._ranking.right(it.job, it.task), self._ranking.key(it.job, it.task)
        claim = Claim(it, ask, right, key)
        ways: list[Way] = []
        for room in self._fleet.rooms:
            if self._residents.done:
                break
            if self._pace.due(1):
                yield
            way = self._way(claim, room) if room.open else None
            if way is not None:
                ways.append(way)
        ways.sort(key=_cost)
        chosen = ways[: it.kind.nodes]
        victims = [victim for way in chosen for victim in way.victims]
        if len(chosen) < it.kind.nodes or not self._stays_ahead(claim, victims):
            return []
        for victim in victims:
            self._stop(victim, f"preempted for {it.job.full_name}")
        return [(way.room, way.slot) for way in chosen]

    # ── who may be made to go ──────────────────────────────────────────────────────────────────

    def _may_take(self, claim: Claim, victim: Victim) -> bool:
        """Whether the request goes before the victim, also once that waits; and it is by right,
        or the victim has only borrowed its place."""
        yields, wants = self._ranking.yields, claim.right
        for right, (_, attempt) in zip(victim.rights, victim.ranks, strict=True):
            if not attempt.borrowed and not yields(right, wants):
                return False
        if victim.job is claim.it.job:
            return False
        return wants.turn or all(claim.key < key for key in self._residents.stopped(victim))

    def _stays_ahead(self, claim: Claim, victims: list[Victim]) -> bool:
        """Whether the request still goes before the victims, and before all else that it goes
        before now, once they hold nothing. Else what they leave would be given to others, or to
        themselves, and the next one would have to go."""
        ranking, key = self._ranking, self._ranking.key
        accounts = {account_of(victim.job) for victim in victims}
        lanes = [it for it in self._queue.lanes.values() if it.account in accounts]
        behind = [lane.first(lambda one: key(one.job, one.task) > claim.key) for lane in lanes]
        with ranking.without((it.job, rank) for it in victims for rank in it.attempts) as changes:
            if not changes or claim.right.turn:
                return True
            others = [key(one.job, one.task) for one in behind if one is not None]
            for victim in victims:
                others += [ranking.if_stopped(victim.job, *rank) for rank in victim.ranks]
            mine = key(claim.it.job, claim.it.task)
            return all(mine < other for other in others)

    # ── on one node ────────────────────────────────────────────────────────────────────────────

    def _way(self, claim: Claim, room: Room) -> Way | None:
        """How the request could start there at the least cost; None: it couldn't."""
        present, need, ask = self._residents.here(room), claim.it.need, claim.ask
        if not present.may_help(claim, self._ranking.yields):
            return None
        victims = [one for one in present.victims if self._may_take(claim, one)]
        if not victims and not present.leaving and claim.it.kind.nodes == 1:
            return None
        if not _enough(room, need, [*attempts_of(victims), *present.leaving]):
            return None
        if not could_fit(room, need) or not room.admits(need):
            return None
        others = [one for one in present.victims if one not in victims]
        stays = [*present.stays, *attempts_of(others), *self._started.get(room.name, ())]
        if self._tried(room, ask, stays) is None:
            return None
        chosen = self._chosen(room, ask, victims, stays, present.leaving)
        remain = [*stays, *attempts_of(one for one in victims if one not in chosen)]
        place = self._tried(room, ask, remain)
        if place is None or (chosen and self._keeper.would_move(place.room, remain)):
            return None
        return Way(room, chosen, self._slot(place, ask, chosen, present.leaving))

    def _chosen(
        self,
        room: Room,
        ask: Ask,
        victims: list[Victim],
        stays: list[Attempt],
        leaving: list[Attempt],
    ) -> list[Victim]:
        """The first by worth that make enough room, less those that needn't go."""
        need = ask.need

        def do(gone: list[Victim]) -> bool:
            if not _enough(room, need, [*attempts_of(gone), *leaving]):
                return False
            back = [one for one in victims if one not in gone]
            return self._tried(room, ask, [*stays, *attempts_of(back)]) is not None

        count = next(number for number in range(len(victims) + 1) if do(victims[:number]))
        chosen = victims[:count]
        for victim in reversed(chosen):
            others = [one for one in chosen if one is not victim]
            if do(others):
                chosen = others
        return chosen

    def _slot(self, place: Place, ask: Ask, victims: list[Victim], leaving: list[Attempt]) -> Slot:
        """What the request gets, and by when those in its way have gone: whoever is on his way
        out there, with his grace."""
        wall, room = self._ledger.now.wall, place.room
        ends = [wall + victim.job.spec.grace for victim in victims]
        for attempt in leaving:
            job = self._snapshot.jobs.get(attempt.task.job)
            if job is not None:
                since = attempt.stop.at if attempt.stop is not None else wall
                ends.append(since + job.spec.grace)
        return Slot(
            max(ends, default=wall),
            tuple(device.uuid for device in place.devices),
            max(0, room.free_cpus - ask.need.cpus),
            max(0, room.free_memory - ask.need.memory),
        )

    def _tried(self, room: Room, ask: Ask, there: Iterable[Attempt]) -> Place | None:
        """The place that the request would get if only these were there."""
        here = [it for it in there if it.node == room.name]
        tried = room_of(self._snapshot, room.node, here)
        tried.gates = room.gates
        return fit(tried, ask)

    def _stop(self, victim: Victim, why: str) -> None:
        for attempt in victim.attempts:
            self._ledger.stop(attempt, why, PREEMPTED)
            self._keeper.leaves(attempt.node)
            self._residents.changed(attempt.node)


def _enough(room: Room, need: Need, gone: list[Attempt]) -> bool:
    """Whether as much is free once these have gone: a look before the thorough one."""
    here = [it for it in gone if it.node == room.name]
    if need.cpus > room.free_cpus + sum(round(it.cpus * MILLI) for it in here):
        return False
    if need.memory > room.free_memory + sum(it.memory_bytes for it in here):
        return False
    freed = gpus_of(room, here)
    return need.gpus <= sum(it.state == FREE or it.uuid in freed for it in room.devices)


def as_attempt(placement: Placement, task: Task, wall: float) -> Attempt:
    """What becomes of a placement, as far as room is concerned."""
    number = task.attempts + 1
    return Attempt(
        id=attempt_id(task.key, number),
        task=task.key,
        number=number,
        revision=placement.revision,
        node=placement.node,
        host_id="",
        boot="",
        root_id="",
        gpus=placement.gpus,
        cpus=placement.cpus,
        memory_bytes=placement.memory_bytes,
        state=AttemptState.PLACED,
        placed_at=wall,
        share=placement.share,
        gpu_memory_bytes=placement.gpu_memory_bytes,
    )


def _cost(way: Way) -> tuple[int, float, float, int, str]:
    return way.cost
