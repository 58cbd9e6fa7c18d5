"""Pure: a YAML text in the roles of a page: keys, comments, the rest."""

from __future__ import annotations

import re

from flextui.screens.format import Cell, Span

_KEY = re.compile(r"^(\s*(?:- )?)([\w./-]+|\"[^\"]*\"|'[^']*')(:)(\s.*|)$")


def coloured(text: str) -> list[Cell]:
    """Its lines."""
    return [_line(line) for line in text.rstrip("\n").split("\n")]


def _line(line: str) -> Cell:
    if line.lstrip().startswith("#"):
        return (Span(line, "dim"),)
    found = _KEY.match(line)
    if found is None:
        return (Span(line),)
    before, key, colon, rest = found.groups()
    return (Span(before), Span(key, "accent"), Span(colon, "dim"), Span(rest))
