"""Pure: what a list is made of: columns, what the operator chose of them, the filter.

A grid draws a `Listing`; `table.Table` makes one of documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from flextui.screens.format import Cell

T = TypeVar("T")
HEADING = "\0"
"""Keys that begin so are headings of groups."""


@dataclass(frozen=True, slots=True)
class Column:
    """`least` and `most` bound its width in cells; the last column takes what is left."""

    title: str
    least: int = 3
    most: int = 40
    right: bool = False
    drop: int = 0
    """Columns with a higher number leave first when the terminal is narrow; 0 never leaves."""
    yields: int = 0
    """Before another column leaves, this one gives up what it has beyond so many cells."""


@dataclass(frozen=True, slots=True)
class Field(Generic[T]):
    """A column and what it shows of a document."""

    column: Column
    letter: str
    """The key that sorts by it, after the sort key."""
    cell: Callable[[T, float], Cell]
    value: Callable[[T], Any]
    """What it is sorted by; None goes last."""
    shown: bool = True
    """Whether it is there unless chosen otherwise."""
    live: bool = False
    """Its cell changes with time alone: filters don't look at it."""
    large_first: bool = False
    """Sorted from large to small at first."""
    wide: int = 0
    """Unless it is chosen it shows only where the list has so many cells."""
    moving: bool = False
    """Its value changes though its document doesn't: a list sorted by it is sorted at each look."""

    @property
    def name(self) -> str:
        return self.column.title


@dataclass(slots=True)
class Layout:
    """What the operator chose for a list; one for all screens that show the same list."""

    columns: tuple[str, ...] = ()
    """Names in order; empty: the usual ones."""
    sort: str = ""
    """A field's name; empty: the list's own order."""
    reverse: bool = False
    group: str = ""
    folded: set[str] = field(default_factory=set)
    """Groups of which only the heading shows."""


class Filter:
    """A regex over what a row says; `!` in front shows all but what matches."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.inverse = text.startswith("!")
        wanted = text[1:] if self.inverse else text
        self.literal = False
        """It is no regex and searched as it is written."""
        try:
            self._regex = re.compile(wanted, re.IGNORECASE)
        except re.error:
            self._regex = re.compile(re.escape(wanted), re.IGNORECASE)
            self.literal = True
        self.empty = not wanted

    @property
    def regex(self) -> re.Pattern[str]:
        return self._regex

    def fits(self, text: str) -> bool:
        return self.empty or (self._regex.search(text) is not None) != self.inverse


class Listing(Protocol):
    """What a grid draws: keys in order, and a row for any of them."""

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def columns(self) -> Sequence[Column]: ...

    def cells(self, key: str) -> Sequence[Cell]: ...

    def heading(self, key: str) -> Cell | None:
        """The text of a heading, None for a row."""
        ...
