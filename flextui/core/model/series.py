"""Pure: numbers over time, made to fit a chart and read out in their unit."""

from __future__ import annotations

from collections.abc import Sequence

PERCENT = ("memory", "disk", "busy")
_DEGREES = 100.0
_MIN_TOP = {"load": 1.0, "power": 100.0, "cores": 1.0, "bytes": float(2**20)}


def columns(values: Sequence[float | None], width: int, until: int = -1) -> list[float | None]:
    """The newest values in at most so many columns: the highest of what shares one, None where
    nothing is known. `until` numbers the last value: values stay together in their column when
    others come after them."""
    per = max(1, -(-len(values) // max(1, width)))
    found: list[float | None] = []
    end, size = len(values), until % per + 1
    while end > 0 and len(found) < width:
        known = [it for it in values[max(0, end - size) : end] if it is not None]
        found.append(max(known) if known else None)
        end, size = end - size, per
    return found[::-1]


def latest(values: Sequence[float | None]) -> float | None:
    """The newest value; None where it isn't known."""
    return values[-1] if values else None


def highest(values: Sequence[float | None]) -> float | None:
    return max((it for it in values if it is not None), default=None)


def top_of(kind: str, values: Sequence[float | None]) -> float:
    """What the top of a chart stands for: all of it where there is such a thing, else a little
    more than the highest value, on a round number so that it doesn't jump."""
    if kind in PERCENT or kind == "cpu":
        return 100.0
    if kind == "temperature":
        return _DEGREES
    top = _MIN_TOP.get(kind, 1.0)
    high = highest(values) or 0.0
    while top < high:
        top *= 2
    return top


def reading(kind: str, value: float | None) -> str:
    """A value with its unit, as short as people say it."""
    if value is None:
        return "n/a"
    if kind in PERCENT or kind == "cpu":
        return f"{value:.0f}%"
    if kind == "temperature":
        return f"{value:.0f}°"
    if kind == "power":
        return f"{value:.0f}W"
    if kind == "cores":
        return f"{value:.1f}"
    if kind == "bytes":
        for unit in ("B", "K", "M", "G"):
            if value < 1024:
                return f"{value:.0f}{unit}"
            value /= 1024
        return f"{value:.1f}T"
    return f"{value:.2f}"
