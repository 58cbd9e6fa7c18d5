"""A new revision of a live job: what it does to each task that runs, and the doing of it.

What an attempt was started with can only change by starting it anew: a service's tasks one after
the other, as its rollout goes, those of a batch job at once. All else holds without a restart: the
attempt then counts as one of the new revision. `fates` says which it is for whoever plans,
shows or does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flextui.core.authorize import may_act_on
from flextui.core.commands import CommandError, Revise
from flextui.core.draft import Draft
from flextui.core.model.change import Effect, spec_diff
from flextui.core.model.revisions import now_and_before
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Attempt, Identity, Job, Snapshot, StopRequest, Task
from flextui.core.reduce import admission
from flextui.core.reduce.admission import SpecRefused
from flextui.core.reduce.select import find_job
from flextui.core.scheduler.capacity import allows
from flextui.core.scheduler.need import need_of_spec

Answer = Callable[[Snapshot], dict[str, Any]]
_OWED = ("revision",)
"""Told of a task that an earlier revision has still to start anew."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What a new revision means for a task that runs."""

    task: Task
    attempt: Attempt
    restarts: tuple[str, ...]
    """The fields that make it start anew; empty: it runs on."""
    ends: bool = False
    """The new revision has no such task."""


def in_force(job: Job) -> JobSpec:
    """The job's spec as it holds now, with the priority and replicas given since."""
    spec = job.spec
    if (spec.count, spec.priority) == (job.count, job.priority):
        return spec
    return spec.model_copy(update={"count": job.count, "priority": job.priority})


def fates(state: Draft | Snapshot, job: Job, spec: JobSpec) -> list[Fate]:
    """The job's tasks that run, each with what becomes of it under the new spec."""
    rows = spec_diff(in_force(job), spec)
    anew = tuple(it["field"] for it in rows if it["effect"] == Effect.RESTART)
    moves = tuple(it["field"] for it in rows if it["effect"] == Effect.MOVE)
    need, found = need_of_spec(spec), []
    for key in state.by_job.get(job.id) or ():
        task = state.tasks[key]
        attempt = state.attempts.get(task.active) if task.active else None
        if task.retired or attempt is None or not attempt.state.live or attempt.replaced:
            continue
        node = state.nodes.get(attempt.node)
        unfit = bool(moves) and node is not None and not allows(need, node, state.inventory)
        ends = (unfit and task.node is not None) or (
            spec.type == "service" and key.index >= spec.count
        )
        owed = _OWED if attempt.revision < job.revision else ()
        why = anew or (moves if unfit else owed)
        found.append(Fate(task, attempt, () if ends else why, ends))
    return found


def revise(draft: Draft, who: Identity, admin: bool, command: Revise, spec: JobSpec) -> Answer:
    """Make a live job run as this spec says. Raises `CommandError`, `SpecRefused`."""
    live = find_job(draft.jobs, draft.recent, who, command.job)
    may_act_on(live, who, admin)
    spec = admission.settle(draft.inventory, spec)
    check_revision(live, spec, command.base)
    diff = spec_diff(in_force(live), spec)
    told: dict[str, Any] = {"action": "unchanged", "diff": diff, "restarts": []}
    if diff:
        told |= {"action": "revised", "restarts": put_revision(draft, who, admin, live, spec)}

    def answer(snapshot: Snapshot) -> dict[str, Any]:
        job = snapshot.jobs.get(live.id) or snapshot.recent[live.id]
        brief = {"id": job.id, "name": job.name, "owner": job.owner, "revision": job.revision}
        return {"job": {**brief, "state": str(job.state), "reason": job.reason}, **told}

    return answer


def check_revision(live: Job, spec: JobSpec, base: int) -> None:
    """Raises `CommandError` where the job can't become this: it has ended, or is another by now.

    `base`: the revision that the text was made from; 0: whichever.
    """
    if live.state.ended or live.stop is not None:
        how = f"has ended ({live.state})" if live.state.ended else "is being stopped"
        what = f"{live.full_name} {how}: submit the text, that makes a new run"
        raise CommandError("input", what)
    if base and base != live.revision:
        raise CommandError(
            "failed",
            f"{live.full_name} is at revision {live.revision} by now, and this was written from "
            f"revision {base}: look at what has changed, then apply it again",
        )
    if spec.name != live.name:
        what = f"{live.full_name} keeps its name"
        raise SpecRefused(("name",), what, f"name: {live.name}; submit it to make another job")
    if spec.type != live.type:
        what = f"{live.full_name} stays a {live.type} job"
        raise SpecRefused(("type",), what, f"type: {live.type}, or another name")
    if spec.nodes != live.spec.nodes:
        mend = f"nodes: {live.spec.nodes}, or the job stopped and submitted again"
        raise SpecRefused(("nodes",), "a gang keeps its size while it lives", mend)


def put_revision(draft: Draft, who: Identity, admin: bool, live: Job, spec: JobSpec) -> list[int]:
    """Write the new revision; the indices of the tasks that start anew. Raises `SpecRefused`."""
    inventory, wall = draft.inventory, draft.now.wall
    terms = admission.terms(inventory, wall, who, admin, spec)
    owner = live.owner
    admission.check_quotas(inventory, draft.live_counts, owner, spec, live)
    told = fates(draft, live, spec)
    old = live.spec
    job = replace(
        live,
        revision=live.revision + 1,
        spec_json=spec.to_text(),
        priority=spec.priority,
        count=spec.count,
        groups=who.groups if who.user == owner else live.groups,
        project=terms.project,
        begin_at=live.begin_at if spec.begin == old.begin else terms.begin_at,
        deadline_at=live.deadline_at if spec.deadline == old.deadline else terms.deadline_at,
    )
    job.__dict__["spec"] = spec
    before, now = now_and_before(live, job, wall)
    draft.revisions += [before, replace(now, by=who.user)]
    draft.put_job(job)
    for fate in told:
        _apply(draft, job, fate, who.user)
    draft.note("job.revised", _said(job, told), actor=who.user, job=job.id)
    return [it.task.key.index for it in told if it.restarts]


def _apply(draft: Draft, job: Job, fate: Fate, by: str) -> None:
    if fate.ends:
        return  # the next pass sees that the task is one too many
    if not fate.restarts:
        draft.put_attempt(replace(fate.attempt, revision=job.revision))
    elif job.type == "batch" and fate.task.restart is None:
        why = f"revision {job.revision}: {', '.join(fate.restarts)}"
        again = StopRequest(by, draft.now.wall, why)
        draft.put_task(replace(fate.task, failures=(), not_before=None, restart=again))


def _said(job: Job, told: list[Fate]) -> str:
    anew = sum(bool(it.restarts) for it in told)
    effect = f", {anew} of {len(told)} tasks start anew" if anew else ""
    return f"{job.full_name} revision {job.revision}{effect}"
