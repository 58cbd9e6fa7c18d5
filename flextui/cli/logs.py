"""logs: what a job printed, as it printed it, also of attempts that ended long ago."""

from __future__ import annotations

from typing import cast

import click

from flextui.cli.complete import job_names
from flextui.cli.stream import copy_logs
from flextui.cli.verb import Place, verb
from flextui.core.client import Client
from flextui.core.commands import LogRequest, Show
from flextui.core.model.docs import JobDoc
from flextui.core.model.ids import TaskKey, attempt_id


@verb(
    "logs",
    "flextui logs -f train-resnet",
    "flextui logs chat-api --task 2 -n 100 --stream err",
    "flextui logs j17 --attempt 1 > first-try.txt",
    short_help="Show what a job prints.",
)
@click.argument("job", shell_complete=job_names)
@click.option("-f", "--follow", is_flag=True, help="Go on as it is printed, until the job ends.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="LINES", help="The last so many.")
@click.option("--task", "tasks", type=click.IntRange(0), multiple=True, metavar="N", help="Its N.")
@click.option("--attempt", metavar="N|ID", help="That attempt; the newest if left out.")
@click.option("--stream", type=click.Choice(["out", "err"]), help="Only that; both if left out.")
def logs(
    place: Place,
    job: str,
    follow: bool,
    lines: int | None,
    tasks: tuple[int, ...],
    attempt: str | None,
    stream: str | None,
) -> None:
    """Show what a job prints. Into a pipe or file go the bytes as they are; on a terminal control
    sequences other than colours are made harmless. What rotation dropped is told on stderr.
    """

    async def act(client: Client) -> None:
        doc = cast(JobDoc, await client.call(Show(job)))
        request = LogRequest(
            job=doc["id"],
            tasks=tasks,
            attempt=_attempt(doc, tasks, attempt),
            streams=(stream,) if stream else ("out", "err"),
            last_lines=lines,
            follow=follow,
        )
        several = not attempt and len(tasks or doc["tasks"]) > 1
        await copy_logs(client.logs(request), several=several)

    place.run(act)


def _attempt(job: JobDoc, tasks: tuple[int, ...], given: str | None) -> str | None:
    """The id of an attempt given by its id or its number within the task."""
    if given is None:
        return None
    known = [attempt["id"] for task in job["tasks"] for attempt in task["attempts"]]
    found = given
    if given.isdigit():
        indexes = tasks or tuple(task["index"] for task in job["tasks"])
        if len(indexes) != 1:
            raise click.UsageError("--attempt N needs --task N: the job has several tasks")
        found = attempt_id(TaskKey(job["id"], indexes[0]), int(given))
    if found not in known:
        there = ", ".join(known) or "none yet"
        raise click.UsageError(f"--attempt {given}: there is no such attempt; there are {there}")
    return found
