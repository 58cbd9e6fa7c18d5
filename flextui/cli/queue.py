"""queue: what waits for a place, in the order in which it gets one, and when that may be."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from flextui.cli import clock, output, text
from flextui.cli.complete import user_names
from flextui.cli.table import Cell, Column, render
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.client import Client
from flextui.core.commands import ListQueue
from flextui.screens import format as fmt
from flextui.screens.waiting import expected_text, factor_text

_COLUMNS = (
    Column("PLACE", right=True),
    Column("ID"),
    Column("JOB", shrink=3),
    Column("PROJECT", shrink=4),
    Column("ASKS", shrink=4),
    Column("WAITS", right=True),
    Column("ORDER", shrink=1),
    Column("EXPECTED", shrink=5),
    Column("REASON", shrink=2),
)


@verb(
    "queue",
    "flextui queue",
    "flextui queue --mine",
    "flextui queue --json | jq '.queue[] | select(.expected.sureness == \"unknown\")'",
    short_help="List what waits, in order.",
)
@click.option("--mine", is_flag=True, help="One's own.")
@click.option("--user", metavar="USER", shell_complete=user_names, help="That user's.")
@click.option("--limit", type=click.IntRange(1), default=100, metavar="N", help="The first N.")
@json_option
def queue(place: Place, mine: bool, user: str | None, limit: int, as_json: bool) -> None:
    """List what waits for a place in the order in which it gets one: what it asks for, what gave
    it its place, when it is expected to start and how sure that is, and what is in its way.
    """

    async def act(client: Client) -> tuple[dict[str, Any], str]:
        return await client.call(ListQueue(limit)), client.info.user

    answer, me = place.run(act, Need.CORE)
    owner = me if mine else user
    rows = [row for row in answer["queue"] if owner is None or row["owner"] == owner]
    if as_json:
        output.document({**answer, "queue": rows})
        return
    if not rows and output.is_terminal(sys.stdout):
        output.say("flextui: nothing waits for a place")
        return
    now = clock.now()
    cells = [_cells(row, now) for row in rows]
    look = output.colour_on(sys.stdout)
    output.lines(render(_COLUMNS, cells, width=output.width(), colour=look))
    if len(answer["queue"]) < answer["waiting"]:
        output.say(f"flextui: {answer['waiting']} wait in all: --limit shows more")


def _cells(row: Mapping[str, Any], now: float) -> list[Cell | str]:
    expected = row["expected"] or {}
    task = f".{row['task']}" if row["task"] else ""
    return [
        str(row["position"]),
        row["id"],
        text.clean(f"{row['owner']}/{row['name']}{task}"),
        row["project"] or text.NOTHING,
        text.clean(row["asks"]),
        text.ran(row["waits_since"], None, now),
        text.clean(", ".join(factor_text(it, brief=True) for it in row["factors"])),
        Cell(
            expected_text(expected, now, brief=True),
            "yellow" if expected.get("sureness") == "unknown" else "",
        ),
        text.clean(fmt.local_times(row["reason"])),
    ]
