"""One pass: everything that should change now, from the state as it is.

`plan` is a pure function of the snapshot and the instant. Its steps, each a module: reconcile
what jobs should have with what they have; order the tasks that want a place; place them; say why
the others wait; go on with rollouts; let the jobs follow their tasks.
"""

from __future__ import annotations

from flextui.core.model.state import Now, Snapshot
from flextui.core.scheduler.decision import Decision, Note
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.loss import suspended
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.queue import in_order, place_all
from flextui.core.scheduler.reasons import tell
from flextui.core.scheduler.reconcile import reconcile
from flextui.core.scheduler.rollout import roll_out
from flextui.core.scheduler.rollup import roll_up


def plan(snapshot: Snapshot, now: Now, memo: Memo | None = None) -> Decision:
    """What must change, where, and why not. `memo`: see there; it changes no answer."""
    memo = memo or Memo()
    memo.begin(snapshot)
    ledger = Ledger(snapshot, now, paused=suspended(snapshot))
    _note_pause(ledger)
    waiting, restless = reconcile(ledger, memo)
    fleet = Fleet(snapshot, memo)
    left = place_all(ledger, fleet, in_order(waiting))
    tell(ledger, fleet, left)
    for job in restless:
        roll_out(ledger, fleet, job)
    following = {job.id: job for job in restless}
    for key in ledger.changed_jobs:
        following[key] = snapshot.jobs[key]
    for job in following.values():
        roll_up(ledger, job)
    return ledger.decision()


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
