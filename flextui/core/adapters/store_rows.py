"""Rows of the store and the core's records, each made from the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from flextui.core.model.docs import EventDoc
from flextui.core.model.ids import TaskKey, job_id
from flextui.core.model.revisions import Revision
from flextui.core.model.state import (
    Attempt,
    AttemptState,
    Job,
    JobState,
    Mark,
    Node,
    StopRequest,
    Task,
)
from flextui.core.ports import NodeRecord

Row = tuple[Any, ...]

_JOB = re.compile("j[0-9]{1,18}")
"""More digits than a row's number has are no job's."""

JOB_COLUMNS = (
    "seq, name, owner, owner_uid, type, revision, spec, submitted_at, priority, count, state,"
    " reason, ended_at, stop, project, groups, begin_at, deadline_at, hold"
)
TASK_COLUMNS = (
    "job, idx, state, reason, reason_code, node, attempts, active, failures, not_before, ready_at,"
    " retired, restart, ended_at, exit_code, served_s"
)
ATTEMPT_COLUMNS = (
    "job, idx, number, id, revision, node, host_id, boot, root_id, gpus, cpus, memory_bytes,"
    " state, live, placed_at, started_at, ended_at, exit_code, signal, reason, why, stop,"
    " replaced, acked, lease_s, mem_limit, last_lines, nonce, share, gpu_memory_bytes, cpu_set,"
    " gang, master, borrowed"
)
NODE_COLUMNS = "name, host_id, root_path, root_id, drain, cordon, cordoned_gpus"
EVENT_COLUMNS = "seq, at, kind, actor, job, task, attempt, node, text"


def upsert(table: str, columns: str) -> str:
    """The statement that writes a whole row of this table."""
    marks = ", ".join("?" * (columns.count(",") + 1))
    return f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})"


def job_seq(job: str) -> int:
    """The number in a job's id; -1, which no job has, for anything else."""
    return int(job[1:]) if _JOB.fullmatch(job) else -1


# ── records to rows ────────────────────────────────────────────────────────────────────────────


def job_row(job: Job) -> Row:
    return (
        job.seq, job.name, job.owner, job.owner_uid, job.type, job.revision,
        job.spec_json, job.submitted_at, job.priority, job.count, job.state.value, job.reason,
        job.ended_at, _stop_text(job.stop), job.project, json.dumps(job.groups), job.begin_at,
        job.deadline_at, _mark_text(job.hold),
    )  # fmt: skip


def task_row(task: Task) -> Row:
    return (
        job_seq(task.key.job), task.key.index, task.state.value, task.reason, task.reason_code,
        task.node, task.attempts, task.active, json.dumps(task.failures), task.not_before,
        task.ready_at, task.retired, _stop_text(task.restart), task.ended_at, task.exit_code,
        task.served_s,
    )  # fmt: skip


def attempt_row(it: Attempt) -> Row:
    return (
        job_seq(it.task.job), it.task.index, it.number, it.id, it.revision, it.node, it.host_id,
        it.boot, it.root_id, json.dumps(it.gpus), it.cpus, it.memory_bytes, it.state.value,
        it.state.live, it.placed_at, it.started_at, it.ended_at, it.exit_code, it.signal,
        it.reason, it.why, _stop_text(it.stop), it.replaced, it.acked, it.lease_s, it.limit,
        it.last_lines, it.nonce, it.share, it.gpu_memory_bytes, json.dumps(it.cpu_set), it.gang,
        it.master, it.borrowed,
    )  # fmt: skip


def node_row(node: Node) -> Row:
    marks = {uuid: _mark(mark) for uuid, mark in node.cordoned_gpus.items()}
    return (
        node.name, node.host_id, node.root_path, node.root_id, _mark_text(node.drain),
        _mark_text(node.cordon), json.dumps(marks),
    )  # fmt: skip


def event_row(event: EventDoc) -> Row:
    return (
        event["seq"], event["at"], event["kind"], event["actor"], event["job"], event["task"],
        event["attempt"], event["node"], event["text"],
    )  # fmt: skip


def revision_row(it: Revision) -> Row:
    return (job_seq(it.job), it.number, it.at, it.by, it.spec_json)


def _stop_text(stop: StopRequest | None) -> str | None:
    return None if stop is None else json.dumps((stop.by, stop.at, stop.why, stop.code))


def _mark(mark: Mark) -> tuple[str, float, str]:
    return (mark.by, mark.at, mark.why)


