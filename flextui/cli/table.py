"""Columns of text. On a terminal a table fits its width; in a pipe nothing is ever cut. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from flextui.cli.output import paint
from flextui.cli.text import NOTHING, clean

_GAP = "  "
_LEAST = 6
"""No column is made narrower than this, in terminal cells."""


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how its cells behave."""

    title: str
    right: bool = False
    shrink: int = 0
    """Columns of the highest number give way first where the terminal is narrow; 0 never does."""
    least: int = _LEAST
    """So wide it stays as long as columns can be left out instead."""
    drop: int = 0
    """Columns of the highest number are left out first where there is no room; 0 never is."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value. `colour` repeats what the text says."""

    text: str
    colour: str = ""


Row = Sequence[Cell | str]


def render(
    columns: Sequence[Column], rows: Sequence[Row], *, width: int | None, colour: bool
) -> list[str]:
    """The lines of a table, heading first. `width` None: as wide as it is."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max([_cells(column.title), *(_cells(row[at].text) for row in cells)])
        for at, column in enumerate(columns)
    ]
    if width is not None:
        shown = _kept(widths, columns, width)
        columns, widths = [columns[at] for at in shown], [widths[at] for at in shown]
        cells = [[row[at] for at in shown] for row in cells]
        for least in (True, False):
            _fit(widths, columns, width, least=least)
    heading = [Cell(column.title, "dim") for column in columns]
    return [_line(columns, row, widths, colour) for row in [heading, *cells]]


def _cell(value: Cell | str) -> Cell:
    cell = value if isinstance(value, Cell) else Cell(value)
    return Cell(clean(cell.text) or NOTHING, cell.colour)


def _kept(widths: Sequence[int], columns: Sequence[Column], width: int) -> list[int]:
    """The columns to show: those that can be left out are, until the others are wide enough."""
    kept = list(range(len(columns)))
    for gone in sorted((at for at in kept if columns[at].drop), key=lambda at: -columns[at].drop):
        needs = sum(min(widths[at], _floor(columns[at], widths[at])) for at in kept)
        if needs + len(_GAP) * (len(kept) - 1) <= width:
            break
        kept.remove(gone)
    return kept


def _floor(column: Column, width: int) -> int:
    """How narrow a column may become before others are left out."""
    return max(column.least, _cells(column.title)) if column.shrink else width


def _fit(widths: list[int], columns: Sequence[Column], width: int, *, least: bool) -> None:
    """Take what is missing from the columns that may shrink, the most willing first."""
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    for rank in sorted({column.shrink for column in columns if column.shrink}, reverse=True):
        for at, column in enumerate(columns):
            if over > 0 and column.shrink == rank:
                floor = column.least if least else _LEAST
                taken = min(over, max(0, widths[at] - max(floor, _cells(column.title))))
                widths[at] -= taken
                over -= taken


def _line(
    columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], colour: bool
) -> str:
    parts = []
    for column, cell, room in zip(columns, row, widths, strict=True):
        text = cut(cell.text, room)
        pad = " " * (room - _cells(text))
        shown = paint(text, cell.colour) if colour else text
        parts.append(pad + shown if column.right else shown + pad)
    return _GAP.join(parts).rstrip()


def cut(text: str, room: int) -> str:
    """The text in so many terminal cells; a `…` says that there was more."""
    if _cells(text) <= room:
        return text
    kept, used = [], 0
    for character in text:
        used += _cells(character)
        if used > room - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _cells(text: str) -> int:
    """How many terminal cells a text takes."""
    if text.isascii():
        return len(text)
    return sum(_cell_width(character) for character in text)


def _cell_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
