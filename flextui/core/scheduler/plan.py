"""One pass: everything that should change now, from the state as it is.

`plan` is a pure function of the snapshot and the instant. Its steps, each a module: reconcile
what jobs should have with what they have; place the tasks that want a place, in order; say why
the others wait; go on with rollouts; let the jobs follow their tasks. `plan_steps` is the same,
and pauses so often that an event loop between isn't held up.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Now, Snapshot
from flextui.core.scheduler.decision import Decision, Note
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.loss import suspended
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.order import Ranking
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.placing import Placing
from flextui.core.scheduler.quota import Quotas
from flextui.core.scheduler.reconcile import reconcile
from flextui.core.scheduler.rollout import roll_out
from flextui.core.scheduler.rollup import roll_up
from flextui.core.scheduler.tell import tell

T = TypeVar("T")


def plan(snapshot: Snapshot, now: Now, memo: Memo | None = None, *, told: bool = True) -> Decision:
    """What must change, where, and why not. `memo`: see there; it changes no answer."""
    return drained(plan_steps(snapshot, now, memo or Memo(), told=told))


def plan_steps(
    snapshot: Snapshot, now: Now, memo: Memo, *, told: bool = True
) -> Generator[None, None, Decision]:
    """The same in small steps, of one to two milliseconds each. It may be broken off.

    Without `told` those that wait get no reasons, where nobody will read them: for forecasts and
    replays.
    """
    pace = Pace()
    placing = yield from place_steps(snapshot, now, memo, pace)
    ledger = placing.ledger
    _note_pause(ledger)
    if told:
        yield from tell(ledger, memo, placing, pace)
    for key in ledger.looked:
        if roll_out(ledger, placing.fleet, ledger.job(key)):
            memo.restless.add(key)
    for key in dict.fromkeys((*ledger.looked, *ledger.changed_jobs)):
        roll_up(ledger, ledger.job(key))
        if pace.due(0.6):
            yield
    memo.end(snapshot, ledger.loud)
    yield
    return ledger.decision()


def place_steps(
    snapshot: Snapshot, now: Now, memo: Memo, pace: Pace
) -> Generator[None, None, Placing]:
    """Up to where all places are given: what starts, what is kept for whom, who gives way."""
    placing = yield from _ready(snapshot, now, memo, pace)
    yield from placing.run()
    return placing


def _ready(snapshot: Snapshot, now: Now, memo: Memo, pace: Pace) -> Generator[None, None, Placing]:
    """Up to where places are given: every task that wants one is in the queue."""
    yield from memo.begin(snapshot)
    ledger = Ledger(snapshot, now, paused=suspended(snapshot, memo.lost(snapshot)))
    ranking = Ranking(snapshot, now, memo.runtimes)
    memo.queue.begin(ranking, memo.touched.runtimes if memo.touched is not None else ())
    quotas = Quotas(ledger)
    yield from reconcile(ledger, memo, pace, quotas.enforce())
    yield from Fleet.make_ahead(snapshot, memo)
    fleet = Fleet(snapshot, memo)
    if pace.due(len(fleet.fresh)):
        yield
    return Placing(ledger, memo, fleet, ranking, quotas, pace)


def placed_before(snapshot: Snapshot, key: TaskKey, now: Now) -> Generator[None, None, Placing]:
    """A pass as far as to a task's turn: what goes before it is placed."""
    placing = yield from _ready(snapshot, now, Memo(), Pace())
    yield from placing.until(key)
    return placing


def drained(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


def _note_pause(ledger: Ledger) -> None:
    before = ledger.snapshot.suspended_until_answer
    if ledger.paused and not before:
        text = (
            "half of the nodes fell silent at once: nothing is replaced until one answers, "
            "or is declared lost"
        )
        ledger.notes.append(Note("fleet.paused", text))
    elif before and not ledger.paused:
        ledger.notes.append(Note("fleet.resumed", "lost nodes' work is replaced again"))
