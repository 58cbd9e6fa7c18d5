"""When work on a node that is out of sight may be given up.

Only silence counts (`lost`), never a node that says what is wrong with it (`unreachable`), and
only while this core was awake and trying. If half of the nodes fall silent within a minute, it is
more likely the core's own link: then nothing is given up until one of them answers or an operator
says that they are gone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from flextui.core.model.state import Attempt, Job, Node, NodeStatus, Now, Snapshot
from flextui.core.model.units import format_duration

TOGETHER_S = 60.0
"""Nodes that fall silent within this time of each other are suspected to have one cause."""
FENCE_MARGIN_S = 10.0
"""How much longer than lease and grace a fenced attempt is given to be dead."""

_FEW = 2
"""Fewer lost nodes than this are no reason for suspicion."""
_NEVER = -1.0
"""Before any instant of the awake clock."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an attempt on a node that doesn't answer."""

    give_up: bool = False
    fail: bool = False
    """Given up, and its task fails."""
    reason: str = ""
    at_mono: float | None = None
    """When to judge again, on the awake clock."""


def suspended(snapshot: Snapshot, lost: Collection[str] | None = None) -> bool:
    """Whether so many nodes vanished together that the core's own link is suspected.

    A node that never answered this core didn't vanish: any answer since the start clears it.
    `lost`: the nodes that are lost, where that is known.
    """
    if lost is not None and len(lost) < _FEW:
        return False
    fleet = [
        node
        for node in snapshot.nodes.values()
        if node.status in (NodeStatus.READY, NodeStatus.LOST, NodeStatus.CONNECTING)
        and not node.declared_lost
    ]
    gone = sorted(
        (node.down_mono if node.up_mono is not None else _NEVER)
        for node in fleet
        if node.status is NodeStatus.LOST and node.down_mono is not None
    )
    many = max(_FEW, (len(fleet) + 1) // 2)
    ups = [node.up_mono for node in snapshot.nodes.values() if node.up_mono is not None]
    answered = max(ups, default=_NEVER - 1)
    for first, last in zip(gone, gone[many - 1 :], strict=False):
        if last - first <= TOGETHER_S and answered <= last:
            return True
    return False


def judge(
    snapshot: Snapshot, job: Job, attempt: Attempt, node: Node, now: Now, *, paused: bool
) -> Verdict:
    """What becomes of a live attempt whose node is lost, by the job's `on_node_loss`."""
    waits = f"waits for {node.name}: no answer"
    policy = job.spec.on_node_loss
    if node.status is not NodeStatus.LOST or node.down_mono is None:
        return Verdict(reason=waits)
    if not node.declared_lost:
        if policy.then == "wait":
            return Verdict(reason=waits)
        if paused:
            return Verdict(reason=f"{waits}, like half of the nodes; nothing is replaced")
    due = _due(snapshot, job, attempt, node)
    if due is None:
        return Verdict(reason=f"{waits}; its lease may be suspended, so it isn't fenced")
    if now.mono < due:
        return Verdict(reason=waits, at_mono=due)
    fail = policy.then == "fail"
    return Verdict(give_up=True, fail=fail, reason=_given_up(job, attempt, node))


def _due(snapshot: Snapshot, job: Job, attempt: Attempt, node: Node) -> float | None:
    """Awake time at which it may be given up; None: not before the node answers."""
    assert node.down_mono is not None
    policy = job.spec.on_node_loss
    after = policy.after
    if after is None:
        after = snapshot.inventory.policy.node_lost_after
    due = node.down_mono if node.declared_lost else node.down_mono + after
    if attempt.lease_s is None:
        return due
    renewed = snapshot.lease_mono.get(attempt.id)
    if renewed is None:
        return due if node.declared_lost else None
    if attempt.started_at is None:  # it may have started as late as the link held
        renewed = max(renewed, node.down_mono)
    return max(due, renewed + attempt.lease_s + job.spec.grace + FENCE_MARGIN_S)


def _given_up(job: Job, attempt: Attempt, node: Node) -> str:
    if node.declared_lost:
        return f"{node.name} was declared lost"
    if attempt.lease_s is not None:
        return f"{node.name} doesn't answer; the attempt there was fenced"
    after = job.spec.on_node_loss.after
    silence = f" for {format_duration(after)}" if after is not None else ""
    return f"no answer{silence}; it may run twice until {node.name} answers"
