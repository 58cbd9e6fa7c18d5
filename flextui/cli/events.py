"""events: the history of what was done, by whom, and of what happened by itself."""

from __future__ import annotations

import sys
from typing import cast

import click

from flextui.cli import output, text
from flextui.cli.complete import job_names, node_names, user_names
from flextui.cli.stream import write_all
from flextui.cli.table import Cell, Column, render
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.client import Client
from flextui.core.commands import ListEvents, Show
from flextui.core.events_view import wanted
from flextui.core.model.docs import EventDoc, JobDoc
from flextui.screens import format as fmt

_COLUMNS = (
    Column("TIME"),
    Column("KIND"),
    Column("ACTOR", shrink=1),
    Column("SUBJECT", shrink=2),
    Column("TEXT", shrink=3),
)


@verb(
    "events",
    "flextui events -n 50",
    "flextui events -f --job train-resnet",
    "flextui events --audit --node gpu1",
    "flextui events -f --json | jq -r .text",
    short_help="Show what happened, and who did what.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new ones as they happen.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", help="The last so many.")
@click.option("--job", metavar="JOB", shell_complete=job_names, help="Of that job only.")
@click.option("--node", metavar="NODE", shell_complete=node_names, help="Of that node only.")
@click.option("--user", metavar="USER", shell_complete=user_names, help="By that user only.")
@click.option("--audit", is_flag=True, help="Only what people did.")
@json_option
def events(
    place: Place,
    follow: bool,
    lines: int | None,
    job: str | None,
    node: str | None,
    user: str | None,
    audit: bool,
    as_json: bool,
) -> None:
    """Show what happened, oldest first: 100 events unless -n says otherwise. --audit shows what
    people did: submits, stops, drains, cordons, reservations, takeovers.

    With --json it prints a list; with --follow as well, one object a line.
    """
    wanted = 100 if lines is None else lines

    async def act(client: Client) -> None:
        job_id = None
        if job is not None:
            job_id = cast(JobDoc, await client.call(Show(job)))["id"]
        query = ListEvents(0, job_id, max(1, wanted), node, user, audit)
        answer = await client.call(query)
        stored = cast(list[EventDoc], answer["events"])
        shown = stored[-wanted:] if wanted else []
        if not follow:
            _print(shown, as_json)
            return
        after = stored[-1]["seq"] if stored else 0
        await _follow(client, shown, after, query, as_json)

    place.run(act, Need.CORE if follow else Need.STORE)


def _print(shown: list[EventDoc], as_json: bool) -> None:
    if as_json:
        output.document(shown)
        return
    colour = output.colour_on(sys.stdout)
    rows = [_row(event) for event in shown]
    output.lines(render(_COLUMNS, rows, width=output.width(), colour=colour))


def _row(event: EventDoc) -> list[Cell | str]:
    bad = event["kind"].endswith((".lost", ".failed", ".cordoned"))
    return [
        text.clock(event["at"]),
        Cell(event["kind"], "red" if bad else ""),
        event["actor"],
        event["attempt"] or event["job"] or event["node"] or text.NOTHING,
        fmt.local_times(event["text"]),
    ]


async def _follow(
    client: Client, shown: list[EventDoc], after: int, query: ListEvents, as_json: bool
) -> None:
    import json

    async def put(event: EventDoc) -> None:
        line = json.dumps(event) if as_json else _line(event)
        await write_all(sys.stdout.fileno(), f"{line}\n".encode("utf-8", "replace"))

    for event in shown:
        await put(event)
    async for event in client.events(after=after):
        if wanted(event, query):
            await put(event)


def _line(event: EventDoc) -> str:
    """One event; columns can't be fitted to what isn't there yet."""
    when, kind, actor, subject, what = (
        cell if isinstance(cell, str) else cell.text for cell in _row(event)
    )
    return text.clean(f"{when}  {kind:<18}  {actor:<10}  {subject:<12}  {what}")
