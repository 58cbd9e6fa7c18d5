"""history: what a node and its GPUs, or a job's attempts, used of late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from flextui.cli import chart, output
from flextui.cli.complete import job_names, node_names
from flextui.cli.verb import Need, Place, json_option, verb
from flextui.core.commands import CommandError, History
from flextui.core.model.docs import PastDoc, TrackDoc
from flextui.core.model.series import columns, latest, reading, top_of
from flextui.core.model.units import format_duration

_LABEL = 26


@verb(
    "history",
    "flextui history gpu1",
    "flextui history --job train",
    "flextui history gpu1 --json | jq .past.gpus",
    short_help="Show what a node or a job used of late.",
)
@click.argument("node", required=False, shell_complete=node_names)
@click.option("--job", metavar="JOB", shell_complete=job_names, help="A job's attempts instead.")
@json_option
def history(place: Place, node: str | None, job: str | None, as_json: bool) -> None:
    """Show the last hour of a node and its GPUs, or the lives of a job's attempts: each column is
    the highest value of its time. The core keeps it in memory, so it begins when the core did.
    """
    if (node is None) == (job is None):
        raise click.UsageError("expected NODE, or --job JOB")
    answer = place.ask(History(node or "", job or ""), Need.CORE)
    if as_json:
        output.document(answer)
        return
    width = max(10, min(output.width() or 100, 160) - _LABEL - 12)
    lines = [*_node_lines(answer["past"], width)] if node else []
    for track in answer.get("tracks", ()):
        lines += _track_lines(track, width)
    if not lines:
        raise CommandError("failed", "nothing is known yet: samples are taken every 5 s")
    output.lines(lines)


def _node_lines(past: PastDoc, width: int) -> Iterator[str]:
    count = max((len(it) for it in past["node"].values()), default=0)
    if count:
        yield f"the last {format_duration(round(count * past['every_s']))}"
    for name, values in past["node"].items():
        yield _line(name, name, values, width)
    for number, series in enumerate(past["gpus"].values()):
        for name, values in series.items():
            yield _line(f"GPU {number} {name}", name, values, width)


def _track_lines(track: TrackDoc, width: int) -> Iterator[str]:
    count = len(track["series"].get("cpu", ()))
    span = format_duration(round(count * track["every_s"]))
    yield f"{track['attempt']} on {track['node']}, {span} up to its last sample"
    for name, values in track["series"].items():
        kind = "cores" if name == "cpu" else "bytes" if "memory" in name else name
        yield _line(name.replace("_", " "), kind, values, width)


def _line(label: str, kind: str, values: Sequence[float | None], width: int) -> str:
    top = top_of(kind, values)
    drawn = chart.spark([it or 0.0 for it in columns(values, width)], top, ascii_only=chart.plain())
    return f"{label:<{_LABEL}} {drawn:>{width}} {reading(kind, latest(values))}".rstrip()
