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
"""More different blocks than this are folded by their gist."""

Seen = tuple[Room, Obstacle]


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


def blocks_of(snapshot: Snapshot, seen: Sequence[Seen], now: Now) -> tuple[Block, ...]:
    """The blocks; what clears soonest comes first."""
    exact = len({(it.code, it.text, it.holders) for _, it in seen}) <= MANY
    blocks: dict[tuple[str, str, tuple[str, ...]], Block] = {}
    for room, it in seen:
        text = it.text if exact else it.gist
        key = (it.code, text, it.holders if exact else ())
        same = blocks.get(key)
        if same is not None:
            held_by = tuple(dict.fromkeys((*same.held_by, *it.holders)))
            blocks[key] = replace(same, nodes=(*same.nodes, room.name), held_by=held_by)
            continue
        clears = "" if it.code in NEVER else _clears(snapshot, it, now)
        blocks[key] = Block(it.code, text, (room.name,), held_by=it.holders, clears=clears)
    return tuple(sorted(blocks.values(), key=lambda block: DISTANCE[block.code]))


def _clears(snapshot: Snapshot, obstacle: Obstacle, now: Now) -> str:
    """When the first of those that hold it ends, as far as anything is known of that."""
    ends = []
    for key in obstacle.attempts:
        attempt = snapshot.attempts[key]
        job = job_of(snapshot, attempt)
        if job is not None:
            hard = hard_end(job, attempt)
            if hard < inf and attempt.stop is None:
                hard -= job.spec.grace
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
