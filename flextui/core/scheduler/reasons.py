"""The short reason that each waiting task carries with it.

The first in the queue are told node by node. Those further back that only wait for room are told
just that, so that a thousand waiting jobs aren't written anew each time a GPU changes hands;
`why` tells any of them in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from flextui.core.model.state import JobState, Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.feasible import could_fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Waiting
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.obstacles import NEAREST, NEVER, Obstacle, count, obstacles

FRONT = 20
"""So many of the queue are told node by node; fewer where the nodes are many."""
LOOKS = 2000
"""So many looks at a node are spent on that in one pass."""
GROUPS = 4
"""So many kinds of obstacles in one reason."""
NAMED = 3
"""So many nodes by name in one group."""

_DISTANCE = {code: place for place, code in enumerate(NEAREST)}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request waits. `ever`: some node could hold it one day."""

    code: str
    text: str
    ever: bool


def tell(ledger: Ledger, fleet: Fleet, left: Sequence[Waiting]) -> None:
    """Give each task that still waits its reason, where that changes."""
    told_in_full = min(FRONT, max(3, LOOKS // max(1, len(fleet.rooms))))
    front: dict[Need, Reason] = {}
    back: dict[Need, Reason] = {}
    for place, (_, task, need) in enumerate(left):
        told = front if place < told_in_full else back
        reason = told.get(need)
        if reason is None:
            make = reason_for if told is front else coarse_reason
            reason = told[need] = make(ledger.snapshot, fleet, need)
        if task.reason != reason.text or task.reason_code != reason.code:
            ledger.put(
                replace(
                    task,
                    state=JobState.PENDING,
                    reason=reason.text,
                    reason_code=reason.code,
                )
            )


def coarse_reason(snapshot: Snapshot, fleet: Fleet, need: Need) -> Reason:
    """Why a request far back waits: for room, where attempts of ours will make it."""
    for room in fleet.rooms:
        if room.open and could_fit(room, need) and room.admits(need):
            return _waits_for_room(need)
    return reason_for(snapshot, fleet, need)


@lru_cache(maxsize=1 << 14)
def _waits_for_room(need: Need) -> Reason:
    code = "gpus_busy" if need.wants.anything else "cpus" if need.cpus else "memory"
    return Reason(code, f"needs {ask(need)}: waits for room", True)


def reason_for(snapshot: Snapshot, fleet: Fleet, need: Need) -> Reason:
    """Why a request that fits nowhere now waits."""
    first: list[tuple[Room, Obstacle]] = []
    ever = False
    for room in fleet.rooms:
        found = list(obstacles(snapshot, room, need))
        never = [it for it in found if it.code in NEVER]
        ever = ever or not never
        if never:
            first.append((room, never[0]))
        elif found:
            first.append((room, min(found, key=lambda it: _DISTANCE[it.code])))
    if not first:
        return Reason("order", "its turn comes next", True)
    first.sort(key=lambda it: _DISTANCE[it[1].code])  # stable: the inventory's order among equals
    code = first[0][1].code
    if not ever:
        return Reason("labels" if code == "labels" else "too_big", never_text(first, need), False)
    told = _fold((room.name, it.gist) for room, it in first if it.code != "labels")
    return Reason(code, f"needs {ask(need)}: {told}", True)


def never_text(first: Sequence[tuple[Room, Obstacle]], need: Need) -> str:
    """That no node could ever hold it, and which comes nearest."""
    room, obstacle = first[0]
    if obstacle.code == "labels":
        if need.pin is not None:
            return f"no node: {need.pin} doesn't match where"
        return f"no node matches where ({where_text(need)})"
    return f"needs {ask(need)}: no node could ever hold it; nearest is {room.name}, {obstacle.gist}"


def where_text(need: Need) -> str:
    """What `where` asks, in one line."""
    parts = [f"{name}={value}" for name, value in need.labels]
    if need.names:
        parts.append("node " + " or ".join(need.names))
    parts += [f"not {name}={value}" for name, value in need.not_labels]
    parts += [f"not {name}" for name in need.not_names]
    parts += [f"volume {name}" for name in need.volumes]
    return ", ".join(parts)


def ask(need: Need) -> str:
    """What is asked, in a few words."""
    parts = []
    model = f" {' or '.join(need.models)}" if need.models else ""
    if need.wants.shared:
        part = f"{need.share / MILLI:g}" if need.share else format_size(need.share_bytes)
        parts.append(f"{part} of a{model} GPU")
    elif need.gpus:
        parts.append(f"{need.gpus}{model} GPU" + ("" if need.gpus == 1 else "s"))
    if need.gpu_memory and parts:
        parts[0] += f" of {format_size(need.gpu_memory)}"
    if need.cpus and not need.wants.anything:
        parts.append(count(need.cpus / MILLI, "CPU"))
    if need.memory and not need.wants.anything:
        parts.append(format_size(need.memory))
    return " and ".join(parts) or "a node"


def _fold(told: Iterable[tuple[str, str]]) -> str:
    """'gpu1 1 of 4 free, gpu2 and gpu3 drained, 7 nodes no answer'."""
    groups: dict[str, list[str]] = {}
    for name, gist in told:
        groups.setdefault(gist, []).append(name)
    parts = [f"{names_text(names)} {gist}" for gist, names in groups.items()]
    if len(parts) > GROUPS:
        rest = sum(len(names) for names in list(groups.values())[GROUPS:])
        parts = [*parts[:GROUPS], f"{count(rest, 'more node')} for other reasons"]
    return ", ".join(parts)


def names_text(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{len(names)} nodes"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
