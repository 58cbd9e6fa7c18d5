"""placement: which job holds which GPU until when, and what a waiting job waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import click

from flextui.cli import clock, output, text
from flextui.cli.complete import job_names
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.client import Client
from flextui.core.commands import ListJobs, ListNodes, ListPlacement
from flextui.core.model.docs import JobDoc, NodeDoc, PlacementDoc
from flextui.screens.fields import picture, placing
from flextui.screens.fields.picture import Codes, Scene
from flextui.screens.format import plain, to_ascii


@verb(
    "placement",
    "flextui placement",
    "flextui placement train-resnet",
    "flextui placement train --json | jq .wants.places",
    short_help="Show which job holds which GPU.",
)
@click.argument("job", required=False, shell_complete=job_names)
@json_option
def placement(place: Place, job: str | None, as_json: bool) -> None:
    """Show every GPU with the letter of the job that holds it, and until when that runs. With
    a JOB that waits: where it is expected to go (<), and who has to end before (!).
    """

    async def act(client: Client) -> tuple[Any, list[NodeDoc], list[JobDoc]]:
        nodes = (await client.call(ListNodes()))["nodes"]
        jobs = (await client.call(ListJobs(ended=False)))["jobs"]
        return await client.call(ListPlacement(job or "")), nodes, jobs

    answer, nodes, jobs = place.run(act, Need.CORE)
    if as_json:
        output.document(answer)
        return
    lines = list(_lines(cast(PlacementDoc, answer), nodes, jobs, clock.now()))
    output.lines([text.clean(line) for line in lines])


def _lines(
    doc: PlacementDoc, nodes: list[NodeDoc], jobs: list[JobDoc], now: float
) -> Iterator[str]:
    from flextui.cli.chart import plain as no_glyphs

    codes, wants = Codes(), doc["wants"]
    holders = placing.Holders()
    holders.take({job["id"]: job for job in jobs})
    rows = holders.rows(codes, doc["ends"])
    chosen = next((job for job in jobs if wants is not None and job["id"] == wants["id"]), None)
    scene = Scene(holders.held, codes, placing.marks(doc, chosen, holders.held))
    drawn = to_ascii if no_glyphs() else str
    for line in picture.lines(nodes, output.width() or 200, codes.wide):
        found = picture.pieces(line, scene)
        yield drawn("".join(it.span.text for it in found)).rstrip()
    yield ""
    for it in sorted(rows.values(), key=placing.order):
        yield drawn(_job_line(it, now))
    if wants is not None:
        yield ""
        yield from map(drawn, placing.wants_lines(wants, holders.held, doc["ends"], now))


def _job_line(it: placing.Placed, now: float) -> str:
    cells: Mapping[str, str] = {field.name: plain(field.cell(it, now)) for field in placing.FIELDS}
    return f"{cells['job']:<34} {it.job['id']:<8} {cells['gpus']:>4} GPUs  {cells['left']}"
