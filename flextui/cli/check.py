"""check: the preflight of each node, before the first job finds out what is wrong there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import cast

import click

from flextui.cli import output
from flextui.cli.complete import node_names
from flextui.cli.table import Cell, Column, render
from flextui.cli.verb import Need, Place, json_option, verb, yes_option
from flextui.core.commands import Check
from flextui.core.model.docs import CheckDoc

_COLUMNS = (Column("NODE"), Column("CHECK"), Column("RESULT"), Column("TEXT"))
_RESULTS = {True: ("ok", "green"), False: ("failed", "red"), None: ("warning", "yellow")}


@verb(
    "check",
    "flextui check",
    "flextui check gpu1 gpu2 --json",
    "flextui check --accept-new",
    short_help="Check that nodes are fit for work.",
)
@click.argument("nodes", metavar="[NODE...]", nargs=-1, shell_complete=node_names)
@click.option("--accept-new", is_flag=True, help="Add the host keys of hosts never seen before.")
@yes_option
@json_option
def check(place: Place, nodes: tuple[str, ...], accept_new: bool, yes: bool, as_json: bool) -> int:
    """Check each node: SSH, host key, Python, driver, disk, clock, cgroups. Exits with 1 if
    something failed; a warning alone is no failure.

    --accept-new shows the keys of hosts never seen before and files them on a yes. Where no core
    runs, the command looks at the nodes itself.
    """
    if accept_new:
        from flextui.cli.hostkeys import accept

        accept(place.options, nodes, yes=yes)
    found = cast(list[CheckDoc], place.ask(Check(nodes), Need.NODES)["checks"])
    if as_json:
        output.document(found)
    else:
        _print(found)
    return output.FAILED if any(it["ok"] is False for it in found) else output.DONE


def _print(found: Sequence[CheckDoc]) -> None:
    glyph = output.is_terminal(sys.stdout)
    glyphs = {True: "✓ ", False: "✗ ", None: "! "} if glyph else dict.fromkeys(_RESULTS, "")
    rows = []
    for it in found:
        word, colour = _RESULTS[it["ok"]]
        rows.append((it["node"], it["name"], Cell(glyphs[it["ok"]] + word, colour), it["text"]))
    output.lines(render(_COLUMNS, rows, width=None, colour=output.colour_on(sys.stdout)))
