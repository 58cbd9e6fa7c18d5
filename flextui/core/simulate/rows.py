"""Tables of comma-separated values, read so that what is wrong with one can be pointed at.

Traces come from all over and are edited by hand: a mistake is told with file, line and column,
all of them at once up to a bound.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TypeVar

from flextui.core.model.document import read_file
from flextui.core.model.problems import MAX_PROBLEMS, BadInput, Problem, nearest, quote

MAX_BYTES = 1 << 30
"""The most that a trace may have."""

T = TypeVar("T")


class BadCell(Exception):
    """A cell isn't what it should be."""

    def __init__(self, column: str, message: str, expected: str) -> None:
        super().__init__(message)
        self.column = column
        self.message = message
        self.expected = expected


@dataclass(slots=True)
class Row:
    """One line of a table; cells are asked for by the name of their column."""

    cells: list[str]
    places: dict[str, int]

    def text(self, column: str) -> str:
        """The cell without blanks around it; "" where the table has no such column."""
        at = self.places.get(column)
        return "" if at is None else self.cells[at].strip()

    def word(self, column: str) -> str:
        """A text that isn't empty. Raises `BadCell`."""
        text = self.text(column)
        if not text:
            raise BadCell(column, f"{column} is empty", "a name")
        return text

    def whole(self, column: str, least: int = 0, most: int = 2**40) -> int:
        """A whole number. Raises `BadCell`."""
        text = self.text(column)
        expected = f"a whole number, {least} or more"
        if not (text.isascii() and text.isdecimal()) or len(text) > 15:
            raise BadCell(column, f"{column}: {quote(text)} isn't a whole number", expected)
        number = int(text)
        if not least <= number <= most:
            where = expected if number < least else f"at most {most}"
            raise BadCell(column, f"{column}: {number} is out of range", where)
        return number

    def number(self, column: str, least: float = 0.0) -> float:
        """A finite number. Raises `BadCell`."""
        text = self.text(column)
        expected = f"a number, {least:g} or more"
        try:
            number = float(text)
        except ValueError:
            raise BadCell(column, f"{column}: {quote(text)} isn't a number", expected) from None
        if not isfinite(number) or not least <= number <= 1e15:
            raise BadCell(column, f"{column}: {quote(text)} is out of range", expected)
        return number


def text_lines(path: str | Path) -> list[str]:
    """The lines of a text file in UTF-8. Raises `BadInput`."""
    data = read_file(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace").split("\n")
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        problem = Problem(str(path), len(before), len(before[-1]) + 1, what, "a text file in UTF-8")
        raise BadInput([problem]) from error
    return text.splitlines()


def header_of(lines: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns, from the first line."""
    return tuple(cell.strip() for cell in _cells(lines[0])) if lines else ()


def read_rows(
    name: str, lines: Sequence[str], needed: Sequence[str], make: Callable[[Row], T]
) -> list[T]:
    """What `make` makes of each line after the header. Raises `BadInput` with every problem.

    `needed`: columns that must be there; others are ignored unless `make` asks for them.
    """
    header = header_of(lines)
    if problems := list(_missing(name, header, needed)):
        raise BadInput(problems)
    places = {column: at for at, column in enumerate(header)}
    made: list[T] = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            cells = _cells(line)
            if len(cells) != len(header):
                raise BadCell("", f"{len(cells)} cells", f"{len(header)}, as the first line has")
            made.append(make(Row(cells, places)))
        except csv.Error as error:
            problems.append(Problem(name, number, 1, f"not a line of CSV: {error}"))
        except BadCell as bad:
            column = _column(line, places[bad.column]) if bad.column in places else 1
            problems.append(Problem(name, number, column, bad.message, bad.expected))
        if len(problems) > MAX_PROBLEMS:
            break
    if problems:
        raise BadInput(problems)
    if not made:
        raise BadInput([Problem(name, max(1, len(lines)), 1, "there is no line of data")])
    return made


def _missing(name: str, header: Sequence[str], needed: Sequence[str]) -> Iterator[Problem]:
    for column in needed:
        if column not in header:
            others = [it for it in header if it not in needed]
            what = f"the column {column} is missing"
            yield Problem(name, 1, 1, what, ", ".join(needed), nearest(column, others))


def _cells(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    return next(csv.reader([line], strict=True))


def _column(line: str, index: int) -> int:
    """Where the cell of this number begins, counted in characters from 1."""
    at, quoted = 0, False
    for place, character in enumerate(line):
        if at == index:
            return place + 1
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            at += 1
    return len(line) + 1
