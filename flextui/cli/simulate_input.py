"""What `simulate` replays: which trace, which part of it, and on which nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import click

from flextui.cli import output
from flextui.cli.output import Failure
from flextui.cli.verb import Need, Place

if TYPE_CHECKING:
    from flextui.core.simulate.trace import Box, Trace


def read(place: Place, path: str | None, form: str | None) -> Trace:
    """The trace in a file; without one, the fleet's own past."""
    from flextui.core.simulate.formats import Format, read_trace
    from flextui.core.simulate.history import read_history

    if path is not None:
        return read_trace(path, cast("Format | None", form))
    return read_history("the fleet's own past", _own_history(place))


def export(place: Place, path: str) -> None:
    """Write the fleet's own past to a file."""
    text = "".join(f"{line}\n" for line in _own_history(place))
    if path == "-":
        output.write(text)
        return
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise Failure(output.INPUT, f"{path} exists; expected the name of a new file") from error
    except OSError as error:
        raise Failure(output.FAILED, f"{path}: {error.strerror}") from error
    output.say(f"flextui: {text.count(chr(10)) - 1} jobs written to {path}")


def _own_history(place: Place) -> list[str]:
    import time

    from flextui.cli.connect import inventory_in_use
    from flextui.core.client import Client
    from flextui.core.commands import CommandError, ListJobs, ListNodes
    from flextui.core.model.inventory import read_inventory
    from flextui.core.simulate.boxes import declared_boxes
    from flextui.core.simulate.history import boxes_of_nodes, history_lines

    path = inventory_in_use(place.options)
    inventory = read_inventory(path.read_bytes(), str(path)) if path is not None else None

    async def act(client: Client) -> tuple[list[Any], tuple[Box, ...]]:
        jobs = (await client.call(ListJobs(spec=True)))["jobs"]
        try:
            boxes = boxes_of_nodes((await client.call(ListNodes()))["nodes"], inventory)
        except CommandError:  # no core runs
            boxes = declared_boxes(inventory) if inventory is not None else ()
        return jobs, boxes

    jobs, boxes = place.run(act, Need.STORE)
    return list(history_lines(jobs, boxes, inventory, time.time()))


def boxes(trace: Trace, nodes: str | None) -> tuple[Box, ...]:
    """The nodes that are asked for, or the trace's own."""
    from flextui.core.simulate.boxes import read_boxes

    if nodes is not None:
        return read_boxes(nodes)
    if not trace.boxes:
        raise click.UsageError("the trace doesn't say which nodes there are: expected --nodes 8x8")
    return trace.boxes


def cut(
    trace: Trace, since: float | str | None, until: float | str | None, limit: int | None
) -> Trace:
    """The part of the trace that is asked for."""
    first = _offset(trace, since, 0.0)
    last = _offset(trace, until, float("inf"))
    jobs = trace.jobs
    if since is not None or until is not None:
        jobs = tuple(job for job in jobs if first <= job.at < last)
    if limit is not None and limit < len(jobs):
        jobs = tuple(sorted(jobs, key=lambda job: job.at)[:limit])
    if not jobs:
        raise Failure(output.INPUT, f"{trace.name}: no job was submitted in that time")
    return replace(trace, jobs=jobs)


def _offset(trace: Trace, moment: float | str | None, default: float) -> float:
    if moment is None:
        return default
    return float(moment) - trace.began if isinstance(moment, str) else moment
