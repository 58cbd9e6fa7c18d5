"""What a job's specs were, one after the other: for comparing them, and for going back.

A service, a system or a cron job that is handed in again gets a new revision; a batch job gets a
new run with an id of its own, so its runs are compared instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flextui.core.model.docs import RevisionDoc
from flextui.core.model.state import Job
from flextui.core.model.times import iso_or_none

KEPT = 200
"""Revisions of a job that are kept, the newest."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A spec that a job has, or has had. Durable once the job has had more than one."""

    job: str
    number: int
    at: float | None
    """Wall time at which it was handed in; None where nobody wrote it down."""
    by: str
    spec_json: str


def now_and_before(before: Job, after: Job, at: float) -> tuple[Revision, Revision]:
    """What is written down when a job gets another spec."""
    since = before.submitted_at if before.revision == 1 else None
    return (
        Revision(before.id, before.revision, since, before.owner, before.spec_json),
        Revision(after.id, after.revision, at, after.owner, after.spec_json),
    )


def told(jobs: Sequence[Job], past: Sequence[Revision]) -> list[RevisionDoc]:
    """Jobs newest first (one, or the runs of a name) with what is written down of their revisions:
    all as documents, newest first, each with what it changed."""
    rows: list[RevisionDoc] = []
    for job in jobs:
        mine = {it.number: it for it in past if it.job == job.id}
        rows.append(_row(job, mine.get(job.revision)))
        rows += [_past(mine[number]) for number in sorted(mine, reverse=True)
                 if number < job.revision]  # fmt: skip
    for row, before in pairwise(rows):
        row["diff"] = differences(before["spec"], row["spec"])
    return rows


def _row(job: Job, known: Revision | None) -> RevisionDoc:
    at = known.at if known else job.submitted_at if job.revision == 1 else None
    return {
        "id": job.id, "revision": job.revision, "at": iso_or_none(at),
        "by": known.by if known else job.owner, "state": str(job.state),
        "spec": json.loads(job.spec_json), "diff": [],
    }  # fmt: skip


def _past(it: Revision) -> RevisionDoc:
    return {
        "id": it.job, "revision": it.number, "at": iso_or_none(it.at), "by": it.by, "state": "",
        "spec": json.loads(it.spec_json), "diff": [],
    }  # fmt: skip


def differences(old: Any, new: Any, path: str = "") -> list[dict[str, Any]]:
    """`[{"field": "env.LR", "old": "0.1", "new": "0.05"}]` of two specs as JSON, in their order."""
    if old == new:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [{"field": path, "old": old, "new": new}]
    found: list[dict[str, Any]] = []
    for key in [*old, *(key for key in new if key not in old)]:
        inner = f"{path}.{key}" if path else str(key)
        found += differences(old.get(key), new.get(key), inner)
    return found


def change_text(change: dict[str, Any]) -> str:
    """`env.LR: 0.1 → 0.05`; what wasn't there or is there no more is a dash."""
    return f"{change['field']}: {_value(change['old'])} → {_value(change['new'])}"


def _value(value: Any) -> str:
    if value is None or value in ({}, [], ""):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
