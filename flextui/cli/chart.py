"""Pictures of numbers in text: columns that grow from the ground, and a single line of them. Pure.

Each cell shows eight heights where the terminal can draw them, four where it can only do ASCII.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import ceil

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " ..-==##@"
"""As the screens have them where the terminal draws no more than ASCII."""


def plain(encoding: str | None = None) -> bool:
    """Whether stdout can't carry more than ASCII."""
    name = encoding if encoding is not None else getattr(sys.stdout, "encoding", None)
    try:
        "█".encode(name or "ascii")
    except (UnicodeError, LookupError):
        return True
    return False


def columns(values: Sequence[float], top: float, height: int, *, ascii_only: bool) -> list[str]:
    """Lines of a chart, the highest first. Values above `top` fill their column."""
    rows = []
    for row in range(height - 1, -1, -1):
        rows.append("".join(_cell(value, top, height, row, ascii_only) for value in values))
    return rows


def spark(values: Sequence[float], top: float, *, ascii_only: bool) -> str:
    """The same on one line."""
    return columns(values, top, 1, ascii_only=ascii_only)[0]


def _cell(value: float, top: float, height: int, row: int, ascii_only: bool) -> str:
    part = min(max(value / top, 0.0), 1.0) * height - row if top > 0 else 0.0
    eighths = 0 if part <= 0 else min(8, ceil(part * 8 - 1e-9))
    return (_ASCII if ascii_only else _BLOCKS)[eighths]


def framed(rows: Sequence[str], top: str, bottom: str, foot: str, *, ascii_only: bool) -> list[str]:
    """A chart with what its top and its ground stand for, and a line below."""
    wall = "|" if ascii_only else "┤"
    room = max(len(top), len(bottom))
    labels = [top, *[""] * (len(rows) - 2), bottom] if len(rows) > 1 else [top]
    lines = [
        f"{label:>{room}} {wall}{row}".rstrip() for label, row in zip(labels, rows, strict=True)
    ]
    return [*lines, f"{'':{room}}  {foot}".rstrip()]
