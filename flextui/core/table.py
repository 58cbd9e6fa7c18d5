"""A mapping that copies itself at the first write after it was shared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Table(Generic[K, V]):
    """One table of a draft; `changed` holds the keys that were put or dropped.

    With `own` it copies once, at the start, and never again: what `share` gave then shows later
    writes as well.
    """

    __slots__ = ("_data", "_own_always", "_owned", "changed", "get")

    def __init__(self, data: Mapping[K, V], *, own: bool = False) -> None:
        self._data: dict[K, V] = data if isinstance(data, dict) and not own else dict(data)
        self._own_always = own
        self._owned = own
        self.changed: set[K] = set()
        self.get: Callable[[K], V | None] = self._data.get

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __getitem__(self, key: K) -> V:
        return self._data[key]

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[K]:
        return iter(self._data)

    def values(self) -> Iterable[V]:
        return self._data.values()

    def put(self, key: K, value: V) -> None:
        if not self._owned:
            self._copy()
        self._data[key] = value
        self.changed.add(key)

    def drop(self, key: K) -> None:
        if key in self._data:
            if not self._owned:
                self._copy()
            del self._data[key]
            self.changed.add(key)

    @property
    def data(self) -> Mapping[K, V]:
        """The data for reading at once: the next write may or may not show in it."""
        return self._data

    def share(self) -> Mapping[K, V]:
        """The data as it is; later writes don't reach it, unless the table was made with `own`."""
        self._owned = self._own_always
        return self._data

    def _copy(self) -> None:
        self._data = dict(self._data)
        self.get = self._data.get
        self._owned = True
