"""Whether any node could ever hold a request, whatever ends there, and what comes nearest.

Asked when a job is handed in, so it must be quick where the answer is yes, as it nearly always
is: it looks no further than the first nodes that could. Only what no waiting removes counts, so a
node that isn't known yet could hold anything.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Node, Snapshot
from flextui.core.model.tree import Steps
from flextui.core.model.units import format_size
from flextui.core.scheduler.capacity import Room, allows, room_of
from flextui.core.scheduler.decision import Taken
from flextui.core.scheduler.device import Device
from flextui.core.scheduler.feasible import is_meant, suits
from flextui.core.scheduler.need import MILLI, Need, need_of_spec
from flextui.core.scheduler.obstacles import NEVER, obstacles
from flextui.core.scheduler.reasons import asked, where_text

_STEP = 2**20
"""Memory is offered in whole MiB."""


@dataclass(frozen=True, slots=True)
class Never:
    """No node could ever hold it."""

    path: Steps
    """The field of the spec that asks too much."""
    text: str
    nearest: str
    """The smallest change after which some node could."""
    takes: Taken = ()
    """What that changes in the spec; nothing where it can't be said field by field."""


@dataclass(frozen=True, slots=True)
class _Change:
    path: Steps
    text: str
    loss: float
    """How much of the request is given up, from 0 to 1."""
    value: Any = None
    """What the field becomes; None: it is left out."""


def never(snapshot: Snapshot, spec: JobSpec) -> Never | None:
    """Why no node could ever hold a job's tasks; None: some could, or aren't known yet."""
    need, wanted = need_of_spec(spec), spec.nodes
    if not snapshot.inventory.volumes.keys() >= set(need.volumes):
        return None  # a volume that nobody knows is told as that
    able = sum(1 for _ in _able(snapshot, need, wanted))
    if able >= wanted:
        return None
    if able:
        text = f"needs {asked(need, wanted)}: no more than {able} could ever hold that"
        return Never(("nodes",), text, f"nodes: {able} or less", ((("nodes",), able),))
    changes = _nearest(snapshot, need)
    where = f" where {where_text(need)}" if not need.anywhere else ""
    text = f"needs {asked(need, 1)}{where}: no node could ever hold it"
    if not changes:
        return Never((), text, "less of everything")
    found, name = changes
    told = ", ".join(change.text for change in found)
    return Never(found[0].path, text, f"{told} ({name})", _takes(found))


def _takes(found: list[_Change]) -> Taken:
    """Field by field; nothing where one of several volumes would leave."""
    if any(change.path == ("volumes",) for change in found):
        return ()
    takes = [(change.path, change.value) for change in found]
    if any(change.text.startswith("gpus: 1 in place") for change in found):
        takes.append((("resources", "gpus"), 1))
    return tuple(takes)


def _able(snapshot: Snapshot, need: Need, wanted: int) -> Iterator[str]:
    """Nodes that could hold the request one day, `wanted` at most."""
    told: dict[Hashable, bool] = {}
    for node in snapshot.nodes.values():
        if not allows(need, node, snapshot.inventory):
            continue
        kind = _kind(node)
        able = told.get(kind)
        if able is None:
            able = told[kind] = could_ever(snapshot, room_of(snapshot, node, ()), need)
        if able:
            yield node.name
            wanted -= 1
            if not wanted:
                return


def _kind(node: Node) -> Hashable:
    """What a node has, all that `could_ever` looks at: boxes are mostly bought by the dozen."""
    facts, reserve, gpus = node.facts, node.spec.reserve, node.spec.gpus
    return (
        facts and (facts.cpus, facts.memory_bytes),
        (reserve.cpus, reserve.memory),
        node.sampled,
        gpus.only,
        gpus.share,
        tuple((gpu.index, gpu.model, gpu.memory_bytes, gpu.mig) for gpu in node.gpus),
    )


def could_ever(snapshot: Snapshot, room: Room, need: Need) -> bool:
    """Whether nothing is in the way there that no waiting removes."""
    first = next(obstacles(snapshot, room, need), None)  # those that never clear come first
    return first is None or first.code not in NEVER


def _nearest(snapshot: Snapshot, need: Need) -> tuple[list[_Change], str] | None:
    """The fewest and smallest changes that make some node able to hold it, and that node."""
    best: tuple[tuple[int, float], list[_Change], str] | None = None
    seen: set[Hashable] = set()
    for node in snapshot.nodes.values():
        kind = (allows(need, node, snapshot.inventory), _kind(node))
        if kind in seen:
            continue
        seen.add(kind)
        room = room_of(snapshot, node)
        changed, changes = _clamped(room, need)
        if changes and could_ever(snapshot, room, changed):
            rank = (len(changes), sum(change.loss for change in changes))
            if best is None or rank < best[0]:
                best = (rank, changes, room.name)
    return None if best is None else best[1:]


