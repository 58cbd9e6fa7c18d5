"""YAML coloured a line at a time, so that only the lines in view cost anything.

A line's colours depend on those above it in one thing: whether it is part of a block text
(`run: |`). That is one number a line, which is remembered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

OUTSIDE = -1
"""The line is YAML; else it is a block text under a field of that indentation."""

_BLOCK = re.compile(r"(?:^|[\s:-])[|>][-+0-9]*\s*(?:#.*)?$")
_KEY = (
    r"(?P<key>[A-Za-z_.][\w./ -]*?|\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*')(?=\s*:(?:\s|$|[\[\]{},]))"
)
_TOKENS = re.compile(
    r"(?P<comment>(?:^|(?<=\s))\#.*)"
    rf"|{_KEY}"
    r"|(?P<text>\"(?:\\.|[^\"\\])*\"?|'(?:''|[^'])*'?)"
    r"|(?P<mark>---(?=\s|$)|-(?=\s|$)|:(?=\s|$|[\[\]{},])|[\[\]{},]|[|>][-+0-9]*(?=\s*$))"
    r"|(?P<alias>[&*][\w-]+)"
    r"|(?P<number>[-+]?[0-9][0-9._:-]*[A-Za-z]*)(?=[\s,\]}]|$)"
    r"|(?P<word>true|false|null|~)(?=[\s,\]}]|$)"
    r"|(?P<plain>[^\s,\[\]{}]+)"
)


class Piece(NamedTuple):
    """A stretch of a line, in characters, and what it is: comment, key, text, mark, alias, number,
    word."""

    start: int
    end: int
    role: str


def indentation(line: str) -> int:
    """Spaces that a line begins with."""
    return len(line) - len(line.lstrip(" "))


def after(line: str, state: int) -> int:
    """The state after a line that begins in `state`."""
    if not line.strip():
        return state
    indent = indentation(line)
    if state != OUTSIDE and indent > state:
        return state
    body = line.lstrip(" ")
    while body.startswith("- "):  # a field in a list is as deep as it stands
        body = body[2:].lstrip(" ")
    end = line[-MOST:]
    if (
        _BLOCK.search(end)
        and _BLOCK.search(_without_quotes(line))
        and not line.lstrip().startswith("#")
    ):
        return len(line) - len(body) if ":" in body else indent
    return OUTSIDE


def _without_quotes(line: str) -> str:
    return re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*'", "", line)


def pieces(line: str, state: int) -> list[Piece]:
    """What the line is made of."""
    if state != OUTSIDE and line.strip() and indentation(line) > state:
        return [Piece(indentation(line), len(line), "text")]
    found = []
    for match in _TOKENS.finditer(line[:MOST]):
        role = match.lastgroup or "plain"
        if role != "plain":
            found.append(Piece(match.start(), match.end(), role))
    return found


MOST = 2000
"""Characters of a line that are coloured."""


class States:
    """The state at the beginning of each line, worked out as far as is asked for."""

    def __init__(self) -> None:
        self._known: list[int] = [OUTSIDE]

    def at(self, lines: Sequence[str], row: int) -> int:
        """The state at the beginning of that line."""
        known = self._known
        while len(known) <= row:
            known.append(after(lines[len(known) - 1], known[-1]))
        return known[row]

    def forget(self, row: int) -> None:
        """That line, and maybe those below it, have changed."""
        del self._known[max(1, row + 1) :]
