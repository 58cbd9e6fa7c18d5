"""Pure: documents to the ordered keys of a list, with rows made only for what is looked at.

With thousands of jobs that change a few hundred at a time, making every row of every frame would
hold the loop for longer than a keypress may wait. A table remembers the rank and the fit of each
document and works only on those that were replaced (documents are never changed in place).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from flextui.screens.format import Cell, Span, plain

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


class Table(Generic[T]):
    """A list of documents in an order, filtered, grouped. `sync` brings it up to date."""

    def __init__(
        self,
        fields: Sequence[Field[T]],
        *,
        order: Callable[[T], Any] | None = None,
        groups: Mapping[str, Callable[[T], str]] | None = None,
        summary: Callable[[Iterable[T]], str] | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.fields = tuple(fields)
        self.groups = dict(groups or {})
        self.layout = layout or Layout()
        self.total = 0
        """Documents before the filter."""
        self._order = order
        self._summary = summary
        self._now = 0.0
        self._filter = Filter("")
        self._docs: dict[str, T] = {}
        self._places: dict[str, Any] = {}
        self._ranks: dict[str, Any] = {}
        self._fits: dict[str, bool] = {}
        self._keys: list[str] = []
        self._headings: dict[str, Cell] = {}
        self._made_for: object = None
        self._shown: tuple[Field[T], ...] = ()

    # ── the listing ──

    @property
    def keys(self) -> Sequence[str]:
        return self._keys

    @property
    def columns(self) -> Sequence[Column]:
        return [it.column for it in self._shown]

    @property
    def matching(self) -> int:
        """Documents that the filter lets through."""
        return sum(self._fits.values()) if not self._filter.empty else self.total

    @property
    def filter(self) -> Filter:
        return self._filter

    def cells(self, key: str) -> Sequence[Cell]:
        doc, now = self._docs[key], self._now
        return tuple(it.cell(doc, now) for it in self._shown)

    def heading(self, key: str) -> Cell | None:
        return self._headings.get(key)

    def doc(self, key: str) -> T | None:
        return self._docs.get(key)

    # ── keeping it current ──

    def sync(self, docs: Mapping[str, T], now: float, pattern: str = "") -> None:
        """Take in the newest documents; costs little for those that are the same objects."""
        self._now = now
        self.total = len(docs)
        made_for = self._choices(pattern)
        if made_for != self._made_for:
            self._made_for = made_for
            self._filter = Filter(pattern)
            self._shown = self.chosen()
            self._docs, self._places, self._ranks, self._fits = {}, {}, {}, {}
        elif not (changed := self._changed(docs)) and len(docs) == len(self._docs):
            return
        else:
            for key in changed:
                for memory in (self._places, self._ranks, self._fits):
                    memory.pop(key, None)
        if len(self._places) > len(docs) + 1000:
            self._forget(docs)
        self._docs = dict(docs)
        self._arrange()

    def _changed(self, docs: Mapping[str, T]) -> list[str]:
        known = self._docs.get
        return [key for key, doc in docs.items() if known(key) is not doc]

    def _forget(self, docs: Mapping[str, T]) -> None:
        for memory in (self._places, self._ranks):
            for key in [key for key in memory if key not in docs]:
                del memory[key]

    def _choices(self, pattern: str) -> object:
        it = self.layout
        return (pattern, it.columns, it.sort, it.reverse, it.group, frozenset(it.folded))

    def chosen(self) -> tuple[Field[T], ...]:
        """The fields that show, in order."""
        by_name = {it.name: it for it in self.fields}
        picked = tuple(by_name[name] for name in self.layout.columns if name in by_name)
        return picked or tuple(it for it in self.fields if it.shown)

    def _arrange(self) -> None:
        docs = self._docs
        if self._filter.empty:
            keys = list(docs)
        else:
            fits = self._fits
            for key in docs.keys() - fits.keys():
                fits[key] = self._filter.fits(self._text(docs[key]))
            for key in fits.keys() - docs.keys():
                del fits[key]
            keys = [key for key in docs if fits[key]]
        self._keys = self._grouped(self._sorted(keys))

    def _text(self, doc: T) -> str:
        now = self._now
        return " ".join(plain(it.cell(doc, now)) for it in self._shown if not it.live)

    def _sorted(self, keys: list[str]) -> list[str]:
        """In the list's own order; then, keeping it among equals, by the chosen field."""
        if self._order is not None:
            keys = self._by(keys, self._places, self._order, False)
        by = next((it for it in self.fields if it.name == self.layout.sort), None)
        if by is None:
            return keys
        reverse = self.layout.reverse
        return self._by(keys, self._ranks, _rank_by(by.value, reverse), reverse)

    def _by(
        self, keys: list[str], ranks: dict[str, Any], rank: Callable[[T], Any], reverse: bool
    ) -> list[str]:
        docs = self._docs
        for key in keys:
            if key not in ranks:
                ranks[key] = rank(docs[key])
        return sorted(keys, key=ranks.__getitem__, reverse=reverse)

    def _grouped(self, keys: list[str]) -> list[str]:
        self._headings = {}
        of = self.groups.get(self.layout.group)
        if of is None:
            return keys
        members: dict[str, list[str]] = {}
        for key in keys:
            members.setdefault(of(self._docs[key]) or "–", []).append(key)
        out: list[str] = []
        for name in sorted(members, key=lambda it: (it == "–", it)):
            folded = name in self.layout.folded
            out.append(HEADING + name)
            self._headings[HEADING + name] = self._title(name, members[name], folded)
            if not folded:
                out += members[name]
        return out

    def _title(self, name: str, keys: list[str], folded: bool) -> Cell:
        said = self._summary(self._docs[key] for key in keys) if self._summary else ""
        return (
            Span("▸ " if folded else "▾ ", "accent"),
            Span(name, "bold"),
            Span(f"  {said or len(keys)}", "dim"),
        )

    # ── choices ──

    def sort_by(self, name: str) -> None:
        """By this field; again: the other way; a third time: the list's own order."""
        it = next(it for it in self.fields if it.name == name)
        layout = self.layout
        if layout.sort != name:
            layout.sort, layout.reverse = name, it.large_first
        elif layout.reverse == it.large_first:
            layout.reverse = not it.large_first
        else:
            layout.sort = ""

    def next_group(self) -> str:
        """Group by the next kind, at last by none; the new kind."""
        names = ["", *self.groups]
        at = names.index(self.layout.group) if self.layout.group in names else 0
        self.layout.group = names[(at + 1) % len(names)]
        self.layout.folded.clear()
        return self.layout.group

    def fold(self, heading: str) -> None:
        """Fold or unfold the group of a heading."""
        self.layout.folded ^= {heading.removeprefix(HEADING)}


def _rank_by(value: Callable[[Any], Any], reverse: bool) -> Callable[[Any], Any]:
    """Ranks in which None goes last, also where the order is reversed."""

    def rank(doc: Any) -> Any:
        it = value(doc)
        return (0 if reverse else 1,) if it is None else (1 if reverse else 0, it)

    return rank
