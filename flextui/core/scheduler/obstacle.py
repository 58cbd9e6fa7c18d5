"""One thing in the way of a request on one node, and how near each kind of it is to clearing."""

from __future__ import annotations

from dataclasses import dataclass

NEAREST = (
    "order",
    "quota",
    "reserved",
    "apart",
    "cpus",
    "memory",
    "gpus_busy",
    "gpus_foreign",
    "gpus_cordoned",
    "gpus_unknown",
    "node_drained",
    "node_cordoned",
    "node_down",
    "gpu_memory",
    "gpu_model",
    "gpu_share",
    "too_big",
    "volumes",
    "labels",
)
"""Codes, from what clears soonest to what never does."""

NEVER = frozenset({"gpu_memory", "gpu_model", "gpu_share", "too_big", "volumes", "labels"})
"""Codes of obstacles that no waiting removes."""

DISTANCE = {code: place for place, code in enumerate(NEAREST)}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing in the way on one node.

    A gist has nothing in it that ticks (no amounts of memory or CPU in use), for a reason that is
    stored is written anew whenever its text changes.
    """

    code: str
    gist: str
    told: object
    """In full; `str()` of it is the text."""
    holders: tuple[str, ...] = ()
    """Jobs and foreign processes that hold what is needed."""
    attempts: tuple[str, ...] = ()
    """The attempts among them."""

    @property
    def text(self) -> str:
        return str(self.told)


def count(number: float, what: str) -> str:
    """'1 GPU', '2 GPUs'."""
    return f"{number:g} {what}" + ("" if number == 1 else "s")
