"""usage: GPU hours by user, project, job, node or model, and how much of them was idle."""

from __future__ import annotations

import csv
import io
import sys
from typing import cast, get_args

import click

from flextui.cli import output
from flextui.cli.table import Cell, Column, render
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.commands import Usage
from flextui.core.model.docs import UsageDoc, UsageRowDoc
from flextui.core.model.usage import By

_FIELDS = ("gpu_hours", "used_hours", "wasted_hours", "wasted_percent")
WASTEFUL = 50.0
"""Per cent of idle time from which on it is coloured."""


@verb(
    "usage",
    "flextui usage",
    "flextui usage --by project --since 30d",
    "flextui usage --by job --since 2026-01-01 --until 2026-02-01 --csv",
    short_help="Tell GPU hours: held, used and wasted.",
)
@click.option(
    "--by", type=click.Choice(get_args(By)), default="user", help="What to sum by (user)."
)
@click.option("--since", default="7d", metavar="WHEN", help="A time, or so long ago (7d).")
@click.option("--until", default="", metavar="WHEN", help="The same; now if left out.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
def usage(place: Place, by: str, since: str, until: str, as_json: bool, as_csv: bool) -> None:
    """Tell GPU hours, in whole hours of the clock, the most first.

    A GPU is held from the start of an attempt to its end, and wasted while it is idle: used less
    than the job's own idle.gpu_below (5 %), or by no process at all. A share of a GPU counts as
    its part.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    doc = cast(UsageDoc, place.ask(Usage(by, since, until), Need.STORE))
    if as_json:
        output.document(doc)
    elif as_csv:
        output.write(_csv(doc))
    else:
        _print(doc)


def _print(doc: UsageDoc) -> None:
    columns = (
        Column(doc["by"].upper(), shrink=1),
        *(Column(title, right=True) for title in ("GPU HOURS", "USED", "WASTED", "WASTED %")),
    )
    if not doc["rows"]:
        output.say(f"flextui: no GPU was held from {doc['since']} to {doc['until']}")
        return
    rows = [_row(row) for row in (*doc["rows"], doc["total"])]
    colour = output.colour_on(sys.stdout)
    output.lines(render(columns, rows, width=output.width(), colour=colour))


def _row(row: UsageRowDoc) -> list[Cell | str]:
    wasteful = row["wasted_percent"] >= WASTEFUL
    return [
        row["name"] or "(none)",
        _hours(row["gpu_hours"]),
        _hours(row["used_hours"]),
        _hours(row["wasted_hours"]),
        Cell(f"{row['wasted_percent']:.0f}", "yellow" if wasteful else ""),
    ]


def _hours(hours: float) -> str:
    return f"{hours:.1f}" if hours >= 10 else f"{hours:.2f}"


def _csv(doc: UsageDoc) -> str:
    """The rows without their sum, for programs."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((doc["by"], *_FIELDS))
    for row in doc["rows"]:
        writer.writerow(
            (row["name"], row["gpu_hours"], row["used_hours"], row["wasted_hours"],
             row["wasted_percent"])
        )  # fmt: skip
    return text.getvalue()
