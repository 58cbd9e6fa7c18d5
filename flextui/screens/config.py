"""The terminal's own config: keys, colours, lists. A mistake in it costs what it is in, no more.

YAML as in specs and the inventory (the core schema of 1.2). Every mistake is told with line,
column and the mend; what is right is in force.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from flextui.core.model.problems import BadInput, Problem, nearest, quote
from flextui.core.model.tree import Document, Fields, Items, Node, Place, Value
from flextui.screens.keys import BadStroke, Key, Keymap, chords, shown
from flextui.screens.listing import Layout

NAME = "config.yaml"
COLOURS = ("auto", "truecolor", "256", "16", "none")
GLYPHS = ("auto", "unicode", "ascii")
LINES = ("auto", "fast", "slow")


@dataclass(slots=True)
class Config:
    """What a config says; `auto` and None are for what the terminal itself tells."""

    theme: str = "auto"
    light_theme: str = "textual-light"
    dark_theme: str = "textual-dark"
    colours: str = "auto"
    glyphs: str = "auto"
    line: str = "auto"
    updates: float = 4.0
    mouse: bool = True
    read_only: bool = False
    undo: float = 10.0
    keys: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    lists: dict[str, Layout] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What a config may name."""

    themes: Sequence[str]
    keys: Mapping[str, Sequence[Key]]
    chains: Sequence[tuple[str, ...]]
    columns: Mapping[str, Sequence[str]]
    """List → its columns."""
    groups: Mapping[str, Sequence[str]]
    """List → what it can be grouped by."""


def config_path() -> Path:
    """FLEXTUI_CONFIG, else `config.yaml` in the user's config folder."""
    if chosen := os.environ.get("FLEXTUI_CONFIG"):
        return Path(chosen).expanduser()
    return Path(platformdirs.user_config_dir("flextui", appauthor=False)) / NAME


def read_config(path: Path, known: Known) -> tuple[Config, tuple[Problem, ...]]:
    """What a file says, and what is wrong with it. No file: the defaults. Never raises."""
    if not path.exists():
        return Config(), ()
    from flextui.core.model.document import read_file  # YAML: only where there is a file

    try:
        text = read_file(path)
    except BadInput as error:
        return Config(), error.problems
    return parse(text, str(path), known)


def parse(text: str | bytes, source: str, known: Known) -> tuple[Config, tuple[Problem, ...]]:
    """As `read_config`, of a text."""
    from flextui.core.model.document import load

    documents, problems = load(text, source)
    reader = _Reader(known, problems)
    for document in documents[:1]:
        reader.document(document)
    for extra in documents[1:2]:
        problems.append(extra.problem(extra.root.place, "a second document", "one"))
    return reader.config, tuple(sorted(set(problems)))


