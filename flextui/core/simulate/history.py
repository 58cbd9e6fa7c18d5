"""The real history of a fleet, as a trace: what was submitted, by whom, and how long it ran.

One JSON object a line: first the fleet (`nodes`, and what of its inventory the scheduler looks
at), then a job a line. Of a spec only what decides where and when a job runs is told; commands,
environments and paths are left out, so that a history can be handed on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any

from pydantic import ValidationError

from flextui.core.model.docs import JobDoc, NodeDoc, TaskDoc
from flextui.core.model.inventory import Inventory
from flextui.core.model.policy import Policy
from flextui.core.model.problems import MAX_PROBLEMS, BadInput, BadValue, Problem
from flextui.core.model.spec import JobSpec
from flextui.core.model.times import iso
from flextui.core.simulate.trace import Box, BoxGpu, Trace, TraceJob

KIND, VERSION = "history", 1
SETTINGS = ("policy", "projects", "users", "volumes", "reservations", "maintenance")
"""What of an inventory decides."""
_TOLD = (
    "name",
    "type",
    "priority",
    "resources",
    "count",
    "where",
    "time_limit",
    "project",
    "nodes",
    "begin",
    "deadline",
    "preempt",
    "interactive",
    "volumes",
)
"""What of a spec decides."""


# ── writing ────────────────────────────────────────────────────────────────────────────────────


def history_lines(
    jobs: Iterable[JobDoc], boxes: Sequence[Box], inventory: Inventory | None, now: float
) -> Iterator[str]:
    """The lines of a history. The jobs come with their specs."""
    settings = inventory.to_json() if inventory is not None else {"policy": Policy().to_json()}
    yield _line(
        {
            "flextui": KIND,
            "version": VERSION,
            "exported_at": iso(now),
            "nodes": [_box_doc(box) for box in boxes],
            "inventory": {name: settings[name] for name in SETTINGS if name in settings},
        }
    )
    for job in sorted(jobs, key=lambda job: (job["submitted_at"], int(job["id"][1:]))):
        yield _line(_job_doc(job, now))


def _line(doc: Mapping[str, Any]) -> str:
    return json.dumps(doc, separators=(",", ":"))


def _box_doc(box: Box) -> dict[str, Any]:
    return {
        "name": box.name,
        "cpus": box.cpus,
        "memory_bytes": box.memory_bytes,
        "labels": dict(box.labels),
        "share": box.share,
        "gpus": [{"model": gpu.model, "memory_bytes": gpu.memory_bytes} for gpu in box.gpus],
    }


def _job_doc(job: JobDoc, now: float) -> dict[str, Any]:
    starts = [
        attempt["started_at"]
        for task in job["tasks"]
        for attempt in task["attempts"]
        if attempt["started_at"]
    ]
    spec = job["spec"]
    return {
        "id": job["id"],
        "owner": job["owner"],
        "groups": job.get("groups", []),
        "state": job["state"],
        "submitted_at": job["submitted_at"],
        "started_at": min(starts, default=None),
        "ended_at": job["ended_at"],
        "ran_s": max((_ran_s(task, spec, now) for task in job["tasks"]), default=0.0),
        "spec": {name: spec[name] for name in _TOLD if name in spec},
    }


def _ran_s(task: TaskDoc, spec: Mapping[str, Any], now: float) -> float:
    """How long a task's work took: its last attempt's time; of all, where it went on from each."""
    ran = [
        (_unix(attempt["ended_at"]) if attempt["ended_at"] else now) - _unix(attempt["started_at"])
        for attempt in task["attempts"]
        if attempt["started_at"]
    ]
    if not ran:
        return 0.0
    return round(sum(ran) if spec.get("preempt") == "resume" else ran[-1], 3)


def boxes_of_nodes(nodes: Iterable[NodeDoc], inventory: Inventory | None) -> tuple[Box, ...]:
    """The nodes as a core knows them; those that it has never seen are left out."""
    boxes = []
    for node in nodes:
        if not node["memory_bytes"]:
            continue
        spec = inventory.node(node["name"]) if inventory is not None else None
        gpus = tuple(BoxGpu(gpu["model"], gpu["memory_bytes"]) for gpu in node["gpus"])
        share = spec is not None and any(spec.gpus.shares(gpu["index"]) for gpu in node["gpus"])
        boxes.append(
            Box(node["name"], node["cpus"], node["memory_bytes"], gpus, node["labels"], share)
        )
    return tuple(boxes)


# ── reading ────────────────────────────────────────────────────────────────────────────────────


class _Bad(Exception):
    """A line isn't what it should be."""


