"""nodes, gpus: the boxes and their devices, who holds them and what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import cast

import click

from flextui.cli import clock, output, text
from flextui.cli.complete import node_names
from flextui.cli.output import Failure
from flextui.cli.table import Cell, Column, Row, render
from flextui.cli.verb import Place, json_option, verb
from flextui.core.commands import ListNodes
from flextui.core.model.docs import GpuDoc, NodeDoc, ProcessDoc
from flextui.screens import format as fmt

_NODES = (
    Column("NODE", shrink=1),
    Column("STATE"),
    Column("GPUS", shrink=2, least=11),
    Column("CPU", right=True),
    Column("MEM", right=True),
    Column("UTIL", right=True, drop=1),
    Column("JOBS", shrink=3, least=12),
    Column("NOTE", shrink=4, least=18),
)
_GPUS = (
    Column("NODE", shrink=1),
    Column("GPU", right=True),
    Column("MODEL", shrink=2),
    Column("STATE"),
    Column("UTIL", right=True),
    Column("MEM", right=True),
    Column("TEMP", right=True, drop=1),
    Column("POWER", right=True, drop=2),
    Column("HELD BY", shrink=3, least=16),
    Column("UUID", shrink=5, least=40, drop=3),
)
_some_nodes = click.argument("nodes", metavar="[NODE...]", nargs=-1, shell_complete=node_names)
_BAR = 8


@verb("nodes", "flextui nodes", "flextui nodes gpu1 --json", short_help="List the nodes.")
@_some_nodes
@json_option
def nodes(place: Place, nodes: tuple[str, ...], as_json: bool) -> None:
    """List the nodes: how they stand, what is promised to jobs and what is wrong."""
    found = _fetch(place, nodes)
    if as_json:
        output.document(found)
        return
    glyph = output.is_terminal(sys.stdout)
    _print(_NODES, [_node_row(node, glyph=glyph) for node in found])


@verb("gpus", "flextui gpus", "flextui gpus gpu1 gpu2", short_help="List the GPUs.")
@_some_nodes
@json_option
def gpus(place: Place, nodes: tuple[str, ...], as_json: bool) -> None:
    """List the GPUs: how busy and full they are, and who holds them, job or not."""
    found = _fetch(place, nodes)
    if as_json:
        output.document([{"node": node["name"], **gpu} for node in found for gpu in node["gpus"]])
        return
    terminal = output.is_terminal(sys.stdout)
    rows = [_gpu_row(node, gpu, bars=terminal) for node in found for gpu in node["gpus"]]
    if not rows and terminal:
        output.say("flextui: no GPUs")
        return
    _print(_GPUS, rows)


def _fetch(place: Place, names: Sequence[str]) -> list[NodeDoc]:
    """The nodes asked for, all if none. Raises Failure for a name that is unknown."""
    found = cast(list[NodeDoc], place.ask(ListNodes())["nodes"])
    known = {node["name"]: node for node in found}
    for name in names:
        if name not in known:
            from flextui.core.model.problems import nearest

            like = nearest(name, known)
            hint = f"; did you mean '{like}'?" if like else f"; there are {', '.join(known)}"
            raise Failure(output.INPUT, f"no node '{name}'{hint}")
    return [known[name] for name in dict.fromkeys(names)] if names else found


def _print(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    colour = output.colour_on(sys.stdout)
    output.lines(render(columns, rows, width=output.width(), colour=colour))


def _node_row(node: NodeDoc, *, glyph: bool) -> list[Cell | str]:
    known = node["memory_bytes"] > 0
    memory = f"{fmt.size(node['memory_promised_bytes'])}/{fmt.size(node['memory_bytes'])}"
    cpus = f"{text.number(node['cpus_used'])}/{text.number(node['cpus'])}"
    return [
        node["name"],
        Cell(*_node_state(node, glyph=glyph)),
        _models(node["gpus"]),
        cpus if known else text.NOTHING,
        memory if known else text.NOTHING,
        text.NOTHING if node["cpu"] is None else f"{node['cpu']:.0%}",
        text.joined(node["jobs"]),
        Cell(_note(node), "" if node["state"] == "ready" else "yellow"),
    ]


def _node_state(node: NodeDoc, *, glyph: bool) -> tuple[str, str]:
    """The state's word, with what an operator did to the node."""
    marks = [word for word in ("drained", "cordoned") if node[word]]
    if node["state"] == "ready" and marks:
        return (f"⊘ {marks[0]}" if glyph else marks[0]), "yellow"
    word, colour = text.state(node["state"], glyph=glyph)
    return ",".join([word, *marks]), colour


