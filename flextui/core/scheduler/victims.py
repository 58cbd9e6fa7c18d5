"""Who has something of a node, and who of them may be made to go: once for all who want room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from flextui.core.model.state import Attempt, Job, Task
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import FREE, Room
from flextui.core.scheduler.kind import WHOLE, Waiting
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.order import Key, Ranking, Right, willing
from flextui.core.scheduler.pace import Pace

LOOKS = 20_000
"""So many running attempts are looked at in one pass, for all who want room."""


@dataclass(slots=True, eq=False)
class Victim:
    """Attempts that would go together: one, or the ranks of a gang."""

    job: Job
    ranks: tuple[tuple[Task, Attempt], ...]
    rights: tuple[Right, ...]
    """Of each, to its place."""
    loss: float
    """GPU-seconds of work that would have to be done again."""
    standing: float = field(init=False)
    """How well it stands in the order: what has the most left goes first."""

    def __post_init__(self) -> None:
        self.standing = -self.rights[0].left

    @property
    def attempts(self) -> list[Attempt]:
        return [attempt for _, attempt in self.ranks]

    @property
    def worth(self) -> tuple[int, float, float, str]:
        """Who goes first is the least in this."""
        return (self.job.priority, self.loss, self.standing, self.ranks[0][1].id)


class Claim(NamedTuple):
    """Who wants room."""

    it: Waiting
    ask: Ask
    right: Right
    key: Key


@dataclass(slots=True)
class Present:
    """Who has something of a node."""

    stays: list[Attempt] = field(default_factory=list)
    victims: list[Victim] = field(default_factory=list)
    """Who may be made to go, by some request."""
    leaving: list[Attempt] = field(default_factory=list)
    """On their way out already."""
    gpus: int = 0
    """The most that could be free."""
    willing: Right | None = None
    """As willing to go as any of them in each respect; None: nobody could."""
    last: Key = ()
    """The last of the order among those that have borrowed their place; empty: none has."""

    def may_help(self, claim: Claim, yields: Callable[[Right, Right], bool]) -> bool:
        """Whether it is worth looking at who could go for this request: a quick look."""
        if claim.it.need.gpus > self.gpus:
            return False
        if self.leaving or claim.it.kind.nodes > 1 or claim.right.turn:
            return True
        if self.willing is not None and yields(self.willing, claim.right):
            return True
        return claim.key < self.last


class Residents:
    """Who is on which node, for one pass, as far as anybody asked."""

    def __init__(self, ledger: Ledger, ranking: Ranking, pace: Pace) -> None:
        self._ledger = ledger
        self._snapshot = ledger.snapshot
        self._ranking = ranking
        self._pace = pace
        self._present: dict[str, Present] = {}
        self._keys: dict[Victim, tuple[Key, ...]] = {}
        self._looks = LOOKS

    @property
    def done(self) -> bool:
        """Whether no more are looked at."""
        return self._looks <= 0

    def changed(self, node: str) -> None:
        """Somebody there is made to go."""
        self._present.pop(node, None)

    def here(self, room: Room) -> Present:
        """Who has something of a node. Worked out once, until somebody there is made to go."""
        known = self._present.get(room.name)
        if known is not None:
            return known
        present = self._present[room.name] = Present()
        for key in sorted(self._snapshot.by_node.get(room.name, ())):
            self._looks -= 1
            self._pace.due(1)
            attempt = self._snapshot.attempts[key]
            if self._ledger.stopping(attempt):
                present.leaving.append(attempt)
            elif (victim := self._victim(attempt)) is not None:
                present.victims.append(victim)
            else:
                present.stays.append(attempt)
        present.victims.sort(key=_worth)
        freed = gpus_of(room, [*attempts_of(present.victims), *present.leaving])
        present.gpus = sum(it.state == FREE or it.uuid in freed for it in room.devices)
        present.willing = willing(right for one in present.victims for right in one.rights)
        borrowed = [one for one in present.victims if any(it.borrowed for it in one.attempts)]
        present.last = max((max(self.stopped(one)) for one in borrowed), default=())
        return present

    def _victim(self, attempt: Attempt) -> Victim | None:
        """Whom it would take along if it had to go; None: nobody makes it go."""
        snapshot, ranking = self._snapshot, self._ranking
        job, task = snapshot.jobs.get(attempt.task.job), snapshot.tasks.get(attempt.task)
        if job is None or job.stop is not None or task is None or task.active != attempt.id:
            return None
        ranks = [(task, attempt)]
        if attempt.gang:
            tasks = (snapshot.tasks[key] for key in snapshot.by_job[job.id])
            pairs = ((it, snapshot.attempts.get(it.active or "")) for it in tasks)
            ranks = [(it, at) for it, at in pairs if at is not None and at.gang == attempt.gang]
            ranks = [(it, at) for it, at in ranks if at.state.live]
        if not all(ranking.may_stop(job, at) for _, at in ranks):
            return None
        rights = tuple([ranking.right(job, it, at) for it, at in ranks])
        loss = sum(self._loss(job, at) for _, at in ranks)
        return Victim(job, tuple(ranks), rights, loss)

    def stopped(self, victim: Victim) -> tuple[Key, ...]:
        """Where its tasks stand once they wait."""
        keys = self._keys.get(victim)
        if keys is None:
            ranks = victim.ranks
            keys = tuple([self._ranking.if_stopped(victim.job, it, at) for it, at in ranks])
            self._keys[victim] = keys
        return keys

    def _loss(self, job: Job, attempt: Attempt) -> float:
        if job.spec.preempt == "resume" or attempt.started_at is None:
            return 0.0
        ran = max(0.0, self._ledger.now.wall - attempt.started_at)
        return ran * max(1, attempt.share or WHOLE * len(attempt.gpus)) / WHOLE


def gpus_of(room: Room, attempts: Iterable[Attempt]) -> set[str]:
    return {uuid for it in attempts if it.node == room.name for uuid in it.gpus}


def attempts_of(victims: Iterable[Victim]) -> list[Attempt]:
    return [it for victim in victims for it in victim.attempts]


def _worth(victim: Victim) -> tuple[int, float, float, str]:
    return victim.worth
