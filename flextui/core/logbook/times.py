"""Pure: times as log readers write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

STAMPS = ("local", "utc", "relative", "off")
WIDTHS = {"local": 12, "utc": 13, "relative": 9, "off": 0}
_AGO = re.compile(
    r"-?(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?"
)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
TIME_FORMS = "a time such as 14:02, 14:02:11, 2026-11-23 14:02, or 10m for ten minutes ago"


def stamp(at_ms: float, kind: str, now: float) -> str:
    """When a line came, in the width of its kind; blanks where that isn't known."""
    width = WIDTHS[kind]
    if not width or not at_ms:
        return " " * width
    seconds, ms = divmod(int(at_ms), 1000)
    if kind == "relative":
        return f"-{span(max(0.0, now - at_ms / 1000))}".rjust(width)
    when = datetime.fromtimestamp(seconds, UTC if kind == "utc" else None)
    return f"{when:%H:%M:%S}.{ms:03}" + ("Z" if kind == "utc" else "")


def day(at_ms: float, kind: str) -> str:
    """The day of a time, for a heading where it changes."""
    zone = UTC if kind == "utc" else None
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%a %Y-%m-%d")


def span(seconds: float) -> str:
    """A duration, the finer the shorter: 12ms, 3.214s, 4m05s, 2h10m, 3d04h."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds >= 10 else f"{seconds:.3f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def moment(text: str, now: float, *, near: float = 0.0, utc: bool = False) -> float:
    """Unix seconds of what somebody typed. A bare clock time is of the day of `near` (now if 0),
    and never after now. Raises ValueError with what was expected."""
    text = text.strip().removesuffix(" ago")
    zone = UTC if utc or text.endswith("Z") else None
    text = text.removesuffix("Z")
    if text and (ago := _AGO.fullmatch(text)) and any(ago.groups()):
        days, hours, minutes, seconds = (float(it or 0) for it in ago.groups())
        return now - ((days * 24 + hours) * 60 + minutes) * 60 - seconds
    if clock := _CLOCK.fullmatch(text):
        return _of_day(clock, datetime.fromtimestamp(near or now, zone), now)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected {TIME_FORMS}") from None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()


def _of_day(clock: re.Match[str], near: datetime, now: float) -> float:
    seconds = float(clock[3] or 0)
    if int(clock[1]) > 23 or int(clock[2]) > 59 or seconds >= 60:
        raise ValueError(f"expected {TIME_FORMS}")
    midnight = near.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
    found = midnight + timedelta(seconds=seconds)
    return (found if found.timestamp() <= now else found - timedelta(days=1)).timestamp()


def last(text: str) -> tuple[float | None, int | None]:
    """`10m`, `500`, `10m 500`: seconds, lines or both. Raises ValueError."""
    seconds: float | None = None
    lines: int | None = None
    for word in text.replace(",", " ").replace(" or ", " ").split():
        if word.isdigit():
            lines = int(word)
        elif (ago := _AGO.fullmatch(word)) and any(ago.groups()):
            days, hours, minutes, rest = (float(it or 0) for it in ago.groups())
            seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
        else:
            raise ValueError("expected how long, how many lines, or both: 10m 500")
    if seconds is None and lines is None:
        raise ValueError("expected how long, how many lines, or both: 10m 500")
    return seconds, lines
