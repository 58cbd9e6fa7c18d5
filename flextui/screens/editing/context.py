"""Where in a job spec the cursor stands: in which field, at its name or in its value.

The text is being written, so it is broken most of the time: nothing here needs it to be YAML.
Block style goes by indentation, flow style (`{a: 1}`) by brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flextui.screens.editing.colour import OUTSIDE, after, indentation

_FIELD = re.compile(r"^(?P<lead>\s*(?:- +)*)(?P<name>[\w./-]+|\"[^\"]*\"|'[^']*')\s*:(?=\s|$)")
_ITEM = re.compile(r"^\s*-(?:\s|$)")
_WORD = re.compile(r"[^\s,\[\]{}:#\"']*$")
_FLOW = re.compile(r"\"(?:\\.|[^\"\\])*\"?|'(?:''|[^'])*'?|[\[\]{},]|:(?=\s|$)|[^\s\[\]{},:\"']+|:")
LOOK_BACK = 400
"""Lines above the cursor that are looked at."""
LONG = 2000
"""Characters of a line that is no longer a spec's."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where the cursor stands."""

    path: tuple[str, ...]
    """The field whose value it is in; at a name: the mapping that the name is in."""
    naming: bool
    """A field's name is being written, else a value."""
    typed: str
    """The part of the word before the cursor."""
    start: int
    """The column at which that word begins."""
    indent: int
    """The column of fields beside it; what a new line below would have."""
    flow: bool = False
    siblings: frozenset[str] = frozenset()
    """Names that the mapping has already, or the items of the list before the cursor."""


def context(lines: Sequence[str], row: int, column: int) -> Context | None:
    """The context of a position; None in comments and block texts."""
    if len(lines[row]) > LONG:
        return None
    first = _document(lines, row)
    if _in_block(lines, first, row) or _in_comment(lines[row][:column]):
        return None
    if found := _flow_context(lines, first, row, column):
        return found
    return _block_context(lines, first, row, column)


def field_at(lines: Sequence[str], row: int, column: int) -> tuple[str, ...]:
    """The field that a position belongs to: what help is about. Empty: none."""
    if len(lines[row]) > LONG:
        return ()
    first = _document(lines, row)
    if _in_block(lines, first, row):
        while row > first and (_in_block(lines, first, row) or not lines[row].strip()):
            row -= 1
        column = len(lines[row])
    match = _FIELD.match(lines[row])
    if match and column <= match.end():
        return (*_parents(lines, first, row, len(match["lead"])), _bare(match["name"]))
    found = context(lines, row, min(column, len(lines[row])))
    if found is None:
        return ()
    if found.naming:
        word = re.match(r"[\w./-]*", lines[row][found.start :])
        return (*found.path, word[0]) if word and word[0] else found.path
    return found.path


def _document(lines: Sequence[str], row: int) -> int:
    """The first line of the document, as far as one looks back."""
    for at in range(row, max(-1, row - LOOK_BACK), -1):
        if at < row and lines[at].startswith("---"):
            return at + 1
    return max(0, row - LOOK_BACK)


def _in_block(lines: Sequence[str], first: int, row: int) -> bool:
    state = OUTSIDE
    for line in lines[first:row]:
        state = after(line, state)
    return state != OUTSIDE and (indentation(lines[row]) > state or not lines[row].strip())


def _in_comment(before: str) -> bool:
    plain = re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*'", lambda it: "x" * len(it[0]), before)
    return re.search(r"(?:^|\s)#", plain) is not None


def _bare(name: str) -> str:
    return name.strip("\"'")


# ── block style ────────────────────────────────────────────────────────────────────────────────


def _block_context(lines: Sequence[str], first: int, row: int, column: int) -> Context:
    before = lines[row][:column]
    match = _FIELD.match(lines[row])
    typed = _word(before)
    start = column - len(typed)
    if match and column >= match.end():
        lead = len(match["lead"])
        path = (*_parents(lines, first, row, lead), _bare(match["name"]))
        return Context(path, False, typed, start, lead)
    item = re.match(r"^\s*(?:- +)+", before)
    indent = item.end() if item else indentation(before) if before.strip() else column
    parents = _parents(lines, first, row, indentation(lines[row]) if item else indent)
    naming = not (item and not _fields_inside(parents))
    names = _siblings(lines, first, row, indent) if naming else frozenset()
    return Context(parents, naming, typed, start, indent, siblings=names)


