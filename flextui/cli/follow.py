"""Waiting for jobs, and the exit status that their end gives a command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import cast

from flextui.cli import output
from flextui.core.client import Client
from flextui.core.commands import Show
from flextui.core.model.docs import JobDoc
from flextui.screens.format import job_reason, live_tasks

ENDED = ("succeeded", "failed", "stopped")


async def changes(client: Client, ids: Iterable[str]) -> AsyncIterator[JobDoc]:
    """The jobs as they are now, then each time one changes; it ends when all have ended."""
    left = set(ids)
    async for delta in client.watch():
        for job_id in sorted(left):
            if job_id not in delta["jobs"] and not delta["full"]:
                continue
            doc = delta["jobs"].get(job_id)
            if doc is None:  # it ended so long ago, or so quickly, that the view dropped it
                doc = cast(JobDoc, await client.call(Show(job_id)))
            if doc["state"] in ENDED:
                left.discard(job_id)
            yield doc
        if not left:
            return


async def until_ended(client: Client, ids: Sequence[str], *, tell: bool) -> list[JobDoc]:
    """The jobs once all have ended, in the order asked for; `tell` says each end on stderr."""
    ended: dict[str, JobDoc] = {}
    async for job in changes(client, ids):
        if job["state"] in ENDED:
            ended[job["id"]] = job
            if tell:
                say_state(job)
    return [ended[job_id] for job_id in dict.fromkeys(ids)]


def say_state(job: JobDoc) -> None:
    """A line about where a job stands."""
    reason = job_reason(job)
    output.say(
        f"flextui: {job['id']} {job['name']} {job['state']}" + (f": {reason}" if reason else "")
    )


def exit_status(job: JobDoc) -> int:
    """The exit status for a job that ended: its own, and never 0 where it didn't succeed."""
    if job["state"] == "succeeded":
        return output.DONE
    return job["exit_code"] or output.FAILED


def worst_status(jobs: Iterable[JobDoc]) -> int:
    """The exit status of the first job that didn't succeed, else 0."""
    return next((exit_status(job) for job in jobs if job["state"] != "succeeded"), output.DONE)


async def until_running(client: Client, ids: Sequence[str], *, tell: bool) -> int:
    """0 once all tasks of all jobs run; the status of a job that ended before without success."""
    running: set[str] = set()
    async for job in changes(client, ids):
        if job["state"] in ENDED or _all_run(job):
            running.add(job["id"])
            if tell:
                say_state(job)
            if job["state"] in ENDED and job["state"] != "succeeded":
                return exit_status(job)
        if running >= set(ids):
            break
    return output.DONE


def _all_run(job: JobDoc) -> bool:
    now, wanted = live_tasks(job)
    return wanted > 0 and now >= wanted
