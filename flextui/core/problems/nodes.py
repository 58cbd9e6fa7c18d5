"""Rules about nodes: out of reach, driven by others, full, wrong about the time."""

from __future__ import annotations

from collections.abc import Iterator

from flextui.core.model.state import AttemptState, Node, NodeStatus
from flextui.core.model.units import format_duration, format_size
from flextui.core.problems.problem import Problem, Scene, Step, at, listed

GIB = 2**30
DISK_LEFT = 0.05
"""Less than this part of the disk of attempts and their logs, and less than `DISK_BYTES`."""
DISK_BYTES = 20 * GIB
DISK_FULL = GIB
"""With less than this, starts are about to be refused."""
SKEW_S = 30.0
"""A node's clock may differ by so much: more than any hello takes on its way."""


def down(scene: Scene) -> Iterator[Problem]:
    """Nodes that don't answer, or answer that something is wrong with them."""
    for node in scene.snapshot.nodes.values():
        lost = node.status is NodeStatus.LOST
        if not lost and node.status is not NodeStatus.UNREACHABLE:
            continue
        there = scene.live.get(node.name, [])
        what = f"{node.name}: {node.reason or 'no answer'}"
        if node.declared_lost:
            what = f"{node.name}: declared lost, no answer since"
        yield Problem(
            id=f"node:{node.name}",
            severity="critical",
            what=what,
            next=_after_silence(node, bool(there)) if lost else _look(node),
            since=node.status_at,
            touches=_who_waits(scene, node),
            node=node.name,
        )


def _after_silence(node: Node, work: bool) -> Step:
    if work and not node.declared_lost:
        text = "if it is gone for good, say so: its work is then replaced"
        return Step(text, "declare-lost", f"declare-lost {node.name}")
    return _look(node)


def _look(node: Node) -> Step:
    return Step("see what answers and what doesn't", "check", f"check {node.name}")


def _who_waits(scene: Scene, node: Node) -> str:
    unknown = scene.names(scene.live.get(node.name, []))
    if unknown:
        return f"{listed(unknown)} unknown"
    free = sum(1 for _ in node.gpus)
    return f"{free} GPUs out of reach" if free else ""


def observed(scene: Scene) -> Iterator[Problem]:
    """Nodes that another core drives: nothing can be started there."""
    for node in scene.snapshot.nodes.values():
        if node.status is NodeStatus.OBSERVED:
            yield Problem(
                id=f"driver:{node.name}",
                severity="warning",
                what=f"{node.name}: driven by {node.driver or 'another core'}",
                next=Step("if that core is gone for good, take over", "takeover",
                          f"takeover {node.name}"),
                since=node.status_at,
                touches="nothing starts or stops there from here",
                node=node.name,
            )  # fmt: skip


def orphans(scene: Scene) -> Iterator[Problem]:
    """Attempts of ours that this core doesn't know: never killed by itself."""
    for node in scene.snapshot.nodes.values():
        if node.orphans:
            held = sum(len(it.gpus) for it in node.orphans)
            yield Problem(
                id=f"orphans:{node.name}",
                severity="warning",
                what=f"{node.name}: {len(node.orphans)} running that this core doesn't know",
                next=Step("see what they are; end them there", "shell", f"shell {node.name}"),
                touches=f"{held} GPUs held" if held else listed(it.job for it in node.orphans),
                node=node.name,
            )


def unsettled(scene: Scene) -> Iterator[Problem]:
    """Work of which nobody knows how it stands, though its node answers."""
    for name, there in scene.live.items():
        node = scene.snapshot.nodes.get(name)
        if node is None or node.status is not NodeStatus.READY:
            continue
        doubtful = [it for it in there if it.state is AttemptState.UNKNOWN]
        if doubtful:
            yield Problem(
                id=f"unsettled:{name}",
                severity="warning",
                what=f"{name}: {doubtful[0].reason or 'asked what became of its work'}",
                next=Step("see the node's work", "node", f"gpus {name}"),
                touches=f"{listed(scene.names(doubtful))} unknown",
                node=name,
            )


def disk(scene: Scene) -> Iterator[Problem]:
    """The disk of attempts and their logs is nearly full."""
    for node in scene.snapshot.nodes.values():
        total, free = node.sample.disk_bytes, node.sample.disk_free_bytes
        if node.status is not NodeStatus.READY or not total:
            continue
        full = free < min(DISK_FULL, total * DISK_LEFT)
        if full or (free < DISK_BYTES and free < total * DISK_LEFT):
            yield Problem(
                id=f"disk:{node.name}",
                severity="critical" if full else "warning",
                what=f"{node.name}: disk nearly full, {format_size(free // GIB * GIB)} free"
                if not full else f"{node.name}: disk full",
                next=Step("look what fills it", "shell", f"shell {node.name}"),
                touches="starts are refused, logs are cut" if full else "starts and logs soon",
                node=node.name,
            )  # fmt: skip


def clock(scene: Scene) -> Iterator[Problem]:
    """A node's own clock is far from this machine's."""
    for node in scene.snapshot.nodes.values():
        ahead = node.facts.clock_ahead_s if node.facts is not None else None
        if node.status is NodeStatus.READY and ahead is not None and abs(ahead) > SKEW_S:
            way = "ahead" if ahead > 0 else "behind"
            yield Problem(
                id=f"clock:{node.name}",
                severity="warning",
                what=f"{node.name}: its clock is {format_duration(abs(round(ahead)))} {way}",
                next=Step("let NTP set it", "shell", f"shell {node.name}"),
                touches="times in the logs of its jobs",
                node=node.name,
            )


def maintenance(scene: Scene) -> Iterator[Problem]:
    """Nodes that are closed for maintenance now."""
    for window in scene.snapshot.inventory.maintenance:
        span = window.next_span(scene.wall)
        if span is None or span[0] > scene.wall:
            continue
        names = [it for it in scene.snapshot.nodes if window.covers(it)]
        busy = scene.names(it for name in names for it in scene.live.get(name, []))
        yield Problem(
            id=f"maintenance:{window.name}",
            severity="notice",
            what=f"maintenance {window.name} until {at(span[1])}: {listed(names)}",
            next=Step("see the calendar", "", "reservations"),
            since=span[0],
            touches=f"{listed(busy)} still run there" if busy else "",
            node=names[0] if len(names) == 1 else "",
        )
