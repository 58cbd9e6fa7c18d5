"""problems: everything that is wrong now, and the next step for each."""

from __future__ import annotations

import sys

import click

from flextui.cli import clock, output, text
from flextui.cli.table import Cell, Column, render
from flextui.cli.verb import Place, json_option, verb
from flextui.core.commands import ListProblems
from flextui.core.model.docs import ProblemDoc

_COLUMNS = (
    Column("SINCE", right=True),
    Column("HOW BAD"),
    Column("WHAT", shrink=2, least=28),
    Column("TOUCHES", shrink=3, least=14, drop=1),
    Column("NEXT", shrink=1, least=26),
    Column("ID", shrink=4, least=12, drop=2),
)
_COLOURS = {"critical": "red", "warning": "yellow", "notice": ""}


@verb(
    "problems",
    "flextui problems",
    "flextui problems --bad || mail -s 'gpu fleet' ops@lab.example",
    "flextui problems --json | jq -r '.[] | select(.severity == \"critical\") | .what'",
    short_help="List everything that is wrong now.",
)
@click.option(
    "--bad", is_flag=True, help="No notices, none silenced; exit status 1 if anything is left."
)
@json_option
def problems(place: Place, bad: bool, as_json: bool) -> int:
    """List everything that is wrong now, the worst first: since when, what it touches, and the
    command that is the next step.
    """
    found: list[ProblemDoc] = place.ask(ListProblems())["problems"]
    if bad:
        found = [it for it in found if it["severity"] != "notice" and it["silenced"] is None]
    if as_json:
        output.document(found)
    elif found:
        now = clock.now()
        rows = [_cells(it, now) for it in found]
        colour = output.colour_on(sys.stdout)
        output.lines(render(_COLUMNS, rows, width=output.width(), colour=colour))
    elif output.is_terminal(sys.stdout):
        output.say("flextui: nothing is wrong")
    return output.FAILED if bad and found else output.DONE


def _cells(problem: ProblemDoc, now: float) -> list[Cell | str]:
    command = f"flextui {problem['command']}" if problem["command"] else ""
    bad = Cell(problem["severity"], _COLOURS[problem["severity"]])
    return [
        text.ran(problem["since"], None, now),
        bad if problem["silenced"] is None else Cell("silenced"),
        text.clean(problem["what"]),
        text.clean(problem["touches"]) or text.NOTHING,
        text.clean(command or problem["next"]),
        text.clean(problem["id"]),
    ]
