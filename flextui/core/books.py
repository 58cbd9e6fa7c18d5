"""What follows from work by itself, for a draft: who has had what, and what is learned from it.

A draft tells every change of an attempt here; nobody else writes to these tables. `Books` keeps
the accounts and the meters of live attempts, `Lessons` how long jobs run and what they ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from flextui.core.model.inventory import Inventory
from flextui.core.model.journal import Journal, Kind
from flextui.core.model.state import (
    KEPT_RUNTIMES,
    Account,
    Attempt,
    Job,
    Meter,
    Node,
    Now,
    RunTimes,
    Snapshot,
)
from flextui.core.model.usage import NOTHING, UsageKey, Used, unsettled
from flextui.core.scheduler.accounts import charged, held_milli
from flextui.core.scheduler.demand import seen, shape_of
from flextui.core.scheduler.need import need_of
from flextui.core.table import Table

LEARNED_EVERY_S = 10.0
"""How often what was learned of run times is written."""


class Books:
    """Accounts, and meters of the live attempts that hold GPUs."""

    def __init__(self, base: Snapshot, journal: Journal, *, own: bool, metered: bool) -> None:
        self.accounts: Table[tuple[str, str], Account] = Table(base.accounts, own=own)
        self.meters: Table[str, Meter] = Table(base.meters, own=own)
        self._inventory: Inventory = base.inventory
        self._journal = journal
        self._metered = metered
        self.begin()

    def begin(self) -> None:
        """A turn begins."""
        self.usage: dict[UsageKey, Used] = {}
        """What is to be added to the rows of usage."""
        self.durable_meters: set[str] = set()

    def follow(self, job: Job, old: Attempt | None, new: Attempt, now: Now, node: Node) -> None:
        """The one place where an attempt begins, or ceases, to count for what its job's user has:
        in the account, and by the meter that says what it used."""
        before = held_milli(old) if old is not None else 0
        held = held_milli(new)
        if held == before:
            return
        ended = new.ended_at if not new.state.live else None
        self._charge(job, held - before, now, ended)
        if not self._metered:
            return
        if not before:
            self.put_meter(new.id, Meter(new.placed_at, models_of(new, node)), durable=True)
        elif not held and new.id in self.meters:
            self.settle(job, new, now.wall if ended is None else ended)
            self.meters.drop(new.id)

    def move(self, old: Job, new: Job, attempts: Iterable[Attempt], now: Now) -> None:
        """Another project pays from now on for what a job holds."""
        for attempt in attempts:
            self._charge(old, -held_milli(attempt), now)
            self._charge(new, held_milli(attempt), now)
            if attempt.id in self.meters:
                self.settle(old, attempt, now.wall)

    def _charge(self, job: Job, milli: int, now: Now, ended: float | None = None) -> None:
        """The account that pays for a job holds so many thousandths of GPUs more, or fewer."""
        key = (job.project, job.owner)
        account = self.accounts.get(key) or Account(*key, at=now.wall)
        half_life, window = self._inventory.policy.half_life, self._inventory.quota_window
        self.accounts.put(key, charged(account, milli, now.wall, half_life, window, ended))
        self._journal.note(Kind.ACCOUNT, key)

    def settle(self, job: Job, attempt: Attempt, until: float) -> None:
        """Add what an attempt used since its meter was settled to the rows of usage."""
        meter = self.meters[attempt.id]
        for key, used in unsettled(job, attempt, meter, until):
            self.usage[key] = self.usage.get(key, NOTHING).plus(used)
        self.put_meter(attempt.id, replace(meter, since=until, idle_s=0.0), durable=True)

    def put_meter(self, attempt: str, meter: Meter, *, durable: bool = False) -> None:
        """`durable`: `since` or `models` changed."""
        self.meters.put(attempt, meter)
        if durable:
            self.durable_meters.add(attempt)


def models_of(attempt: Attempt, node: Node) -> tuple[str, ...]:
    """The models of an attempt's devices, "" where a device isn't in sight."""
    models = {gpu.uuid: gpu.model for gpu in node.gpus}
    return tuple(models.get(uuid, "") for uuid in attempt.gpus)


@dataclass(slots=True)
class Unwritten:
    """What was learned and isn't durable yet; it outlives turns, whatever becomes of them."""

    kinds: set[str] = field(default_factory=set)
    due: float = 0.0
    """When it is to be written, on the awake clock."""


class Lessons:
    """Run times of those that ended, and what those that were submitted ask for."""

    def __init__(self, base: Snapshot, journal: Journal, *, own: bool) -> None:
        self.runtimes: Table[str, RunTimes] = Table(base.runtimes, own=own)
        self.demand: Table[tuple[int, ...], float] = Table(base.demand, own=own)
        self._journal = journal

    def asked(self, job: Job) -> None:
        """A job was submitted, or revised."""
        for key, count in seen(self.demand.data, shape_of(need_of(job))).items():
            self.demand.put(key, count)

    def learn(self, found: Mapping[str, RunTimes]) -> None:
        """Records that changed: the last to change are the last to be forgotten."""
        for key, times in found.items():
            self.runtimes.drop(key)
            self.runtimes.put(key, times)
            self._journal.note(Kind.RUNTIMES, key)
        while len(self.runtimes) > KEPT_RUNTIMES:
            oldest = next(iter(self.runtimes))
            self.runtimes.drop(oldest)
            self._journal.note(Kind.RUNTIMES, oldest)

    def due(self, unwritten: Unwritten, now: Now) -> dict[str, RunTimes]:
        """Records that are to be durable now. Losing the last of them does no harm, and each end
        of a job changes several: they are written now and then, together."""
        unwritten.kinds |= self.runtimes.changed
        if not unwritten.kinds or now.mono < unwritten.due:
            return {}
        unwritten.due = now.mono + LEARNED_EVERY_S
        kinds, unwritten.kinds = unwritten.kinds, set()
        return {kind: times for kind in kinds if (times := self.runtimes.get(kind)) is not None}
