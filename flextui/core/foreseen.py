"""Pure: what can be told of a fleet before its core is open, from its inventory and from what the
last core left.

Opening a core takes longer than a person waits for a first picture: models, SSH and the store have
to be imported and checked. So the inventory is only looked through here. What is wrong with it is
left out; the core finds it a moment later, and says it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flextui.core.model.docs import Delta, NodeDoc
from flextui.core.model.names import mark_text, short_name
from flextui.core.model.times import iso
from flextui.core.model.tree import Fields, Items, Node, Value

Marked = tuple[str, float, str]
"""By whom, from when on and why."""


@dataclass(frozen=True, slots=True)
class Left:
    """What the last core left."""

    jobs: dict[str, list[str]] = field(default_factory=dict)
    """The full names of the jobs that had live attempts, by node."""
    drained: dict[str, Marked] = field(default_factory=dict)
    """By node."""
    cordoned: dict[str, Marked] = field(default_factory=dict)
    live: int = 0
    running: int = 0
    """Jobs."""


def foreseen(
    inventory: bytes | None, hostname: str, left: Left, now: float, *, simulated: bool = False
) -> Delta | None:
    """The view of a core that has just begun, as far as that is known. Without an inventory it is
    this machine alone; None where the inventory names no nodes."""
    found = _alone(hostname) if inventory is None else _listed(inventory)
    if found is None:
        return None
    fleet, boxes = found
    nodes = {name: _node(name, *box, left, iso(now)) for name, box in boxes.items()}
    return {
        "revision": 0,
        "full": True,
        "fleet": {
            "fleet": fleet,
            "inventory": "",
            "core": "",
            "core_pid": 0,
            "version": "",
            "headless": False,
            "started_at": iso(now),
            "read_only": "",
            "replacement_paused": "",
            "gpus_total": 0,
            "gpus_used": 0,
            "pending": left.live - left.running,
            "running": left.running,
            "problems": 0,
            "simulated": simulated,
        },
        "jobs": {},
        "nodes": dict(nodes),
    }


Box = tuple[str, str, dict[str, str]]
"""Host, transport, labels."""


def _alone(hostname: str) -> tuple[str, dict[str, Box]]:
    name = short_name(hostname)
    return name, {name: (name, "local", {})}


def _listed(inventory: bytes) -> tuple[str, dict[str, Box]] | None:
    from flextui.core.model.document import load

    documents, _ = load(inventory, "")
    root = documents[0].root if documents else None
    nodes = _at(root, "nodes")
    if not isinstance(nodes, Items):
        return None
    return _text(_at(root, "fleet")) or "fleet", dict(_boxes(nodes))


def _boxes(nodes: Items) -> Iterator[tuple[str, Box]]:
    for node in nodes.items:
        transport = _text(_at(node, "transport")) or "ssh"
        host = _text(_at(node, "host")) or ("localhost" if transport == "local" else "")
        labels = _at(node, "labels")
        named = labels.fields.items() if isinstance(labels, Fields) else ()
        if name := _text(_at(node, "name")) or host:
            yield name, (host, transport, {key: _text(value) for key, (_, value) in named})


def _at(node: Node | None, key: str) -> Node | None:
    return node.fields[key][1] if isinstance(node, Fields) and key in node.fields else None


def _text(node: Node | None) -> str:
    """A scalar as it was written; empty for anything else."""
    return node.text if isinstance(node, Value) and node.value is not None else ""


def _node(
    name: str, host: str, transport: str, labels: dict[str, str], left: Left, since: str
) -> NodeDoc:
    drain, cordon = left.drained.get(name), left.cordoned.get(name)
    marks = (("drained", drain), ("cordoned", cordon))
    return {
        "name": name,
        "host": host,
        "transport": transport,
        "state": "connecting",
        "reason": "; ".join(mark_text(word, it[0], it[2]) for word, it in marks if it),
        "since": since,
        "drained": drain is not None,
        "drains_at": iso(drain[1]) if drain else None,
        "cordoned": cordon is not None,
        "driver": "",
        "labels": labels,
        "cpus": 0.0,
        "cpus_used": 0.0,
        "memory_bytes": 0,
        "memory_promised_bytes": 0,
        "memory_used_bytes": 0,
        "cpu": None,
        "load": [],
        "disk_bytes": 0,
        "disk_free_bytes": 0,
        "gpus": [],
        "jobs": left.jobs.get(name, []),
        "orphans": [],
        "facts": {},
        "nvml": "",
    }
