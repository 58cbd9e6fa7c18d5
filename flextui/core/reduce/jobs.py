"""Commands about jobs: submit, stop, restart, scale, priority."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

from flextui.core.authorize import may_act_on
from flextui.core.commands import CommandError, Restart, Scale, SetPriority, Stop, Unstop
from flextui.core.draft import Draft
from flextui.core.model.change import spec_diff
from flextui.core.model.ids import job_id
from flextui.core.model.spec import MAX_COUNT, JobSpec
from flextui.core.model.state import Identity, Job, JobState, Snapshot, StopRequest
from flextui.core.model.units import format_duration
from flextui.core.reduce import admission
from flextui.core.reduce.admission import SpecRefused
from flextui.core.reduce.revise import in_force, put_revision
from flextui.core.reduce.select import find_job

Answer = Callable[[Snapshot], dict[str, Any]]
"""Made from the state after the commit, so that it tells what is durable."""
FEW = 20
"""So many jobs are taken in between two pauses."""


# ── submit ─────────────────────────────────────────────────────────────────────────────────────


def submit(draft: Draft, who: Identity, admin: bool, specs: Sequence[JobSpec]) -> Answer:
    """All or none: batch makes a new run, service and system a new revision of one's own job.

    Raises `CommandError`, `SpecRefused` where one field is at fault.
    """
    steps = submit_steps(draft, who, admin, specs)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            answer: Answer = done.value
            return answer


def submit_steps(
    draft: Draft, who: Identity, admin: bool, specs: Sequence[JobSpec]
) -> Generator[None, None, Answer]:
    """The same in steps of a few milliseconds: files may hold thousands."""
    told = []
    for at, spec in enumerate(specs):
        if at % FEW == FEW - 1:
            yield
        try:
            told.append(_submit_one(draft, who, admin, spec))
        except SpecRefused as refused:
            refused.at = at
            raise

    def answer(snapshot: Snapshot) -> dict[str, Any]:
        return {
            "jobs": [
                {**brief(snapshot, job), "action": action, "diff": diff}
                for job, action, diff in told
            ]
        }

    return answer


def own_live(state: Draft | Snapshot, who: Identity, name: str) -> Job | None:
    """The caller's newest live job of this name that isn't being stopped."""
    blocks = state.named.get((who.user, name))
    return state.jobs[job_id(blocks[-1][-1])] if blocks else None


def earlier(state: Draft | Snapshot, who: Identity, spec: JobSpec) -> Job | None:
    """The live job that this is a new revision of. Raises `SpecRefused` for one of another type."""
    live = own_live(state, who, spec.name)
    if live is not None and live.type != spec.type:
        what = f"{spec.name} is a live {live.type} job of yours ({live.id})"
        mend = f"it stopped first, or another name for this {spec.type}"
        raise SpecRefused(("type",), what, mend)
    return None if spec.type == "batch" else live


def _submit_one(
    draft: Draft, who: Identity, admin: bool, spec: JobSpec
) -> tuple[str, str, list[dict[str, Any]]]:
    spec = admission.settle(draft.inventory, spec)
    live = earlier(draft, who, spec)
    if live is None:
        terms = admission.terms(draft.inventory, draft.now.wall, who, admin, spec)
        admission.check_quotas(draft.inventory, draft.live_counts, who.user, spec, None)
        job = new_job(draft.next_job(), draft.now.wall, who, spec, terms)
        job.__dict__["spec"] = spec
        draft.put_job(job)
        draft.note("job.submitted", job.full_name, actor=who.user, job=job.id)
        return job.id, "created", []
    diff = spec_diff(in_force(live), spec)
    if not diff:
        return live.id, "unchanged", []
    put_revision(draft, who, admin, live, spec)
    return live.id, "revised", diff


def new_job(seq: int, wall: float, who: Identity, spec: JobSpec, terms: admission.Terms) -> Job:
    """A job as it is when it has just been handed in."""
    return Job(
        id=job_id(seq),
        seq=seq,
        name=spec.name,
        owner=who.user,
        owner_uid=who.uid,
        type=spec.type,
        revision=1,
        spec_json=spec.to_text(),
        submitted_at=wall,
        priority=spec.priority,
        count=spec.count,
        groups=who.groups,
        project=terms.project,
        begin_at=terms.begin_at,
        deadline_at=terms.deadline_at,
    )


LONGEST_S = 3600.0
"""No stop or drain is put off for longer."""


def soon(wall: float, after_s: float) -> float:
    """The wall time of what is asked for in so many seconds. Raises `CommandError` (input)."""
    if not 0 <= after_s <= LONGEST_S:
        what = f"in {after_s:g} s: expected 0 to {LONGEST_S:.0f}"
        raise CommandError("input", what)
    return wall + after_s


# ── acting on what is there ────────────────────────────────────────────────────────────────────


def stop(draft: Draft, who: Identity, admin: bool, command: Stop) -> Answer:
    """Ask for the end, at once or soon. Jobs that have ended are left as they are."""
    jobs = chosen(draft, who, admin, command.jobs)
    at = soon(draft.now.wall, command.after_s)
    for job in jobs:
        if job.state.ended or (job.stop is not None and job.stop.at <= at):
            continue
        why = command.why or f"stopped by {who.user}"
        draft.put_job(replace(job, stop=StopRequest(who.user, at, why)))
        later = f", in {format_duration(command.after_s)}" if command.after_s else ""
        draft.note("audit.stop", f"{job.full_name}: {why}{later}", actor=who.user, job=job.id)
    return briefs(jobs)


def unstop(draft: Draft, who: Identity, admin: bool, command: Unstop) -> Answer:
    """Take stops back that aren't done yet; jobs that have ended meanwhile stay so."""
    jobs = chosen(draft, who, admin, command.jobs)
    waiting = [it for it in jobs if it.stop is not None and it.stop.at > draft.now.wall]
    waiting = [it for it in waiting if not it.state.ended]
    if not waiting:
        names = ", ".join(job.full_name for job in jobs[:3])
        raise CommandError("input", f"{names}: no stop waits to be done, so there is none to undo")
    _check_names(draft, waiting)
    for job in waiting:
        draft.put_job(replace(job, stop=None))
        draft.note("audit.unstop", job.full_name, actor=who.user, job=job.id)
    return briefs(jobs)


