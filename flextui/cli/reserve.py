"""reserve, unreserve, reservations: devices kept for somebody, and when."""

from __future__ import annotations

import sys
from typing import cast

import click

from flextui.cli import output, text
from flextui.cli.complete import node_names, reservation_names
from flextui.cli.table import Cell, Column, Row, render
from flextui.cli.verb import Place, json_option, verb
from flextui.core.commands import ListReservations, Reserve, Unreserve
from flextui.core.model.docs import WindowDoc

_COLUMNS = (
    Column("NAME", shrink=1),
    Column("KIND"),
    Column("NODES", shrink=2),
    Column("GPUS"),
    Column("FOR", shrink=3),
    Column("FROM"),
    Column("TO"),
    Column("EVERY"),
    Column("BY", shrink=4),
)


@verb(
    "reserve",
    "flextui reserve demo --node gpu1 --for bob --to 4h",
    "flextui reserve class --node gpu1 --node gpu2 --gpu 0 --gpu 1 --for project:vision"
    " --from 2030-02-04T09:00 --to 3h --every weekdays --until 2030-07-01",
    short_help="Keep nodes or GPUs for somebody.",
)
@click.argument("name")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    required=True,
    metavar="NODE|all",
    shell_complete=node_names,
    help="The nodes; all: each one.",
)
@click.option(
    "--gpu", "gpus", multiple=True, type=click.IntRange(0, 1023), metavar="N", help="Only this GPU."
)
@click.option(
    "--for", "who", multiple=True, required=True, metavar="WHO", help="A user, group:X, project:X."
)
@click.option("--from", "begin", default="", metavar="TIME", help="From then on, or so long on.")
@click.option("--to", "end", required=True, metavar="TIME", help="Until then, or for so long.")
@click.option("--every", type=click.Choice(["day", "week", "weekdays"]), help="Again and again.")
@click.option("--until", metavar="TIME", help="Not again from then on.")
@click.option("--timezone", metavar="ZONE", help="Of the times, such as Europe/Berlin.")
@json_option
def reserve(
    place: Place,
    name: str,
    nodes: tuple[str, ...],
    gpus: tuple[int, ...],
    who: tuple[str, ...],
    begin: str,
    end: str,
    every: str | None,
    until: str | None,
    timezone: str | None,
    as_json: bool,
) -> None:
    """Keep nodes, or some of their GPUs, for users, groups or projects.

    Other jobs don't start there if their time limit reaches into that time. Times without a zone
    are the core's local ones. For admins.
    """
    command = Reserve(name, who, nodes, end, begin, gpus, every, until, timezone)
    made = cast(WindowDoc, place.ask(command)["reservation"])
    if as_json:
        output.document(made)
        return
    span = made["next"]
    when = f" from {text.clock(span['from'])} to {text.clock(span['to'])}" if span else ""
    again = f", every {_every(made)}" if made["every"] else ""
    output.lines([text.clean(f"{name}: {_what(made)} for {_whom(made)}{when}{again}")])


@verb("unreserve", "flextui unreserve demo", short_help="End a reservation.")
@click.argument("name", shell_complete=reservation_names)
@json_option
def unreserve(place: Place, name: str, as_json: bool) -> None:
    """End a reservation that was made with `reserve`. For admins."""
    answer = place.ask(Unreserve(name))
    if as_json:
        output.document(answer)
    else:
        output.lines([text.clean(f"{name} has ended")])


@verb(
    "reservations",
    "flextui reservations",
    "flextui reservations --json",
    short_help="List reservations and maintenance.",
)
@json_option
def reservations(place: Place, as_json: bool) -> None:
    """List reservations and maintenance, of the inventory and of `reserve`, the soonest first."""
    found = cast(list[WindowDoc], place.ask(ListReservations())["reservations"])
    if as_json:
        output.document(found)
        return
    if not found and output.is_terminal(sys.stdout):
        output.say("flextui: nothing is reserved")
        return
    width, colour = output.width(), output.colour_on(sys.stdout)
    output.lines(render(_COLUMNS, [_row(it) for it in found], width=width, colour=colour))


def _row(it: WindowDoc) -> Row:
    span = it["next"]
    begin = text.clock(span["from"]) if span else text.NOTHING
    return [
        it["name"],
        it["kind"],
        it["nodes"] if isinstance(it["nodes"], str) else text.joined(it["nodes"]),
        text.joined(map(str, it["gpus"])) if it["gpus"] else text.NOTHING,
        text.joined(it["for"]),
        Cell(begin, "yellow") if it["active"] else begin,
        text.clock(span["to"]) if span else text.NOTHING,
        _every(it) or text.NOTHING,
        it["source"],
    ]


def _every(it: WindowDoc) -> str:
    return (it["every"] or "").removesuffix("s")


def _what(it: WindowDoc) -> str:
    nodes = "all nodes" if isinstance(it["nodes"], str) else ", ".join(it["nodes"])
    gpus = f" GPU {', '.join(map(str, it['gpus']))}" if it["gpus"] else ""
    return nodes + gpus


def _whom(it: WindowDoc) -> str:
    return ", ".join(it["for"])
