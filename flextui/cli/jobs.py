"""jobs, show, why, wait: what was handed in, how it stands, and why it isn't running."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any, cast

import click

from flextui.cli import output, page
from flextui.cli.columns import DEFAULT, NAMES, SERVICES, chosen_columns, job_cells
from flextui.cli.complete import job_names, listed, node_names, user_names
from flextui.cli.output import Failure
from flextui.cli.table import render
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.client import Client
from flextui.core.commands import ListJobs, Show, Why
from flextui.core.model.docs import JobDoc

STATES = ("pending", "running", "succeeded", "failed", "stopped")
TYPES = ("batch", "service", "cron", "system")
_SOME_ENDED = 30
"""So many ended jobs are listed on a terminal that asked for nothing in particular."""


class Several(click.ParamType[tuple[str, ...]]):
    """One or more of some words, with commas between them."""

    name = "words"

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        found = tuple(word for word in str(value).split(",") if word)
        for word in found:
            if word not in self.words:
                self.fail(f"'{word}' is none of {', '.join(self.words)}", param, ctx)
        return found


@verb(
    "jobs",
    "flextui jobs --mine --state pending,running",
    "flextui jobs --node gpu1 -o id,name,owner,reason",
    "flextui jobs --json | jq '.[] | select(.state == \"failed\") | .id'",
    short_help="List jobs.",
)
@click.option("--mine", is_flag=True, help="One's own.")
@click.option("--user", metavar="USER", shell_complete=user_names, help="That user's.")
@click.option(
    "--state", type=Several(STATES), metavar="STATE,...", shell_complete=listed(STATES),
    help=", ".join(STATES),
)  # fmt: skip
@click.option("--node", metavar="NODE", shell_complete=node_names, help="With an attempt there.")
@click.option(
    "--type", "kind", type=Several(TYPES), metavar="TYPE,...", shell_complete=listed(TYPES),
    help=", ".join(TYPES),
)  # fmt: skip
@click.option("--limit", type=click.IntRange(0), metavar="N", help="So many ended ones at most.")
@click.option("-a", "--all", "everything", is_flag=True, help="All that ended, on a terminal too.")
@click.option(
    "-o", "columns", metavar="COLS", shell_complete=listed(NAMES),
    help=f"Columns; default: {','.join(DEFAULT)}.",
)  # fmt: skip
@json_option
def jobs(
    place: Place,
    mine: bool,
    user: str | None,
    state: tuple[str, ...] | None,
    node: str | None,
    kind: tuple[str, ...] | None,
    limit: int | None,
    everything: bool,
    columns: str | None,
    as_json: bool,
) -> None:
    """List jobs: those that live, then those that ended, newest first.

    On a terminal only the newest of the ended ones are shown, unless --all or a filter is given.
    """
    names = chosen_columns(columns)
    filtered = bool(mine or user or state or node or kind or everything)
    if limit is None and not filtered and not as_json and output.is_terminal(sys.stdout):
        limit = _SOME_ENDED

    async def act(client: Client) -> tuple[list[JobDoc], str]:
        asked = None if limit is None or filtered else limit + 1
        answer = await client.call(ListJobs(limit=asked))
        return cast(list[JobDoc], answer["jobs"]), client.info.user

    found, me = place.run(act, Need.STORE)
    owner = me if mine else user
    kept = [job for job in found if _wanted(job, owner, state, node, kind)]
    kept, more = _at_most(kept, limit)
    if as_json:
        output.document(kept)
        return
    _print_table(kept, names)
    if more:
        output.say("flextui: more jobs ended before these: --all shows them")


@verb(
    "services",
    "flextui services",
    "flextui services --json | jq '.[] | select(.state != \"running\") | .name'",
    short_help="List services.",
)
@click.option("--mine", is_flag=True, help="One's own.")
@json_option
def services(place: Place, mine: bool, as_json: bool) -> None:
    """List the services that are to be up. `jobs --type service` has those that ended as well."""

    async def act(client: Client) -> tuple[list[JobDoc], str]:
        answer = await client.call(ListJobs(ended=False))
        return cast(list[JobDoc], answer["jobs"]), client.info.user

    found, me = place.run(act, Need.STORE)
    up = [it for it in found if it["type"] == "service" and it["ended_at"] is None]
    kept = [it for it in up if not mine or it["owner"] == me]
    if as_json:
        output.document(kept)
    else:
        _print_table(kept, SERVICES)


def _wanted(
    job: JobDoc,
    owner: str | None,
    state: tuple[str, ...] | None,
    node: str | None,
    kind: tuple[str, ...] | None,
) -> bool:
    return (
        (owner is None or job["owner"] == owner)
        and (state is None or job["state"] in state)
        and (kind is None or job["type"] in kind)
        and (node is None or node in page.nodes_of(job))
    )


def _at_most(found: list[JobDoc], limit: int | None) -> tuple[list[JobDoc], bool]:
    """All live jobs and so many ended ones; whether some were left out."""
    if limit is None:
        return found, False
    live = [job for job in found if job["ended_at"] is None]
    ended = [job for job in found if job["ended_at"] is not None]
    return live + ended[:limit], len(ended) > limit


def _print_table(found: list[JobDoc], names: tuple[str, ...]) -> None:
    look = page.look()
    headings, rows = job_cells(found, names, look)
    if not found and look.glyph:
        output.say("flextui: none" if names == SERVICES else "flextui: no jobs")
        return
    output.lines(render(headings, rows, width=look.width, colour=look.colour))


@verb(
    "show",
    "flextui show train-resnet",
    "flextui show alice/train-resnet --json | jq .tasks[0].attempts",
    "flextui show chat-api --spec --rev 3 > chat-api.yaml",
    short_help="Show a job, its tasks and attempts.",
)
@click.argument("job", shell_complete=job_names)
@click.option("--spec", is_flag=True, help="Print its spec as YAML instead.")
@click.option("--rev", type=click.IntRange(1), metavar="REV", help="The spec of that revision.")
@json_option
def show(place: Place, job: str, spec: bool, rev: int | None, as_json: bool) -> None:
    """Show a job with its tasks, attempts and reasons. JOB is an id, a name or owner/name."""
    if spec or rev is not None:
        from flextui.cli.edit import spec_of

        written, as_doc = place.run(lambda client: spec_of(client, job, rev), Need.STORE)
        if as_json:
            output.document(as_doc)
        else:
            output.write(written)
        return
    doc = cast(JobDoc, place.ask(Show(job), Need.STORE))
    if as_json:
        output.document(doc)
        return
    output.lines(page.job_page(doc, page.look()))


@verb(
    "why",
    "flextui why train-resnet",
    "flextui why j17 --json",
    short_help="Tell why a job isn't running.",
)
@click.argument("job", shell_complete=job_names)
@json_option
def why(place: Place, job: str, as_json: bool) -> None:
    """Tell what is in a job's way, node by node, whose it is, and what would help."""
    answer = place.ask(Why(job))
    if as_json:
        output.document(answer)
        return
    output.lines(page.why_page(answer, page.look()))


