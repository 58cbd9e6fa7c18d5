"""Points in time as people write them: a calendar time, or so long from a start.

A time without a zone means the local time of whoever reads it (a core, or the zone that stands
beside it), so it is kept as it was written until that is known.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from flextui.core.model import units
from flextui.core.model.problems import BadValue, quote

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

TIME_FORMS = "a time such as 2026-01-31T09:30 or 2026-01-31T09:30:00+01:00"
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII
)


def parse_time(text: str) -> datetime | None:
    """A calendar time (ISO 8601, a day alone means its midnight); None if it isn't meant as one.

    Raises `BadValue` for a day or an hour that doesn't exist.
    """
    text = text.strip()
    if not _ISO.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadValue(f"{quote(text)} doesn't exist", expected=TIME_FORMS) from error


def unix_time(moment: datetime, zone: ZoneInfo | None = None) -> float:
    """Unix seconds. A time without a zone is in `zone`; None: the local zone of this machine.

    Raises `BadValue` for years that no clock shows.
    """
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    try:
        seconds = moment.timestamp()
    except (OverflowError, ValueError, OSError) as error:
        raise BadValue(f"{moment.isoformat()} is out of range", expected=TIME_FORMS) from error
    if not 0 <= seconds < 2**36:
        raise BadValue(f"{moment.isoformat()} is out of range", expected=TIME_FORMS)
    return seconds


def resolve(moment: float | str, start: float, zone: ZoneInfo | None = None) -> float:
    """Unix seconds of a `Moment`: so many seconds after `start`, or the calendar time."""
    if isinstance(moment, str):
        return unix_time(datetime.fromisoformat(moment), zone)
    return start + moment


def not_before(one: float | str, other: float | str) -> bool:
    """Whether `other` is surely not later than `one`; False where that can't be told yet."""
    if isinstance(one, str) and isinstance(other, str):
        first, second = datetime.fromisoformat(one), datetime.fromisoformat(other)
        return (first.tzinfo is None) == (second.tzinfo is None) and second <= first
    return isinstance(one, float) and isinstance(other, float) and other <= one


def shown(moment: float | str) -> str:
    """A `Moment` as people write it."""
    return moment if isinstance(moment, str) else units.format_duration(moment)


def _time(value: Any) -> str:
    found = parse_time(value) if isinstance(value, str) else None
    if found is None:
        raise BadValue(expected=TIME_FORMS)
    unix_time(found)
    return found.isoformat()


def _moment(value: Any) -> float | str:
    if isinstance(value, str) and parse_time(value) is not None:
        return _time(value)
    try:
        return units.parse_duration(value)
    except BadValue as error:
        expected = f"{TIME_FORMS}, or a duration such as 30m or 4h"
        raise BadValue(error.message, expected=expected) from error


Time = Annotated[str, BeforeValidator(_time), WithJsonSchema({"type": "string"})]
"""A calendar time, in ISO form."""
Moment = Annotated[
    float | str,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
            "examples": ["2026-01-31T09:30", "4h"],
        }
    ),
]
"""A calendar time in ISO form, or seconds from a start that the field names."""
