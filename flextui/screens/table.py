"""Pure: documents to the ordered keys of a list, with rows made only for what is looked at.

With thousands of jobs that change a few hundred at a time, making every row of every frame would
hold the loop for longer than a keypress may wait. A table remembers the rank and the fit of each
document and works only on those that were replaced (documents are never changed in place).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from flextui.screens.format import Cell, Span, plain
from flextui.screens.listing import HEADING, Column, Field, Filter, Layout
from flextui.screens.ranking import Ranking
from flextui.screens.view import gone, replaced

T = TypeVar("T")


class Table(Generic[T]):
    """A list of documents in an order, filtered, grouped. `sync` brings it up to date."""

    def __init__(
        self,
        fields: Sequence[Field[T]],
        *,
        order: Callable[[T], Any] | None = None,
        groups: Mapping[str, Callable[[T], str]] | None = None,
        ranks: Mapping[str, int] | None = None,
        summary: Callable[[Iterable[T]], str] | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.fields = tuple(fields)
        self.groups = dict(groups or {})
        self._ranks = ranks or {}
        """The order of headings that isn't that of their letters."""
        self.layout = layout or Layout()
        self.total = 0
        """Documents before the filter."""
        self.room = 0
        """Cells that a row has; 0 while nobody knows."""
        self._ranking = Ranking(order)
        self._summary = summary
        self._now = 0.0
        self._filter = Filter("")
        self._docs: dict[str, T] = {}
        self._texts: dict[str, str] = {}
        self._fits: dict[str, bool] = {}
        self._keys: list[str] = []
        self._group_of: dict[str, str] = {}
        self._members: dict[str, list[str]] = {}
        self._rows: dict[str, tuple[Cell, ...]] = {}
        self._headings: dict[str, Cell] = {}
        """Rows and headings that were looked at since the last `sync`."""
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
        return len(self._ranking.keys)

    @property
    def filter(self) -> Filter:
        return self._filter

    def cells(self, key: str) -> Sequence[Cell]:
        if (made := self._rows.get(key)) is None:
            doc, now = self._docs[key], self._now
            made = self._rows[key] = tuple(it.cell(doc, now) for it in self._shown)
        return made

    def heading(self, key: str) -> Cell | None:
        if not key.startswith(HEADING):
            return None
        name = key.removeprefix(HEADING)
        if key not in self._headings and name in self._members:
            self._headings[key] = self._title(name, self._members[name])
        return self._headings.get(key)

    def doc(self, key: str) -> T | None:
        return self._docs.get(key)

    # ── keeping it current ──

    def sync(self, docs: Mapping[str, T], now: float, pattern: str = "") -> None:
        """Take in the newest documents; costs little for those that are the same objects."""
        self._now = now
        self._rows.clear()
        self.total = len(docs)
        chosen = self._choose(pattern) or self._moved()
        changed = replaced(self._docs, docs)
        left = gone(self._docs, docs, changed)
        if not chosen and not changed and not left:
            return
        for memory in (self._texts, self._group_of):
            for key in (*changed, *left):
                memory.pop(key, None)
        self._headings.clear()
        new = any(key not in self._docs for key in changed)
        if chosen or not self._ranking.takes(len(changed) + len(left), others=new):
            self._arrange(docs, (*changed, *left))
        else:
            self._amend(docs, changed, left)

    def prepare(self, most: int) -> bool:
        """Read so many rows for a filter that may come; whether there are more to read."""
        texts = self._texts
        unread = islice((key for key in self._docs if key not in texts), most)
        read = {key: self._text(self._docs[key]) for key in unread}
        texts.update(read)
        return len(read) == most

    def _choose(self, pattern: str) -> bool:
        """Take over what the operator chose; whether that is something new."""
        it = self.layout
        shown = self.chosen()
        made_for = (shown, it.sort, it.reverse, it.group, frozenset(it.folded))
        if made_for != self._made_for:
            self._made_for = made_for
            self._shown = shown
            self._texts, self._fits, self._group_of = {}, {}, {}
            self._rank_anew()
        elif pattern == self._filter.text:
            return False
        if pattern != self._filter.text:
            self._filter, self._fits = Filter(pattern), {}
        return True

    def _moved(self) -> bool:
        """Whether it is sorted by what changes by itself: then all is ranked anew."""
        by = self._sorted_by()
        if by is None or not by.moving:
            return False
        self._rank_anew()
        return True

    def _rank_anew(self) -> None:
        by = self._sorted_by()
        self._ranking.by(by.value if by is not None else None, reverse=self.layout.reverse)

    def chosen(self) -> tuple[Field[T], ...]:
        """The fields that show, in order."""
        by_name = {it.name: it for it in self.fields}
        picked = tuple(by_name[name] for name in self.layout.columns if name in by_name)
        return picked or self.usual()

    def usual(self) -> tuple[Field[T], ...]:
        """Those that show unless others are chosen: more where there is room."""
        return tuple(it for it in self.fields if it.shown and it.wide <= self.room)

    def fit(self, room: int) -> bool:
        """Rows have so many cells from now on; whether that brings or takes columns."""
        self.room = room
        before = self._shown
        if self._choose(self._filter.text):
            self._arrange(self._docs, ())
        return self._shown != before

    def _sorted_by(self) -> Field[T] | None:
        return next((it for it in self.fields if it.name == self.layout.sort), None)

    def _arrange(self, docs: Mapping[str, T], stale: Iterable[str]) -> None:
        """Filter and sort everything."""
        self._docs = dict(docs)
        self._ranking.forget(stale)
        for key in stale:
            self._fits.pop(key, None)
        keys = list(docs)
        if not self._filter.empty:
            keys = [key for key in keys if self._does_fit(key)]
        self._ranking.arrange(self._docs, keys)
        self._group()

    def _amend(self, docs: Mapping[str, T], changed: Iterable[str], gone: Iterable[str]) -> None:
        """Put what has changed in its place; all else stays."""
        before = {key for key in changed if key in self._docs and self._does_fit(key)}
        self._docs = dict(docs)
        for key in (*changed, *gone):
            self._fits.pop(key, None)
        after = {key for key in changed if self._does_fit(key)}
        stayed = [key for key in changed if key in before and key in after]
        came = [key for key in changed if key in after and key not in before]
        left = [*gone, *(key for key in changed if key not in after)]
        if self._ranking.put(self._docs, stayed, came, left) or self._grouper is not None:
            self._group()

    def _does_fit(self, key: str) -> bool:
        """Whether the filter lets a document through; asked once."""
        if self._filter.empty:
            return True
        fits = self._fits.get(key)
        if fits is None:
            if key not in self._texts:
                self._texts[key] = self._text(self._docs[key])
            fits = self._fits[key] = self._filter.fits(self._texts[key])
        return fits

    def _text(self, doc: T) -> str:
        now = self._now
        return " ".join(plain(it.cell(doc, now)) for it in self._shown if not it.live)

    # ── groups ──

    @property
    def _grouper(self) -> Callable[[T], str] | None:
        return self.groups.get(self.layout.group)

    def _group(self) -> None:
        """Share the keys out under headings."""
        of, known, docs = self._grouper, self._group_of, self._docs
        self._members = {}
        if of is None:
            self._keys = self._ranking.keys
            return
        members = self._members
        for key in self._ranking.keys:
            name = known.get(key)
            if name is None:
                name = known[key] = of(docs[key]) or "–"
            if name in members:
                members[name].append(key)
            else:
                members[name] = [key]
        self._keys = []
        for name in sorted(members, key=lambda it: (it == "–", self._ranks.get(it, 0), it)):
            self._keys.append(HEADING + name)
            if name not in self.layout.folded:
                self._keys += members[name]

    def _title(self, name: str, keys: list[str]) -> Cell:
        said = self._summary(self._docs[key] for key in keys) if self._summary else ""
        return (
            Span("▸ " if name in self.layout.folded else "▾ ", "accent"),
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
