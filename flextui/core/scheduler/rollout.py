"""Replacing what runs but should run otherwise: an older revision, or a node that is drained.

One task of a job at a time, and only while the job's others are well: what a new revision breaks
is one replica, not all. A task leaves a drained node once there is room for it elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.model.state import Attempt, AttemptState, Job, JobState, NodeStatus, Task
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.feasible import fits_somewhere
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.need import need_of


def roll_out(ledger: Ledger, fleet: Fleet, job: Job) -> bool:
    """Take the next step of the job's rollout and of its leaving drained nodes. False: there is
    none to take."""
    if job.type == "batch" or job.stop is not None:
        return False
    tasks = [task for task in ledger.tasks_of(job.id) if not task.retired]
    live = [(task, attempt) for task in tasks if (attempt := ledger.live(task)) is not None]
    outdated = [it for it in live if it[1].revision < job.revision]
    for _, attempt in outdated:
        if attempt.state is not AttemptState.RUNNING:  # nobody misses it
            ledger.stop(attempt, f"revision {job.revision}")
    leaving = [it for it in live if _is_leaving(ledger, job, *it)]
    if not outdated and not leaving:
        return False
    busy = any(_in_transition(ledger, task) for task in tasks)
    broken = any(task.state is JobState.FAILED for task in tasks)
    for _, attempt in outdated:
        if not busy and not broken and not ledger.stopping(attempt):
            ledger.stop(attempt, f"revision {job.revision}")
            busy = True
    for task, attempt in leaving:
        busy = _drain(ledger, fleet, job, task, attempt, busy=busy) or busy
    return True


def _in_transition(ledger: Ledger, task: Task) -> bool:
    """Between two attempts, or in the middle of a start or of a stop.

    A task that never ran isn't: it may wait for room that only the rollout makes. An attempt out
    of sight isn't either: it would hold up the others for as long as its node is away.
    """
    if ledger.starting_on(task.key) is not None:
        return True
    attempt = ledger.live(task)
    if attempt is None:
        return task.state is JobState.PENDING and task.active is not None
    if attempt.state is AttemptState.UNKNOWN:
        return False
    return attempt.state is not AttemptState.RUNNING or ledger.stopping(attempt)


def _is_leaving(ledger: Ledger, job: Job, task: Task, attempt: Attempt) -> bool:
    """A service's running task on a drained node, that isn't on its way yet.

    What is no longer one loses the reason that it had as such.
    """
    node = ledger.snapshot.nodes.get(attempt.node)
    wall = ledger.now.wall
    drained = node is not None and node.status is NodeStatus.READY and node.drains(wall)
    runs = attempt.state is AttemptState.RUNNING and not ledger.stopping(attempt)
    if job.type == "service" and drained and runs:
        return True
    if runs and task.reason_code == "moving":
        ledger.put(replace(task, reason="", reason_code=""))
    return False


def _drain(
    ledger: Ledger, fleet: Fleet, job: Job, task: Task, attempt: Attempt, *, busy: bool
) -> bool:
    """Move a task off its drained node, if it has where to go. True: it is being moved."""
    if ledger.stopping(attempt):
        return False
    need = need_of(job)
    why = f"{attempt.node} is drained"
    if busy or not fits_somewhere(fleet.matching(need), _ask(job)):
        waits = "moves after another task of the job" if busy else "there is no room elsewhere"
        ledger.put(replace(task, reason=f"{why}; {waits}", reason_code="moving"))
        return False
    ledger.stop(attempt, why)
    return True


def _ask(job: Job) -> Ask:
    return Ask(need_of(job), job.full_name, job.project, job.owner, groups=job.groups, key=job.id)
