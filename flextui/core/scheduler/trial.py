"""What would become of a spec if it were submitted now: for `plan FILE`.

It is put behind what waits already, and the very pass that would decide decides. An older
revision of the same service or system job makes room for the new one, as its rollout would.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Attempt, AttemptState, Job, Now, Snapshot, Task
from flextui.core.scheduler.decision import Decision, Trial, TrialTask
from flextui.core.scheduler.explain import explain
from flextui.core.scheduler.plan import plan

_ID = "trial"


def trial(snapshot: Snapshot, submitted: Job, now: Now) -> Trial:
    """Where its tasks would go, or why they would wait, were this job handed in now."""
    seq = max((job.seq for job in snapshot.jobs.values()), default=0) + 1
    spec = submitted.spec
    job = replace(submitted, id=_ID, seq=seq)
    job.__dict__["spec"] = spec
    tried = _with_job(_without_older(snapshot, job), job)
    decision = plan(tried, now)
    after = _carried_out(tried, decision, now)
    places = {it.task: it for it in decision.placements}
    tasks = []
    for key in after.by_job.get(_ID, ()):
        place = places.get(key)
        if place is not None:
            tasks.append(TrialTask(key.index, place.node, place.gpus))
        elif not after.tasks[key].retired:
            tasks.append(TrialTask(key.index, None, explanation=explain(after, key, now)))
    return Trial(tuple(tasks), tuple(_warnings(spec, decision)))


def _with_job(snapshot: Snapshot, job: Job) -> Snapshot:
    return replace(snapshot, jobs={**snapshot.jobs, job.id: job})


def _without_older(snapshot: Snapshot, job: Job) -> Snapshot:
    """Without the live job that the new revision would take the place of."""
    older = {
        it.id
        for it in snapshot.jobs.values()
        if job.type != "batch" and it.stop is None and it.full_name == job.full_name
    }
    if not older:
        return snapshot
    return replace(
        snapshot,
        jobs={key: it for key, it in snapshot.jobs.items() if key not in older},
        by_node={
            node: frozenset(it for it in live if snapshot.attempts[it].task.job not in older)
            for node, live in snapshot.by_node.items()
        },
    )


def _carried_out(snapshot: Snapshot, decision: Decision, now: Now) -> Snapshot:
    """The snapshot as it is once the decision's placements are made."""
    tasks = {**snapshot.tasks, **{task.key: task for task in decision.tasks}}
    attempts, by_node = dict(snapshot.attempts), dict(snapshot.by_node)
    by_job = dict(snapshot.by_job)
    for task in decision.tasks:
        if task.key not in snapshot.tasks:
            by_job[task.key.job] = (*by_job.get(task.key.job, ()), task.key)
    for it in decision.placements:
        task = tasks[it.task]
        made = _attempt(it.task, task, it.node, it.gpus, it.cpus, it.memory_bytes, it.revision, now)
        attempts[made.id] = made
        by_node[it.node] = by_node.get(it.node, frozenset()) | {made.id}
        tasks[it.task] = replace(task, active=made.id, attempts=made.number)
    jobs = {**snapshot.jobs, **{job.id: job for job in decision.jobs}}
    return replace(
        snapshot, jobs=jobs, tasks=tasks, attempts=attempts, by_node=by_node, by_job=by_job
    )


def _attempt(
    key: TaskKey,
    task: Task,
    node: str,
    gpus: tuple[str, ...],
    cpus: float,
    memory: int,
    revision: int,
    now: Now,
) -> Attempt:
    number = task.attempts + 1
    return Attempt(
        id=attempt_id(key, number),
        task=key,
        number=number,
        revision=revision,
        node=node,
        host_id="",
        boot="",
        root_id="",
        gpus=gpus,
        cpus=cpus,
        memory_bytes=memory,
        state=AttemptState.PLACED,
        placed_at=now.wall,
    )


def _warnings(spec: JobSpec, decision: Decision) -> list[str]:
    loss = spec.on_node_loss
    warnings = []
    if loss.then == "reschedule" and not loss.fence:
        nodes = sorted({it.node for it in decision.placements if it.task.job == _ID})
        if nodes:
            where = " or ".join(nodes)
            warnings.append(f"if its node is lost, may run twice until {where} answers")
        else:
            warnings.append("if its node is lost, may run twice until that node answers")
    return warnings
