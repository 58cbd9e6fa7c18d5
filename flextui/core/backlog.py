"""What a read-only core has seen and couldn't write: kept until a commit succeeds.

Only keys are held; the records are those of the snapshot at the time of the commit. Nothing that
is held here has had an effect, and no node was told to forget a result.
"""

from __future__ import annotations

from flextui.core.draft import Draft, SessionOrder
from flextui.core.model.docs import EventDoc
from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Snapshot
from flextui.core.model.usage import NOTHING, UsageKey, Used
from flextui.core.ports import Changes, Effect, GrantLease

MAX_HELD = 10_000
"""Events and effects kept; nodes tell what was dropped again when they are next connected."""


class Backlog:
    """Empty while the core can write; `reason` says why it can't."""

    def __init__(self) -> None:
        self.reason = ""
        self._clear()

    def _clear(self) -> None:
        self._jobs: set[str] = set()
        self._tasks: set[TaskKey] = set()
        self._attempts: set[str] = set()
        self._nodes: set[str] = set()
        self._accounts: set[tuple[str, str]] = set()
        self._runtimes: set[str] = set()
        self._reservations: set[str] = set()
        self._silenced = False
        self._meters: set[str] = set()
        self._usage: dict[UsageKey, Used] = {}
        self._events: list[EventDoc] = []
        self._effects: list[tuple[str, Effect]] = []
        self._orders: list[SessionOrder] = []

    def hold(self, draft: Draft) -> None:
        """Remember what changed in this draft, and what it would have done."""
        self._jobs |= draft.jobs.changed | draft.recent.changed
        self._tasks |= draft.tasks.changed
        self._attempts |= draft.attempts.changed
        self._nodes |= draft.durable_nodes
        self._accounts |= draft.accounts.changed
        self._runtimes |= draft.lessons.runtimes.changed
        self._reservations |= draft.reservations.changed
        self._silenced |= bool(draft.silences.changed)
        self._meters |= draft.books.durable_meters
        for key, used in draft.books.usage.items():
            self._usage[key] = self._usage.get(key, NOTHING).plus(used)
        self._events = (self._events + draft.events)[-MAX_HELD:]
        effects = [it for it in draft.effects if not isinstance(it[1], GrantLease)]
        self._effects = (self._effects + effects)[-MAX_HELD:]
        self._orders += draft.orders

    def changes(self, snapshot: Snapshot) -> Changes:
        """Everything held, as it stands now."""
        jobs = [snapshot.jobs.get(key) or snapshot.recent.get(key) for key in self._jobs]
        return Changes(
            jobs=[job for job in jobs if job is not None],
            tasks=[snapshot.tasks[key] for key in self._tasks if key in snapshot.tasks],
            attempts=[snapshot.attempts[key] for key in self._attempts if key in snapshot.attempts],
            nodes=[snapshot.nodes[name] for name in self._nodes],
            events=list(self._events),
            accounts=[snapshot.accounts[key] for key in self._accounts],
            runtimes={
                key: snapshot.runtimes[key] for key in self._runtimes if key in snapshot.runtimes
            },
            reservations={key: snapshot.reservations.get(key) for key in self._reservations},
            silences=tuple(snapshot.silences.values()) if self._silenced else None,
            meters={key: snapshot.meters.get(key) for key in self._meters},
            usage=self._usage,
        )

    def release(self) -> tuple[list[tuple[str, Effect]], list[SessionOrder]]:
        """It is written: the effects that may go out now."""
        effects, orders = self._effects, self._orders
        self.reason = ""
        self._clear()
        return effects, orders
