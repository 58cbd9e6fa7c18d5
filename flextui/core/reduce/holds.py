"""Commands that hold jobs back and let them go: what is held starts nothing, what runs goes on."""

from __future__ import annotations

from dataclasses import replace

from flextui.core.commands import CommandError, Hold, Release
from flextui.core.draft import Draft
from flextui.core.model.state import Identity, JobState, Mark
from flextui.core.reduce.jobs import Answer, briefs, chosen


def hold(draft: Draft, who: Identity, admin: bool, command: Hold) -> Answer:
    """Start nothing more of these jobs. An admin's hold takes the place of the owner's own."""
    jobs = chosen(draft, who, admin, command.jobs)
    for job in jobs:
        if job.state.ended:
            raise CommandError("input", f"{job.full_name} has ended ({job.state})")
    for job in jobs:
        if job.hold is None or job.hold.by == job.owner != who.user:
            draft.put_job(replace(job, hold=Mark(who.user, draft.now.wall, command.why)))
            why = f": {command.why}" if command.why else ""
            draft.note("audit.hold", f"{job.full_name} held{why}", actor=who.user, job=job.id)
    return briefs(jobs)


def release(draft: Draft, who: Identity, admin: bool, command: Release) -> Answer:
    """Let them start again. Their age counts from now: who was held didn't wait for a place.

    What an admin holds of somebody else's only an admin releases.
    """
    jobs = chosen(draft, who, admin, command.jobs)
    for job in jobs:
        if job.hold is not None and job.hold.by not in (job.owner, who.user) and not admin:
            why = f": {job.hold.why}" if job.hold.why else ""
            text = f"{job.full_name} is held by {job.hold.by}{why}; only an admin releases it"
            raise CommandError("permission", text)
    for job in jobs:
        if job.hold is None or job.state.ended:
            continue
        for key in draft.by_job.get(job.id) or ():
            task = draft.tasks[key]
            if task.state is JobState.PENDING and task.reason_code == "held":
                fresh = replace(task, reason="", reason_code="", ready_at=draft.now.wall)
                draft.put_task(fresh)
        draft.put_job(replace(job, hold=None))
        draft.note("audit.release", job.full_name, actor=who.user, job=job.id)
    return briefs(jobs)
