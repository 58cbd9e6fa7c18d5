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

T = TypeVar("T")


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
        self._texts: dict[str, str] = {}
        self._fits: dict[str, bool] = {}
        self._before: list[str] = []
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
        chosen = self._choose(pattern)
        changed = self._changed(docs)
        gone = self._docs.keys() - docs.keys()
        if not chosen and not changed and not gone:
            return
        for memory in (self._places, self._ranks, self._texts, self._fits):
            for key in (*changed, *gone):
                memory.pop(key, None)
        self._docs = dict(docs)
        self._arrange()

    def _changed(self, docs: Mapping[str, T]) -> list[str]:
        known = self._docs.get
        return [key for key, doc in docs.items() if known(key) is not doc]

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
        made_for = (it.columns, it.sort, it.reverse, it.group, frozenset(it.folded))
        if made_for != self._made_for:
            self._made_for = made_for
            self._shown = self.chosen()
            self._ranks, self._texts, self._fits = {}, {}, {}
        elif pattern == self._filter.text:
            return False
        if pattern != self._filter.text:
            self._filter, self._fits = Filter(pattern), {}
        return True

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
            fits, texts = self._fits, self._texts
            for key in docs.keys() - fits.keys():
                if key not in texts:
                    texts[key] = self._text(docs[key])
                fits[key] = self._filter.fits(texts[key])
            keys = [key for key in docs if fits[key]]
        self._keys = self._grouped(self._sorted(keys))

    def _text(self, doc: T) -> str:
        now = self._now
        return " ".join(plain(it.cell(doc, now)) for it in self._shown if not it.live)

    def _sorted(self, keys: list[str]) -> list[str]:
        """In the list's own order; then, keeping it among equals, by the chosen field."""
        if self._order is not None:
            keys = self._by(self._as_before(keys), self._places, self._order, False)
            self._before = keys
        by = next((it for it in self.fields if it.name == self.layout.sort), None)
        if by is None:
            return keys
        reverse = self.layout.reverse
        return self._by(keys, self._ranks, _rank_by(by.value, reverse), reverse)

    def _as_before(self, keys: list[str]) -> list[str]:
        """The same keys, those known in the order that they had: nearly sorted sorts fast."""
        wanted = dict.fromkeys(keys)
        known = [key for key in self._before if key in wanted]
        for key in known:
            del wanted[key]
        return known + list(wanted)

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
