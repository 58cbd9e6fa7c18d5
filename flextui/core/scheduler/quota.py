"""Quotas: how many GPUs a project or a user has at once, and how many GPU hours in a while.

Never over, at any instant: a start is counted with all that it may still use. A time limit is
therefore charged in full when its job starts, and what was not used is given back at its end. A
job without a limit is charged as it runs, and stopped when the hours are used up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil, inf
from typing import NamedTuple

from flextui.core.model.inventory import GpuHours, Quota
from flextui.core.model.state import Attempt, Job, Snapshot, StopRequest
from flextui.core.model.units import format_duration
from flextui.core.scheduler.accounts import held_milli
from flextui.core.scheduler.kind import WHOLE, Kind
from flextui.core.scheduler.lane import Account
from flextui.core.scheduler.ledger import ACTOR, Ledger, changed
from flextui.core.scheduler.timeline import hard_end, job_of

HOUR = 3600
_WORTH_S = 600.0
"""A job without a limit isn't started for less."""
UNLIMITED = 1 << 60
"""Thousandths of GPUs where no quota says how many."""


class Payer(NamedTuple):
    """A project, or a user in all that he does."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"project {self.name}" if self.kind == "project" else self.name


class Hours:
    """GPU-seconds of a payer, in thousandths of a GPU: spent in the window, and promised."""

    def __init__(self) -> None:
        self.used = 0.0
        self.promised = 0.0
        self.endless = 0
        """Thousandths of GPUs that jobs without a limit hold."""
        self.jobs: list[tuple[Job, Attempt]] = []
        """Those jobs."""


class Quotas:
    """What the quotas leave, with what one pass has given away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._snapshot: Snapshot = ledger.snapshot
        self._wall = ledger.now.wall
        inventory = ledger.snapshot.inventory
        users = inventory.users
        quotas = [users.quota, *users.quotas.values()]
        quotas += [it.quota for it in inventory.projects.values()]
        self.any = any(it.gpus is not None or it.gpu_hours is not None for it in quotas)
        self._hourly = any(it.gpu_hours is not None for it in quotas)
        self._held: dict[Payer, int] | None = None
        self._hours: dict[Payer, Hours] | None = None

    # ── what is left ───────────────────────────────────────────────────────────────────────────

    def headroom(self, account: Account) -> int:
        """Thousandths of GPUs that an account may have more at once."""
        if not self.any:
            return UNLIMITED
        left = UNLIMITED
        for payer, quota in self._payers(account):
            if quota.gpus is not None:
                left = min(left, round(quota.gpus * WHOLE) - self.held.get(payer, 0))
        return left

    def refusal(self, kind: Kind) -> str:
        """Why quotas don't let one of this kind start now; "" if they do."""
        wanted = kind.milli
        if not self.any or not wanted:
            return ""
        for payer, quota in self._payers(kind.account):
            if quota.gpus is not None:
                held = self.held.get(payer, 0)
                if held + wanted > round(quota.gpus * WHOLE):
                    return f"{payer} has {held / WHOLE:g} of {quota.gpus:g} GPUs"
            if quota.gpu_hours is not None and (text := self._over(payer, quota, kind, wanted)):
                return text
        return ""

    def _over(self, payer: Payer, quota: Quota, kind: Kind, wanted: int) -> str:
        assert quota.gpu_hours is not None
        hours = self.hours.get(payer) or Hours()
        spent = hours.used + hours.promised
        limit = quota.gpu_hours.hours * HOUR * WHOLE
        lasts = kind.until(self._wall) - self._wall
        if spent + wanted * (lasts if lasts < inf else _WORTH_S) <= limit:
            return ""
        self._ledger.wake_wall((self._wall // HOUR + 1) * HOUR)
        return f"{payer} has {_told(quota.gpu_hours)}: too few are left for it"

    def coarse(self, kind: Kind) -> str:
        """The same in words that stay, however much of it is used."""
        wanted = kind.milli
        if not self.any or not wanted or not self.refusal(kind):
            return ""
        for payer, quota in self._payers(kind.account):
            held = self.held.get(payer, 0)
            if quota.gpus is not None and held + wanted > round(quota.gpus * WHOLE):
                return f"{payer} is at its quota of {quota.gpus:g} GPUs"
        return self.refusal(kind)

    def unsettled(
        self, before: Mapping[Account, int], accounts: Iterable[Account]
    ) -> list[Account]:
        """Accounts of which other tasks may be refused than when this was left to them."""
        if not self.any:
            return []
        return [
            it
            for it in accounts
            if self._is_hourly(it) or self.headroom(it) != before.get(it, UNLIMITED)
        ]

    def _is_hourly(self, account: Account) -> bool:
        return self._hourly and any(
            quota.gpu_hours is not None for _, quota in self._payers(account)
        )

    def take(self, kind: Kind) -> None:
        """One of this kind starts."""
        wanted = kind.milli
        if not self.any or not wanted:
            return
        lasts = kind.until(self._wall) - self._wall
        for payer, _ in self._payers(kind.account):
            self.held[payer] = self.held.get(payer, 0) + wanted
            if self._hourly and lasts < inf:
                hours = self.hours.setdefault(payer, Hours())
                hours.promised += wanted * lasts

    # ── what is used ───────────────────────────────────────────────────────────────────────────

    def _payers(self, account: Account) -> Iterator[tuple[Payer, Quota]]:
        inventory = self._snapshot.inventory
        project, user = account
        known = inventory.projects.get(project) if project else None
        if known is not None:
            yield Payer("project", project), known.quota
        yield Payer("user", user), inventory.users.quota_of(user)

    @property
    def held(self) -> dict[Payer, int]:
        """Thousandths of GPUs by who pays."""
        if self._held is None:
            self._held = {}
            for (project, user), account in self._snapshot.accounts.items():
                for payer in (Payer("project", project), Payer("user", user)):
                    self._held[payer] = self._held.get(payer, 0) + account.gpus
            for attempt in self._ledger.given_up:
                job = job_of(self._snapshot, attempt)
                for payer, _ in self._payers((job.project, job.owner)) if job is not None else ():
                    self._held[payer] = self._held.get(payer, 0) - held_milli(attempt)
        return self._held

    @property
    def hours(self) -> dict[Payer, Hours]:
        if self._hours is None:
            self._hours = {}
            self._count_used(self._hours)
            self._count_promised(self._hours)
        return self._hours

    def _count_used(self, hours: dict[Payer, Hours]) -> None:
        for (project, user), account in self._snapshot.accounts.items():
            running = account.gpus * max(0.0, self._wall - account.at)
            for payer, quota in self._payers((project, user)):
                if quota.gpu_hours is not None:
                    first = (self._wall - quota.gpu_hours.window) // HOUR
                    spent = sum(it for hour, it in account.hours.items() if hour >= first)
                    found = hours.setdefault(payer, Hours())
                    found.used += spent * WHOLE + running

    def _count_promised(self, hours: dict[Payer, Hours]) -> None:
        snapshot = self._snapshot
        for live in snapshot.by_node.values():
            for key in sorted(live):
                attempt = snapshot.attempts[key]
                milli, job = held_milli(attempt), job_of(snapshot, attempt)
                if not milli or job is None:
                    continue
                left = hard_end(job, attempt) - self._wall
                for payer, quota in self._payers((job.project, job.owner)):
                    if quota.gpu_hours is None:
                        continue
                    found = hours.setdefault(payer, Hours())
                    if left < inf:
                        found.promised += milli * max(0.0, left)
                    else:
                        found.endless += milli
                        found.jobs.append((job, attempt))

    # ── used up ────────────────────────────────────────────────────────────────────────────────

    def enforce(self) -> list[str]:
        """Stop jobs without a limit whose hours are used up. Returns the jobs."""
        if not self._hourly:
            return []
        found: dict[str, None] = {}
        for payer, hours in self.hours.items():
            quota = self._quota_of(payer)
            if not hours.endless or quota.gpu_hours is None:
                continue
            limit = quota.gpu_hours.hours * HOUR * WHOLE
            grace = max(job.spec.grace for job, _ in hours.jobs)
            left = (limit - hours.used - hours.promised) / hours.endless - grace
            if left > 0:
                self._ledger.wake_wall(self._wall + max(1.0, float(ceil(left))))
                continue
            for job, _ in hours.jobs:
                if not job.stops(self._wall) and not job.state.ended and job.id not in found:
                    found[job.id] = None
                    self._stop(job, f"{payer} has used up its {_told(quota.gpu_hours)}")
        return list(found)

    def _quota_of(self, payer: Payer) -> Quota:
        inventory = self._snapshot.inventory
        if payer.kind == "user":
            return inventory.users.quota_of(payer.name)
        return inventory.projects[payer.name].quota

    def _stop(self, job: Job, why: str) -> None:
        stop = StopRequest(ACTOR, self._wall, why, "quota")
        self._ledger.put_job(changed(job, stop=stop))


def _told(quota: GpuHours) -> str:
    return f"{quota.hours:g} GPU hours in {format_duration(quota.window)}"