def _clamped(room: Room, need: Need) -> tuple[Need, list[_Change]]:
    """The request cut down to what the node has, and what was cut."""
    changes: list[_Change] = []
    if missing := [name for name in need.volumes if name not in room.volumes]:
        need = replace(need, volumes=tuple(it for it in need.volumes if it not in missing))
        changes.append(_Change(("volumes",), f"without volume {' or '.join(missing)}", 0.7))
    if not room.admits(need):
        need = replace(need, labels=(), names=(), not_labels=(), not_names=(), pin=None)
        changes.append(_Change(("where",), "without where", 0.5))
    if need.wants.anything:
        need = _clamped_gpus(room, need, changes)
    if need.cpus > room.cpus:
        text, loss = f"cpus: {room.cpus / MILLI:g}", 1 - room.cpus / need.cpus
        changes.append(_Change(("resources", "cpus"), text, loss, room.cpus / MILLI))
        need = replace(need, cpus=room.cpus)
    if need.memory > room.memory:
        memory = max(0, room.memory) // _STEP * _STEP
        text, loss = f"memory: {format_size(memory)}", 1 - memory / need.memory
        changes.append(_Change(("resources", "memory"), text, loss, memory))
        need = replace(need, memory=memory)
    return need, changes


def _clamped_gpus(room: Room, need: Need, changes: list[_Change]) -> Need:
    """Fewer GPUs, or less of one; where none is of the kind, of another model or with less
    memory."""
    if need.wants.shared and not any(it.shareable for it in room.devices):
        instead = "gpus: 1 in place of gpu_share" if room.devices else "without gpu_share"
        changes.append(_Change(("resources", "gpu_share"), instead, 0.5))
        need = replace(need, share=0, share_bytes=0, gpus=1 if room.devices else 0)
        if not need.gpus:
            return replace(need, models=(), gpu_memory=0)
    kind = _of_kind(room, need)
    if not kind and (profile := _largest_slice(room)) and not _whole(room):
        text = f"gpu_model: {profile}"
        changes.append(_Change(("resources", "gpu_model"), text, 0.6, (profile,)))
        need = replace(need, models=(profile,))
        kind = _of_kind(room, need)
        if need.gpus > 1:
            changes.append(_Change(("resources", "gpus"), "gpus: 1", 1 - 1 / need.gpus, 1))
            need = replace(need, gpus=1)
    elif not kind and need.models and _of_kind(room, replace(need, models=())):
        changes.append(_Change(("resources", "gpu_model"), "another gpu_model", 0.5))
        need = replace(need, models=())
        kind = _of_kind(room, need)
    most = max((device.memory for device in kind), default=0)
    if kind and most < need.gpu_memory:
        text, loss = f"gpu_memory: {format_size(most)}", 1 - most / need.gpu_memory
        changes.append(_Change(("resources", "gpu_memory"), text, loss, most))
        need = replace(need, gpu_memory=most)
    if kind and most < need.share_bytes:
        text, loss = f"gpu_share: {format_size(most)}", 1 - most / need.share_bytes
        changes.append(_Change(("resources", "gpu_share"), text, loss, most))
        need = replace(need, share_bytes=most)
    has = sum(suits(need.wants, it) for it in room.devices)
    if not need.wants.shared and has < need.gpus:
        text, loss = f"gpus: {has}", 1 - has / need.gpus
        changes.append(_Change(("resources", "gpus"), text, loss, has))
        need = replace(need, gpus=has)
    return need


def _of_kind(room: Room, need: Need) -> list[Device]:
    """The devices that are of a kind that is asked for, however large; slices for one only."""
    shared = need.wants.shared
    wants = replace(need.wants, gpus=min(need.gpus, 1))
    return [it for it in room.devices if is_meant(wants, it) and (it.shareable or not shared)]


def _whole(room: Room) -> bool:
    """Whether it has GPUs that aren't cut into slices."""
    return any(not it.mig for it in room.devices)


def _largest_slice(room: Room) -> str:
    """The profile of its largest slice; "" if it has none."""
    return max(((it.memory, it.mig) for it in room.devices if it.mig), default=(0, ""))[1]
