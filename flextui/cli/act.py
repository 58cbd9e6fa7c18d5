"""stop, restart, scale, priority, hold, release: what is done to jobs.

What hits others' work asks first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

import click

from flextui.cli import output, text
from flextui.cli.complete import job_names
from flextui.cli.follow import ENDED
from flextui.cli.verb import Place, json_option, verb, yes_option
from flextui.core.client import Client
from flextui.core.commands import Hold, Release, Restart, Scale, SetPriority, Show, Stop, Unstop
from flextui.core.model.docs import JobDoc
from flextui.core.model.units import parse_duration

_jobs = click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=job_names)
_job = click.argument("job", shell_complete=job_names)


@verb(
    "stop",
    "flextui stop train-resnet",
    "flextui stop j17 j18 --yes --why 'wrong data'",
    "flextui stop --wait chat-api",
    "flextui stop --in 10s train-resnet && flextui stop --undo train-resnet",
    short_help="Stop jobs.",
)
@_jobs
@click.option("--why", default="", metavar="TEXT", help="Kept in the history.")
@click.option("--wait", is_flag=True, help="Return when they have ended.")
@click.option("--in", "delay", metavar="DURATION", help="Not yet: --undo takes it back till then.")
@click.option("--undo", is_flag=True, help="Take back stops that aren't done yet.")
@yes_option
@json_option
def stop(
    place: Place,
    jobs: tuple[str, ...],
    why: str,
    wait: bool,
    delay: str | None,
    undo: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Stop jobs: SIGTERM, after their grace time SIGKILL, to the whole process tree.

    It asks before it stops several jobs, or somebody else's.
    """
    if undo:
        if why or wait or delay:
            raise click.UsageError("--undo takes no other option but --json")
        _print(place.ask(Unstop(jobs))["jobs"], as_json, "goes on")
        return
    command = Stop(jobs, why, seconds(delay))

    async def act(client: Client) -> None:
        if not yes:
            await _ask(client, "Stop", jobs)
        done = (await client.call(command))["jobs"]
        if wait:
            from flextui.cli.follow import until_ended

            ended = await until_ended(client, [job["id"] for job in done], tell=False)
            done = [{key: job[key] for key in ("id", "name", "owner", "state")} for job in ended]
        later = f"stops in {delay}: `flextui stop --undo {' '.join(jobs)}` takes it back"
        _print(done, as_json, later if command.after_s else "stops")

    place.run(act)


@verb(
    "restart",
    "flextui restart chat-api",
    "flextui restart j17 j18 --yes",
    short_help="Stop and start jobs anew.",
)
@_jobs
@yes_option
@json_option
def restart(place: Place, jobs: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Stop the live tasks of jobs and start them anew, those that crash-looped or failed too.

    It asks before it restarts several jobs, or somebody else's.
    """

    async def act(client: Client) -> None:
        if not yes:
            await _ask(client, "Restart", jobs)
        _print((await client.call(Restart(jobs)))["jobs"], as_json, "starts anew")

    place.run(act)


@verb("scale", "flextui scale chat-api 3", short_help="Set how many replicas a service has.")
@_job
@click.argument("count", metavar="N", type=click.IntRange(0))
@json_option
def scale(place: Place, job: str, count: int, as_json: bool) -> None:
    """Set how many replicas a service has. Those beyond N are stopped."""
    answer = place.ask(Scale(job, count))
    replicas = text.count(answer["count"], "replica")
    _done(answer, f"{answer['id']} {answer['name']} has {replicas}", as_json)


@verb("priority", "flextui priority train-resnet 80", short_help="Set a job's priority.")
@_job
@click.argument("priority", metavar="N", type=click.IntRange(0, 100))
@json_option
def priority(place: Place, job: str, priority: int, as_json: bool) -> None:
    """Set a job's priority, from 0 to 100. Higher goes first."""
    answer = place.ask(SetPriority(job, priority))
    _done(answer, f"{job} has priority {priority}", as_json)


@verb(
    "hold",
    "flextui hold train-resnet --why 'data not there yet'",
    short_help="Start nothing more of jobs.",
)
@_jobs
@click.option("--why", default="", metavar="TEXT", help="Shown to everyone who asks.")
@json_option
def hold(place: Place, jobs: tuple[str, ...], why: str, as_json: bool) -> None:
    """Start nothing more of jobs until they are released. What runs goes on, but isn't started
    again when it ends.
    """
    _print(place.ask(Hold(jobs, why))["jobs"], as_json, "is held")


@verb("release", "flextui release train-resnet", short_help="Let held jobs start again.")
@_jobs
@json_option
def release(place: Place, jobs: tuple[str, ...], as_json: bool) -> None:
    """Let held jobs start again. What an admin holds of somebody else's, only an admin releases."""
    _print(place.ask(Release(jobs))["jobs"], as_json, "is released")


def seconds(delay: str | None) -> float:
    """The seconds of `--in`. Raises UsageError."""
    if delay is None:
        return 0.0
    try:
        return parse_duration(delay)
    except ValueError as error:
        raise click.UsageError(f"--in {delay}: {error}") from error


async def _ask(client: Client, what: str, jobs: Sequence[str]) -> None:
    """Ask a person at a terminal where several jobs, or somebody else's, are hit."""
    if not output.is_terminal(sys.stdin):
        return
    docs = [cast(JobDoc, await client.call(Show(job))) for job in jobs]
    others = any(doc["owner"] != client.info.user for doc in docs)
    if len(docs) > 1 or others:
        effects = [f"{doc['id']} {doc['owner']}/{doc['name']} {doc['state']}" for doc in docs]
        output.confirm(f"{what} {text.count(len(docs), 'job')}?", effects)


def _print(jobs: list[dict[str, Any]], as_json: bool, done: str) -> None:
    """What is done to each; of those that have ended, how they did."""
    if as_json:
        output.document(jobs)
        return
    glyph = output.is_terminal(sys.stdout)
    for job in jobs:
        word = done
        if job["state"] in ENDED:
            word, _ = text.state(job["state"], glyph=glyph)
        output.lines([text.clean(f"{job['id']} {job['owner']}/{job['name']} {word}")])


def _done(answer: dict[str, Any], line: str, as_json: bool) -> None:
    if as_json:
        output.document(answer)
    else:
        output.lines([text.clean(line)])
