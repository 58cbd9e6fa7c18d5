"""The short reason that each waiting task carries with it, in words.

It has nothing in it that ticks: a stored reason is written anew whenever its text changes. Those
in front are told node by node. Of those further back it is only told what kind of thing they wait
for, so that a thousand waiting jobs aren't written anew each time a GPU changes hands; `why`
tells any of them in full. Who is told when is in `tell`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from flextui.core.model.state import Snapshot
from flextui.core.model.units import format_size
from flextui.core.scheduler.alike import Alike
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.feasible import could_fit
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.obstacles import NEAREST, NEVER, Obstacle, count, obstacles

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


class Sight(NamedTuple):
    """What one node has in the way of a request, at a glance."""

    code: str
    """Empty: nothing."""
    gist: str
    never: bool


def sight(snapshot: Snapshot, room: Room, need: Need, ask: Ask | None = None) -> Sight:
    """What is nearest to clearing there; or what never will."""
    nearest: Obstacle | None = None
    for it in obstacles(snapshot, room, need, ask):
        if it.code in NEVER:
            return Sight(it.code, it.gist, True)
        if nearest is None or _DISTANCE[it.code] < _DISTANCE[nearest.code]:
            nearest = it
    return Sight("", "", False) if nearest is None else Sight(nearest.code, nearest.gist, False)


def reason_of(seen: Iterable[tuple[str, Sight]], need: Need, nodes: int = 1) -> Reason:
    """The reason that follows from what each node has in the way, in the inventory's order."""
    told = list(seen)
    able = sum(not it.never for _, it in told)
    first = [entry for entry in told if entry[1].code]
    if 0 < able < nodes:
        text = f"needs {asked(need, nodes)}: no more than {able} could ever hold that"
        return Reason("too_big", text, False)
    if not first:
        return Reason("order", "its turn comes next", True)
    first.sort(key=lambda entry: _DISTANCE[entry[1].code])  # stable
    code = first[0][1].code
    if not able:
        return Reason("labels" if code == "labels" else "too_big", never_text(first, need), False)
    fits = len(told) - len(first)
    groups = fold((name, it.gist) for name, it in first if it.code != "labels")
    if nodes > 1:
        groups = f"{count(fits, 'node')} could now; {groups}"
    return Reason(code, f"needs {asked(need, nodes)}: {groups}", True)


def asked(need: Need, nodes: int) -> str:
    """What is asked, of so many nodes."""
    return ask(need) if nodes == 1 else f"{nodes} nodes with {ask(need)} each"


# ── further back ───────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1 << 14)
def waits_for_room(need: Need, nodes: int) -> Reason:
    """It waits for room, where attempts of ours will make it."""
    code = "gpus_busy" if need.wants.anything else "cpus" if need.cpus else "memory"
    return Reason(code, f"needs {asked(need, nodes)}: waits for room", True)


def could_have(room: Room, need: Need) -> bool:
    """Whether only attempts of ours can be in the way there."""
    return room.open and could_fit(room, need) and room.admits(need)


_CLOSED = {
    "gpus_foreign": "others than flextui use the GPUs that it could have",
    "gpus_cordoned": "GPUs that it could have are cordoned",
    "gpus_unknown": "the GPUs that it could have haven't been seen yet",
    "node_drained": "nodes that could hold it are drained",
    "node_cordoned": "nodes that could hold it are cordoned",
    "node_down": "nodes that could hold it are out of reach",
}


def closed_reason(
    snapshot: Snapshot, rooms: Iterable[Room], alike: Alike, need: Need, nodes: int
) -> Reason:
    """Why a request waits for which no node is open that attempts of ours could leave to it."""
    nearest = ""
    for room in alike.some(need):
        found = [it.code for it in obstacles(snapshot, room, need)]
        for code in found if not NEVER.intersection(found) else ():
            if code in _CLOSED and (not nearest or _DISTANCE[code] < _DISTANCE[nearest]):
                nearest = code
    if not nearest:
        sights: dict[Hashable, Sight] = {}
        seen = []
        for room in rooms:
            key = alike.group_of[room.name] if need.anywhere else room.name
            if key not in sights:
                sights[key] = sight(snapshot, room, need)
            seen.append((room.name, sights[key]))
        return reason_of(seen, need, nodes)
    return Reason(nearest, f"needs {asked(need, nodes)}: {_CLOSED[nearest]}", True)


# ── in words ───────────────────────────────────────────────────────────────────────────────────


def never_text(first: Sequence[tuple[str, Sight]], need: Need) -> str:
    """That no node could ever hold it, and which comes nearest."""
    name, nearest = first[0]
    if nearest.code == "labels":
        if need.pin is not None:
            return f"no node: {need.pin} doesn't match where"
        return f"no node matches where ({where_text(need)})"
    return f"needs {ask(need)}: no node could ever hold it; nearest is {name}, {nearest.gist}"


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


def _agreeing(gist: str, names: Sequence[str]) -> str:
    """Several nodes have what one node has, and don't what one doesn't."""
    if len(names) > 1:
        for one, several in (("has ", "have "), ("doesn't ", "don't ")):
            if gist.startswith(one):
                return several + gist.removeprefix(one)
    return gist


def fold(told: Iterable[tuple[str, str]]) -> str:
    """'gpu1 1 of 4 free, gpu2 and gpu3 drained, 7 nodes no answer'."""
    groups: dict[str, list[str]] = {}
    for name, gist in told:
        groups.setdefault(gist, []).append(name)
    parts = [f"{names_text(names)} {_agreeing(gist, names)}" for gist, names in groups.items()]
    if len(parts) > GROUPS:
        rest = sum(len(names) for names in list(groups.values())[GROUPS:])
        parts = [*parts[:GROUPS], f"{count(rest, 'more node')} for other reasons"]
    return ", ".join(parts)


def names_text(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{len(names)} nodes"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