def _fields_inside(path: tuple[str, ...]) -> bool:
    """Whether the items of a list are mappings: no list of a spec's has such items."""
    return not path


def _word(before: str) -> str:
    match = _WORD.search(before)
    return match[0] if match else ""


def _parents(lines: Sequence[str], first: int, row: int, indent: int) -> tuple[str, ...]:
    """The fields that a line of this indentation stands under, the outermost first."""
    path: list[str] = []
    at_item = _ITEM.match(lines[row]) is not None
    for line in reversed(lines[first:row]):
        match = _FIELD.match(line)
        if match is None:
            continue
        lead = len(match["lead"])
        if lead < indent or (at_item and lead == indent and not path):
            path.insert(0, _bare(match["name"]))
            indent, at_item = lead, False
        if indent == 0:
            break
    return tuple(path)


def _siblings(lines: Sequence[str], first: int, row: int, indent: int) -> frozenset[str]:
    """The names in the same mapping, above and below."""
    names: set[str] = set()
    above = range(row - 1, first - 1, -1)
    below = range(row + 1, min(len(lines), row + LOOK_BACK))
    for part in (above, below):
        for at in part:
            line = lines[at]
            if line.startswith("---"):
                break
            match = _FIELD.match(line)
            lead = len(match["lead"]) if match else indentation(line)
            if line.strip() and lead < indent:
                break
            if match and lead == indent:
                names.add(_bare(match["name"]))
    return frozenset(names)


# ── flow style ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Frame:
    """An open bracket."""

    bracket: str
    key: str | None = None
    names: tuple[str, ...] = ()
    valued: bool = False
    """After the colon."""


def _flow_context(lines: Sequence[str], first: int, row: int, column: int) -> Context | None:
    """Where brackets are open at the cursor: what they belong to."""
    for at in range(row, max(first - 1, row - 40), -1):
        match = _FIELD.match(lines[at])
        if match is None or (at < row and not re.search(r"[\[{]", lines[at])):
            continue
        if at == row and column < match.end():
            return None
        parts = [lines[at][match.end() :], *lines[at + 1 : row], lines[row]]
        parts[-1] = (lines[row][match.end() :] if at == row else lines[row])[
            : column - match.end() if at == row else column
        ]
        text = "\n".join(parts[1:] if at == row else parts)
        frames = _open(text)
        if frames:
            lead = len(match["lead"])
            outer = (*_parents(lines, first, at, lead), _bare(match["name"]))
            return _in_flow(outer, frames, lines[row][:column], lead)
        if at < row:
            return None
    return None


def _open(text: str) -> list[_Frame]:
    frames: list[_Frame] = []
    last = ""
    for match in _FLOW.finditer(text):
        token = match[0]
        if token in "{[":
            frames.append(_Frame(token))
        elif token in "}]":
            if frames:
                frames.pop()
        elif not frames:
            continue
        elif token == ",":
            if frames[-1].bracket == "[":
                frames[-1].names = (*frames[-1].names, _bare(last))
            frames[-1].key, frames[-1].valued = None, False
        elif token == ":":
            frames[-1].key, frames[-1].valued = _bare(last), True
            frames[-1].names = (*frames[-1].names, _bare(last))
        last = token
    return frames


def _in_flow(outer: tuple[str, ...], frames: list[_Frame], before: str, indent: int) -> Context:
    inner = tuple(it.key for it in frames if it.key is not None)
    top = frames[-1]
    typed = _word(before)
    naming = top.bracket == "{" and not top.valued
    names = frozenset(top.names) if naming or top.bracket == "[" else frozenset()
    start = len(before) - len(typed)
    return Context((*outer, *inner), naming, typed, start, indent, flow=True, siblings=names)
