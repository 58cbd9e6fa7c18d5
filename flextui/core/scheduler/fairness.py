"""Who has had how much of the fleet, against how much is theirs.

What counts is what an account holds now, what this pass has given it, and what it had lately. The
past is decayed GPU time; divided by the time over which it decays, it is the number of GPUs that
the account held on average, and so it can be added to what it holds now. Projects stand against
each other by weight, and users against each other within a project. Jobs without a project share
one of weight 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import log

from flextui.core.model.state import Now, Snapshot
from flextui.core.model.usage import WHOLE
from flextui.core.scheduler.accounts import used_at as usage_at
from flextui.core.scheduler.runtimes import CPU_WEIGHT

__all__ = ["Shares", "usage_at"]

Key = tuple[str, str]
"""(project, user)."""

PAST = 0.25
"""GPUs held on average in the past count as much as so many held now. What is owed from the past
is paid back, but slowly: nobody is shut out of the fleet for having used it while it was empty."""


class Shares:
    """How full each account's part is, for one pass. It is worked out when first asked for."""

    def __init__(self, snapshot: Snapshot, now: Now) -> None:
        self._snapshot = snapshot
        self._now = now.wall
        self._half_life = snapshot.inventory.policy.half_life
        self._users: dict[Key, float] | None = None
        self._projects: dict[str, float] = {}
        self._total = 0.0
        self._placed: list[tuple[Key, float]] = []
        """Given before anybody asked how full anything is."""
        self._little: dict[Key, float] = {}
        """What this pass gave that is charged to nobody: it counts for the pass alone."""

    def placed(self, key: Key, gpus: float) -> None:
        """This pass gives an account so many GPUs more (or takes them back: negative)."""
        if not gpus:
            gpus = CPU_WEIGHT
            self._little[key] = self._little.get(key, 0.0) + gpus
        if self._users is None:
            self._placed.append((key, gpus))
        else:
            self._add(key, gpus)

    @contextmanager
    def without(self, held: Mapping[Key, float]) -> Iterator[None]:
        """As it will be after the pass, if these accounts hold so many GPUs less."""
        before = dict(self._loaded()), dict(self._projects), self._total
        for key, gpus in (*held.items(), *self._little.items()):
            self._add(key, -gpus)
        yield
        self._users, self._projects, self._total = before

    def full(self, key: Key) -> tuple[float, float]:
        """GPUs by weight: of the project, and of the user in it. Who has the least goes first."""
        users = self._loaded()
        project = key[0]
        return self._projects.get(project, 0.0) / self.weight(project), users.get(key, 0.0)

    def weight(self, project: str) -> float:
        """A project's weight; 1 for none, and for one that the inventory no longer has."""
        known = self._snapshot.inventory.projects.get(project)
        return float(known.weight) if known is not None else 1.0

    def factor(self, key: Key) -> float:
        """From 0 to 1: 1 for who has had nothing, a half for who has had their part exactly.

        The part of a user: of the project's, as much as each of its users who have had any.
        """
        users = self._loaded()
        if self._total <= 0:
            return 1.0
        project = key[0]
        names = {project, *(it for it, had in self._projects.items() if had > 0)}
        due = self.weight(project) / sum(self.weight(it) for it in sorted(names))
        had = self._projects.get(project, 0.0)
        factor = _falling(had / self._total, due)
        if had > 0:
            others = sum(1 for it, used in users.items() if it[0] == project and used > 0)
            due = 1 / max(1, others + (users.get(key, 0.0) <= 0))
            factor = (factor + _falling(users.get(key, 0.0) / had, due)) / 2
        return factor

    def _loaded(self) -> dict[Key, float]:
        if self._users is None:
            self._users = {}
            past = PAST * log(2) / self._half_life
            for key, account in self._snapshot.accounts.items():
                used = usage_at(account, self._now, self._half_life)
                self._add(key, account.gpus / WHOLE + past * used)
            for key, gpus in self._placed:
                self._add(key, gpus)
        return self._users

    def _add(self, key: Key, gpus: float) -> None:
        users = self._loaded()
        users[key] = users.get(key, 0.0) + gpus
        self._projects[key[0]] = self._projects.get(key[0], 0.0) + gpus
        self._total += gpus


def _falling(had: float, due: float) -> float:
    return float(2.0 ** (-had / due))
