"""Pure: what handing in specs would do, before it is done: for `plan`, and while one writes them.

Several are tried together, since together they are handed in: what one takes the next doesn't get.
A spec is tried as a new job, or as the next revision of one that lives; then what runs on, what
starts anew and why is told by the same function that does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flextui.core import explain_view
from flextui.core.authorize import may_act_on
from flextui.core.leisure import Steps
from flextui.core.model.change import spec_diff
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity, Job, Now, Snapshot
from flextui.core.reduce import admission
from flextui.core.reduce.admission import SpecRefused
from flextui.core.reduce.jobs import earlier, new_job
from flextui.core.reduce.revise import Fate, check_revision, fates, in_force
from flextui.core.scheduler.accounts import held_milli
from flextui.core.scheduler.decision import Trial
from flextui.core.scheduler.ever import never
from flextui.core.scheduler.trial import Tried, trial_steps

TRIAL_SEQ = 0
"""No job's number: a trial's job isn't counted."""


@dataclass(frozen=True, slots=True)
class _Handed:
    """A spec and the job that it would make, or make of a live one."""

    spec: JobSpec
    tried: Tried
    diff: list[dict[str, Any]]
    live: Job | None = None
    fates: tuple[Fate, ...] = ()


def preview(
    snapshot: Snapshot,
    now: Now,
    who: Identity,
    admin: bool,
    specs: Sequence[JobSpec],
    job: Job | None,
) -> Steps:
    """What submitting these specs together would do, or making one the next revision of `job`.
    Raises `SpecRefused` and `CommandError` for what is wrong in itself; what the fleet or a quota
    would refuse is a warning beside the reasons."""
    handed = []
    for at, spec in enumerate(specs):
        try:
            handed.append(_handed(snapshot, now, who, admin, spec, job))
        except SpecRefused as refused:
            refused.at = at
            raise
    trials = yield from trial_steps(snapshot, [it.tried for it in handed], now)
    counts = _Counted(snapshot.live_counts)
    return {
        "jobs": [
            _told(snapshot, who, it, tried, counts)
            for it, tried in zip(handed, trials, strict=True)
        ]
    }


def refusals(
    snapshot: Snapshot, now: Now, who: Identity, admin: bool, specs: Sequence[JobSpec]
) -> Steps:
    """{"refused": all that would be refused of these specs}, each with its number."""
    counts = _Counted(snapshot.live_counts)
    refused: list[SpecRefused] = []
    for at, asked in enumerate(specs):
        try:
            spec = admission.settle(snapshot.inventory, asked)
            live = earlier(snapshot, who, spec)
            admission.terms(snapshot.inventory, now.wall, who, admin, spec)
            owner = live.owner if live is not None else who.user
            admission.check_quotas(snapshot.inventory, counts, owner, spec, live)
            if live is None:
                counts.add(owner, spec.project)
            admission.check_ever(snapshot, spec)
        except SpecRefused as error:
            error.at = at
            refused.append(error)
        yield
    return {"refused": refused}


def _handed(
    snapshot: Snapshot, now: Now, who: Identity, admin: bool, spec: JobSpec, job: Job | None
) -> _Handed:
    spec = admission.settle(snapshot.inventory, spec)
    if job is not None:
        may_act_on(job, who, admin)
        check_revision(job, spec, 0)
    live = job if job is not None else earlier(snapshot, who, spec)
    terms = admission.terms(snapshot.inventory, now.wall, who, admin, spec)
    if live is None:
        fresh = new_job(TRIAL_SEQ, now.wall, who, spec, terms)
        fresh.__dict__["spec"] = spec
        return _Handed(spec, Tried(fresh), [])
    diff = spec_diff(in_force(live), spec)
    found = fates(snapshot, live, spec)
    revised = replace(
        live,
        revision=live.revision + bool(diff),
        spec_json=spec.to_text(),
        priority=spec.priority,
        count=spec.count,
        project=terms.project,
    )
    revised.__dict__["spec"] = spec
    ending = tuple(it.attempt.id for it in found if it.restarts or it.ends)
    return _Handed(spec, Tried(revised, ending), diff, live, tuple(found))


