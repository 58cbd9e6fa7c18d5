"""revisions: the specs that a job has had, and what each changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import cast

import click

from flextui.cli import output, text
from flextui.cli.complete import job_names
from flextui.cli.table import Cell, Column, render
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.commands import Revisions
from flextui.core.model.docs import RevisionDoc
from flextui.core.model.revisions import change_text

_COLUMNS = (
    Column("REV", right=True), Column("ID"), Column("TIME"), Column("BY", shrink=2),
    Column("STATE"), Column("CHANGED", shrink=1),
)  # fmt: skip


@verb(
    "revisions",
    "flextui revisions chat-api",
    "flextui revisions train --json | jq '.revisions[0].diff'",
    short_help="Show a job's specs over time.",
)
@click.argument("job", shell_complete=job_names)
@json_option
def revisions(place: Place, job: str, as_json: bool) -> None:
    """Show the specs that a job has had, newest first, and what each changed in the one before
    it. Of a batch job these are its owner's runs of that name.
    """
    answer = place.ask(Revisions(job), Need.STORE)
    if as_json:
        output.document(answer)
        return
    found = cast(list[RevisionDoc], answer["revisions"])
    colour = output.colour_on(sys.stdout)
    rows = [row for it in found for row in _rows(it, last=it is found[-1])]
    output.lines(render(_COLUMNS, rows, width=output.width(), colour=colour))


def _rows(it: RevisionDoc, *, last: bool) -> Iterator[list[Cell | str]]:
    """A line, and one more for each further change."""
    changes = [text.clean(change_text(change)) for change in it["diff"]]
    first = changes[0] if changes else "the first that is known" if last else "nothing"
    when = text.clock(it["at"]) if it["at"] else text.NOTHING
    yield [str(it["revision"]), it["id"], when, it["by"], it["state"] or "replaced", first]
    for change in changes[1:]:
        yield ["", "", "", "", "", change]
