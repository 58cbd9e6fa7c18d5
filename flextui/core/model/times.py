"""Wall times as the documents tell them: ISO 8601, UTC, to the millisecond."""

from __future__ import annotations

import time
from functools import lru_cache


@lru_cache(maxsize=4096)
def iso(wall: float) -> str:
    """A Unix time in seconds as `2026-01-31T09:30:00.250Z`."""
    whole = int(wall // 1)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{text}.{int((wall - whole) * 1000):03d}Z"


def iso_or_none(wall: float | None) -> str | None:
    """The same for a time that may not have come yet."""
    return None if wall is None else iso(wall)
