"""What keeps a request from a node: in full for `why`, as a gist for the stored reason.

It must agree with `feasible`: a request fits exactly where there is no obstacle.
"""

from __future__ import annotations

from collections.abc import Iterator

from flextui.core.model.state import NodeStatus, Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.device import job_name
from flextui.core.scheduler.feasible import fit, meets
from flextui.core.scheduler.gpu_obstacles import busy_gpus, wrong_gpus
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.obstacle import DISTANCE, NEAREST, NEVER, Obstacle, count

__all__ = ["DISTANCE", "NEAREST", "NEVER", "Obstacle", "closing_gates", "count", "obstacles"]


def obstacles(
    snapshot: Snapshot, room: Room, need: Need, ask: Ask | None = None
) -> Iterator[Obstacle]:
    """Everything in the way on this node, nothing if the request fits there now. What is kept
    from whom is told only of somebody who asks, and where nothing else is in the way."""
    never = tuple(_never(room, need))
    yield from never
    if any(it.code in ("labels", "volumes") for it in never):
        return
    yield from _closed(room)
    if never or not room.known:
        return
    if room.node.status is not NodeStatus.READY:
        return  # what is free on a node out of sight isn't known
    yield from _taken(snapshot, room, need, ask)


def _never(room: Room, need: Need) -> Iterator[Obstacle]:
    """What no waiting removes."""
    if not room.admits(need):
        missing = sorted(set(need.volumes) - room.volumes)
        text = f"doesn't have the volume {missing[0]}" if missing else "doesn't match where"
        yield Obstacle("volumes" if missing else "labels", text, text)
        return
    if room.known and need.cpus > room.cpus:
        text = f"has {count(room.cpus / MILLI, 'CPU')} for jobs"
        yield Obstacle("too_big", text, text)
    if room.known and need.memory > room.memory:
        text = f"has {format_size(max(0, room.memory))} for jobs"
        yield Obstacle("too_big", text, text)
    yield from wrong_gpus(room, need)


def _closed(room: Room) -> Iterator[Obstacle]:
    """The node takes no new work."""
    node = room.node
    if node.status is not NodeStatus.READY or node.facts is None:
        status = "no answer" if node.status is NodeStatus.LOST else str(node.status)
        if node.status is NodeStatus.OBSERVED and node.driver:
            status = f"driven by {node.driver}"
        reason = node.reason.removeprefix(f"{node.name} is ")
        text = reason if status in reason else f"{status}: {reason}" if reason else status
        yield Obstacle("node_down", status, text)
    for code, word, mark in (
        ("node_drained", "drained", node.drain),
        ("node_cordoned", "cordoned", node.cordon),
    ):
        if mark is not None:
            text = f"{word} by {mark.by}" + (f": {mark.why}" if mark.why else "")
            yield Obstacle(code, word, text)


def _taken(snapshot: Snapshot, room: Room, need: Need, ask: Ask | None) -> Iterator[Obstacle]:
    """What others have, or wait for."""
    found = list(_used(snapshot, room, need))
    if ask is not None and need.apart and (names := meets(room, ask)):
        text = f"{names[0]} runs there, which it keeps apart from"
        found.append(Obstacle("apart", text, text, names, _attempts_of(snapshot, room, names)))
    if not found and ask is not None and room.open and fit(room, ask) is None:
        for gate in room.gates:
            if told := gate.told(ask):
                found.append(Obstacle(gate.code, told, told, gate.holders))
    yield from found


def closing_gates(room: Room, ask: Ask) -> Iterator[Obstacle]:
    """What is kept there from somebody who asks, whatever else is in the way."""
    if room.open and room.admits(ask.need):
        for gate in room.gates:
            if told := gate.told(ask):
                yield Obstacle(gate.code, told, told, gate.holders)


def _used(snapshot: Snapshot, room: Room, need: Need) -> Iterator[Obstacle]:
    yield from busy_gpus(snapshot, room, need)
    if need.cpus > room.free_cpus:
        text = f"{max(0, room.free_cpus) / MILLI:g} of {count(room.cpus / MILLI, 'CPU')} free"
        yield Obstacle("cpus", "too few CPUs free", text, *_holders(snapshot, room, "cpus"))
    if need.memory > room.free_memory:
        text = f"{format_size(max(0, room.free_memory))} of {format_size(room.memory)} free"
        yield Obstacle(
            "memory", "too little memory free", text, *_holders(snapshot, room, "memory")
        )


def _holders(snapshot: Snapshot, room: Room, what: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Jobs that hold CPUs or memory of the node, and their attempts."""
    live = [snapshot.attempts[key] for key in sorted(snapshot.by_node.get(room.name, ()))]
    held = [it for it in live if (it.cpus if what == "cpus" else it.memory_bytes) > 0]
    names = sorted({job_name(snapshot, it) for it in held})
    return tuple(names), tuple(sorted(it.id for it in held))


def _attempts_of(snapshot: Snapshot, room: Room, names: tuple[str, ...]) -> tuple[str, ...]:
    live = sorted(snapshot.by_node.get(room.name, ()))
    return tuple(it for it in live if job_name(snapshot, snapshot.attempts[it]) in names)