def restart(draft: Draft, who: Identity, admin: bool, command: Restart) -> Answer:
    """Stop and start anew what is live; what failed or was stopped gets a fresh start."""
    jobs = chosen(draft, who, admin, command.jobs)
    for job in jobs:
        if job.state is JobState.SUCCEEDED:
            raise CommandError("input", f"{job.full_name} succeeded: submit it again to run again")
    _check_names(draft, [it for it in jobs if it.state.ended or it.stop is not None])
    _check_room(draft, [it for it in jobs if it.state.ended])
    for job in jobs:
        _restart_one(draft, who, job)
    return briefs(jobs)


def _check_names(draft: Draft, jobs: Sequence[Job]) -> None:
    """Raises `CommandError` where these would live beside another service of their name."""
    taken = {(it.owner, it.name): it.id for it in reversed(jobs)}
    for job in jobs:
        others = draft.named.get((job.owner, job.name))
        other = job_id(others[0][0]) if others else taken[job.owner, job.name]
        if job.type != "batch" and other != job.id:
            what = f"{job.full_name} was submitted anew meanwhile ({other})"
            raise CommandError("input", f"{what}: stop that one first")


def _check_room(draft: Draft, jobs: Sequence[Job]) -> None:
    """Raises `SpecRefused` where these would be more jobs than a quota lets live at once."""
    counts: dict[tuple[str, str], int] = {}
    for job in jobs:
        keys = (("user", job.owner), ("project", job.project))
        counts = {key: draft.live_counts.get(key) or 0 for key in keys} | counts
        admission.check_quotas(draft.inventory, counts, job.owner, job.spec, None)
        for key in keys:
            counts[key] += 1


