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
from dataclasses import dataclass, replace
from math import inf

from flextui.core.model.ids import attempt_id
from flextui.core.model.state import Attempt, AttemptState, Job, Task
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room, room_of
from flextui.core.scheduler.decision import Placement
from flextui.core.scheduler.feasible import Place, could_fit, fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.hold import Keeper
from flextui.core.scheduler.kind import WHOLE, Waiting
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.order import Ranking
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.timeline import Slot

TRIES = 16
"""So many kinds of request may make others give way in one pass, the first in order."""
LOOKS = 20_000
"""So many running attempts are looked at for that."""

AGAIN_S = 60.0
"""What has started again isn't made to go sooner."""

PREEMPTED = "preempted"


@dataclass(slots=True)
class Victim:
    """Attempts that would go together: one, or the ranks of a gang."""

    job: Job
    attempts: list[Attempt]
    loss: float
    """GPU-seconds of work that would have to be done again."""
    standing: float
    """How well it stands in the order, where that tells those apart that lose nothing."""

    @property
    def worth(self) -> tuple[int, float, float, str]:
        """Who goes first is the least in this."""
        return (self.job.priority, self.loss, self.standing, self.attempts[0].id)


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
        self, ledger: Ledger, fleet: Fleet, ranking: Ranking, keeper: Keeper, pace: Pace
    ) -> None:
        self._started: dict[str, list[Attempt]] = {}
        """By node: what this pass starts there."""
        self._ledger = ledger
        self._snapshot = ledger.snapshot
        self._fleet = fleet
        self._ranking = ranking
        self._keeper = keeper
        self._pace = pace
        self._tries = TRIES
        self._looks = LOOKS

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
        ways: list[Way] = []
        for room in self._fleet.rooms:
            if self._looks <= 0:
                break
            if not room.open or not could_fit(room, it.need) or not room.admits(it.need):
                continue
            way = self._way(it, ask, room)
            if self._pace.due(10):
                yield
            if way is not None:
                ways.append(way)
        ways.sort(key=_cost)
        chosen = ways[: it.kind.nodes]
        if len(chosen) < it.kind.nodes:
            return []
        for way in chosen:
            for victim in way.victims:
                self._stop(victim, f"preempted for {it.job.full_name}")
        return [(way.room, way.slot) for way in chosen]

    def _way(self, it: Waiting, ask: Ask, room: Room) -> Way | None:
        """How the request could start there at the least cost; None: it couldn't."""
        stays, victims = self._present(it, room)
        if victims is None or self._tried(room, ask, stays) is None:
            return None
        chosen: list[Victim] = []
        victims.sort(key=_worth)
        left = list(victims)
        while self._tried(room, ask, [*stays, *_attempts(left)]) is None:
            chosen.append(left.pop(0))
        for victim in sorted(chosen, key=_worth, reverse=True):
            others = [one for one in chosen if one is not victim]
            back = [one for one in victims if one not in others]
            if self._tried(room, ask, [*stays, *_attempts(back)]) is not None:
                chosen = others
        remain = [one for one in victims if one not in chosen]
        place = self._tried(room, ask, [*stays, *_attempts(remain)])
        if place is None:
            return None
        if chosen and self._keeper.would_move(place.room, [*stays, *_attempts(remain)]):
            return None
        return Way(room, chosen, self._slot(place, ask, chosen))

    def _slot(self, place: Place, ask: Ask, victims: list[Victim]) -> Slot:
        """What the request gets, and by when those in its way have gone: whoever is on his way
        out there, with his grace."""
        snapshot, wall, room = self._snapshot, self._ledger.now.wall, place.room
        ends = [wall + victim.job.spec.grace for victim in victims]
        for key in snapshot.by_node.get(room.name, ()):
            attempt = snapshot.attempts[key]
            job = snapshot.jobs.get(attempt.task.job)
            if job is not None and self._ledger.stopping(attempt):
                since = attempt.stop.at if attempt.stop is not None else wall
                ends.append(since + job.spec.grace)
        return Slot(
            max(ends, default=wall),
            tuple(device.uuid for device in place.devices),
            max(0, room.free_cpus - ask.need.cpus),
            max(0, room.free_memory - ask.need.memory),
        )

    def _present(self, it: Waiting, room: Room) -> tuple[list[Attempt], list[Victim] | None]:
        """Who has something of a node: who stays, and who could be made to go. Those that are
        on their way out already are neither; None: nobody goes."""
        stays, victims = list(self._started.get(room.name, ())), []
        leaving = False
        for key in sorted(self._snapshot.by_node.get(room.name, ())):
            self._looks -= 1
            attempt = self._snapshot.attempts[key]
            if self._ledger.stopping(attempt):
                leaving = True
            elif self._may_take(it, attempt):
                victims.append(self._victim(attempt))
            else:
                stays.append(attempt)
        gangs = [one for one in victims if len(one.attempts) > 1]
        if gangs and not all(self._may_take(it, at) for one in gangs for at in one.attempts):
            stays += [at for one in gangs for at in one.attempts if at.node == room.name]
            victims = [one for one in victims if len(one.attempts) == 1]
        return stays, victims if victims or leaving or it.kind.nodes > 1 else None

    def _may_take(self, it: Waiting, attempt: Attempt) -> bool:
        snapshot = self._snapshot
        job, task = snapshot.jobs.get(attempt.task.job), snapshot.tasks.get(attempt.task)
        if job is None or task is None or task.active != attempt.id or job.id == it.job.id:
            return False
        if job.stop is not None or job.spec.preempt == "never":
            return False
        if task.attempts > 1 and self._just_began(attempt):
            return False
        if self._ranking.may_preempt(it.job, it.task, job, task, attempt):
            return True
        key = self._ranking.key
        return attempt.borrowed and key(it.job, it.task) < key(job, task)

    def _just_began(self, attempt: Attempt) -> bool:
        """Work that has begun anew runs for a while first: what made room changes how accounts
        stand to each other, and nobody is to take turns with others at every instant."""
        began = attempt.started_at if attempt.started_at is not None else attempt.placed_at
        until = began + AGAIN_S
        if self._ledger.now.wall >= until:
            return False
        self._ledger.wake_wall(until)
        return True

    def _victim(self, attempt: Attempt) -> Victim:
        job = self._snapshot.jobs[attempt.task.job]
        attempts = [attempt]
        if attempt.gang:
            ranks = (self._snapshot.tasks[key] for key in self._snapshot.by_job[job.id])
            mates = (self._snapshot.attempts.get(it.active) for it in ranks if it.active)
            same = (it for it in mates if it is not None and it.gang == attempt.gang)
            attempts = [it for it in same if it.state.live]
        standing = self._ranking.worth(job, self._snapshot.tasks[attempt.task], attempt)
        return Victim(job, attempts, sum(self._loss(job, it) for it in attempts), standing)

    def _loss(self, job: Job, attempt: Attempt) -> float:
        if job.spec.preempt == "resume" or attempt.started_at is None:
            return 0.0
        ran = max(0.0, self._ledger.now.wall - attempt.started_at)
        return ran * max(1, attempt.share or WHOLE * len(attempt.gpus)) / WHOLE

    def _tried(self, room: Room, ask: Ask, there: Iterable[Attempt]) -> Place | None:
        """The place that the request would get if only these were there."""
        here = [it for it in there if it.node == room.name]
        tried = room_of(self._snapshot, room.node, here)
        tried.gates = room.gates
        return fit(tried, ask)

    def _stop(self, victim: Victim, why: str) -> None:
        for attempt in victim.attempts:
            give_way(self._ledger, attempt, why)


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


def give_way(ledger: Ledger, attempt: Attempt, why: str) -> None:
    """Stop an attempt so that it waits again."""
    if ledger.stopping(attempt):
        return
    ledger.kill(attempt, why, code=PREEMPTED)
    task = ledger.task(attempt.task)
    ledger.put(replace(task, reason=f"stopping: {why}", reason_code="stopping"))


def _attempts(victims: Iterable[Victim]) -> list[Attempt]:
    return [it for victim in victims for it in victim.attempts]


def _worth(victim: Victim) -> tuple[int, float, float, str]:
    return victim.worth


def _cost(way: Way) -> tuple[int, float, float, int, str]:
    return way.cost
