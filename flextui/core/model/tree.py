"""A YAML document in which every name and every value knows its place.

Mistakes found late (a wrong value, a reference to nothing) are told with line and column, so the
tree keeps them next to the data instead of in a table beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flextui.core.model import scalars
from flextui.core.model.problems import Problem

Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Line and column in a file, both from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Value:
    """A scalar. `text` is how it was written."""

    place: Place
    value: scalars.Scalar
    text: str
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class Items:
    """A sequence."""

    place: Place
    items: list[Node] = field(default_factory=list)
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class Fields:
    """A mapping: name → (place of the name, value)."""

    place: Place
    fields: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    size: int = 1
    height: int = 1


Node = Value | Items | Fields


@dataclass(frozen=True, slots=True)
class Found:
    """The node that a path leads to, or where the path ends: its name, place and key's place."""

    path: Steps
    node: Node
    key_place: Place


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    source: str
    root: Node

    @property
    def data(self) -> Any:
        """The document as dicts, lists and scalars."""
        return plain(self.root)

    def find(self, path: Sequence[str | int]) -> Found:
        """Follow a path as far as it goes; steps that don't exist are skipped."""
        node, key_place = self.root, self.root.place
        taken: list[str | int] = []
        for step in path:
            if isinstance(node, Fields) and isinstance(step, str) and step in node.fields:
                key_place, node = node.fields[step]
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                key_place = node.place
            else:
                continue
            taken.append(step)
        return Found(tuple(taken), node, key_place)

    def problem(self, place: Place, message: str, expected: str = "", nearest: str = "") -> Problem:
        """A problem of this file at a place."""
        return Problem(self.source, place.line, place.column, message, expected, nearest)


def plain(node: Node) -> Any:
    """Dicts, lists and scalars without places."""
    if isinstance(node, Value):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {name: plain(value) for name, (_, value) in node.fields.items()}