class Duration(click.ParamType[float]):
    """Seconds, written as in a spec: 90s, 4h."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        from flextui.core.model.problems import BadValue
        from flextui.core.model.units import parse_duration

        try:
            return parse_duration(value)
        except BadValue as error:
            self.fail(f"'{value}': expected {error.expected}", param, ctx)


@verb(
    "wait",
    "flextui wait train-resnet && flextui submit evaluate.yaml",
    "flextui wait --for running --timeout 5m chat-api",
    short_help="Wait until jobs end.",
)
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=job_names)
@click.option(
    "--for",
    "until",
    type=click.Choice(["ended", "running"]),
    default="ended",
    help="What to wait for: the end (default), or all its tasks running.",
)
@click.option("--timeout", type=Duration(), metavar="DURATION", help="Give up then; exit 1.")
@click.option("-q", "--quiet", is_flag=True, help="Don't say how they ended.")
def wait(
    place: Place, jobs: tuple[str, ...], until: str, timeout: float | None, quiet: bool
) -> int:
    """Wait until jobs have ended, and exit with the status of the first that didn't succeed: its
    own exit status, a signal N as 128+N.
    """

    async def act(client: Client) -> int:
        docs = [cast(JobDoc, await client.call(Show(job))) for job in jobs]
        try:
            async with asyncio.timeout(timeout):
                return await _until(client, docs, until, tell=not quiet)
        except TimeoutError as error:
            raise Failure(output.FAILED, f"not {until} within the timeout") from error

    return place.run(act, Need.STORE)


async def _until(client: Client, docs: Iterable[JobDoc], until: str, *, tell: bool) -> int:
    from flextui.cli.follow import until_ended, until_running, worst_status

    docs = list(docs)
    ended = [job for job in docs if job["ended_at"] is not None]
    if len(ended) < len(docs):
        ids = [job["id"] for job in docs]
        if until == "running":
            return await until_running(client, ids, tell=tell)
        ended = await until_ended(client, ids, tell=tell)
    return worst_status(ended)
