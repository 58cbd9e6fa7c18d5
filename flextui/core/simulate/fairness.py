"""How far from their due the accounts of a replay are, at each instant and in the long run.

At each instant an account (a project, or a user without one) wants what its jobs hold and wait
for. Its due is its weighted max-min part of the fleet: nobody is due more than he wants, and what
one leaves is due to the others, by weight. The error is the part of all that was due, over all
time, that was not given while it was wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class Share:
    """One account. Amounts are thousandths of GPUs, sums times seconds."""

    weight: float
    held: int = 0
    waiting: int = 0
    due: float = 0.0
    held_s: float = 0.0
    due_s: float = 0.0
    short_s: float = 0.0
    """What was due and not held."""


class Fairness:
    """Follows who holds and who wants how much."""

    def __init__(self, capacity: int, weights: Mapping[str, float]) -> None:
        self._capacity = capacity
        self._weights = weights
        self.accounts: dict[str, Share] = {}
        self._since = 0.0
        self._changed = False

    def held(self, account: str, milli: int) -> None:
        self._of(account).held += milli
        self._changed = True

    def waits(self, account: str, milli: int) -> None:
        self._of(account).waiting += milli
        self._changed = True

    def _of(self, account: str) -> Share:
        share = self.accounts.get(account)
        if share is None:
            share = self.accounts[account] = Share(self._weights.get(account, 1.0))
        return share

    def tick(self, at: float) -> None:
        """All of this instant has happened: until the next, things stay as they are now."""
        if not self._changed:
            return
        self.settle(at)
        _deal(self.accounts.values(), self._capacity)
        self._changed = False

    def settle(self, at: float) -> None:
        """Add up what was held and due since the last change."""
        seconds = at - self._since
        self._since = at
        if seconds <= 0:
            return
        for it in self.accounts.values():
            if it.held or it.due:
                it.held_s += it.held * seconds
                it.due_s += it.due * seconds
                if it.due > it.held:
                    it.short_s += (it.due - it.held) * seconds

    @property
    def error(self) -> float:
        """The part of what was due that wasn't given, from 0 to 1."""
        due = sum(it.due_s for it in self.accounts.values())
        return sum(it.short_s for it in self.accounts.values()) / due if due else 0.0

    @property
    def jain(self) -> float:
        """Jain's index of what accounts got of their due in the long run: 1 is all alike."""
        got = [it.held_s / it.due_s for it in self.accounts.values() if it.due_s]
        squares = sum(it * it for it in got)
        return sum(got) ** 2 / (len(got) * squares) if squares else 1.0


def _deal(accounts: Iterable[Share], capacity: int) -> None:
    """Give each account its due."""
    wanting = []
    total = 0
    for it in accounts:
        wanted = it.held + it.waiting
        it.due = wanted
        if wanted:
            wanting.append((wanted / it.weight, it))
            total += wanted
    if total <= capacity:
        return
    wanting.sort(key=lambda entry: entry[0])
    left, weight = float(capacity), sum(it.weight for _, it in wanting)
    for level, it in wanting:
        if level * weight <= left:
            left -= it.due
        else:
            it.due = left * it.weight / weight
            left -= it.due
        weight -= it.weight
