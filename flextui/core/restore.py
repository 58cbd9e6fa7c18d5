"""Pure: the Snapshot that a core begins with, from what its store held."""

from __future__ import annotations

from dataclasses import replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.inventory import Inventory, NodeSpec
from flextui.core.model.state import Mark, Node, NodeStatus, Now, Snapshot
from flextui.core.ports import Loaded, NodeRecord
from flextui.core.reduce.devices import declared_gpus


def restored(loaded: Loaded, inventory: Inventory, now: Now) -> Snapshot:
    """The nodes of the inventory, unconnected, and every job the store gave."""
    by_job: dict[str, list[TaskKey]] = {}
    for task in loaded.tasks:
        by_job.setdefault(task.key.job, []).append(task.key)
    by_node: dict[str, set[str]] = {}
    for attempt in loaded.attempts:
        if attempt.state.live:
            by_node.setdefault(attempt.node, set()).add(attempt.id)
    nodes = {spec.name: _node(spec, loaded.nodes.get(spec.name), now) for spec in inventory.nodes}
    for name in by_node:
        if name not in nodes:
            nodes[name] = _gone(name, now)
    return Snapshot(
        revision=1,
        inventory=inventory,
        jobs={job.id: job for job in loaded.jobs if not job.state.ended},
        recent={job.id: job for job in loaded.jobs if job.state.ended},
        tasks={task.key: task for task in loaded.tasks},
        attempts={attempt.id: attempt for attempt in loaded.attempts},
        nodes=nodes,
        by_job={job: tuple(sorted(keys)) for job, keys in by_job.items()},
        by_node={name: frozenset(ids) for name, ids in by_node.items()},
    )


def _node(spec: NodeSpec, record: NodeRecord | None, now: Now) -> Node:
    node = Node(name=spec.name, spec=spec, status_at=now.wall)
    node = replace(node, gpus=declared_gpus(node))
    if record is None:
        return node
    return replace(
        node,
        host_id=record.host_id,
        root_path=record.root_path,
        root_id=record.root_id,
        drain=Mark(*record.drain) if record.drain else None,
        cordon=Mark(*record.cordon) if record.cordon else None,
        cordoned_gpus={uuid: Mark(*mark) for uuid, mark in record.cordoned_gpus.items()},
    )


def _gone(name: str, now: Now) -> Node:
    """A node that left the inventory while work of ours was on it: in sight until that is told."""
    return Node(
        name=name,
        spec=NodeSpec(host=name, name=name),
        status=NodeStatus.UNREACHABLE,
        reason=f"{name} isn't in the inventory any more: put it back, or declare it lost",
        status_at=now.wall,
    )
