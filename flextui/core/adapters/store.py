"""The durable state of a core: SQLite in WAL mode, synchronous=FULL, one writer.

Commits run in a thread of their own, one transaction each, so that the event loop never waits
for a disk. Reads for lists and histories go over a second connection in a second thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from flextui.core.adapters import store_rows as rows
from flextui.core.adapters import store_usage
from flextui.core.adapters.store_open import DB_NAME, open_readonly, open_writable, stamp, unusable
from flextui.core.adapters.store_read import StoreReader
from flextui.core.model.docs import ACTOR, EventDoc, JobDoc, RevisionDoc
from flextui.core.model.revisions import KEPT
from flextui.core.model.usage import UsageQuery, UsageRow
from flextui.core.ports import Changes, EventQuery, Loaded, StoreError

R = TypeVar("R")

RECENT = 200
"""Ended jobs that a core has in memory from its start."""
MAX_EVENTS = 200_000
_PRUNE_STEP = 200
_PRUNE_PAUSE_S = 0.01

_PUT_JOB = rows.upsert("jobs", rows.JOB_COLUMNS)
_PUT_TASK = rows.upsert("tasks", rows.TASK_COLUMNS)
_PUT_ATTEMPT = rows.upsert("attempts", rows.ATTEMPT_COLUMNS)
_PUT_NODE = rows.upsert("nodes", rows.NODE_COLUMNS)
_PUT_EVENT = rows.upsert("events", rows.EVENT_COLUMNS)
_PUT_REVISION = "INSERT OR IGNORE INTO revisions VALUES (?, ?, ?, ?, ?)"
_DROP_REVISION = "DELETE FROM revisions WHERE job = ? AND revision <= ?"


class SqliteStore:
    """A `Store` in the state directory `folder`, which must exist and be private."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / DB_NAME
        self._db: sqlite3.Connection | None = None
        self._writer = ThreadPoolExecutor(1, "store")
        self._reader = ThreadPoolExecutor(1, "store-read")
        self._read: StoreReader | None = None

    # ── opening ────────────────────────────────────────────────────────────────────────────────

    def load(self, hours_since: int | None = None) -> Loaded:
        """Open, check, raise the epoch durably, read the live state. Raises `StoreError`."""
        self._db = open_writable(self._folder)
        try:
            with _transaction(self._db):
                core_id, epoch, adopt = self._identify(self._db)
            loaded = self._load(self._db, core_id, epoch, adopt)
            return _with_usage(self._db, loaded, hours_since)
        except sqlite3.DatabaseError as error:
            raise unusable(self._path, error) from error

    def _identify(self, db: sqlite3.Connection) -> tuple[str, int, tuple[str, ...]]:
        """Who this core is. A copied or restored database becomes another core.

        The old one may still run; its attempts lie in its own folders on the nodes. So their
        absence from ours proves nothing: the root they were placed under is forgotten.
        """
        meta = dict(db.execute("SELECT key, value FROM meta"))
        here = stamp(self._path)
        core_id = meta.get("core_id", "")
        former = list(json.loads(meta.get("former_ids", "[]")))
        if core_id and meta.get("stamp") != here:
            former.append(core_id)
            core_id = ""
            db.execute("UPDATE attempts SET root_id = '' WHERE live")
        if not core_id:
            core_id = secrets.token_hex(8)
        epoch = int(meta.get("epoch", "0")) + 1
        new = {
            "core_id": core_id,
            "epoch": str(epoch),
            "stamp": here,
            "former_ids": json.dumps(former),
        }
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(new.items()))
        return core_id, epoch, tuple(former)

    def _load(
        self, db: sqlite3.Connection, core_id: str, epoch: int, adopt: tuple[str, ...]
    ) -> Loaded:
        db.execute("CREATE TEMP TABLE wanted (seq INTEGER PRIMARY KEY)")
        db.execute(
            "INSERT INTO wanted SELECT seq FROM jobs WHERE ended_at IS NULL"
            " UNION SELECT job FROM attempts WHERE live"
            " UNION SELECT seq FROM (SELECT seq FROM jobs WHERE ended_at IS NOT NULL"
            " ORDER BY ended_at DESC LIMIT ?)",
            (RECENT,),
        )
        in_wanted = "job IN (SELECT seq FROM wanted)"
        jobs = db.execute(
            f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE seq IN (SELECT seq FROM wanted)"
            " ORDER BY ended_at, seq"
        )
        tasks = db.execute(f"SELECT {rows.TASK_COLUMNS} FROM tasks WHERE {in_wanted}")
        attempts = db.execute(f"SELECT {rows.ATTEMPT_COLUMNS} FROM attempts WHERE {in_wanted}")
        nodes = db.execute(f"SELECT {rows.NODE_COLUMNS} FROM nodes")
        loaded = Loaded(
            core_id=core_id,
            epoch=epoch,
            adopt=adopt,
            next_job_seq=_next(db, "jobs"),
            next_event_seq=_next(db, "events"),
            jobs=[rows.job_of(row) for row in jobs],
            tasks=[rows.task_of(row) for row in tasks],
            attempts=[rows.attempt_of(row) for row in attempts],
            nodes={row[0]: rows.node_of(row) for row in nodes},
        )
        db.execute("DROP TABLE wanted")
        return loaded

    # ── writing ────────────────────────────────────────────────────────────────────────────────

    async def commit(self, changes: Changes) -> None:
        """Returns when the changes are on disk, all of them. Raises `StoreError` if none is."""
        await self._in(self._writer, lambda: self._commit(changes))

    def _commit(self, changes: Changes) -> None:
        db = self._opened()
        try:
            with _transaction(db):
                for statement, new in _statements(changes):
                    if new:
                        db.executemany(statement, new)
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} can't be written: {error}") from error

    async def prune(self, *, before: float, before_iso: str, usage_before: float) -> None:
        """Drop ended jobs, events and usage older than this; in small steps, between commits."""
        for step in (
            lambda: self._prune_jobs(before),
            lambda: self._prune_events(before_iso),
            lambda: store_usage.prune(self._opened(), usage_before),
        ):
            more = True
            while more:
                try:
                    more = await self._in(self._writer, step)
                except sqlite3.Error as error:
                    raise StoreError(f"{self._path} can't be pruned: {error}") from error
                await asyncio.sleep(_PRUNE_PAUSE_S)

    def _prune_jobs(self, before: float) -> bool:
        db = self._opened()
        old = db.execute(
            "SELECT seq FROM jobs WHERE ended_at < ? AND NOT EXISTS"
            " (SELECT 1 FROM attempts WHERE attempts.job = jobs.seq AND live) LIMIT ?",
            (before, _PRUNE_STEP),
        ).fetchall()
        with _transaction(db):
            for table in ("attempts", "tasks", "revisions"):
                db.executemany(f"DELETE FROM {table} WHERE job = ?", old)
            db.executemany("DELETE FROM jobs WHERE seq = ?", old)
        return len(old) == _PRUNE_STEP

    def _prune_events(self, before_iso: str) -> bool:
        """Events lie in the order of their time: what is old is at the beginning. Beyond the
        bound, what happened by itself goes, and what people did stays until it is old."""
        db = self._opened()
        step = _PRUNE_STEP * 10
        first = db.execute("SELECT seq, at FROM events ORDER BY seq LIMIT ?", (step,)).fetchall()
        old = [seq for seq, at in first if at < before_iso]
        if old:
            db.execute("DELETE FROM events WHERE seq <= ?", (old[-1],))
            return len(old) == step
        (last,) = db.execute("SELECT max(seq) FROM events").fetchone()
        gone = db.execute(
            "DELETE FROM events WHERE seq IN"
            " (SELECT seq FROM events WHERE seq <= ? AND actor = ? ORDER BY seq LIMIT ?)",
            ((last or 0) - MAX_EVENTS, ACTOR, step),
        )
        return gone.rowcount == step

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    async def ended_jobs(self, *, limit: int | None = None, spec: bool = False) -> list[JobDoc]:
        """Jobs that ended, newest first, without their specs unless asked for."""
        return await self._in(
            self._reader, lambda: self._reading().ended_jobs(limit=limit, spec=spec)
        )

    async def job(self, job_id: str) -> JobDoc | None:
        """One job with spec and all its attempts."""
        return await self._in(self._reader, lambda: self._reading().job(job_id))

    async def named(self, name: str) -> list[tuple[str, str]]:
        """(id, owner) of all jobs of this name, newest first."""
        return await self._in(self._reader, lambda: self._reading().named(name))

    async def ended_attempts(self, ids: tuple[str, ...]) -> Mapping[str, str]:
        """Those of these attempts that are known here to have ended, with their nonces."""
        return await self._in(self._reader, lambda: self._reading().ended_attempts(ids))

    async def revisions(self, job_id: str) -> list[RevisionDoc]:
        """The specs that a job has had, the newest first, each with what it changed."""
        return await self._in(self._reader, lambda: self._reading().revisions(job_id))

    async def events(self, query: EventQuery) -> list[EventDoc]:
        """Events oldest first; without `after`, the newest of them."""
        return await self._in(self._reader, lambda: self._reading().events(query))

    async def usage(self, query: UsageQuery, now: float) -> list[UsageRow]:
        """GPU-seconds held and idle, summed by what the query asks for."""
        return await self._in(self._reader, lambda: self._reading().usage(query, now))

    async def close(self) -> None:
        """Finish what is being written and close. May be called twice."""
        self._writer.shutdown(wait=True)
        self._reader.shutdown(wait=True)
        if self._read is not None:
            self._read.close()
            self._read = None
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _reading(self) -> StoreReader:
        if self._read is None:
            self._read = StoreReader(open_readonly(self._folder), self._path)
        return self._read

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError(f"{self._path} isn't open")
        return self._db

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], R]) -> R:
        try:
            working = asyncio.get_running_loop().run_in_executor(pool, work)
        except RuntimeError as error:  # the threads have ended
            raise StoreError(f"{self._path} is closed: the core has ended") from error
        return await working


