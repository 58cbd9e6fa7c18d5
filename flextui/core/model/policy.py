"""What holds for the whole fleet: the order of the queue, and how long things are waited for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from flextui.core.model.fields import Bytes, Flag, Frozen, Number, Seconds
from flextui.core.model.problems import BadValue, nearest

_BACKFILLS = ("easy", "conservative", "off")


def _backfill(value: Any) -> Any:
    """True is EASY backfill, false none."""
    if isinstance(value, bool):
        return "easy" if value else "off"
    if value not in _BACKFILLS:
        like = nearest(value, _BACKFILLS) if isinstance(value, str) else ""
        raise BadValue(expected="true, false, easy or conservative", nearest=like)
    return value


Weight = Annotated[Number, Field(ge=0, le=1e9)]


class Weights(Frozen):
    """How much each factor of a job's place in the order counts; factors are from 0 to 1."""

    priority: Weight = 1000.0
    """Its own priority, of 100."""
    age: Weight = 200.0
    """How long it has waited, of `age_full`."""
    fair_share: Weight = 500.0
    """How little its user and project have used of their part."""
    size: Weight = 0.0
    """How much of the fleet it asks for."""


class Policy(Frozen):
    """What holds for the whole fleet."""

    node_lost_after: Seconds = Field(60.0, gt=0)
    """How long a node is out of sight before it counts as lost, unless a job says `after`."""
    log_keep: Seconds = Field(14 * 86_400.0, gt=0)
    """How long what ended jobs left behind is kept."""
    log_size: Bytes = Field(256 << 20, ge=64 << 10)
    """Bytes of its output that are kept of an attempt on its node, the newest."""
    log_copy: Bytes = 4 << 20
    """Bytes of them that the core copies, the newest: readable when the node is gone. 0: none."""
    log_copies: Bytes = 1 << 30
    """Bytes of all copies; the oldest leave first."""
    usage_keep: Seconds = Field(400 * 86_400.0, gt=0)
    """How long it is kept who used how much."""
    queue: Literal["priority", "fifo", "fair-share", "shortest"] = "priority"
    """Which pending job goes first."""
    backfill: Annotated[Literal["easy", "conservative", "off"], BeforeValidator(_backfill)] = "easy"
    """Whether smaller jobs go ahead where no earlier one's promised start is delayed: of the
    first that waits (easy), or of all (conservative). In a file also true (easy) and false."""
    preemption: Flag = False
    """Whether running jobs make room for those of higher priority."""
    weights: Weights = Weights()
    age_full: Seconds = Field(7 * 86_400.0, gt=0)
    """After so long, waiting longer doesn't count for more."""
    half_life: Seconds = Field(7 * 86_400.0, gt=0)
    """After so long, past use counts half for fair share."""
    longest_wait: Seconds = Field(86_400.0, gt=0)
    """Under `shortest`, after so long a job goes ahead of shorter ones."""
    share_overuse: Literal["warn", "stop"] = "warn"
    """What happens to a job that uses more of a shared GPU's memory than its share."""
    interactive_limit: Seconds = Field(8 * 3600.0, gt=0)
    """The time limit of an interactive job that gives none."""
    warn_wait: Seconds = Field(6 * 3600.0, gt=0)
    """A job that has waited for a place for so long is a problem."""
    warn_idle: Seconds = Field(3600.0, gt=0)
    """GPUs held and idle for so long are a problem, unless their job says `idle.for`."""
