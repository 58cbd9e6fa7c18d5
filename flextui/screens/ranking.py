"""Pure: keys kept in order while a few of their documents change.

Ten thousand jobs take longer to sort than a key may wait, even when nearly all of them stand where
they stood. What changes without another rank stays where it is; the rest is put in its place by
halving.
"""

from __future__ import annotations

from bisect import insort_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
FEW, PART = 16, 8
"""So many may be put in their places one by one, or one of so many; else all are sorted."""


class Down:
    """A rank of an order that goes downwards."""

    __slots__ = ("it",)

    def __init__(self, it: Any) -> None:
        self.it = it

    def __lt__(self, other: Down) -> bool:
        return bool(other.it < self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Down) and bool(self.it == other.it)

    __hash__ = None  # type: ignore[assignment]


class Ranking(Generic[T]):
    """In the list's own order (else that of the documents), or by a chosen value and, among
    equals, in that order."""

    def __init__(self, order: Callable[[T], Any] | None) -> None:
        self.keys: list[str] = []
        self._order = order
        self._value: Callable[[T], Any] | None = None
        self._reverse = False
        self._places: dict[str, Any] = {}
        self._ranks: dict[str, Any] = {}
        self._before: list[str] = []

    def by(self, value: Callable[[T], Any] | None, *, reverse: bool) -> None:
        """What to sort by from now on; None: the list's own order. `arrange` has to follow."""
        self._value, self._reverse, self._ranks = value, reverse, {}

    def arrange(self, docs: Mapping[str, T], keys: Sequence[str]) -> None:
        """Sort all of these keys. Documents that have changed have to be forgotten before."""
        if self._order is not None:
            for key in keys:
                if key not in self._places:
                    self._places[key] = self._order(docs[key])
            keys = self._before = sorted(self._as_before(keys), key=self._places.__getitem__)
        else:
            self._places = {key: number for number, key in enumerate(docs)}
        if self._value is not None:
            for key in keys:
                if key not in self._ranks:
                    self._ranks[key] = self._rank(docs[key])
            keys = sorted(keys, key=self._ranks.__getitem__, reverse=self._reverse)
        self.keys = list(keys)

    def _as_before(self, keys: Sequence[str]) -> list[str]:
        """The same keys, those known in the order that they had: nearly sorted sorts fast."""
        wanted = dict.fromkeys(keys)
        known = [key for key in self._before if key in wanted]
        for key in known:
            del wanted[key]
        return known + list(wanted)

    def _rank(self, doc: T) -> Any:
        """None goes last, also where the order is reversed."""
        assert self._value is not None
        it = self._value(doc)
        if it is None:
            return (0 if self._reverse else 1,)
        return (1 if self._reverse else 0, it)

    def takes(self, changed: int, *, others: bool) -> bool:
        """Whether `put` does for so many changes, with `others` among them that come new."""
        few = changed <= max(FEW, len(self.keys) // PART)
        return few and (self._order is not None or not others)

    def put(
        self,
        docs: Mapping[str, T],
        stayed: Iterable[str],
        came: Iterable[str],
        left: Collection[str],
    ) -> bool:
        """Take in changed documents of keys that are here, that come, and keys that leave.
        Whether anything stands elsewhere now."""
        moved = [key for key in stayed if self._stands_elsewhere(key, docs[key])]
        for key in came:
            self._stands_elsewhere(key, docs[key])
            moved.append(key)
        out = {*moved, *left}
        if not out:
            return False
        self.keys = [key for key in self.keys if key not in out]
        self.forget(left)
        for key in moved:
            insort_right(self.keys, key, key=self._standing)
        return True

    def forget(self, keys: Iterable[str]) -> None:
        """What these stood at may be so no longer."""
        for key in keys:
            self._places.pop(key, None)
            self._ranks.pop(key, None)

    def _stands_elsewhere(self, key: str, doc: T) -> bool:
        """Rank a document; whether that is another rank than before."""
        before = self._places.get(key), self._ranks.get(key)
        if self._order is not None:
            self._places[key] = self._order(doc)
        if self._value is not None:
            self._ranks[key] = self._rank(doc)
        return before != (self._places[key], self._ranks.get(key))

    def _standing(self, key: str) -> Any:
        place = self._places[key]
        if self._value is None:
            return place
        rank = self._ranks[key]
        return (Down(rank) if self._reverse else rank, place)
