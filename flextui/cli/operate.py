"""drain, cordon, takeover, declare-lost: what an operator does to nodes and devices."""

from __future__ import annotations

from typing import Any

import click

from flextui.cli import output, text
from flextui.cli.act import seconds
from flextui.cli.complete import device_names, node_names
from flextui.cli.verb import Place, json_option, verb, yes_option
from flextui.core.commands import Command, Cordon, DeclareLost, Drain, TakeOver

_node = click.argument("node", shell_complete=node_names)
_device = click.argument("device", metavar="NODE[:GPU]", shell_complete=device_names)
_why = click.option("--why", default="", metavar="TEXT", help="Shown to everyone who asks.")


def _tell(place: Place, command: Command, line: str, as_json: bool) -> None:
    answer: dict[str, Any] = place.ask(command)
    if as_json:
        output.document(answer)
    else:
        output.lines([text.clean(line)])


@verb("drain", "flextui drain gpu1 --why 'new PSU at noon'", short_help="Empty a node.")
@_node
@_why
@click.option("--in", "delay", metavar="DURATION", help="Services move then; no new work from now.")
@json_option
def drain(place: Place, node: str, why: str, delay: str | None, as_json: bool) -> None:
    """Give a node no new work, let its batch jobs finish and move its services elsewhere."""
    told = f"{node} drains"
    if delay:
        told += f", its services move in {delay}: `flextui undrain {node}` takes it back"
    _tell(place, Drain(node, True, why, seconds(delay)), told, as_json)


@verb("undrain", "flextui undrain gpu1", short_help="Give a drained node work again.")
@_node
@json_option
def undrain(place: Place, node: str, as_json: bool) -> None:
    """Give a drained node work again."""
    _tell(place, Drain(node, False), f"{node} takes work again", as_json)


@verb(
    "cordon",
    "flextui cordon gpu4:3 --why 'XID 79'",
    "flextui cordon gpu4",
    short_help="Give a node, or one GPU, no new work.",
)
@_device
@_why
@json_option
def cordon(place: Place, device: str, why: str, as_json: bool) -> None:
    """Give a node, or one of its GPUs (by index or UUID), no new work. What runs goes on."""
    node, gpu = _split(device)
    _tell(place, Cordon(node, gpu, True, why), f"{device} is cordoned", as_json)


@verb("uncordon", "flextui uncordon gpu4:3", short_help="Undo a cordon.")
@_device
@json_option
def uncordon(place: Place, device: str, as_json: bool) -> None:
    """Give a cordoned node, or one of its GPUs, work again."""
    node, gpu = _split(device)
    _tell(place, Cordon(node, gpu, False), f"{device} takes work again", as_json)


def _split(device: str) -> tuple[str, str | None]:
    node, colon, gpu = device.partition(":")
    if not node or (colon and not gpu):
        raise click.UsageError(f"'{device}': expected NODE or NODE:GPU")
    return node, gpu or None


@verb(
    "takeover",
    "flextui takeover gpu1 gpu2",
    "flextui takeover --all --yes",
    short_help="Drive nodes that another core drives.",
)
@click.argument("nodes", metavar="NODE...", nargs=-1, shell_complete=node_names)
@click.option("--all", "everything", is_flag=True, help="All that another core drives.")
@yes_option
@json_option
def takeover(
    place: Place, nodes: tuple[str, ...], everything: bool, yes: bool, as_json: bool
) -> None:
    """Become the driver of nodes that another core drives. That core is fenced off from them: it
    can start and stop nothing there any more.
    """
    if bool(nodes) == everything:
        raise click.UsageError("name the nodes, or say --all")
    if not yes:
        which = ", ".join(nodes) or "all nodes that another core drives"
        output.confirm(f"Take over {which}?", ["the core that drives them now is fenced off"])
    answer = place.ask(TakeOver(nodes))
    if as_json:
        output.document(answer)
    else:
        output.lines(text.clean(f"{node} is taken over") for node in answer["nodes"])


@verb("declare-lost", "flextui declare-lost gpu5", short_help="Confirm that a node is gone.")
@_node
@yes_option
@json_option
def declare_lost(place: Place, node: str, yes: bool, as_json: bool) -> None:
    """Confirm that a silent node is gone, so that its work is replaced without waiting.

    If the node is only out of sight, what runs there may run twice until it answers.
    """
    if not yes:
        effect = f"its work starts elsewhere; it may run twice if {node} is only out of sight"
        output.confirm(f"Declare {node} lost?", [effect])
    _tell(place, DeclareLost(node), f"{node} is declared lost", as_json)