def _restart_one(draft: Draft, who: Identity, job: Job) -> None:
    request = StopRequest(who.user, draft.now.wall, f"restarted by {who.user}")
    for key in draft.by_job.get(job.id) or ():
        task = draft.tasks[key]
        attempt = draft.attempts.get(task.active) if task.active else None
        if task.retired or task.state is JobState.SUCCEEDED:
            continue
        fresh = replace(task, failures=(), not_before=None)
        if attempt is not None and attempt.state.live and not attempt.replaced:
            draft.put_task(replace(fresh, restart=request))
        else:
            draft.put_task(
                replace(
                    fresh,
                    state=JobState.PENDING,
                    reason="",
                    reason_code="",
                    ended_at=None,
                    exit_code=None,
                    ready_at=draft.now.wall,
                    restart=None,
                )
            )
    state = JobState.PENDING if job.state.ended else job.state
    reason = "" if job.state.ended else job.reason
    draft.put_job(replace(job, state=state, reason=reason, ended_at=None, stop=None))
    draft.note("audit.restart", job.full_name, actor=who.user, job=job.id)


def scale(draft: Draft, who: Identity, admin: bool, command: Scale) -> Answer:
    """Set the number of replicas of a service."""
    (job,) = chosen(draft, who, admin, (command.job,))
    if job.type != "service" or job.state.ended:
        what = f"{job.state}" if job.state.ended else f"a {job.type} job"
        raise CommandError("input", f"{job.full_name} is {what}: only a live service has replicas")
    if not 0 <= command.count <= MAX_COUNT:
        raise CommandError("input", f"{command.count} replicas: expected 0 to {MAX_COUNT}")
    admission.check_scale(draft.inventory, job, command.count)
    if job.count != command.count:
        draft.put_job(replace(job, count=command.count))
        text = f"{job.full_name}: {job.count} → {command.count} replicas"
        draft.note("audit.scale", text, actor=who.user, job=job.id)
    return lambda _: {"id": job.id, "name": job.name, "count": command.count}


def set_priority(draft: Draft, who: Identity, admin: bool, command: SetPriority) -> Answer:
    """Set where a job stands in the queue, 0 to 100."""
    (job,) = chosen(draft, who, admin, (command.job,))
    if not 0 <= command.priority <= 100:
        raise CommandError("input", f"priority {command.priority}: expected 0 to 100")
    if job.state.ended:
        raise CommandError("input", f"{job.full_name} has ended ({job.state})")
    if job.priority != command.priority:
        draft.put_job(replace(job, priority=command.priority))
        text = f"{job.full_name}: priority {job.priority} → {command.priority}"
        draft.note("audit.priority", text, actor=who.user, job=job.id)
    return lambda _: {"id": job.id, "name": job.name, "priority": command.priority}


def chosen(draft: Draft, who: Identity, admin: bool, selectors: Sequence[str]) -> list[Job]:
    """The jobs meant, each once, all of which the caller may act on."""
    if not selectors:
        raise CommandError("input", "no job was named")
    chosen: dict[str, Job] = {}
    for selector in selectors:
        job = find_job(draft.jobs, draft.recent, who, selector)
        may_act_on(job, who, admin)
        chosen[job.id] = job
    return list(chosen.values())


def briefs(jobs: Sequence[Job]) -> Answer:
    ids = [job.id for job in jobs]
    return lambda snapshot: {"jobs": [brief(snapshot, job) for job in ids]}


def brief(snapshot: Snapshot, job_id: str) -> dict[str, Any]:
    """A job in one line, as answers tell it."""
    job = snapshot.jobs.get(job_id) or snapshot.recent[job_id]
    return {
        "id": job.id,
        "name": job.name,
        "owner": job.owner,
        "revision": job.revision,
        "state": str(job.state),
        "reason": job.reason,
    }
