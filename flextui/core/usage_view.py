"""What `usage` asks and how it is told: GPU hours held, used and wasted, by whom or where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from flextui.core.commands import CommandError, Usage
from flextui.core.model.docs import UsageDoc, UsageRowDoc
from flextui.core.model.moments import TIME_FORMS, parse_time, unix_time
from flextui.core.model.problems import BadValue, nearest, quote
from flextui.core.model.times import iso
from flextui.core.model.units import parse_duration
from flextui.core.model.usage import HOUR, NOTHING, By, UsageQuery, UsageRow, Used

LONGEST_S = 100 * 366 * 86_400.0


def query_of(command: Usage, now: float) -> UsageQuery:
    """The whole hours that a command is about. Raises `CommandError` (input)."""
    kinds = get_args(By)
    if command.by not in kinds:
        like = nearest(command.by, kinds)
        hint = f"; did you mean {like}?" if like else ""
        text = f"usage can't be told by {quote(command.by)}: expected one of {', '.join(kinds)}"
        raise CommandError("input", text + hint)
    since = _instant("since", command.since, now)
    until = _instant("until", command.until, now) if command.until else now
    if until <= since:
        raise CommandError("input", f"{iso(until)} isn't later than {iso(since)}")
    last = int(-(-until // HOUR)) - 1
    return UsageQuery(cast(By, command.by), int(since // HOUR), last)


def usage_view(query: UsageQuery, rows: Sequence[UsageRow]) -> UsageDoc:
    """The rows with their sum."""
    total = NOTHING
    for row in rows:
        total = total.plus(row.used)
    return {
        "by": query.by,
        "since": iso(query.first * HOUR),
        "until": iso((query.last + 1) * HOUR),
        "rows": [_row(row.name, row.used) for row in rows],
        "total": _row("total", total),
    }


def _row(name: str, used: Used) -> UsageRowDoc:
    idle = min(max(used.idle_s, 0.0), used.held_s)
    return {
        "name": name,
        "gpu_hours": round(used.held_s / HOUR, 4),
        "used_hours": round((used.held_s - idle) / HOUR, 4),
        "wasted_hours": round(idle / HOUR, 4),
        "wasted_percent": round(100 * idle / used.held_s, 1) if used.held_s else 0.0,
    }


def _instant(name: str, text: str, now: float) -> float:
    """Unix seconds of an ISO time, or of so long ago."""
    try:
        moment = parse_time(text)
        if moment is not None:
            return unix_time(moment)
        return max(0.0, now - min(parse_duration(text), LONGEST_S))
    except BadValue as error:
        expected = f"{TIME_FORMS}, or so long ago, such as 7d"
        raise CommandError("input", f"{name}: {quote(text)}: expected {expected}") from error
