"""How a waiting task's place and its expected start read, on the screens and on the command line.
Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flextui.screens import format as fmt

_NOW_S = 30.0
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    ending = "th" if 10 <= number % 100 <= 20 else _ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"


def place_text(task: Mapping[str, Any]) -> str:
    """'3rd of 12: priority 500 of 1000 (its own priority), …; eve/x goes first by age'; empty where
    it isn't in the queue."""
    position = task.get("position")
    if not position:
        return ""
    text = ordinal(position)
    if task.get("waiting"):
        text += f" of {task['waiting']}"
    factors = ", ".join(factor_text(it) for it in task.get("factors") or ())
    if factors:
        text += f": {factors}"
    return f"{text}; {task['behind']}" if task.get("behind") else text


def factor_text(factor: Mapping[str, Any], *, brief: bool = False) -> str:
    """'priority 500 of 1000 (its own priority)'."""
    text = f"{factor['name']} {factor_points(factor)}"
    return text if brief else f"{text} ({factor['text']})"


def factor_points(factor: Mapping[str, Any]) -> str:
    """'500 of 1000', or the value where factors count one after the other."""
    weight, value = factor["weight"], factor["value"]
    return f"{weight * value:.0f} of {weight:g}" if weight != 1 else f"{value:.3g}"


def expected_text(expected: Mapping[str, Any] | None, now: float, *, brief: bool = False) -> str:
    """'in about 2h10m (14:05), at the latest 16:30; likely: …'; empty where nothing is said."""
    if not expected:
        return ""
    at, latest = fmt.parse_time(expected["at"]), fmt.parse_time(expected["latest"])
    sureness, basis = expected["sureness"], expected.get("text") or ""
    if at is None:
        return "unknown" if brief else f"unknown: {basis}"
    if at - now < _NOW_S:
        text = "now"
    elif latest is not None and at >= latest:
        text = f"by {clock(at, now)} at the latest, in {_span(at - now)}"
    else:
        text = f"in about {_span(at - now)} ({clock(at, now)})"
        if latest is not None:
            text += f", at the latest {clock(latest, now)}"
    if brief:
        return f"{text}, {sureness}"
    return f"{text}; {sureness}" + (f": {basis}" if basis else "")


def start_text(at: float, now: float) -> str:
    """'now', '14:05, in 2h10m'."""
    return "now" if at - now < _NOW_S else f"{clock(at, now)}, in {_span(at - now)}"


def _span(seconds: float) -> str:
    """Roughly how long, in one unit or two."""
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 48 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m" if minutes % 60 else f"{minutes // 60}h"
    return f"{round(minutes / 1440)}d"


def clock(at: float, now: float) -> str:
    """A local time, with its day where that isn't today."""
    then, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    if then.date() == today.date():
        return then.strftime("%H:%M")
    if 0 <= (then.date() - today.date()).days < 7:
        return then.strftime("%a %H:%M")
    return then.strftime("%Y-%m-%d %H:%M")
