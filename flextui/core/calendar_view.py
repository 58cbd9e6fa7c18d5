"""Reservations and maintenance as documents: what is kept, for whom, and when it next holds."""

from __future__ import annotations

from typing import Literal

from flextui.core.model.docs import SpanDoc, WindowDoc
from flextui.core.model.moments import shown
from flextui.core.model.state import Snapshot
from flextui.core.model.times import iso
from flextui.core.model.windows import Reservation, Window


def calendar_view(snapshot: Snapshot, wall: float) -> list[WindowDoc]:
    """All that still hold one day, the soonest first."""
    inventory = snapshot.inventory
    found = [window_view(it, "inventory", wall) for it in inventory.reservations]
    found += [window_view(it, "command", wall) for it in snapshot.reservations.values()]
    found += [window_view(it, "inventory", wall) for it in inventory.maintenance]
    ahead = [(it["next"]["from"], it["name"], it) for it in found if it["next"] is not None]
    return [doc for _, _, doc in sorted(ahead, key=lambda it: it[:2])]


def window_view(window: Window, source: Literal["inventory", "command"], wall: float) -> WindowDoc:
    """One of them, with the occurrence that holds now or comes next."""
    span = window.next_span(wall)
    following: SpanDoc | None = None
    if span is not None:
        following = {"from": iso(span[0]), "to": iso(span[1])}
    reserved = isinstance(window, Reservation)
    return {
        "name": window.name,
        "kind": "reservation" if reserved else "maintenance",
        "source": source,
        "for": list(window.for_) if isinstance(window, Reservation) else [],
        "nodes": window.nodes if isinstance(window.nodes, str) else list(window.nodes),
        "gpus": list(window.gpus) if isinstance(window, Reservation) and window.gpus else None,
        "from": window.from_,
        "to": shown(window.to),
        "every": window.every,
        "until": window.until,
        "timezone": window.timezone,
        "next": following,
        "active": span is not None and span[0] <= wall,
    }
