"""YAML text to trees with places, within bounds.

Files come from people, generators and sometimes from nowhere good, and a YAML loader throws away
the places that messages need. So the tree is built here, from the parser's events, without
recursion, within bounds of size, depth and number of values. A mistake of structure is noted and
reading goes on; only a mistake of syntax ends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flextui.core.model import scalars
from flextui.core.model.problems import BadInput, Problem, quote
from flextui.core.model.tree import Document, Fields, Items, Node, Place, Value

MAX_BYTES = 1 << 20
"""The most that a spec file or an inventory may have."""
MAX_VALUES = 100_000
"""The most values of a file, each alias counted as often as it is used."""
MAX_DEPTH = 32

_PARSER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_UNPRINTABLE = re.compile(  # what YAML 1.2 forbids, and breaks that only YAML 1.1 sees
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_SYNTAX = (  # what the parser says, what it means, what was expected
    (
        "mapping values are not allowed",
        "a ':' where no field can start",
        "quotes around a value that holds ': ', or a new line before a field",
    ),
    (
        "sequence entries are not allowed",
        "a '-' where no list can start",
        "the list on lines of its own",
    ),
    (
        "did not find expected key",
        "this line doesn't fit the ones above",
        "the same indentation as its neighbours, or a comma or closing bracket before it",
    ),
    ("unexpected end of stream", "a quote is opened and never closed", "a closing quote"),
    ("did not find expected node content", "a value is missing", "a value or a closing bracket"),
    ("expected ',' or ']'", "a list is still open here", "',' or ']'"),
    ("expected ',' or '}'", "a mapping is still open here", "',' or '}'"),
    ("could not find expected ':'", "a name without ':'", "NAME: VALUE"),
    ("unknown escape character", "an unknown escape in a quoted text", "'single quotes', or \\\\"),
)


def read_file(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a file, refused by size before it is read. The only I/O of the models.

    Raises `BadInput` if it can't be read or has more than `limit` bytes.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput([Problem(str(path), 1, 1, f"can't be read: {reason}")]) from error
    if len(data) > limit:
        raise BadInput([_too_big(str(path), limit)])
    return data


def load(text: str | bytes, source: str) -> tuple[tuple[Document, ...], list[Problem]]:
    """All documents of a text, empty ones left out, and everything wrong with its form.

    After a mistake of syntax the documents before it are returned. Never raises.
    """
    decoded, problems = _decode(text, source)
    if problems:
        return (), problems
    builder = _Builder(source)
    try:
        for event in yaml.parse(decoded, Loader=_PARSER):
            builder.feed(event)
    except _Stop:
        pass
    except yaml.YAMLError as error:
        builder.problems.append(_syntax_problem(error, decoded, source))
    return tuple(builder.documents), builder.problems


def _too_big(source: str, limit: int) -> Problem:
    shown = f"{limit // 1024} KiB" if limit >= 1024 else f"{limit} bytes"
    return Problem(source, 1, 1, "the file is too big", f"at most {shown}")


def _decode(text: str | bytes, source: str) -> tuple[str, list[Problem]]:
    if len(text) > MAX_BYTES:
        return "", [_too_big(source, MAX_BYTES)]
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            place = _place_at(error.object[: error.start].decode("utf-8"), error.start)
            what = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
            return "", [Problem(source, place.line, place.column, what, "a text file in UTF-8")]
    text = text.removeprefix("\ufeff")
    problems = []
    for match in _UNPRINTABLE.finditer(text):
        place = _place_at(text, match.start())
        what = f"the character U+{ord(match[0]):04X} can't stand here"
        mend = "it escaped in double quotes, or left out"
        problems.append(Problem(source, place.line, place.column, what, mend))
        if len(problems) == 10:
            break
    return text, problems


def _place_at(text: str, index: int) -> Place:
    before = re.split(r"\r\n|\r|\n", text[:index])
    return Place(len(before), len(before[-1]) + 1)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _syntax_problem(error: yaml.YAMLError, text: str, source: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "could not find expected ':'" in said:  # where the name is, not where the search ended
        mark = getattr(error, "context_mark", None) or mark
    place = _place(mark) if mark else Place(1, 1)
    message, expected = said, ""
    if "a tab character" in said:
        message, expected = "a tab can't indent", "spaces"
    elif "cannot start any token" in said:
        lines = re.split(r"\r\n|\r|\n", text)
        line = lines[place.line - 1] if place.line <= len(lines) else ""
        character = line[place.column - 1 : place.column]
        if character == "\t":
            message, expected = "a tab can't indent", "spaces"
        else:
            message, expected = f"an unquoted value can't start with {quote(character)}", "quotes"
    for pattern, meaning, mend in _SYNTAX:
        if pattern in said:
            message, expected = meaning, mend
    return Problem(source, place.line, place.column, message, expected)


class _Stop(Exception):
    """A bound was passed: the rest of the file isn't looked at."""