def _told(
    snapshot: Snapshot, who: Identity, it: _Handed, trial: Trial, counts: _Counted
) -> dict[str, Any]:
    """A job as `plan` tells it. `counts` has the jobs before it, and then this one."""
    spec, live = it.spec, it.live
    if live is None:
        told = explain_view.trial_view(snapshot, spec, "create", [], trial)
    else:
        action = "revise" if it.diff else "unchanged"
        told = explain_view.trial_view(snapshot, spec, action, it.diff, trial)
        told |= {"id": live.id, "revision": live.revision, "to": it.tried.job.revision}
        told["tasks"] = _merged(snapshot, told["tasks"], it.fates)
    owner = live.owner if live is not None else who.user
    told["quotas"] = _quotas(snapshot, owner, live, spec)
    try:
        admission.check_quotas(snapshot.inventory, counts, owner, spec, live)
        admission.check_ever(snapshot, spec)
    except SpecRefused as refused:
        told["warnings"].append(f"submitting it would be refused: {refused.text}")
        lacks = never(snapshot, spec)
        told["takes"] = explain_view.takes_view(lacks.takes) if lacks is not None else []
    if live is None:
        counts.add(owner, spec.project)
    return told


class _Counted:
    """Live jobs of users and projects, with those that are planned before."""

    def __init__(self, live: admission.Counts) -> None:
        self._live = live
        self._more: Counter[tuple[str, str]] = Counter()

    def add(self, owner: str, project: str) -> None:
        self._more.update((("user", owner), ("project", project)))

    def get(self, key: tuple[str, str], /) -> int:
        return (self._live.get(key) or 0) + self._more[key]


def _merged(
    snapshot: Snapshot, tried: list[dict[str, Any]], found: Sequence[Fate]
) -> list[dict[str, Any]]:
    """All tasks by index: what runs on or ends as it is, what starts anew with its new place."""
    places = {it["index"]: it for it in tried}
    for fate in found:
        index = fate.task.key.index
        here = explain_view.held_view(snapshot, index, fate.attempt)
        if fate.ends:
            places[index] = {**here, "ends": True}
        elif not fate.restarts:
            places[index] = {**here, "stays": True}
        elif index in places:
            places[index] |= {"restarts": list(fate.restarts), "from": fate.attempt.node}
    return [places[index] for index in sorted(places)]


def _quotas(
    snapshot: Snapshot, owner: str, live: Job | None, spec: JobSpec
) -> list[dict[str, Any]]:
    """GPUs in use of each quota that bounds them, with all of this job running."""
    inventory, more = snapshot.inventory, admission.gpus_of(spec)
    users = inventory.users.quota_of(owner).gpus
    told = []
    if users is not None:
        held = sum(it.gpus for it in snapshot.accounts.values() if it.user == owner)
        told.append((owner, held - _held(snapshot, live), users))
    project = inventory.projects.get(spec.project)
    if project is not None and project.quota.gpus is not None:
        held = sum(it.gpus for it in snapshot.accounts.values() if it.project == spec.project)
        mine = _held(snapshot, live) if live is not None and live.project == spec.project else 0
        told.append((spec.project, held - mine, project.quota.gpus))
    return [{"whose": whose, "gpus": held / 1000 + more, "of": of} for whose, held, of in told]


def _held(snapshot: Snapshot, job: Job | None) -> int:
    """Thousandths of GPUs that a job's attempts hold."""
    if job is None:
        return 0
    tasks = (snapshot.tasks[key] for key in snapshot.by_job.get(job.id, ()))
    live = (snapshot.attempts.get(it.active or "") for it in tasks)
    return sum(held_milli(it) for it in live if it is not None)