def _mark_text(mark: Mark | None) -> str | None:
    return None if mark is None else json.dumps(_mark(mark))


# ── rows to records ────────────────────────────────────────────────────────────────────────────


def job_of(row: Row) -> Job:
    (
        seq, name, owner, uid, type_, revision, spec, submitted, priority, count, state,
        reason, ended, stop, project, groups, begin, deadline, hold,
    ) = row  # fmt: skip
    return Job(
        id=job_id(seq), seq=seq, name=name, owner=owner, owner_uid=uid, type=type_,
        revision=revision, spec_json=spec, submitted_at=submitted, priority=priority, count=count,
        state=JobState(state), reason=reason, ended_at=ended, stop=_stop_of(stop),
        project=project, groups=tuple(json.loads(groups)), begin_at=begin, deadline_at=deadline,
        hold=None if (mark := _mark_of(hold)) is None else Mark(*mark),
    )  # fmt: skip


def task_of(row: Row) -> Task:
    (
        job, index, state, reason, code, node, attempts, active, failures, not_before, ready,
        retired, restart, ended, exit_code, served,
    ) = row  # fmt: skip
    return Task(
        key=TaskKey(job_id(job), index), state=JobState(state), reason=reason, reason_code=code,
        node=node, attempts=attempts, active=active, failures=tuple(json.loads(failures)),
        not_before=not_before, ready_at=ready, retired=bool(retired), restart=_stop_of(restart),
        ended_at=ended, exit_code=exit_code, served_s=served,
    )  # fmt: skip


def attempt_of(row: Row) -> Attempt:
    (
        job, index, number, id_, revision, node, host_id, boot, root_id, gpus, cpus, memory,
        state, _, placed, started, ended, exit_code, signal, reason, why, stop, replaced, acked,
        lease, limit, last_lines, nonce, share, gpu_memory, cpu_set, gang, master, borrowed,
    ) = row  # fmt: skip
    return Attempt(
        id=id_, task=TaskKey(job_id(job), index), number=number, revision=revision, node=node,
        host_id=host_id, boot=boot, root_id=root_id, gpus=tuple(json.loads(gpus)), cpus=cpus,
        memory_bytes=memory, state=AttemptState(state), placed_at=placed, started_at=started,
        ended_at=ended, exit_code=exit_code, signal=signal, reason=reason, why=why,
        stop=_stop_of(stop), replaced=bool(replaced), acked=bool(acked), lease_s=lease,
        limit=limit, last_lines=last_lines, nonce=nonce, share=share, gpu_memory_bytes=gpu_memory,
        cpu_set=tuple(json.loads(cpu_set)), gang=gang, master=master, borrowed=bool(borrowed),
    )  # fmt: skip


def node_of(row: Row) -> NodeRecord:
    name, host_id, root_path, root_id, drain, cordon, gpus = row
    marks = {uuid: (by, at, why) for uuid, (by, at, why) in json.loads(gpus).items()}
    return NodeRecord(
        name=name, host_id=host_id, root_path=root_path, root_id=root_id,
        drain=_mark_of(drain), cordon=_mark_of(cordon), cordoned_gpus=marks,
    )  # fmt: skip


def revision_of(row: Row) -> Revision:
    seq, number, at, by, spec = row
    return Revision(job_id(seq), number, at, by, spec)


def event_of(row: Row) -> EventDoc:
    seq, at, kind, actor, job, task, attempt, node, text = row
    return {
        "seq": seq, "at": at, "kind": kind, "actor": actor, "job": job, "task": task,
        "attempt": attempt, "node": node, "text": text,
    }  # fmt: skip


def _stop_of(text: str | None) -> StopRequest | None:
    return None if text is None else StopRequest(*json.loads(text))


def _mark_of(text: str | None) -> tuple[str, float, str] | None:
    if text is None:
        return None
    by, at, why = json.loads(text)
    return (by, at, why)


def grouped(tasks: Iterable[Task], attempts: Iterable[Attempt]) -> dict[str, list[Any]]:
    """Tasks with their attempts, by job: what `job_doc` takes."""
    rows: dict[TaskKey, tuple[Task, list[Attempt]]] = {task.key: (task, []) for task in tasks}
    for attempt in attempts:
        if attempt.task in rows:
            rows[attempt.task][1].append(attempt)
    by_job: dict[str, list[Any]] = {}
    for key, row in rows.items():
        by_job.setdefault(key.job, []).append(row)
    return by_job
