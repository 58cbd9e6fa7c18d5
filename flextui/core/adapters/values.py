"""Values in an agent's message, of whatever type a sick agent may send: sound or left out.

Wrong ones become None or a default, text loses what could drive a terminal, lists are cut at a
bound. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from flextui.core.model.terminal import neutralise

TEXT_BOUND = 1024
LINES_BOUND = 20
INT_BOUND = 1 << 63
DURATION_BOUND = 1e9
MOMENT_BOUND = 1e11

Message = Mapping[str, Any]


def text(value: object, bound: int = TEXT_BOUND) -> str:
    """One line that can be printed; empty for anything else."""
    if type(value) is not str:
        return ""
    if len(value) > bound:
        value = value[:bound]
    if value.isprintable():
        return value
    plain = neutralise(value, colours=False).replace("\n", " ").replace("\t", " ")
    return plain.encode("utf-8", "replace").decode()  # lone surrogates can't be printed


def lines(value: object) -> str:
    """Some lines that can be printed."""
    found = value.split("\n", LINES_BOUND)[:LINES_BOUND] if type(value) is str else []
    return "\n".join(text(line) for line in found)


def integer(value: object) -> int | None:
    """A whole number that a database can hold."""
    if type(value) is int:
        return value if -INT_BOUND < value < INT_BOUND else None
    if type(value) is float and isfinite(value) and abs(value) < INT_BOUND:
        return int(value)
    return None


def number(value: object) -> float | None:
    """A finite number."""
    if type(value) is float:
        return value if isfinite(value) else None
    if type(value) is int and -INT_BOUND < value < INT_BOUND:
        return float(value)
    return None


def size(value: object) -> int:
    """A whole number that isn't negative; 0 for anything else."""
    found = integer(value)
    return found if found is not None and found > 0 else 0


def within(value: object, low: int, high: int) -> int | None:
    """A whole number between two bounds, both included."""
    found = integer(value)
    return found if found is not None and low <= found <= high else None


def duration(value: object) -> float | None:
    """Seconds that lie in a lifetime: from those outside no date can be made."""
    found = number(value)
    return found if found is not None and 0 <= found <= DURATION_BOUND else None


def moment(value: object) -> float | None:
    """Unix seconds that a calendar has: up to the year 5138."""
    found = number(value)
    return found if found is not None and 0 <= found <= MOMENT_BOUND else None


def boolean(value: object) -> bool | None:
    """True or false; None for anything else."""
    return value if type(value) is bool else None


def listing(value: object, bound: int) -> list[Any]:
    """A list's first members."""
    return value[:bound] if type(value) is list else []


def mapping(value: object) -> dict[str, Any]:
    """An object's fields."""
    return value if type(value) is dict else {}
