"""Durations and sizes as people write them, and back.

Inside, a duration is a float of seconds and a size an int of bytes. Forms that two systems read
differently (`10:00` is minutes to Slurm and hours to a clock; `64g` is binary to Docker and
decimal to a disk) are refused, not guessed.
"""

from __future__ import annotations

import math
import re

from flextui.core.model.problems import BadValue

MAX_SECONDS = 36_500 * 86_400.0
MAX_BYTES = 2**62

DURATION_FORMS = "a duration such as 30s, 90m, 4h, 2d12h, 4:00:00 or 1-00:00:00"
SIZE_FORMS = "a size such as 512MiB, 64Gi, 64GiB or 64G"

_UNIT_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_PLAIN = re.compile(_NUMBER)
_UNITS = re.compile("".join(f"(?:({_NUMBER}){unit})?" for unit in (*_UNIT_SECONDS, "ms")))
_CLOCK = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{1,6}):([0-5]?[0-9]):([0-5]?[0-9])")
_SIZE = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))? ?(?:([KMGTPE])(i?))?(B?)")
_POWERS = {prefix: power for power, prefix in enumerate("KMGTPE", start=1)}


def parse_duration(value: str | int | float) -> float:
    """Seconds from `4h`, `2d12h`, `4:00:00` (h:m:s), `1-00:00:00` (d-h:m:s) or a bare number.

    Raises `BadValue` for anything else, for negative values and for more than 36,500 days.
    """
    seconds = _duration_text(value.strip()) if isinstance(value, str) else _number(value)
    if seconds is None:
        hint = ""
        if isinstance(value, str) and re.fullmatch(r"[0-9]+:[0-9]{2}", value.strip()):
            hint = f"{value.strip()} may be minutes or hours"
        raise BadValue(hint, expected=DURATION_FORMS)
    if not 0 <= seconds <= MAX_SECONDS:
        raise BadValue(expected="a duration from 0 to 36500 days")
    return seconds


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return float(value) if abs(value) < 2**53 else math.inf
    return None if math.isnan(value) else value


def _duration_text(text: str) -> float | None:
    if _PLAIN.fullmatch(text):
        return float(text)
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        if clock[1] and hours > 23:
            return None
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    if text and (units := _UNITS.fullmatch(text)):
        thousandths = (*(1000 * seconds for seconds in _UNIT_SECONDS.values()), 1)
        parts = zip(units.groups(), thousandths, strict=True)
        return math.fsum(float(part) * factor for part, factor in parts if part) / 1000
    return None


def parse_size(value: str | int) -> int:
    """Bytes from `64G` (10^9), `64Gi` or `64GiB` (2^30), `512MB`, `100B` or a bare number.

    Raises `BadValue` for anything else and for 2^62 bytes or more.
    """
    size = _size_text(value.strip()) if isinstance(value, str) else value
    if isinstance(size, bool) or not isinstance(size, int):
        raise BadValue(expected=SIZE_FORMS, nearest=_size_nearest(value))
    if not 0 <= size < MAX_BYTES:
        raise BadValue(expected="a size from 0 to 4 EiB")
    return size


def _size_text(text: str) -> int | None:
    if not (match := _SIZE.fullmatch(text)):
        return None
    whole, fraction, prefix, binary, _ = match.groups()
    unit: int = (1024 if binary else 1000) ** _POWERS[prefix] if prefix else 1
    fraction = fraction or ""
    scaled: int = int(whole + fraction) * unit
    return scaled // int("1" + "0" * len(fraction))


def _size_nearest(value: object) -> str:
    """`64gb` is refused, for it may mean either; the unambiguous spelling is offered."""
    if isinstance(value, str):
        spelled = re.sub(r"[IB]", lambda m: m[0] if m[0] == "B" else "i", value.strip().upper())
        if _SIZE.fullmatch(spelled):
            return spelled
    return ""


def format_duration(seconds: float) -> str:
    """A duration in at most seven characters, rounded down: `350ms 12s 3m 2h10m 3d4h 400d`.

    What it prints can be read back by `parse_duration`.
    """
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if not seconds < MAX_SECONDS * 10:
        return "∞"
    if seconds < 1:
        return f"{int(seconds * 1000)}ms" if seconds >= 0.001 else "0s"
    whole = int(seconds)
    for limit, big, small in ((60, "s", ""), (3600, "m", "s"), (86_400, "h", "m")):
        if whole < limit:
            return _pair(whole, big, small)
    return _pair(whole, "d", "h") if whole < 100 * 86_400 else f"{whole // 86_400}d"


def _pair(seconds: int, big: str, small: str) -> str:
    count, rest = divmod(seconds, int(_UNIT_SECONDS[big]))
    if big == "m" and count >= 10:  # seconds stop to matter, and would only jitter
        return f"{count}m"
    lesser = rest // int(_UNIT_SECONDS[small]) if small else 0
    return f"{count}{big}{lesser}{small}" if lesser else f"{count}{big}"


def format_size(size: int) -> str:
    """A size in at most seven characters, binary, to three figures or more: `0B 512MiB 1.5GiB`.

    What it prints can be read back by `parse_size`.
    """
    if size < 0:
        return "-" + format_size(-size)
    value, unit = float(size), "B"
    for prefix in _POWERS:
        if value < 1023.5:
            break
        value, unit = value / 1024, f"{prefix}iB"
    digits = f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"
    return f"{digits}{unit}"