def read_history(name: str, lines: Sequence[str]) -> Trace:
    """The trace that `history_lines` wrote. Raises `BadInput` with every problem."""
    problems: list[Problem] = []
    head: Mapping[str, Any] = {}
    jobs: list[dict[str, Any]] = []
    specs: list[JobSpec] = []
    boxes: tuple[Box, ...] = ()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            doc = _object(line)
            if not head:
                head, boxes = _head(doc)
                continue
            specs.append(_checked(doc))
            jobs.append(doc)
        except json.JSONDecodeError as error:
            what = f"not a line of JSON: {error.msg}"
            problems.append(Problem(name, number, error.colno, what, "one object a line"))
        except (_Bad, BadValue) as error:
            problems.append(Problem(name, number, 1, str(error)))
        if len(problems) > MAX_PROBLEMS or (problems and not head):
            break
    if not problems and not jobs:
        problems.append(Problem(name, max(1, len(lines)), 1, "there is no job in it"))
    if problems:
        raise BadInput(problems)
    return _trace(name, head, boxes, jobs, specs)


def _object(line: str) -> dict[str, Any]:
    doc = json.loads(line)
    if not isinstance(doc, dict):
        raise _Bad("not an object; expected {…}")
    return doc


def _head(doc: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Box, ...]]:
    if doc.get("flextui") != KIND or doc.get("version") != VERSION:
        expected = f'"flextui": "{KIND}" and "version": {VERSION} in the first line'
        raise _Bad(f"not a history that this version reads; expected {expected}")
    try:
        _unix(doc["exported_at"])
        settings = doc.get("inventory", {})
        Inventory.model_validate({"nodes": [{"host": "any"}], **settings})
        return doc, tuple(_box(it) for it in doc["nodes"])
    except (KeyError, TypeError, ValueError) as error:
        raise _Bad(f"the first line isn't whole: {_told(error)}") from error


def _box(doc: Mapping[str, Any]) -> Box:
    gpus = tuple(BoxGpu(str(it["model"]), int(it["memory_bytes"])) for it in doc["gpus"])
    return Box(
        str(doc["name"]),
        float(doc["cpus"]),
        int(doc["memory_bytes"]),
        gpus,
        {str(name): str(value) for name, value in doc.get("labels", {}).items()},
        bool(doc.get("share", False)),
    )


def _checked(doc: Mapping[str, Any]) -> JobSpec:
    """The spec of a line of which everything that is used is there."""
    try:
        for moment in ("submitted_at", "started_at", "ended_at"):
            if moment == "submitted_at" or doc[moment] is not None:
                _unix(doc[moment])
        if not 0 <= float(doc["ran_s"]) < 1e12 or not isinstance(doc["owner"], str):
            raise _Bad("ran_s or owner is out of range")
        return JobSpec.from_json({**doc["spec"], "run": "true"})
    except (KeyError, TypeError, ValueError) as error:
        raise _Bad(f"not a job: {_told(error)}") from error


def _told(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)


def _trace(
    name: str,
    head: Mapping[str, Any],
    boxes: tuple[Box, ...],
    docs: Sequence[Mapping[str, Any]],
    specs: Sequence[JobSpec],
) -> Trace:
    until = _unix(head["exported_at"])
    began = min(_unix(doc["submitted_at"]) for doc in docs)
    jobs = []
    unknown = live = 0
    for doc, spec in zip(docs, specs, strict=True):
        if doc["started_at"] is None and doc["ended_at"] is None:
            unknown += 1
            continue
        live += doc["ended_at"] is None
        jobs.append(_job(doc, spec, began, until))
    notes = []
    if unknown:
        notes.append(f"{unknown} never started and still wait: nobody knows how long they run")
    if live:
        notes.append(f"{live} still ran: they count as having ended then")
    settings = head.get("inventory", {})
    return Trace(name, tuple(jobs), began, boxes=boxes, settings=settings, notes=tuple(notes))


def _job(doc: Mapping[str, Any], spec: JobSpec, began: float, until: float) -> TraceJob:
    submitted = _unix(doc["submitted_at"])
    started = doc["started_at"]
    ended = until if doc["ended_at"] is None else _unix(doc["ended_at"])
    lasting = spec.type != "batch"
    taken_back = lasting or (doc["state"] == "stopped" and started is None)
    ran = float(doc["ran_s"])
    return TraceJob(
        at=submitted - began,
        run_s=inf if lasting else ran,
        owner=doc["owner"],
        project=spec.project,
        name=spec.name,
        spec=spec,
        groups=tuple(map(str, doc.get("groups", ()))),
        stopped_at=ended - began if taken_back else None,
        waited_s=None if lasting else max(0.0, ended - submitted - ran),
        ended_at=ended - began,
    )


def _unix(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
