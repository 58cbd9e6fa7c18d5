"""The smallest changes to a request that might let it start now: each is tried before it is told.

For each node it is worked out what a request had to give up to fit there beside what others have.
What the fewest and smallest changes give up comes first. Whether it would really start then, in
its turn and with what is kept for others, only a pass can say: see `trials`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from flextui.core.model.spec import JobSpec
from flextui.core.model.tree import Steps
from flextui.core.model.units import format_duration, format_size
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.decision import Taken
from flextui.core.scheduler.device import Device
from flextui.core.scheduler.feasible import fit, holds, meets
from flextui.core.scheduler.gates import usable
from flextui.core.scheduler.gpu_obstacles import share_text
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.obstacle import count

STEP = 2**30
"""Memory is offered in whole GiB,"""
PART = 50
"""shares in twentieths of a GPU,"""
MINUTE = 60.0
"""and time limits in whole minutes."""
FIELDS = 2
"""So many fields are changed at once at most."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a spec that gives up something."""

    field: str
    value: Any
    text: str
    loss: float
    """How much is given up, from 0 to 1."""


Offer = tuple[Change, ...]


def rank_of(offer: Offer) -> tuple[int, float, str]:
    """Fewer changes first, then smaller ones."""
    return (len(offer), sum(it.loss for it in offer), text_of(offer))


def text_of(offer: Offer) -> str:
    """'with 1 GPU instead of 2', 'without where and with 8 CPUs instead of 12'."""
    return " and ".join(it.text for it in offer)


def offers(
    rooms: Iterable[Room], ask: Ask, nodes: int, now: float, grace: float
) -> Generator[None, None, list[Offer]]:
    """What might help, the smallest first. `nodes`: how many at once, for a gang."""
    found: dict[tuple[tuple[str, Any], ...], Offer] = {}
    able = 0
    for number, room in enumerate(rooms):
        if number % 20 == 19:
            yield
        if not room.open:
            continue
        able += room.admits(ask.need) and fit(room, ask) is not None
        for offer in _for_room(room, ask, now, grace):
            if 0 < len(offer) <= FIELDS:
                found[tuple((it.field, str(it.value)) for it in offer)] = offer
    for fewer in range(min(able, nodes - 1), 0, -1):
        text = f"with {count(fewer, 'node')} instead of {nodes}"
        found[(("nodes", fewer),)] = (Change("nodes", fewer, text, 1 - fewer / nodes),)
        break
    return sorted(found.values(), key=rank_of)


def _for_room(room: Room, ask: Ask, now: float, grace: float) -> Iterator[Offer]:
    """What the request had to give up to fit on this node."""
    given: list[Change] = []
    need = ask.need
    if not room.admits(need):
        need = replace(need, labels=(), names=(), not_labels=(), not_names=())
        if ask.need.pin is not None or not room.admits(need):
            return
        given.append(Change("where", None, "without where", 0.6))
    if need.apart and meets(room, ask):
        need = replace(need, apart=())
        given.append(Change("apart", None, "without where.apart", 0.4))
    ask = ask._replace(need=need)
    for changes in _in_time(room, ask, now, grace):
        asked = ask
        if changes:
            asked = ask._replace(until=now + changes[0].value + grace)
        if not room.gates or usable(room, asked).free_cpus >= 0:
            for less in _less(room, asked):
                yield (*given, *changes, *less)


def _in_time(room: Room, ask: Ask, now: float, grace: float) -> Iterator[Offer]:
    """As long as it asks for, or short enough to be gone before what is kept there begins."""
    yield ()
    edges = {getattr(gate, "at", getattr(gate, "start", inf)) for gate in room.gates}
    for edge in edges:
        limit = (edge - now - grace) // MINUTE * MINUTE
        if edge < inf and MINUTE <= limit < ask.until - now - grace:
            text = f"with time_limit {format_duration(limit)}"
            yield (Change("time_limit", limit, text, 0.3 + 0.3 / (1 + limit / 3600)),)


def _less(room: Room, ask: Ask) -> Iterator[Offer]:
    """What it had to give up of GPUs, CPUs and memory."""
    barred, cpus, memory = frozenset[str](), room.free_cpus, room.free_memory
    if room.gates:
        barred, cpus, memory = usable(room, ask)
    need = ask.need
    others: list[Change] = []
    if need.cpus > cpus:
        if cpus <= 0:
            return
        text = f"with {count(cpus / MILLI, 'CPU')} instead of {need.cpus / MILLI:g}"
        others.append(Change("cpus", cpus / MILLI, text, 1 - cpus / need.cpus))
    if need.memory > memory:
        less = memory // STEP * STEP
        if less <= 0:
            return
        text = f"with {format_size(less)} instead of {format_size(need.memory)}"
        others.append(Change("memory", less, text, 1 - less / need.memory))
    for change in _less_gpus(room, need, [it for it in room.devices if it.uuid not in barred]):
        yield (*change, *others)


