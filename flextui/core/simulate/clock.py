"""One core without a clock, a store or sessions of its own: what a turn of the engine does, at
whatever instant it is told.

Here the live path is walked: `submit` and the folding of what nodes tell, `plan`, and
`apply_decision` with its recheck. The engine's own turn adds what a replay needn't have: the
mailbox, the commit before any effect, and the answers to callers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from flextui.core.commands import Stop
from flextui.core.deadlines import SHORTEST_S
from flextui.core.draft import Counters, Draft
from flextui.core.events import NodeEvent
from flextui.core.forget import forget_old_jobs
from flextui.core.model.ids import job_id
from flextui.core.model.inventory import Inventory
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Attempt, Identity, Now, Snapshot
from flextui.core.ports import Effect, Loaded
from flextui.core.reduce import jobs
from flextui.core.reduce.admission import check_ever
from flextui.core.reduce.decisions import apply_decision
from flextui.core.reduce.fold import fold
from flextui.core.restore import restored
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.plan import plan

Effects = Sequence[tuple[str, Effect]]


class VirtualCore:
    """Holds the state and takes turns. Times are Unix seconds, as a trace has them."""

    def __init__(self, inventory: Inventory, at: float) -> None:
        now = Now(at, 0.0)
        loaded = Loaded("virtual", 1, (), 1, 1)
        self._draft = Draft(
            restored(loaded, inventory, now), now, Counters(), self._token, own=True, silent=True
        )
        self._began = at
        self._memo = Memo()
        self._revision = 1
        self._tokens = 0
        self._possible: dict[int, JobSpec] = {}
        """Specs, by identity, that some nodes could hold: the fleet stays as it is."""
        self.plan_at = inf
        """When it wants to decide again though nothing happens."""
        self.passes = 0

    def _token(self) -> str:
        self._tokens += 1
        return str(self._tokens)

    def join(self, at: float, events: Iterable[NodeEvent]) -> None:
        """Let nodes join: a turn of its own."""
        self.begin(at)
        for event in events:
            self.tell(event)
        self.end()

    # ── turns ──────────────────────────────────────────────────────────────────────────────────

    def begin(self, at: float) -> None:
        """Begin a turn."""
        self._draft.turn(Now(at, at - self._began))
        forget_old_jobs(self._draft)

    def tell(self, event: NodeEvent) -> None:
        """Fold in what a node told."""
        fold(self._draft, event)

    def submit(self, who: Identity, spec: JobSpec) -> str:
        """Submit a job; its id. Raises `CommandError` when it is refused."""
        if id(spec) not in self._possible:
            check_ever(self.snapshot, spec)
            self._possible[id(spec)] = spec
        number = self._draft.counters.job
        answer = jobs.submit(self._draft, who, False, (spec,))
        if self._draft.counters.job > number:
            return job_id(number)
        revised: str = answer(self.snapshot)["jobs"][0]["id"]
        return revised

    def stop(self, who: Identity, job: str) -> None:
        """Stop a job of theirs; one that has ended is left as it is."""
        if job in self._draft.jobs:
            jobs.stop(self._draft, who, False, Stop((job,)))

    def end(self) -> Effects:
        """Decide if anything calls for it, and end the turn; what nodes are to do."""
        draft, at = self._draft, self._draft.now.wall
        if draft.replan or self.plan_at <= at:
            self._plan()
        elif draft.replan_within is not None:
            self.plan_at = at  # milliseconds, which this clock doesn't tell apart
        return draft.effects

    def _plan(self) -> None:
        draft = self._draft
        self._revision += 1
        self.passes += 1
        decision = plan(draft.freeze(self._revision), draft.now, self._memo, told=False)
        apply_decision(draft, decision)
        wall = inf if decision.next_wall is None else decision.next_wall
        mono = inf if decision.next_mono is None else decision.next_mono + self._began
        self.plan_at = max(min(wall, mono), draft.now.wall + SHORTEST_S)

    @property
    def now(self) -> float:
        """The instant of the last turn."""
        return self._draft.now.wall

    def attempt(self, key: str) -> Attempt:
        """An attempt by its id."""
        return self._draft.attempts[key]

    @property
    def snapshot(self) -> Snapshot:
        """The state as it is; it changes with the next turn."""
        return self._draft.freeze(self._revision)
