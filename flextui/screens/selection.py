"""Pure: which rows of a list are selected, by key, so that they stay so when lines move."""

from __future__ import annotations

from collections.abc import Sequence

from flextui.screens.listing import HEADING


class Selection:
    """Single picks, and a range that grows from an anchor to the cursor until it is closed."""

    def __init__(self) -> None:
        self._picked: set[str] = set()
        self._anchor: str | None = None

    def toggle(self, key: str | None) -> None:
        """Pick a row, or put it back."""
        if key is not None:
            self._picked ^= {key}

    def range(self, keys: Sequence[str], at: int) -> None:
        """Begin a range at the cursor; a second time it becomes picks."""
        if self._anchor is not None:
            self._picked |= self._between(keys, at)
            self._anchor = None
        elif keys:
            self._anchor = keys[at]

    def all(self, keys: Sequence[str]) -> None:
        """Everything; if everything is picked already, nothing."""
        every = {key for key in keys if not key.startswith(HEADING)}
        self._anchor = None
        self._picked = set() if self._picked >= every else every

    def clear(self) -> bool:
        """Nothing is selected; whether something was."""
        had = bool(self._picked) or self._anchor is not None
        self._picked.clear()
        self._anchor = None
        return had

    def of(self, keys: Sequence[str], at: int) -> frozenset[str]:
        """The selected keys of those in the list."""
        if not self._picked and self._anchor is None:
            return frozenset()
        return frozenset((self._picked & set(keys)) | self._between(keys, at))

    def has(self, key: str, index: int, at: int, keys: Sequence[str]) -> bool:
        """Whether the row `key`, at `index` of the list, is selected."""
        if key in self._picked:
            return True
        if self._anchor is None or key.startswith(HEADING):
            return False
        start = self._start(keys, at)
        return min(start, at) <= index <= max(start, at)

    def _start(self, keys: Sequence[str], at: int) -> int:
        try:
            return keys.index(self._anchor or "")
        except ValueError:  # it left the list: the range begins anew
            return at

    def _between(self, keys: Sequence[str], at: int) -> set[str]:
        if self._anchor is None:
            return set()
        start = self._start(keys, at)
        span = keys[min(start, at) : max(start, at) + 1]
        return {key for key in span if not key.startswith(HEADING)}
