"""One form for everything that can be wrong with a file that a person wrote.

A reader that stops at the first mistake makes people play whack-a-mole. The readers here
collect a `Problem` for each mistake, with its place, and raise them together as `BadInput`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_PROBLEMS = 100
"""How many problems of one file are told; readers may stop once they have more."""

_SHOWN = 40


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one file. Lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int
    message: str
    expected: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        text = f"{printable(self.file)}:{self.line}:{self.column}: {self.message}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f"; did you mean {quote(self.nearest)}?"
        return text


class BadInput(Exception):
    """Input was refused and nothing was changed. `problems` is never empty, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        ordered = sorted(set(problems))
        if not ordered:
            raise ValueError("BadInput needs at least one problem")
        shown = ordered[:MAX_PROBLEMS]
        if len(ordered) > MAX_PROBLEMS:
            last = shown[-1]
            shown.append(Problem(last.file, last.line, last.column, "there are more problems"))
        self.problems: tuple[Problem, ...] = tuple(shown)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class BadValue(ValueError):
    """One value is wrong, wherever it stands: a reader turns it into a `Problem`.

    `message` says what is wrong and may be empty where naming the value says it all.
    """

    def __init__(self, message: str = "", *, expected: str = "", nearest: str = "") -> None:
        super().__init__(message or f"expected {expected}")
        self.message = message
        self.expected = expected
        self.nearest = nearest


def unless_told(told: Iterable[Problem], more: Iterable[Problem]) -> list[Problem]:
    """Those of `more` that aren't at a place that was told as wrong already."""
    places = {(problem.line, problem.column) for problem in told}
    return [problem for problem in more if (problem.line, problem.column) not in places]


def quote(value: object) -> str:
    """Name a value in a message: short, on one line, and harmless to a terminal."""
    shown = repr(value if not isinstance(value, str) else value[: _SHOWN + 1])
    return shown if len(shown) <= _SHOWN + 2 else f"{shown[:_SHOWN]}…{shown[0]}"


def printable(text: str) -> str:
    """The same text with control and format characters spelled out."""
    return text if text.isprintable() else repr(text)[1:-1]


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The candidate most like `name`, or "" if none is alike."""
    from difflib import get_close_matches  # costs a millisecond that good input need not pay

    by_folded = {_fold(candidate): candidate for candidate in candidates}
    found = get_close_matches(_fold(name[:100]), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
