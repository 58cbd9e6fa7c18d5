"""What a core would answer about the fixed fleet of `fake_client`: pasts, queue, placement,
revisions, events."""

from __future__ import annotations

from typing import Any, cast

from flextui.core.commands import History, ListEvents
from flextui.core.events_view import wanted
from flextui.core.model.docs import EventDoc, NodeDoc
from flextui.core.model.revisions import differences

GIB = 1 << 30


def ups_and_downs(steps: int, top: int) -> list[float | None]:
    """A little that is unknown, then work that comes and goes."""
    return [None] * 4 + [float(step * 7 % (top + 1)) for step in range(steps - 4)]


def history(command: History, nodes: list[NodeDoc]) -> dict[str, Any]:
    """Five minutes of a node, or twenty of an attempt. Nothing comes after them."""
    if command.job:
        series = {
            "cpu": ups_and_downs(40, 8), "busy": ups_and_downs(40, 100),
            "memory": [float(n % 9 * GIB) for n in range(40)],
            "gpu_memory": [float(min(n, 20) * 3 * GIB) for n in range(40)],
        }  # fmt: skip
        track = {"attempt": f"{command.job}.0.1", "node": "gpu1", "since": "2026-11-23T12:00:00Z",
                 "every_s": 30.0, "series": series}  # fmt: skip
        return {"tracks": [track]}
    until, count = 359_104_559, 0 if command.after else 60
    node = next(it for it in nodes if it["name"] == command.node)
    tops = {"busy": 100, "memory": 90, "temperature": 81, "power": 390}
    gpus = {
        gpu["uuid"]: {
            name: ups_and_downs(60, top if gpu["state"] == "used" else 0)[:count]
            for name, top in tops.items()
        }
        for gpu in node["gpus"]
    }
    own = {name: ups_and_downs(60, top)[:count] for name, top in
           {"cpu": 90, "memory": 40, "disk": 66, "load": 12}.items()}  # fmt: skip
    return {"past": {"every_s": 5.0, "until": until, "node": own, "gpus": gpus}}


def block(code: str, text: str, *nodes: str, held: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"code": code, "text": text, "nodes": list(nodes), "device": None,
            "held_by": list(held), "clears": ""}  # fmt: skip


BLOCKS = [
    block("gpus_cordoned", "7 of 8 GPUs free; GPU 3 cordoned: XID 79", "gpu4"),
    block("gpu_model", "no H100", "gpu1", "gpu2", "gpu3"),
]
FACTORS = [
    {"name": "priority", "weight": 1000.0, "value": 0.5, "text": "its own priority"},
    {"name": "age", "weight": 200.0, "value": 0.06, "text": "has waited 14m"},
    {"name": "fair share", "weight": 500.0, "value": 0.42, "text": "bob's part: 31 %"},
]
EXPECTED = {"at": "2026-11-24T14:40:00.000Z", "latest": "2026-11-24T17:10:00.000Z",
            "sureness": "likely", "text": "how long such jobs ran before"}  # fmt: skip


def queue() -> dict[str, Any]:
    row = {
        "position": 1, "id": "j4", "owner": "bob", "name": "llama-pre-2", "project": "vision",
        "task": 0, "nodes": 1, "asks": "8 GPUs, 8 CPUs", "priority": 50,
        "waits_since": "2026-11-24T11:46:00Z", "factors": FACTORS,
        "reason": "needs 8 GPUs: gpu4 7 of 8 usable", "reason_code": "gpus_cordoned",
        "expected": EXPECTED,
    }  # fmt: skip
    return {"queue": [row], "waiting": 1, "looked_until": None}


def placement(job: str) -> dict[str, Any]:
    ends = {
        "j1.0.1": {"at": "2026-11-24T14:40:00Z", "latest": "2026-11-24T17:10:00Z",
                   "sureness": "likely"},
        **{f"j2.{n}.1": {"at": None, "latest": None, "sureness": "unknown"} for n in range(3)},
    }  # fmt: skip
    uuids = [f"GPU-gpu1-{n}" for n in range(8)]
    wants = {
        "id": "j4", "summary": "needs 8 GPUs: gpu4 7 of 8 usable", "blocks": BLOCKS,
        "expected": EXPECTED, "would_help": ["with 7 GPUs instead of 8: now"],
        "places": [{"node": "gpu1", "gpus": uuids, "at": "2026-11-24T14:40:00Z",
                    "ends": ["j1.0.1"]}],
    }  # fmt: skip
    return {"ends": ends, "wants": wants if job == "j4" else None}


SHOWN: dict[str, Any] = {
    "id": "j1", "name": "train", "owner": "bob", "revision": 1, "priority": 50, "count": 1,
    "spec": {"name": "train", "type": "batch", "run": "set -e\npython train.py --lr 0.1",
             "resources": {"gpus": 6, "gpu_model": ["a100"]}, "env": {"LR": "0.1"}},
}  # fmt: skip


EDIT: dict[str, Any] = {
    "name": "train", "action": "revise", "revision": 1, "to": 2, "warnings": [],
    "diff": [{"field": "env.LR", "old": "0.1", "new": "0.05", "effect": "restart"}],
    "quotas": [{"whose": "vision", "gpus": 12.0, "of": 16.0}],
    "tasks": [{"index": 0, "node": "gpu1", "gpus": [0, 1, 2, 3, 4, 5], "restarts": ["env.LR"],
               "from": "gpu1"}],
}  # fmt: skip
"""The plan of an edit of `SHOWN`."""


def revisions(job: str) -> dict[str, Any]:
    specs: list[dict[str, Any]] = [
        {"name": "chat-api", "type": "service", "run": "serve --port 80\nwait", "count": 3,
         "env": {"LR": "0.05", "MODEL": "llama"}},
        {"name": "chat-api", "type": "service", "run": "serve --port 81\nwait", "count": 2,
         "env": {"LR": "0.1"}},
    ]  # fmt: skip
    rows = [
        {"id": job, "revision": 2 - n, "at": f"2026-11-2{4 - n}T09:00:00Z", "by": "web",
         "state": "" if n else "running", "spec": spec, "diff": []}
        for n, spec in enumerate(specs)
    ]  # fmt: skip
    rows[0]["diff"] = differences(specs[1], specs[0])
    return {"job": job, "name": "chat-api", "owner": "web", "revisions": rows}


def event(seq: int, kind: str, actor: str, text: str, **of: Any) -> EventDoc:
    base = {"seq": seq, "at": f"2026-11-24T11:{seq:02}:00.000Z", "kind": kind, "actor": actor,
            "job": None, "task": None, "attempt": None, "node": None, "text": text}  # fmt: skip
    return cast(EventDoc, {**base, **of})


EVENTS = [
    event(1, "job.submitted", "bob", "bob/train", job="j1"),
    event(2, "attempt.started", "flextui", "j1.0.1 on gpu1", job="j1", attempt="j1.0.1",
          node="gpu1"),
    event(3, "audit.cordon", "alice", "gpu1 GPU 7: fans", node="gpu1"),
    event(4, "node.lost", "flextui", "gpu5: no answer for 38s", node="gpu5"),
]  # fmt: skip


def events(command: ListEvents) -> dict[str, Any]:
    return {"events": [it for it in EVENTS if wanted(it, command)]}
