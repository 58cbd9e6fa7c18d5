"""Windows of time over nodes: reservations and maintenance, once or again and again.

A window that comes again is meant in local time (`every day from 9 to 12`), so its occurrences
are counted on the calendar of its zone and only then become Unix time: it stays at nine when the
clocks change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from flextui.core.model.boxes import NODE_NAME, Index
from flextui.core.model.fields import Frozen, Text, Words, check, matches
from flextui.core.model.moments import Moment, Time, resolve, unix_time
from flextui.core.model.people import BENEFICIARY, BENEFICIARY_FORMS, holds
from flextui.core.model.problems import BadValue, quote

Span = tuple[float, float]
"""From and to, in Unix seconds; `to` is not in it."""

_DAY = 86_400.0
_STEPS = {"day": 1, "weekdays": 1, "week": 7}
_LONGEST = {"day": _DAY, "weekdays": _DAY, "week": 7 * _DAY}


@lru_cache(maxsize=256)
def zone_of(name: str | None) -> ZoneInfo | None:
    """The zone of an IANA name; None, the local zone, for None. Raises `BadValue`."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not there, or no name at all
        what = f"there is no time zone {quote(name)} here"
        raise BadValue(what, expected="an IANA name such as Europe/Berlin") from error


def _zone_name(value: Any) -> Any:
    if isinstance(value, str):
        zone_of(value)
    return value


def _nodes(value: Any) -> Any:
    if value == "all":
        return value
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise BadValue(expected="all, or a list of nodes")
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(NODE_NAME, name):
            raise BadValue(f"{quote(name)} can't be a node's name", expected="names of nodes")
    return tuple(names)


Nodes = Annotated[
    str | tuple[str, ...],
    BeforeValidator(_nodes),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
WindowName = Annotated[
    Text, matches(r"[a-z0-9][a-z0-9-]{0,62}", "1 to 63 of a-z, 0-9 and '-', not starting with '-'")
]


class Window(Frozen):
    """When and where."""

    name: WindowName = Field(description="A name of a-z, 0-9 and '-'.")
    nodes: Nodes = Field(description="The nodes it is about, or all.")
    timezone: Annotated[Text, BeforeValidator(_zone_name)] | None = Field(
        None, description="IANA name of the zone of its times; else the core's own."
    )
    from_: Time = Field(alias="from", description="When it begins, such as 2026-01-31T09:30.")
    every: Literal["day", "week", "weekdays"] | None = Field(
        None, description="How often it comes again."
    )
    to: Moment = Field(description="When it ends: a time, or a duration such as 4h.")
    until: Time | None = Field(None, description="From when on it doesn't come again.")

    @field_validator("to")
    @classmethod
    def _after_from(cls, value: float | str, info: ValidationInfo) -> float | str:
        """Later than `from`, and no longer than until it comes again."""
        begin = info.data.get("from_")
        if begin is None:
            return value
        zone = zone_of(info.data.get("timezone"))
        start = resolve(begin, 0.0, zone)
        length = resolve(value, start, zone) - start
        if length <= 0:
            raise BadValue("it ends before it begins", expected=f"later than from, {begin}")
        every = info.data.get("every")
        if every and length > _LONGEST[every]:
            expected = f"at most {'a week' if every == 'week' else 'a day'} after from"
            raise BadValue(f"it comes again every {every} before it has ended", expected=expected)
        return value

    @field_validator("until")
    @classmethod
    def _until_of_every(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if not info.data.get("every"):
            raise BadValue("it doesn't come again", expected="every: day, week or weekdays")
        zone, begin = zone_of(info.data.get("timezone")), info.data.get("from_")
        if begin is not None and resolve(value, 0.0, zone) <= resolve(begin, 0.0, zone):
            raise BadValue("it ends before it begins", expected=f"later than from, {begin}")
        return value

    def covers(self, node: str) -> bool:
        """Whether it is about the node of that name."""
        return self.nodes == "all" or node in self.nodes

    @cached_property
    def _length(self) -> float:
        return self._end - self._start

    @cached_property
    def _start(self) -> float:
        return resolve(self.from_, 0.0, zone_of(self.timezone))

    @cached_property
    def _end(self) -> float:
        return resolve(self.to, self._start, zone_of(self.timezone))

    def spans(self, after: float) -> Iterator[Span]:
        """Its occurrences that end later than `after` (Unix seconds), in order; may be endless."""
        if not self.every:
            if self._end > after:
                yield self._start, self._end
            return
        for start in self._starts(after):
            if start + self._length > after:
                yield start, start + self._length

    def _starts(self, after: float) -> Iterator[float]:
        """Starts from shortly before `after` on, on the calendar of the zone."""
        zone, step = zone_of(self.timezone), timedelta(days=_STEPS[self.every or "day"])
        first = datetime.fromisoformat(self.from_)
        until = resolve(self.until, 0.0, zone) if self.until else float("inf")
        gone = max(0.0, after - self._length - self._start - _DAY)  # a day: clocks may change
        moment = first + step * int(gone / step.total_seconds())
        while True:
            try:
                start = unix_time(moment, zone)
                following = moment + step
            except (BadValue, OverflowError):  # the calendar ends
                return
            if start >= until:
                return
            if self.every != "weekdays" or moment.weekday() < 5:
                yield start
            moment = following

    def local(self, wall: float) -> str:
        """A Unix time as the window's own clock shows it, to the minute."""
        return datetime.fromtimestamp(wall, zone_of(self.timezone)).strftime("%Y-%m-%dT%H:%M")

    def next_span(self, after: float) -> Span | None:
        """The occurrence that holds `after`, or else the next; None if there is no more."""
        return next(self.spans(after), None)


class Reservation(Window):
    """Devices kept for somebody. Others' jobs neither start nor run there in its time."""

    for_: Annotated[
        Words,
        check(bool, "at least one user, group:NAME or project:NAME"),
        check(lambda names: all(map(BENEFICIARY.fullmatch, names)), BENEFICIARY_FORMS),
    ] = Field(alias="for", description="Users, group:NAME and project:NAME.")
    gpus: Annotated[tuple[Index, ...], check(bool, "at least one GPU")] | None = Field(
        None, description="Indices of GPUs on those nodes; left out: the nodes whole."
    )

    def holds(self, index: int) -> bool:
        """Whether it is about the GPU of that index, on the nodes that it covers."""
        return self.gpus is None or index in self.gpus

    def admits(self, user: str, groups: tuple[str, ...], project: str) -> bool:
        """Whether jobs of that user and project may use it."""
        return f"project:{project}" in self.for_ or holds(self.for_, user, groups)

    def conflict(self, other: Reservation) -> Span | None:
        """When both would keep the same device for the first time; None: never."""
        if not self._shares_device(other):
            return None
        return first_overlap(self, other)

    def _shares_device(self, other: Reservation) -> bool:
        if self.nodes != "all" and other.nodes != "all" and not {*self.nodes} & {*other.nodes}:
            return False
        return self.gpus is None or other.gpus is None or bool({*self.gpus} & {*other.gpus})


class Maintenance(Window):
    """A time in which nobody's jobs run on some nodes."""


def first_overlap(one: Window, other: Window) -> Span | None:
    """When two windows first hold at once; None: never, as far as a year of both can tell."""
    begin = max(one._start, other._start)
    for start, end in one.spans(begin):
        if start > begin + 366 * _DAY:
            return None
        meets = other.next_span(max(start, begin))
        if meets is None:
            return None
        if meets[0] < end:
            return max(start, meets[0]), min(end, meets[1])
    return None
