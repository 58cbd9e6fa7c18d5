"""What an inventory says twice or against itself, beyond what one field alone can tell.

Names that stand for nothing, boxes given twice and reservations of one device at one time: each is
told at its place, naming the line that it contradicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from flextui.core.model.problems import Problem, nearest, quote
from flextui.core.model.tree import Document, Fields, Items, Node, Place, Steps, Value

if TYPE_CHECKING:
    from flextui.core.model.inventory import Inventory


def contradictions(document: Document, inventory: Inventory | None) -> Iterator[Problem]:
    """All of a document; without the inventory (its fields are wrong), only repeated nodes."""
    yield from _repeated(document)
    if inventory is None:
        return
    yield from _unknown_nodes(document, inventory)
    yield from _unknown_projects(document, inventory)
    yield from _same_name(document, inventory)
    yield from _overlaps(document, inventory)


def _unknown_nodes(document: Document, inventory: Inventory) -> Iterator[Problem]:
    known = {node.name for node in inventory.nodes}
    for kind in ("reservations", "maintenance"):
        for at, window in enumerate(getattr(inventory, kind)):
            names = () if window.nodes == "all" else window.nodes
            yield from _unknown(document, (kind, at, "nodes"), names, known)
    for name, volume in inventory.volumes.items():
        yield from _unknown(document, ("volumes", name, "nodes"), volume.nodes or (), known)


def _unknown(
    document: Document, path: Steps, names: Iterable[str], known: set[str]
) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name not in known:
            place = document.find((*path, index)).node.place
            what = f"there is no node {quote(name)}"
            yield document.problem(place, what, "a node of this file", nearest(name, known))


def _unknown_projects(document: Document, inventory: Inventory) -> Iterator[Problem]:
    for at, reservation in enumerate(inventory.reservations):
        for index, name in enumerate(reservation.for_):
            project = name.removeprefix("project:")
            if project != name and project not in inventory.projects:
                place = document.find(("reservations", at, "for", index)).node.place
                like = nearest(project, inventory.projects)
                what = f"there is no project {quote(project)}"
                yield document.problem(place, what, "a project of this file", like)


def _same_name(document: Document, inventory: Inventory) -> Iterator[Problem]:
    """Reservations and maintenance have one space of names: commands and reasons name them."""
    lines: dict[str, int] = {}
    for kind in ("reservations", "maintenance"):
        for at, window in enumerate(getattr(inventory, kind)):
            place = document.find((kind, at, "name")).node.place
            if window.name in lines:
                what = f"the name {quote(window.name)} is used twice"
                expected = f"another name than in line {lines[window.name]}"
                yield document.problem(place, what, expected)
            lines.setdefault(window.name, place.line)


def _overlaps(document: Document, inventory: Inventory) -> Iterator[Problem]:
    for (first, one), (second, other) in combinations(enumerate(inventory.reservations), 2):
        meets = one.conflict(other)
        if meets is not None:
            earlier = document.find(("reservations", first)).node.place
            place = document.find(("reservations", second)).node.place
            what = (
                f"the reservation {quote(other.name)} keeps what {quote(one.name)} "
                f"(line {earlier.line}) keeps already, from {one.local(meets[0])}"
            )
            yield document.problem(place, what, "other nodes, other gpus or another time")


def _repeated(document: Document) -> Iterator[Problem]:
    """Nodes whose name, or whose way to be reached, an earlier one has."""
    names: dict[str, Place] = {}
    ways: dict[tuple[str, ...], Place] = {}
    nodes = document.find(("nodes",)).node
    for node in nodes.items if isinstance(nodes, Items) else ():
        given = _texts(node)
        place, name = given.get("name") or given.get("host") or (node.place, "")
        if name and name in names:
            what = f"the name {quote(name)} is used twice"
            yield document.problem(place, what, f"another than in line {names[name].line}")
            continue
        names.setdefault(name, place)
        way = tuple(given[key][1] if key in given else "" for key in ("host", "user", "port"))
        if way[0] and way in ways:
            what = f"the host {quote(way[0])} is given twice"
            expected = f"each box once, see line {ways[way].line}"
            yield document.problem(given["host"][0], what, expected)
        ways.setdefault(way, place)


def _texts(node: Node) -> dict[str, tuple[Place, str]]:
    """The scalars of a mapping, as written, with their places."""
    fields = node.fields if isinstance(node, Fields) else {}
    values = {key: value for key, (_, value) in fields.items() if isinstance(value, Value)}
    return {key: (value.place, value.text) for key, value in values.items()}
