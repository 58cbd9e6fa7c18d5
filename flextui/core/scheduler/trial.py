"""What would become of a spec if it were submitted now: for `plan FILE`.

It is put behind what waits already, and the very pass that would decide decides. An older
revision of the same service or system job makes room for the new one, as its rollout would.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, Now, Snapshot
from flextui.core.scheduler.decision import Decision, Trial, TrialTask
from flextui.core.scheduler.explain import explain_steps
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.plan import drained

_ID = "planned"
"""The job's id meanwhile; no real one has it."""


def trial(snapshot: Snapshot, submitted: Job, now: Now) -> Trial:
    """Where its tasks would go, or why they would wait, were this job handed in now."""
    return drained(trial_steps(snapshot, submitted, now))


def trial_steps(snapshot: Snapshot, submitted: Job, now: Now) -> Generator[None, None, Trial]:
    """The same in small steps."""
    spec = submitted.spec
    seq = max((job.seq for job in snapshot.jobs.values()), default=0) + 1
    job = replace(submitted, id=_ID, seq=seq)
    job.__dict__["spec"] = spec
    future = Future(snapshot, now)
    future.vacate(_older(snapshot, job))
    future.put_job(job)
    return (yield from _tried(future, job))


def revision_steps(
    snapshot: Snapshot, revised: Job, ending: Iterable[str], now: Now
) -> Generator[None, None, Trial]:
    """Where those tasks of a live job would go that don't run, were this its new revision and
    these of its attempts at their end. In small steps."""
    future = Future(snapshot, now)
    future.revise(revised, set(ending))
    return (yield from _tried(future, revised))


def _tried(future: Future, job: Job) -> Generator[None, None, Trial]:
    """What a pass makes of the tasks of a job that hold no place."""
    decision = yield from future.look(told=True)
    future.carry_out(decision)
    after = future.snapshot
    places = {it.task: it for it in decision.placements}
    keys = after.by_job.get(job.id, ())
    wait = [key for key in keys if key not in places and _waits(after, key)]
    told = yield from explain_steps(after, wait, future.now)
    tasks = []
    for key in keys:
        place = places.get(key)
        if place is not None:
            tasks.append(TrialTask(key.index, place.node, place.gpus, share=place.share))
        elif key in told:
            reason = after.tasks[key].reason
            tasks.append(TrialTask(key.index, None, reason=reason, explanation=told[key]))
    return Trial(tuple(tasks), tuple(_warnings(job, decision)))


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
