"""Rows of accounts, run times, reservations, meters and usage: written, read and summed.

Rows of usage are only ever added to. A meter's row says up to when its attempt's use is in them,
and changes in the same transaction: so every GPU-second is counted once, whenever a core dies.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from flextui.core.adapters import store_rows as rows
from flextui.core.model.inventory import Reservation
from flextui.core.model.silences import Silence
from flextui.core.model.silences import from_text as silences_from_text
from flextui.core.model.silences import to_text as silences_to_text
from flextui.core.model.state import KEPT_RUNTIMES, Account, Job, Meter, RunTimes
from flextui.core.model.usage import (
    HOUR,
    NOTHING,
    UsageKey,
    UsageQuery,
    UsageRow,
    Used,
    unsettled,
)
from flextui.core.ports import Changes, StoreError

_PUT_ACCOUNT = rows.upsert("accounts", "project, user, used, at")
_PUT_RUNTIMES = rows.upsert("runtimes", "kind, samples")
_PUT_RESERVATION = rows.upsert("reservations", "name, body")
_PUT_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_DROP_RESERVATION = "DELETE FROM reservations WHERE name = ?"
_PUT_METER = rows.upsert("meters", "attempt, since, models")
_DROP_METER = "DELETE FROM meters WHERE attempt = ?"
_ADD_USAGE = (
    "INSERT INTO usage (hour, owner, project, job, node, model, held_s, idle_s)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " held_s = held_s + excluded.held_s, idle_s = idle_s + excluded.idle_s"
)

_NAMES = {
    "user": "owner",
    "project": "project",
    "job": "owner || '/' || job",
    "node": "node",
    "model": "model",
}


# ── writing ────────────────────────────────────────────────────────────────────────────────────


def statements(changes: Changes) -> Iterator[tuple[str, Sequence[rows.Row]]]:
    """What makes these changes durable."""
    yield _PUT_ACCOUNT, [(it.project, it.user, it.used, it.at) for it in changes.accounts]
    learned = changes.runtimes.items()
    yield (
        _PUT_RUNTIMES,
        [(key, json.dumps(_lists(it), separators=(",", ":"))) for key, it in learned],
    )
    held = {key: it for key, it in changes.reservations.items() if it is not None}
    yield _PUT_RESERVATION, [(key, it.model_dump_json(by_alias=True)) for key, it in held.items()]
    yield _DROP_RESERVATION, [(key,) for key in changes.reservations if key not in held]
    if changes.silences is not None:
        yield _PUT_META, [("silences", silences_to_text(changes.silences))]
    meters = {key: it for key, it in changes.meters.items() if it is not None}
    yield _PUT_METER, [(key, it.since, json.dumps(it.models)) for key, it in meters.items()]
    yield _DROP_METER, [(key,) for key in changes.meters if key not in meters]
    yield _ADD_USAGE, [(*key, *used) for key, used in changes.usage.items()]


def prune(db: sqlite3.Connection, before: float) -> bool:
    """Drop an old hour of usage, and run times beyond the bound; whether there is more to drop."""
    db.execute(
        "DELETE FROM runtimes WHERE rowid <= (SELECT max(rowid) FROM runtimes) - ?",
        (KEPT_RUNTIMES,),
    )
    last = int(before // HOUR)
    (oldest,) = db.execute("SELECT min(hour) FROM usage").fetchone()
    if oldest is None or oldest >= last:
        return False
    db.execute("DELETE FROM usage WHERE hour = ?", (oldest,))
    return True


# ── reading at the start of a core ─────────────────────────────────────────────────────────────


def accounts(db: sqlite3.Connection) -> list[Account]:
    found = db.execute("SELECT project, user, used, at FROM accounts")
    return [Account(project, user, used=used, at=at) for project, user, used, at in found]


def hours(db: sqlite3.Connection, since: int) -> dict[tuple[str, str], dict[int, float]]:
    """GPU-seconds by (project, user) and hour, from this hour on."""
    told: dict[tuple[str, str], dict[int, float]] = {}
    found = db.execute(
        "SELECT project, owner, hour, sum(held_s) FROM usage WHERE hour >= ?"
        " GROUP BY project, owner, hour",
        (since,),
    )
    for project, owner, hour, seconds in found:
        told.setdefault((project, owner), {})[hour] = seconds
    return told


def runtimes(db: sqlite3.Connection) -> dict[str, RunTimes]:
    found = db.execute("SELECT kind, samples FROM runtimes ORDER BY rowid")
    return {kind: RunTimes(*map(tuple, json.loads(lists))) for kind, lists in found}


def _lists(times: RunTimes) -> tuple[tuple[float, ...], ...]:
    return times.samples, times.reached, times.ended, times.chance


def silences(db: sqlite3.Connection) -> Mapping[str, Silence]:
    """Problems that somebody wants to hear no more of, by their ids."""
    row = db.execute("SELECT value FROM meta WHERE key = 'silences'").fetchone()
    return silences_from_text(row[0]) if row else {}


def reservations(db: sqlite3.Connection) -> dict[str, Reservation]:
    """Raises `StoreError` for one that means nothing here, such as in a time zone unknown."""
    held: dict[str, Reservation] = {}
    for name, body in db.execute("SELECT name, body FROM reservations ORDER BY name"):
        try:
            held[name] = Reservation.model_validate_json(body)
        except ValidationError as error:
            what = "; ".join(it["msg"] for it in error.errors())
            raise StoreError(f"the reservation {name} can't be read here: {what}") from error
    return held


def meters(db: sqlite3.Connection) -> dict[str, Meter]:
    found = db.execute("SELECT attempt, since, models FROM meters")
    return {key: Meter(since, tuple(json.loads(models))) for key, since, models in found}


# ── summing ────────────────────────────────────────────────────────────────────────────────────


def summed(db: sqlite3.Connection, query: UsageQuery, now: float) -> list[UsageRow]:
    """What was held and idle, by name; the most first. Live attempts count up to `now`.

    One transaction: what is settled meanwhile is counted once.
    """
    db.execute("BEGIN")
    try:
        found = db.execute(
            f"SELECT {_NAMES[query.by]}, sum(held_s), sum(idle_s) FROM usage"
            " WHERE hour BETWEEN ? AND ? GROUP BY 1",
            (query.first, query.last),
        )
        total = {name: Used(held, idle) for name, held, idle in found}
        for key, used in _live(db, now):
            if query.first <= key.hour <= query.last:
                name = name_of(key, query)
                total[name] = total.get(name, NOTHING).plus(used)
    finally:
        db.execute("COMMIT")
    ordered = sorted(total.items(), key=lambda it: (-it[1].held_s, it[0]))
    return [UsageRow(name, used) for name, used in ordered if used.held_s > 0]


def name_of(key: UsageKey, query: UsageQuery) -> str:
    """By what a row is summed."""
    match query.by:
        case "user":
            return key.owner
        case "project":
            return key.project
        case "job":
            return f"{key.owner}/{key.job}"
        case "node":
            return key.node
        case "model":
            return key.model


def _live(db: sqlite3.Connection, now: float) -> Iterator[tuple[UsageKey, Used]]:
    """What live attempts have used since their meters were settled."""
    told = meters(db)
    live = list(
        map(
            rows.attempt_of,
            db.execute(f"SELECT {rows.ATTEMPT_COLUMNS} FROM attempts WHERE live AND NOT replaced"),
        )
    )
    jobs = _jobs(db, {it.task.job for it in live})
    for attempt in live:
        job = jobs.get(attempt.task.job)
        if attempt.gpus and job is not None:
            meter = told.get(attempt.id) or Meter(attempt.placed_at)
            yield from unsettled(job, attempt, meter, max(now, meter.since))


def _jobs(db: sqlite3.Connection, ids: Iterable[str]) -> Mapping[str, Job]:
    found: dict[str, Job] = {}
    for job in ids:
        query = f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE seq = ?"
        for row in db.execute(query, (rows.job_seq(job),)):
            found[job] = rows.job_of(row)
    return found
