"""What a node's telemetry means: what can be placed, what is idle, who takes more than their part.

Samples come each second from each node, so the scheduler hears of one only where it changes what
can be placed, and nothing of one is written to the store but what a rule makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.events import Sampled
from flextui.core.model.records import changed
from flextui.core.model.state import Attempt, Gpu, Node, NodeStatus
from flextui.core.reduce.devices import (
    SESSION_UP,
    declared_gpus,
    heed_recovery_actions,
    refuse_alias,
)
from flextui.core.reduce.idle import heed_idle
from flextui.core.reduce.meters import read_meters
from flextui.core.reduce.overuse import heed_overuse

TELEMETRY_S = 1.0
"""Changes in telemetry are gathered this long before they are planned for."""
_STEP = 256 * 2**20
"""Bytes of a shared device's memory that make a difference to who else fits."""


def sampled(draft: Draft, event: Sampled) -> None:
    """Fold in the newest telemetry of a node."""
    node = draft.nodes.get(event.node)
    if node is None or node.status not in SESSION_UP:
        return
    gpus = _usable(draft, node, event.gpus)
    fresh = changed(node, sample=event.sample, gpus=gpus, sampled=True)
    live = draft.live_on(node.name)
    matters = not node.sampled or _signature(node, node.gpus, live) != _signature(node, gpus, live)
    twin = None
    if {it.uuid for it in node.gpus} != {it.uuid for it in gpus}:
        twin = _same_gpus(draft, fresh)
    draft.put_node(fresh, matters=False)
    if twin is not None:
        refuse_alias(draft, fresh, twin[0], f"GPU {twin[1]}")
        return
    if matters:
        draft.told_apart(node.name)
        draft.plan_within(TELEMETRY_S if node.sampled else 0.0)
        heed_recovery_actions(draft, node, fresh)
    if fresh.status is NodeStatus.READY:
        _measure(draft, fresh, live)


def _measure(draft: Draft, node: Node, live: Iterable[Attempt]) -> None:
    """What the devices tell of the attempts that hold them."""
    for attempt in live:
        if attempt.id in draft.meters:
            read_meters(draft, node, attempt)
            heed_overuse(draft, node, attempt)
    for job in dict.fromkeys(it.task.job for it in live if it.id in draft.meters):
        heed_idle(draft, job)


def _usable(draft: Draft, node: Node, gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Telemetry as the inventory and other cores' claims let us see it."""
    if not gpus and node.spec.gpus.declared:
        gpus = declared_gpus(node)
    if not node.claims:
        return gpus
    now = draft.now.wall
    marked = []
    for gpu in gpus:
        by, until = node.claims.get(gpu.uuid, ("", 0.0))
        if until > now and gpu.state == "ok":
            gpu = replace(gpu, state="claimed", text=by)
        marked.append(gpu)
    return tuple(marked)


def _signature(node: Node, gpus: tuple[Gpu, ...], live: list[Attempt]) -> tuple[object, ...]:
    """What of the devices can make a placement possible or impossible, or is told as a reason.

    Whoever keeps what it made of a node until a placement could change (see `model.journal`) must
    have looked at nothing else of telemetry.
    """
    holders: dict[str, list[Attempt]] = {}
    for attempt in live:
        for uuid in attempt.gpus:
            holders.setdefault(uuid, []).append(attempt)
    ignored = node.spec.gpus.foreign_ignore
    told: list[object] = []
    for gpu in gpus:
        held = holders.get(gpu.uuid, ())
        used = gpu.memory_used_bytes
        memory = used if used is None or used > ignored else 0
        if memory and held:
            memory = memory // _STEP if held[0].share else 0
        own = {it.id for it in held}
        others = tuple((it.pid, it.memory_bytes) for it in gpu.processes if it.attempt not in own)
        state = gpu.state if gpu.state == "ok" else (gpu.state, gpu.text)
        told.append((gpu.uuid, state, gpu.recovery_action, gpu.memory_bytes, memory, others))
    return tuple(told)


def _same_gpus(draft: Draft, node: Node) -> tuple[Node, str] | None:
    """Another node with one of this node's devices: two names for one machine."""
    for gpu in node.gpus:
        other = None if gpu.declared else draft.home_of(gpu.uuid)
        if other is not None and other.name != node.name and other.status in SESSION_UP:
            return other, gpu.uuid
    return None
