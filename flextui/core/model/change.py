"""What differs between two specs, and what each difference means for what runs.

One pure function for the plan, the diff that is shown before an edit, and the edit itself, so that
what is told is what is done. Only what an attempt was started with makes it start anew; all else
is the core's own to heed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from flextui.core.model.revisions import differences
from flextui.core.model.spec import JobSpec


class Effect(StrEnum):
    """What a changed field does to tasks that run."""

    RESTART = "restart"
    """They start anew, one at a time where it is a service."""
    MOVE = "move"
    """Those start anew whose node it no longer allows."""
    NOW = "now"
    """It holds from now on, and they run on."""
    NEXT = "next"
    """It counts when they next start."""


_STARTED_WITH = ("run", "env", "workdir", "resources", "nodes", "time_limit")
_NEXT = ("where.prefer", "where.placement", "where.apart", "begin")
_MOVE = ("where", "volumes")


def spec_diff(old: JobSpec, new: JobSpec) -> list[dict[str, Any]]:
    """`[{"field": "env.LR", "old": "0.1", "new": "0.05", "effect": "restart"}]`, in the spec's
    order."""
    fenced = old.on_node_loss.fence or new.on_node_loss.fence
    rows = differences(old.to_json(), new.to_json())
    return [{**row, "effect": str(_effect(row["field"], fenced=fenced))} for row in rows]


def _effect(field: str, *, fenced: bool) -> Effect:
    top = field.partition(".")[0]
    if top in _STARTED_WITH or field == "on_node_loss.fence":
        return Effect.RESTART
    if field == "grace" and fenced:  # the node counts with the one that it was given
        return Effect.RESTART
    if any(field == it or field.startswith(f"{it}.") for it in _NEXT):
        return Effect.NEXT
    return Effect.MOVE if top in _MOVE else Effect.NOW