def _models(gpus: Iterable[GpuDoc]) -> str:
    """`3/8 A100-80`: held of all, by model."""
    by_model: dict[str, list[GpuDoc]] = {}
    for gpu in gpus:
        by_model.setdefault(_model(gpu), []).append(gpu)
    return (
        ", ".join(
            f"{sum(gpu['state'] != 'free' for gpu in group)}/{len(group)} {model}"
            for model, group in by_model.items()
        )
        or text.NOTHING
    )


def _model(gpu: GpuDoc) -> str:
    """`H100-80`, and what part of it a slice is: `H100-80 1g.10gb`."""
    return f"{fmt.short_model(gpu['model'])} {gpu['mig']}".rstrip()


def _note(node: NodeDoc) -> str:
    notes = [node["reason"]] if node["reason"] else []
    left = (fmt.parse_time(node.get("drains_at")) or 0.0) - clock.now()
    if node["drained"] and left > 0:
        notes.append(f"services move in {fmt.long_span(left)}")
    if node["driver"] and node["driver"] not in node["reason"]:
        notes.append(f"driven by {node['driver']}")
    if node["nvml"] not in ("", "ok", "absent"):
        notes.append(f"NVML {node['nvml']}")
    notes += [
        f"GPU{gpu['index']} {gpu['state']}" + (f": {gpu['reason']}" if gpu["reason"] else "")
        for gpu in node["gpus"]
        if gpu["state"] not in ("free", "used") and not fmt.left_out(gpu)
    ]
    if node["orphans"]:
        notes.append(text.count(len(node["orphans"]), "orphan"))
    return "; ".join(notes)


def _gpu_row(node: NodeDoc, gpu: GpuDoc, *, bars: bool) -> list[Cell | str]:
    used, of = gpu["memory_used_bytes"], gpu["memory_bytes"]
    memory = f"{fmt.size(used)}/{fmt.size(of)}"
    busy = "n/a" if gpu["utilization"] is None else f"{gpu['utilization']}%"
    state, colour = text.state(gpu["state"], glyph=False)
    if bars:
        memory = f"{fmt.bar(fmt.gpu_fraction(gpu), _BAR)} {memory}"
        state = f"{fmt.gpu_span(gpu).text} {state}"
    return [
        node["name"],
        str(gpu["index"]),
        _model(gpu),
        Cell(state, colour if gpu["state"] not in ("free", "used") else ""),
        busy,
        memory,
        "n/a" if gpu["temperature_c"] is None else f"{gpu['temperature_c']}C",
        "n/a" if gpu["power_w"] is None else f"{gpu['power_w']:.0f}W",
        _held_by(gpu),
        gpu["uuid"],
    ]


def _held_by(gpu: GpuDoc) -> str:
    """Jobs, then foreign processes by true owner, else what is wrong."""
    foreign = [_process(it) for it in gpu["processes"] if it["owner"] == "foreign"]
    return ", ".join([*gpu["jobs"], *foreign]) or gpu["reason"]


def _process(process: ProcessDoc) -> str:
    who = process["true_owner"] or process["user"]
    return f"{who}: {process['name']} (pid {process['pid']}, {fmt.size(process['memory_bytes'])})"
