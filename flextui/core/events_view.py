"""Pure: which events somebody asked for, where they come one by one and not from the store."""

from __future__ import annotations

from flextui.core.commands import ListEvents
from flextui.core.model.docs import ACTOR, EventDoc


def wanted(event: EventDoc, query: ListEvents) -> bool:
    """Whether an event is one of those that the query is about, as the store would tell."""
    asked = ((query.job, event["job"]), (query.node, event["node"]), (query.actor, event["actor"]))
    fits = all(wish is None or wish == has for wish, has in asked)
    return fits and not (query.audit and event["actor"] == ACTOR)
