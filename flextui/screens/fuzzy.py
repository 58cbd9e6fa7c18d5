"""Pure: which of many names is meant by a few letters, best first, fast enough to type against.

All names are searched at once, in one text, by a regex that wants the letters in order; only what
that finds is ranked. A rank counts where the letters fall: at the start, after a separator, next
to each other.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from typing import NamedTuple

_BEGINS = frozenset(" /-_.:·")
_MOST = 4000
"""Names that are ranked, of those that fit; more than that is no choice yet."""


class Match(NamedTuple):
    """A name that fits: its rank (larger is better) and where the letters fell."""

    rank: int
    name: str
    at: tuple[int, ...]


def match(wanted: str, name: str) -> Match | None:
    """The letters of `wanted` in order in `name`, at their best places; None if they aren't there.

    Spaces in `wanted` part words that may stand anywhere.
    """
    rank, places = 0, set[int]()
    folded = name.lower()
    for word in wanted.lower().split():
        found = _word(word, folded)
        if found is None:
            return None
        rank += found[0]
        places.update(found[1])
    if folded == wanted.lower():
        rank += 1000
    return Match(rank - len(name) // 8, name, tuple(sorted(places)))


def _word(word: str, name: str) -> tuple[int, list[int]] | None:
    best: tuple[int, list[int]] | None = None
    start = name.find(word)
    while start >= 0:  # the word as it is, at its best beginning
        rank = 40 + 10 * len(word) + (60 if start == 0 else 30 if name[start - 1] in _BEGINS else 0)
        end = start + len(word)
        rank += 26 if end == len(name) else 20 if name[end] in _BEGINS else 0
        if best is None or rank > best[0]:
            best = rank, list(range(start, end))
        start = name.find(word, start + 1)
    if best is not None:
        return best
    for start in range(len(name)):  # scattered, from its best first letter
        found = _scattered(word, name, start) if name[start] == word[0] else None
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    return best


def _scattered(word: str, name: str, start: int) -> tuple[int, list[int]] | None:
    places, rank, at = [start], 10 if start == 0 or name[start - 1] in _BEGINS else 0, start
    for letter in word[1:]:
        close = name.find(letter, at + 1)
        if close < 0:
            return None
        if close != at + 1:  # rather the beginning of a later word than the middle of this one
            later = _beginning(letter, name, close)
            close = close if later is None else later
        rank += 8 if close == at + 1 else 6 if name[close - 1] in _BEGINS else -min(3, close - at)
        places.append(close)
        at = close
    return rank, places


def _beginning(letter: str, name: str, start: int) -> int | None:
    """Where a later word begins with the letter, if everything after it can still follow."""
    for at in range(start, min(len(name), start + 24)):
        if name[at] == letter and name[at - 1] in _BEGINS:
            return at
    return None


class Names:
    """Many names, searched again and again."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._text = "\n".join(names).lower()
        if self._text.count("\n") != max(0, len(names) - 1):
            raise ValueError("a name has a line break")

    def best(self, wanted: str, most: int) -> tuple[list[Match], int]:
        """The best matches, and how many fit in all. Without letters: the first names."""
        words = wanted.lower().split()
        if not words:
            return [Match(0, name, ()) for name in self._names[:most]], len(self._names)
        fits = self._fitting(words)
        found = [it for index in fits[:_MOST] if (it := match(wanted, self._names[index]))]
        ranked = heapq.nsmallest(most, enumerate(found), key=lambda it: (-it[1].rank, it[0]))
        return [it for _, it in ranked], len(fits)

    def _fitting(self, words: list[str]) -> list[int]:
        """Indices of the names in which the letters of each word stand in order."""
        hits: list[int] | None = None
        for word in words:
            pattern = "[^\n]*?".join(map(re.escape, word))
            found, line, at = [], 0, 0
            for it in re.finditer(f"{pattern}[^\n]*", self._text):
                line += self._text.count("\n", at, it.start())
                at = it.start()
                found.append(line)
            hits = found if hits is None else sorted(set(hits) & set(found))
        return hits or []
