"""The store as commands read it, beside a core or without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from flextui.core.adapters import store_rows as rows
from flextui.core.adapters import store_usage
from flextui.core.adapters.store_open import DB_NAME, damaged, open_readonly
from flextui.core.model.docs import ACTOR, EventDoc, JobDoc, RevisionDoc
from flextui.core.model.ids import job_id
from flextui.core.model.job_doc import job_doc
from flextui.core.model.revisions import told
from flextui.core.model.state import Job
from flextui.core.model.usage import UsageQuery, UsageRow
from flextui.core.ports import EventQuery, StoreError

R = TypeVar("R")

_MANY = 500
RUNS = 50
"""Runs of a batch job's name that are told."""


class StoreReader:
    """Jobs, one job and events from the tables. Every call may raise `StoreError`."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The store of a state directory, for reading only. Raises `StoreError`."""
        return cls(open_readonly(folder), folder / DB_NAME)

    def close(self) -> None:
        self._db.close()

    def jobs(
        self, *, ended: bool = True, limit: int | None = None, spec: bool = False
    ) -> list[JobDoc]:
        """Live jobs, then ended ones newest first, without their specs unless asked for."""
        live = self._docs(
            f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE ended_at IS NULL ORDER BY seq", spec=spec
        )
        return live + (self.ended_jobs(limit=limit, spec=spec) if ended else [])

    def ended_jobs(self, *, limit: int | None = None, spec: bool = False) -> list[JobDoc]:
        """Ended jobs, newest first, without their specs unless asked for."""
        return self._docs(
            f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE ended_at IS NOT NULL"
            " ORDER BY ended_at DESC, seq DESC LIMIT ?",
            -1 if limit is None else limit,
            spec=spec,
        )

    def job(self, job: str) -> JobDoc | None:
        """One job with its spec."""
        found = self._docs(
            f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE seq = ?", rows.job_seq(job), spec=True
        )
        return found[0] if found else None

    def named(self, name: str) -> list[tuple[str, str]]:
        """(id, owner) of all jobs of this name, newest first."""
        found = self._all("SELECT seq, owner FROM jobs WHERE name = ? ORDER BY seq DESC", name)
        return [(job_id(seq), owner) for seq, owner in found]

    def ended_attempts(self, ids: tuple[str, ...]) -> dict[str, str]:
        """Those of these attempts that are known here to have ended, with their nonces."""
        found: dict[str, str] = {}
        for part in _parts(list(ids)):
            marks = ", ".join("?" * len(part))
            seqs = [rows.job_seq(it.partition(".")[0]) for it in part]
            places = ", ".join("?" * len(seqs))
            found.update(
                self._all(
                    f"SELECT id, nonce FROM attempts WHERE job IN ({places}) AND id IN ({marks})"
                    " AND NOT live",
                    *seqs,
                    *part,
                )
            )
        return found

    def revisions(self, job: str) -> list[RevisionDoc]:
        """The specs of a job, of a batch job those of its owner's runs of that name as well:
        newest first, each with what it changed."""
        seq = rows.job_seq(job)
        kind = self._all("SELECT type, name, owner FROM jobs WHERE seq = ?", seq)
        if not kind:
            return []
        type_, name, owner = kind[0]
        newest = f"SELECT {rows.JOB_COLUMNS} FROM jobs WHERE "
        if type_ == "batch":
            found = self._all(
                f"{newest} name = ? AND owner = ? ORDER BY seq DESC LIMIT ?", name, owner, RUNS
            )
        else:
            found = self._all(f"{newest} seq = ?", seq)
        jobs = [rows.job_of(row) for row in found]
        marks = ", ".join("?" * len(jobs))
        past = self._all(
            f"SELECT job, revision, at, by, spec FROM revisions WHERE job IN ({marks})",
            *(it.seq for it in jobs),
        )
        return told(jobs, [rows.revision_of(row) for row in past])

    def events(self, query: EventQuery) -> list[EventDoc]:
        """Events oldest first; without `after`, the newest of them."""
        asked = {"job = ?": query.job, "node = ?": query.node, "actor = ?": query.actor}
        tests = {test: value for test, value in asked.items() if value is not None}
        where = " AND ".join(["seq > ?", *tests, *(["actor <> ?"] if query.audit else [])])
        values = [query.after, *tests.values(), *([ACTOR] if query.audit else [])]
        order = "seq" if query.after else "seq DESC"
        found = self._all(
            f"SELECT {rows.EVENT_COLUMNS} FROM events WHERE {where} ORDER BY {order} LIMIT ?",
            *values,
            query.limit,
        )
        return [rows.event_of(row) for row in (found if query.after else reversed(found))]

    def usage(self, query: UsageQuery, now: float) -> list[UsageRow]:
        """GPU-seconds held and idle by name, the most first; live work counts up to `now`."""
        return self._guarded(lambda: store_usage.summed(self._db, query, now))

    def _docs(self, query: str, *values: Any, spec: bool = False) -> list[JobDoc]:
        jobs = [rows.job_of(row) for row in self._all(query, *values)]
        docs: list[JobDoc] = []
        for part in _parts(jobs):
            docs += self._docs_of(part, spec)
        return docs

    def _docs_of(self, jobs: list[Job], spec: bool) -> list[JobDoc]:
        seqs = [job.seq for job in jobs]
        where = f"job IN ({', '.join('?' * len(seqs))})"
        tasks = self._all(f"SELECT {rows.TASK_COLUMNS} FROM tasks WHERE {where}", *seqs)
        attempts = self._all(f"SELECT {rows.ATTEMPT_COLUMNS} FROM attempts WHERE {where}", *seqs)
        by_job = rows.grouped(map(rows.task_of, tasks), map(rows.attempt_of, attempts))
        return [job_doc(job, by_job.get(job.id, []), spec=spec) for job in jobs]

    def _all(self, query: str, *values: Any) -> list[Any]:
        return self._guarded(lambda: self._db.execute(query, values).fetchall())

    def _guarded(self, read: Callable[[], R]) -> R:
        try:
            return read()
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self._path} can't be read: {error}") from error
        except sqlite3.DatabaseError as error:
            raise damaged(self._path, str(error)) from error


def _parts(items: list[Any]) -> list[list[Any]]:
    return [items[at : at + _MANY] for at in range(0, len(items), _MANY)]
