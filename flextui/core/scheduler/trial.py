"""What would become of specs if they were submitted now: for `plan FILE`.

They are put behind what waits already, all at once as `submit` does, and the very pass that would
decide decides. An older revision of the same service or system job makes room for the new one, as
its rollout would.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, Now, Snapshot
from flextui.core.scheduler.decision import (
    Decision,
    Explanation,
    Placement,
    Trial,
    TrialTask,
)
from flextui.core.scheduler.explain import explain_steps
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.plan import drained

_ID = "planned"
"""How the jobs' ids begin meanwhile; no real one's does."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A job as it would be handed in."""

    job: Job
    ending: tuple[str, ...] | None = None
    """A live job in its next revision: its attempts that this would end. None: a new job"""


def trial(snapshot: Snapshot, submitted: Job, now: Now) -> Trial:
    """Where its tasks would go, or why they would wait, were this job handed in now."""
    return drained(trial_steps(snapshot, [Tried(submitted)], now))[0]


def trial_steps(
    snapshot: Snapshot, tried: Sequence[Tried], now: Now
) -> Generator[None, None, list[Trial]]:
    """Where the tasks of these jobs would go, or why they would wait, were they handed in together
    now; of a live one those that don't run. In small steps."""
    future = Future(snapshot, now)
    seq = max((job.seq for job in snapshot.jobs.values()), default=0)
    jobs = []
    for number, it in enumerate(tried, 1):
        if it.ending is None:
            job = replace(it.job, id=f"{_ID}{number}", seq=seq + number)
            job.__dict__["spec"] = it.job.spec
            future.vacate(_older(snapshot, job))
            future.put_job(job)
        else:
            job = it.job
            future.revise(job, set(it.ending))
        jobs.append(job)
    decision = yield from future.look(told=True)
    future.carry_out(decision)
    after = future.snapshot
    places = {it.task: it for it in decision.placements}
    keys = {job.id: after.by_job.get(job.id, ()) for job in jobs}
    wait = [key for own in keys.values() for key in own if key not in places and _waits(after, key)]
    told = yield from explain_steps(after, wait, future.now)
    return [
        Trial(tuple(_tasks(after, keys[job.id], places, told)), tuple(_warnings(job, decision)))
        for job in jobs
    ]


def _tasks(
    after: Snapshot,
    keys: Sequence[TaskKey],
    places: Mapping[TaskKey, Placement],
    told: Mapping[TaskKey, Explanation],
) -> Iterator[TrialTask]:
    """Those of a job that hold no place yet."""
    for key in keys:
        place = places.get(key)
        if place is not None:
            yield TrialTask(key.index, place.node, place.gpus, share=place.share)
        elif key in told:
            reason = after.tasks[key].reason
            yield TrialTask(key.index, None, reason=reason, explanation=told[key])


def _waits(snapshot: Snapshot, key: TaskKey) -> bool:
    task = snapshot.tasks[key]
    attempt = snapshot.attempts.get(task.active) if task.active else None
    return not task.retired and (attempt is None or not attempt.state.live or attempt.replaced)


def _older(snapshot: Snapshot, job: Job) -> list[str]:
    """The live job that the new revision would take the place of."""
    return [
        it.id
        for it in snapshot.jobs.values()
        if job.type != "batch" and it.stop is None and it.full_name == job.full_name
    ]


def _warnings(job: Job, decision: Decision) -> list[str]:
    loss = job.spec.on_node_loss
    warnings = []
    if loss.then == "reschedule" and not loss.fence:
        nodes = sorted({it.node for it in decision.placements if it.task.job == job.id})
        if nodes:
            where = " or ".join(nodes)
            warnings.append(f"if its node is lost, may run twice until {where} answers")
        else:
            warnings.append("if its node is lost, may run twice until that node answers")
    return warnings
