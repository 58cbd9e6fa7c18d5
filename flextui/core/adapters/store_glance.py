"""A glance at the store before a core opens it: who ran where, and what was taken out of use.

It checks nothing and changes nothing. The core opens the same database a moment later, with
suspicion, and says what is wrong with it; here it then just tells nothing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from flextui.core.foreseen import Left, Marked

_AT_WORK = """
    SELECT DISTINCT attempts.node, jobs.owner || '/' || jobs.name
    FROM attempts JOIN jobs ON jobs.seq = attempts.job WHERE attempts.live ORDER BY 2
"""
_LIVE = "SELECT count(*), coalesce(sum(state = 'running'), 0) FROM jobs WHERE ended_at IS NULL"
_MARKS = "SELECT name, drain, cordon FROM nodes WHERE drain IS NOT NULL OR cordon IS NOT NULL"
_PATIENCE_S = 0.05
"""Who reads or writes it meanwhile isn't waited for."""


def left(database: Path) -> Left:
    """What stands in this database; nothing, where that can't be read."""
    if database.exists():
        quoted = str(database).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        with contextlib.suppress(sqlite3.Error, ValueError, TypeError):
            uri = f"file:{quoted}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S)) as store:
                return _read(store)
    return Left()


def _read(store: sqlite3.Connection) -> Left:
    jobs: dict[str, list[str]] = {}
    for node, job in store.execute(_AT_WORK):
        jobs.setdefault(node, []).append(job)
    drained: dict[str, Marked] = {}
    cordoned: dict[str, Marked] = {}
    for name, drain, cordon in store.execute(_MARKS):
        for text, marked in ((drain, drained), (cordon, cordoned)):
            if text is not None:
                by, at, why = json.loads(text)
                marked[name] = (by, at, why)
    live, running = store.execute(_LIVE).fetchone()
    return Left(jobs, drained, cordoned, live, running)