@dataclass(slots=True)
class _Open:
    """A collection that has begun and not ended."""

    node: Items | Fields
    anchor: str | None
    key_place: Place
    key: str | None = None
    awaiting_key: bool = True


class _Builder:
    """Makes documents of events. One instance reads one text."""

    def __init__(self, source: str) -> None:
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}  # None: not complete yet
        self._size = 0  # of the documents that are complete

    def feed(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._complete(self._scalar(event), event.anchor)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin(Fields(_place(event.start_mark)), event, "map")
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin(Items(_place(event.start_mark)), event, "seq")
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            self._complete(ended.node, ended.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._anchors.clear()

    def _note(self, place: Place, message: str, expected: str = "") -> None:
        self.problems.append(Problem(self._source, place.line, place.column, message, expected))

    def _scalar(self, event: Any) -> Value:
        place, text = _place(event.start_mark), event.value
        if event.tag is None or (event.tag == "!" and not event.style):
            plain_text = event.tag is None and event.implicit[0]
            return Value(place, scalars.resolve(text) if plain_text else text, text)
        try:
            return Value(place, scalars.resolve_tagged(event.tag, text), text)
        except ValueError:
            self._note(place, f"{quote(text)} can't have the tag {quote(event.tag)}", "no tag")
            return Value(place, text, text)

    def _begin(self, node: Items | Fields, event: Any, tag: str) -> None:
        if event.tag not in (None, "!", scalars.TAG + tag):
            self._note(node.place, f"unknown tag {quote(event.tag)}", "no tag")
        if len(self._open) >= MAX_DEPTH:
            self._note(node.place, "nested too deeply", f"at most {MAX_DEPTH} levels")
            raise _Stop
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(node, event.anchor, node.place))

    def _alias(self, event: Any) -> None:
        place, name = _place(event.start_mark), event.anchor
        target = self._anchors.get(name)
        if target is None:
            why = "stands inside what it names" if name in self._anchors else "names nothing above"
            self._note(place, f"the alias {quote('*' + name)} {why}", f"an anchor &{name} before")
            self._add(Value(place, None, "*" + name))
            return
        if len(self._open) + target.height > MAX_DEPTH:
            self._note(place, "nested too deeply", f"at most {MAX_DEPTH} levels")
            raise _Stop
        self._add(target)

    def _complete(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        self._add(node)

    def _add(self, node: Node) -> None:
        """Put a finished node where it belongs: into its parent, or as a document."""
        if not self._open:
            self._size += node.size
            self._bound(self._size, node)
            if not (isinstance(node, Value) and node.value is None):
                self.documents.append(Document(self._source, node))
            return
        self._count(node)
        parent = self._open[-1]
        if isinstance(parent.node, Items):
            parent.node.items.append(node)
        elif parent.awaiting_key:
            parent.key, parent.key_place = self._key(node, parent.node), node.place
            parent.awaiting_key = False
        else:
            if parent.key is not None:
                parent.node.fields[parent.key] = (parent.key_place, node)
            parent.awaiting_key = True

    def _count(self, node: Node) -> None:
        parent = self._open[-1].node
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        self._bound(self._size + parent.size, node)

    def _bound(self, size: int, node: Node) -> None:
        if size > MAX_VALUES:
            most = f"at most {MAX_VALUES} in a file, an alias counted as what it repeats"
            self._note(node.place, "too many values", most)
            raise _Stop

    def _key(self, node: Node, parent: Fields) -> str | None:
        """The name of a field, or None (noted) if it can't be one."""
        if not isinstance(node, Value):
            self._note(node.place, "a field's name can't be a list or a mapping", "text")
            return None
        if not isinstance(node.value, str):
            self._note(node.place, f"the name {quote(node.text)} isn't text", "quotes around it")
            return None
        if node.value == "<<":
            what = "merge keys ('<<') aren't part of YAML 1.2"
            self._note(node.place, what, "the fields written out")
            return None
        if node.value in parent.fields:
            line = parent.fields[node.value][0].line
            self._note(node.place, f"{quote(node.value)} is given twice", f"only line {line}")
            return None
        return node.value
