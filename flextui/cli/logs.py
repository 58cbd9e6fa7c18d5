"""logs: what jobs printed, as they printed it, also of attempts that ended long ago."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import cast

import click

from flextui.cli.complete import job_names, node_names
from flextui.cli.merged import Wanted, tell
from flextui.cli.stream import copy_logs, copy_merged
from flextui.cli.verb import Place, verb
from flextui.core.client import Client
from flextui.core.commands import ListJobs, ListNodes, LogRequest, Show
from flextui.core.logbook import times
from flextui.core.logbook.levels import ERRORS
from flextui.core.model.docs import JobDoc
from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.problems import nearest


@verb(
    "logs",
    "flextui logs -f train-resnet",
    "flextui logs chat-api --task 2 -n 100 --stream err",
    "flextui logs llama-sft chat-api --since 10m --timestamps utc",
    "flextui logs llama-sft --grep 'nan|overflow' -C 3",
    "flextui logs --node gpu1 --errors",
    "flextui logs j17 --attempt 1 > first-try.txt",
    short_help="Show what jobs print.",
)
@click.argument("jobs", nargs=-1, shell_complete=job_names, metavar="JOB...")
@click.option("-f", "--follow", is_flag=True, help="Go on as it is printed, until the jobs end.")
@click.option(
    "-n", "--tail", "--lines", "lines", type=click.IntRange(0), metavar="LINES",
    help="The last so many; with --since, whichever is more.",
)  # fmt: skip
@click.option("--since", metavar="TIME", help="From then on: 10m, 14:02, 2026-11-23T14:02.")
@click.option("--task", "tasks", type=click.IntRange(0), multiple=True, metavar="N", help="Its N.")
@click.option("--attempt", metavar="N|ID", help="That attempt; the newest if left out.")
@click.option("--all-attempts", "every", is_flag=True, help="All attempts, not only the newest.")
@click.option(
    "--node", "nodes", multiple=True, metavar="NODE", shell_complete=node_names,
    help="All that runs there.",
)  # fmt: skip
@click.option("--stream", type=click.Choice(["out", "err"]), help="Only that; both if left out.")
@click.option("--grep", metavar="REGEX", help="Only lines that match, searched on the nodes.")
@click.option("-i", "--ignore-case", is_flag=True, help="For --grep: capitals don't matter.")
@click.option("--invert", is_flag=True, help="For --grep: only lines that don't match.")
@click.option("--errors", is_flag=True, help="Only lines that tell of errors.")
@click.option(
    "-C", "--context", type=click.IntRange(0, 1000), default=0, metavar="LINES",
    help="So many lines around those found.",
)  # fmt: skip
@click.option(
    "--timestamps", type=click.Choice(list(times.STAMPS)), help="Before each line: when it came."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each line.")
def logs(
    place: Place,
    jobs: tuple[str, ...],
    follow: bool,
    lines: int | None,
    since: str | None,
    tasks: tuple[int, ...],
    attempt: str | None,
    every: bool,
    nodes: tuple[str, ...],
    stream: str | None,
    grep: str | None,
    ignore_case: bool,
    invert: bool,
    errors: bool,
    context: int,
    timestamps: str | None,
    as_json: bool,
) -> None:
    """Show what jobs print; a JOB may also be a task (`j17.0`) or an attempt (`j17.0.2`). Of
    several tasks the lines come in time order. Into a pipe or file go the bytes as they are; on a
    terminal control sequences other than colours are made harmless. What rotation dropped is told
    on stderr.
    """
    if not jobs and not nodes:
        raise click.UsageError("logs of what? Give a JOB, or --node NODE")
    if grep is not None and errors:
        raise click.UsageError("--grep and --errors: one of them")
    streams = (stream,) if stream else ("out", "err")
    wanted = Wanted(
        streams=streams, lines=lines, since=_since(since), pattern=ERRORS if errors else grep,
        ignore_case=ignore_case, inverse=invert, context=context, stamps=timestamps,
        as_json=as_json, every=every, follow=follow,
    )  # fmt: skip
    _check(wanted)

    async def act(client: Client) -> None:
        docs, words = await _find(client, jobs, tasks, attempt)
        if nodes:
            await _check_nodes(client, nodes)
            live = (await client.call(ListJobs(ended=False)))["jobs"]
            docs.update({doc["id"]: doc for doc in live})
            words += [f"@{node}" for node in nodes]
        only = next(iter(docs.values())) if len(words) == 1 and not nodes else None
        several = only is not None and words[0] == only["id"] and len(only["tasks"]) > 1
        if only is None or not wanted.plain or (several and not follow):
            await tell(client, docs, words, wanted)
            return
        request = LogRequest(
            job=only["id"],
            tasks=tasks,
            attempt=words[0] if words[0].count(".") == 2 else None,
            streams=streams,
            last_lines=lines,
            follow=follow,
        )
        if follow:
            await copy_logs(client.logs(request), several=several)
        else:
            each = [client.logs(replace(request, streams=(it,))) for it in streams]
            await copy_merged(each, lines)

    place.run(act)


async def _check_nodes(client: Client, names: tuple[str, ...]) -> None:
    """Raises UsageError for a name that no node has."""
    known = [node["name"] for node in (await client.call(ListNodes()))["nodes"]]
    for name in names:
        if name not in known:
            like = nearest(name, known)
            hint = f"; did you mean '{like}'?" if like else f"; there are {', '.join(known)}"
            raise click.UsageError(f"--node: there is no node '{name}'{hint}")


def _since(text: str | None) -> float | None:
    """Unix milliseconds."""
    if text is None:
        return None
    import time

    try:
        return times.moment(text, time.time()) * 1000
    except ValueError as error:
        raise click.UsageError(f"--since {text}: {error}") from error


def _check(wanted: Wanted) -> None:
    try:
        re.compile(wanted.pattern or "")
    except re.error as error:
        raise click.UsageError(f"--grep: {error}: this is no regular expression") from error


async def _find(
    client: Client, names: tuple[str, ...], tasks: tuple[int, ...], attempt: str | None
) -> tuple[dict[str, JobDoc], list[str]]:
    """The jobs, and what of them is meant: `j1`, `j1.0`, `j1.0.2`."""
    docs: dict[str, JobDoc] = {}
    words: list[str] = []
    for name in names:
        owner, slash, rest = name.rpartition("/")
        base, dot, part = rest.partition(".")
        doc = cast(JobDoc, await client.call(Show(f"{owner}{slash}{base}")))
        docs[doc["id"]] = doc
        if attempt is not None:
            words.append(_attempt(doc, tasks, attempt))
        elif dot:
            words.append(_part(doc, part))
        else:
            words += [_part(doc, str(task)) for task in tasks] or [doc["id"]]
    return docs, words


def _part(job: JobDoc, part: str) -> str:
    """A task or an attempt of a job. Raises UsageError if there is none."""
    word = f"{job['id']}.{part}"
    known = [f"{job['id']}.{task['index']}" for task in job["tasks"]]
    known += [attempt["id"] for task in job["tasks"] for attempt in task["attempts"]]
    if word not in known:
        raise click.UsageError(f"{job['name']} has no {word}; there are {', '.join(known[:20])}")
    return word


def _attempt(job: JobDoc, tasks: tuple[int, ...], given: str) -> str:
    """The id of an attempt given by its id or its number within the task."""
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
