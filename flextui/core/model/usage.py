"""Who used which GPUs for how long, and how much of that was idle: rows by the hour.

A row sums all attempts of one job name on one node and model in one hour, so that a thousand
short jobs leave one row. What live attempts have used since their meters were last settled isn't
in rows yet; it follows from their times, so a crash loses none of it. Only idle time comes from
telemetry, and a crash may lose what was seen of it since the last settling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from flextui.core.model.state import Attempt, Job, Meter

HOUR = 3600.0
WHOLE = 1000
"""Thousandths of a GPU."""

By = Literal["user", "project", "job", "node", "model"]


class UsageKey(NamedTuple):
    """What a row is about; `hour` is Unix time // 3600."""

    hour: int
    owner: str
    project: str
    job: str
    node: str
    model: str


class Used(NamedTuple):
    """GPU-seconds: held, and of those idle."""

    held_s: float
    idle_s: float

    def plus(self, other: Used) -> Used:
        return Used(self.held_s + other.held_s, self.idle_s + other.idle_s)


NOTHING = Used(0.0, 0.0)


class UsageQuery(NamedTuple):
    """Which rows, and by what they are summed."""

    by: By
    first: int
    """The first hour."""
    last: int
    """The last hour; it counts as well."""


class UsageRow(NamedTuple):
    """A sum of rows."""

    name: str
    """The user, project, job (owner/name), node or model; "" where there is none."""
    used: Used


def split(start: float, end: float) -> Iterator[tuple[int, float]]:
    """The hours that a time lies in, with its seconds in each; negative if it runs backwards."""
    if end < start:
        yield from ((hour, -seconds) for hour, seconds in split(end, start))
        return
    while start < end:
        hour = int(start // HOUR)
        until = min(end, (hour + 1) * HOUR)
        yield hour, until - start
        start = until


def unsettled(
    job: Job, attempt: Attempt, meter: Meter, until: float
) -> Iterator[tuple[UsageKey, Used]]:
    """What an attempt used from its meter's settling up to `until`, as additions to rows.

    Idle time counts for the hour of the settling: meters are settled at the first sample of each
    hour. Times before the settling take back what was charged too much.
    """
    devices = Counter(meter.models or ("",) * len(attempt.gpus))
    whole = sum(devices.values()) or 1
    idle = meter.idle_s
    for hour, seconds in split(meter.since, until):
        for model, count in devices.items():
            held = seconds * (attempt.share / WHOLE if attempt.share else count)
            part = max(0.0, min(held, idle * count / whole))
            key = UsageKey(hour, job.owner, job.project, job.name, attempt.node, model)
            yield key, Used(held, part)
        idle = 0.0