def _less_gpus(room: Room, need: Need, devices: list[Device]) -> Iterator[Offer]:
    wants = need.wants
    if not wants.anything:
        yield ()
        return
    if not room.node.sampled:
        return

    def able(**fields: Any) -> list[Device]:
        changed = replace(wants, **fields)
        return [it for it in devices if holds(changed, it)]

    number = wants.gpus or 1
    if len(able()) >= number:
        yield ()
        return
    if wants.models and len(able(models=())) >= number:
        yield (Change("gpu_model", (), "without gpu_model", 0.3),)
    if wants.gpu_memory and len(enough := able(gpu_memory=0)) >= number:
        most = sorted((it.memory for it in enough), reverse=True)[number - 1]
        if most < wants.gpu_memory:
            text = f"with gpu_memory {format_size(most)}"
            yield (Change("gpu_memory", most, text, 1 - most / wants.gpu_memory),)
    if wants.shared:
        yield from _smaller_share(need, able)
        return
    if fewer := len(able()):
        text = f"with {count(fewer, 'GPU')} instead of {number}"
        yield (Change("gpus", fewer, text, 1 - fewer / number),)
    if number == 1:
        slices = [(it.memory, it.mig) for it in devices if it.mig and it.free_milli == MILLI]
        if slices and (profile := max(slices)[1]) and able(models=(profile,)):
            yield (Change("gpu_model", (profile,), f"with gpu_model {profile}", 0.5),)
        parts = [it.free_milli // PART * PART for it in able(gpus=0, share=PART) if it.shareable]
        if parts and (part := max(parts)) < MILLI:
            text = f"with gpu_share {part / MILLI:g} instead of a whole GPU"
            yield (Change("gpu_share", part / MILLI, text, 1 - part / MILLI),)


def _smaller_share(need: Need, able: Callable[..., list[Device]]) -> Iterator[Offer]:
    wants = need.wants
    if wants.share_bytes:
        free = max((it.free_bytes for it in able(share_bytes=1)), default=0)
        unit = STEP if wants.share_bytes > 2 * STEP else STEP // 4
        size = free // unit * unit
        while size > 0 and not able(share_bytes=size):
            size -= unit
        if 0 < size < wants.share_bytes:
            text = f"with gpu_share {format_size(size)} instead of {share_text(wants)}"
            yield (Change("gpu_share", size, text, 1 - size / wants.share_bytes),)
        return
    part = max((it.free_milli for it in able(share=1)), default=0) // PART * PART
    while part > 0 and not able(share=part):
        part -= PART
    if 0 < part < wants.share:
        text = f"with gpu_share {part / MILLI:g} instead of {share_text(wants)}"
        yield (Change("gpu_share", part / MILLI, text, 1 - part / wants.share),)


def taken(offer: Offer) -> Taken:
    """What it changes, field by field, as it stands in a spec. Without `where` what prefers and
    keeps apart stays."""
    found: list[tuple[Steps, Any]] = []
    for change in offer:
        if change.field == "gpu_share":
            found.append((("resources", "gpus"), None))
        path: Steps = ("resources", change.field)
        if change.field in ("time_limit", "nodes", "project", "where"):
            path = (change.field,)
        elif change.field == "apart":
            path = ("where", "apart")
        found.append((path, change.value or None))
    return tuple(found)


def changed(spec: JobSpec, offer: Offer) -> JobSpec:
    """The spec with an offer taken."""
    for change in offer:
        spec = _changed(spec, change.field, change.value)
    return spec


def _changed(spec: JobSpec, field: str, value: Any) -> JobSpec:
    if field in ("time_limit", "nodes", "project", "begin"):
        return spec.model_copy(update={field: value})
    if field in ("where", "apart"):
        where = type(spec.where)() if field == "where" else spec.where
        apart = spec.where.apart if field == "where" else ()
        update = {"apart": apart, "placement": spec.where.placement, "prefer": spec.where.prefer}
        return spec.model_copy(update={"where": where.model_copy(update=update)})
    fewer = {"gpus": 0, field: value} if field == "gpu_share" else {field: value}
    return spec.model_copy(update={"resources": spec.resources.model_copy(update=fewer)})