class _Reader:
    def __init__(self, known: Known, problems: list[Problem]) -> None:
        self.config = Config()
        self._known = known
        self._problems = problems
        self._document: Document
        self._places: dict[tuple[str, str], Place] = {}
        themes = list(known.themes)
        self._fields: dict[str, Callable[[Node], None]] = {
            "theme": self._word("theme", ["auto", "light", "dark", *themes]),
            "light_theme": self._word("light_theme", themes),
            "dark_theme": self._word("dark_theme", themes),
            "colours": self._word("colours", COLOURS),
            "glyphs": self._word("glyphs", GLYPHS),
            "line": self._word("line", LINES),
            "updates": self._number("updates", "repaints a second", 0.1, 30),
            "undo": self._number("undo", "seconds", 0, 60),
            "mouse": self._flag("mouse"),
            "read_only": self._flag("read_only"),
            "keys": self._keys,
            "lists": self._lists,
        }

    def document(self, document: Document) -> None:
        self._document = document
        for name, place, node in self._mapping(document.root, "the config"):
            if name in self._fields:
                self._fields[name](node)
            else:
                self._unknown(place, f"unknown field {quote(name)}", name, self._fields)
        self._clashes()

    # ── values ──

    def _say(self, place: Place, message: str, expected: str = "", like: str = "") -> None:
        self._problems.append(self._document.problem(place, message, expected, like))

    def _unknown(self, place: Place, message: str, name: str, known: Sequence[str] | Any) -> None:
        self._say(place, message, f"one of {', '.join(known)}", nearest(name, list(known)))

    def _mapping(self, node: Node, what: str) -> Iterator[tuple[str, Place, Node]]:
        if isinstance(node, Fields):
            yield from ((name, place, value) for name, (place, value) in node.fields.items())
        elif not (isinstance(node, Value) and node.value is None):
            self._say(node.place, f"{what} is {_shown(node)}", "a mapping of fields")

    def _word(self, name: str, choices: Sequence[str]) -> Callable[[Node], None]:
        def read(node: Node) -> None:
            text = node.text if isinstance(node, Value) else ""
            if text in choices:
                setattr(self.config, name, text)
            else:
                self._unknown(node.place, f"{name} is {_shown(node)}", text, choices)

        return read

    def _flag(self, name: str) -> Callable[[Node], None]:
        def read(node: Node) -> None:
            if isinstance(node, Value) and isinstance(node.value, bool):
                setattr(self.config, name, node.value)
            else:
                self._say(node.place, f"{name} is {_shown(node)}", "true or false")

        return read

    def _number(self, name: str, what: str, least: float, most: float) -> Callable[[Node], None]:
        def read(node: Node) -> None:
            value = node.value if isinstance(node, Value) else None
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and least <= float(value) <= most:  # type: ignore[arg-type]
                setattr(self.config, name, float(value))  # type: ignore[arg-type]
            else:
                message = f"{name} is {_shown(node)}"
                self._say(node.place, message, f"{what}, {least:g} to {most:g}")

        return read

    # ── keys ──

    def _keys(self, node: Node) -> None:
        for where, place, inner in self._mapping(node, "keys"):
            if where not in self._known.keys:
                message = f"no place is called {quote(where)}"
                self._unknown(place, message, where, self._known.keys)
                continue
            names = {key.name: key for key in self._known.keys[where]}
            for name, spot, value in self._mapping(inner, f"keys.{where}"):
                if name not in names:
                    message = f"{where} has no key {quote(name)}"
                    self._unknown(spot, message, name, list(names))
                elif (read := self._chords(value)) is not None:
                    self.config.keys[where, name] = read
                    self._places[where, name] = value.place

    def _chords(self, node: Node) -> tuple[str, ...] | None:
        values = node.items if isinstance(node, Items) else [node]
        found: list[str] = []
        for value in values:
            if not isinstance(value, Value):
                self._say(value.place, f"a key is {_shown(value)}", "text such as ctrl+d")
                return None
            try:
                off = value.value in (None, False)
                found += () if off else chords(value.text)
            except BadStroke as error:
                self._say(value.place, f"{quote(value.text)} is no key", str(error))
                return None
        return tuple(dict.fromkeys(found))

    def _clashes(self) -> None:
        """Keys of the config that another key of the same place has as well."""
        keymap = Keymap(self._known.keys, self.config.keys)
        told = set()
        for chain in self._known.chains:
            for clash in keymap.clashes(chain):
                place = self._places.get((clash.loser.place, clash.loser.key.name))
                place = place or self._places.get((clash.winner.place, clash.winner.key.name))
                if place is None or (place, clash.chord) in told:
                    continue
                told.add((place, clash.chord))
                winner, loser = (f"{it.place}.{it.key.name}" for it in (clash.winner, clash.loser))
                self._say(
                    place,
                    f"{shown(clash.chord)} is {winner} and {loser} at once; it does {winner}",
                    f"another key, or `{loser.partition('.')[2]}: off` under {clash.loser.place}",
                )

    # ── lists ──

    def _lists(self, node: Node) -> None:
        for where, place, inner in self._mapping(node, "lists"):
            if where not in self._known.columns:
                message = f"no list is called {quote(where)}"
                self._unknown(place, message, where, self._known.columns)
                continue
            layout = self.config.lists.setdefault(where, Layout())
            for name, spot, value in self._mapping(inner, f"lists.{where}"):
                self._list_field(where, layout, name, spot, value)

    def _list_field(self, where: str, layout: Layout, name: str, place: Place, node: Node) -> None:
        columns, groups = self._known.columns[where], self._known.groups.get(where, ())
        if name == "columns":
            values = node.items if isinstance(node, Items) else [node]
            names = [it for value in values if (it := self._one(value, "column", columns))]
            layout.columns = tuple(dict.fromkeys(names))
        elif name == "sort":
            text = node.text if isinstance(node, Value) else ""
            wanted = Value(node.place, text.lstrip("-"), text.lstrip("-"))
            layout.sort = self._one(wanted, "column", columns) or ""
            layout.reverse = text.startswith("-")
        elif name == "group":
            layout.group = self._one(node, "group", groups) or ""
        else:
            self._unknown(place, f"unknown field {quote(name)}", name, ("columns", "sort", "group"))

    def _one(self, node: Node, what: str, known: Sequence[str]) -> str | None:
        text = node.text if isinstance(node, Value) else ""
        if text in known:
            return text
        self._unknown(node.place, f"no {what} is called {_shown(node)}", text, known)
        return None


def _shown(node: Node) -> str:
    if isinstance(node, Value):
        return "empty" if node.value is None else quote(node.text)
    return "a list" if isinstance(node, Items) else "a mapping"