def _statements(changes: Changes) -> Iterator[tuple[str, Sequence[rows.Row]]]:
    yield _PUT_JOB, [rows.job_row(job) for job in changes.jobs]
    yield _PUT_TASK, [rows.task_row(task) for task in changes.tasks]
    yield _PUT_ATTEMPT, [rows.attempt_row(attempt) for attempt in changes.attempts]
    yield _PUT_NODE, [rows.node_row(node) for node in changes.nodes]
    yield _PUT_EVENT, [rows.event_row(event) for event in changes.events]
    yield _PUT_REVISION, [rows.revision_row(it) for it in changes.revisions]
    yield _DROP_REVISION, [(rows.job_seq(it.job), it.number - KEPT) for it in changes.revisions]
    yield from store_usage.statements(changes)


def _with_usage(db: sqlite3.Connection, loaded: Loaded, hours_since: int | None) -> Loaded:
    return replace(
        loaded,
        accounts=store_usage.accounts(db),
        hours={} if hours_since is None else store_usage.hours(db, hours_since),
        runtimes=store_usage.runtimes(db),
        reservations=store_usage.reservations(db),
        silences=store_usage.silences(db),
        meters=store_usage.meters(db),
    )


def _next(db: sqlite3.Connection, table: str) -> int:
    """The first number that this table never used, pruned rows included."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(found[0]) + 1 if found else 1


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
