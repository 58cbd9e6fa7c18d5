"""What becomes of work that is still there when a window opens over it.

Nothing starts that its time limit doesn't prove to be over before; but what has no limit, or ran
before the window was made, may still be there. Where preemption is on and it may be preempted,
it gives way. Otherwise it runs on, and its reason says so for as long as it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from flextui.core.model.state import Attempt, Job, JobState, NodeStatus
from flextui.core.scheduler.calendar import Calendar, Closed, admits, title
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.restart import PREEMPTED

RESERVED = "reserved"


def clear_windows(
    ledger: Ledger, calendar: Calendar, rooms: Iterable[Room], pace: Pace
) -> Iterator[None]:
    """Deal with what still runs on these nodes in windows that have opened."""
    wall = ledger.now.wall
    for room in rooms:
        if room.node.status is not NodeStatus.READY:
            continue  # nobody could start there instead
        live = sorted(ledger.snapshot.by_node.get(room.name, ()))
        closed = list(calendar.now(room, wall)) if live else []
        for key in live:
            _heed(ledger, ledger.snapshot.attempts[key], closed)
        if pace.due(0.3 * len(live)):
            yield


def _heed(ledger: Ledger, attempt: Attempt, closed: list[Closed]) -> None:
    job = ledger.snapshot.jobs.get(attempt.task.job)
    if job is None or job.stops(ledger.now.wall) or attempt.replaced or ledger.stopping(attempt):
        return
    task = ledger.task(attempt.task)
    window = next((it.window for it in closed if _crosses(job, attempt, it)), None)
    if window is None:
        if task.reason_code == RESERVED:
            ledger.put(replace(task, reason="", reason_code=""))
        return
    policy = ledger.snapshot.inventory.policy
    if policy.preemption and job.spec.preempt != "never":
        ledger.stop(attempt, f"preempted for {title(window)}", PREEMPTED)
    elif task.state is JobState.RUNNING and task.reason_code in ("", "moving"):
        ledger.put(replace(task, reason=f"runs on into {title(window)}", reason_code=RESERVED))


def _crosses(job: Job, attempt: Attempt, closed: Closed) -> bool:
    if admits(closed.window, job.owner, job.groups, job.project):
        return False
    return closed.barred is None or not closed.barred.isdisjoint(attempt.gpus)
