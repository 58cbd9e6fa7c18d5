"""Which of the nodes that could hold a request gets it.

`prefer` comes first; then, for what is to be spread, the node with the fewest replicas of the same
job. Then the node where the least of the free GPUs is spoilt for those to come: the change of
`fragmentation.Outlook.lost`, whose docstring says how that is known and why it packs better than
fragmentation gradient descent, not to speak of best fit. Among equals: the smallest devices, then
where the least is left free, so that big holes stay whole, then the inventory's order. Which
devices of the node are taken is `feasible.pick`'s to say: the smallest that do, near to each
other.
"""

from __future__ import annotations

from typing import NamedTuple

from flextui.core.model.state import Node
from flextui.core.scheduler.fragmentation import Free
from flextui.core.scheduler.need import Need

Rank = tuple[int, float, int, int, int, int]
"""Smaller is better: labels preferred (negative), GPUs spoilt, bytes of the devices taken, and what
was free before: GPUs, CPUs, memory. Made by `index.Search.read`, the busiest place of all."""


class Before(NamedTuple):
    """What is free of the devices of a room: thousandths, and how many of them will be lost."""

    free: int
    lost: float


class Left(NamedTuple):
    """What a request would leave of the devices of a room, and what it takes."""

    free: Free
    memory: int = 0
    """Bytes that the devices it takes have, free or not."""
    price: float = 0.0
    """What these devices cost; see `Outlook.price`."""


def preferred(need: Need, node: Node) -> int:
    """How many of the labels that the request would like the node has."""
    labels = node.spec.labels
    return sum(labels.get(name) == value for name, value in need.prefer)
