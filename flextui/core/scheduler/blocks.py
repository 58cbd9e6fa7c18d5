"""What is in the way on each node, folded for people: nodes with the same trouble share a block."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from math import inf

from flextui.core.model.state import Now, Snapshot
from flextui.core.model.units import format_duration
from flextui.core.scheduler.accounts import held_milli
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.decision import Block
from flextui.core.scheduler.forecast import expected_end
from flextui.core.scheduler.kind import WHOLE, Kind
from flextui.core.scheduler.obstacles import (
    DISTANCE,
    NEVER,
    Obstacle,
    closing_gates,
    obstacles,
)
from flextui.core.scheduler.timeline import hard_end, job_of

MANY = 40
"""More different blocks than this are folded by their gist, or else by their code."""

Seen = tuple[Room, Obstacle]
_Key = tuple[str, str, tuple[str, ...]]


def seen_by(
    snapshot: Snapshot, rooms: Iterable[Room], ask: Ask
) -> Generator[None, None, list[Seen]]:
    """Everything in the way of a request, node by node, also what is kept from it besides."""
    found: list[Seen] = []
    for number, room in enumerate(rooms):
        here = list(obstacles(snapshot, room, ask.need, ask))
        if here and room.gates and not any(it.code in NEVER for it in here):
            here += [it for it in closing_gates(room, ask) if it not in here]
        found += ((room, it) for it in here)
        if number % 20 == 19:
            yield
    return found


def blocks_of(
    snapshot: Snapshot, seen: Sequence[Seen], now: Now
) -> Generator[None, None, tuple[Block, ...]]:
    """The blocks; what clears soonest comes first."""
    exact = not _many((it.code, it.text, it.holders) for _, it in seen)
    alike = exact or not _many((it.code, it.gist) for _, it in seen)
    yield
    blocks: dict[_Key, Block] = {}
    names: dict[_Key, list[str]] = {}
    holders: dict[_Key, dict[str, None]] = {}
    for number, (room, it) in enumerate(seen):
        if number % 50 == 49:
            yield
        text = it.text if exact else it.gist if alike else _ROUGHLY.get(it.code, it.gist)
        key = (it.code, text, it.holders if exact else ())
        same = blocks.get(key)
        if same is not None:
            names[key].append(room.name)
            holders[key].update(dict.fromkeys(it.holders))
            continue
        clears = "" if it.code in NEVER else _clears(snapshot, it, now)
        blocks[key] = Block(it.code, text, clears=clears)
        names[key], holders[key] = [room.name], dict.fromkeys(it.holders)
    told = [
        replace(it, nodes=tuple(names[key]), held_by=tuple(holders[key]))
        for key, it in blocks.items()
    ]
    return tuple(sorted(told, key=lambda block: DISTANCE[block.code]))


_ROUGHLY = {
    "order": "kept for those who were first",
    "gpus_busy": "too few GPUs free: jobs have them",
    "gpus_foreign": "others than flextui use the GPUs",
    "gpus_cordoned": "GPUs are cordoned or failed",
    "node_down": "out of reach",
    "apart": "jobs run there that it keeps apart from",
    "gpu_memory": "has GPUs of too little memory",
    "gpu_model": "has no such GPU, or too few",
    "too_big": "has too little",
}
"""By code, where each node tells something else."""


def _many(told: Iterable[object]) -> bool:
    """Whether these are more different ones than anybody reads."""
    different = set()
    for it in told:
        different.add(it)
        if len(different) > MANY:
            return True
    return False


def _clears(snapshot: Snapshot, obstacle: Obstacle, now: Now) -> str:
    """When the first of those that hold it ends, as far as anything is known of that."""
    ends = []
    for key in obstacle.attempts:
        attempt = snapshot.attempts[key]
        job = job_of(snapshot, attempt)
        if job is None:
            continue
        if attempt.stop is not None:
            return f"{job.full_name} is being stopped"
        hard = hard_end(job, attempt) - job.spec.grace
        soon = expected_end(snapshot, attempt, now.wall)
        ends.append((min(soon.at, hard), hard, job.full_name))
    soon_at, hard, name = min(ends, default=(inf, inf, ""))
    if soon_at == inf:
        return ""
    latest = format_duration(max(0.0, float(round(hard - now.wall)))) if hard < inf else ""
    if soon_at >= hard:
        return f"{name} ends in {latest} at the latest"
    likely = f"{name} is expected to end in {format_duration(about(soon_at - now.wall))}"
    return f"{likely}, at the latest in {latest}" if latest else likely


def about(seconds: float) -> float:
    """So long, but no more exactly than anybody can know."""
    for unit, worth in ((60.0, 600.0), (300.0, 7200.0), (3600.0, 172_800.0)):
        if seconds < worth:
            return max(unit, round(seconds / unit) * unit)
    return round(seconds / 86_400) * 86_400.0


def quota_block(snapshot: Snapshot, kind: Kind, refusal: str) -> Block:
    """That a quota is full, and who uses it."""
    by_project = bool(kind.project) and refusal.startswith(f"project {kind.project} ")
    used: dict[str, int] = {}
    for live in snapshot.by_node.values():
        for key in live:
            attempt = snapshot.attempts[key]
            job = job_of(snapshot, attempt)
            if job is None or not (milli := held_milli(attempt)):
                continue
            if job.project == kind.project if by_project else job.owner == kind.user:
                used[job.full_name] = used.get(job.full_name, 0) + milli
    most = sorted(used.items(), key=lambda entry: (-entry[1], entry[0]))
    told = ", ".join(f"{name} {milli / WHOLE:g}" for name, milli in most[:5])
    return Block(
        "quota",
        f"{refusal}: {told}" if told else refusal,
        held_by=tuple(name for name, _ in most),
    )
