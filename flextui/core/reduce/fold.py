"""One event into the draft: the table of who handles what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flextui.core.draft import Draft
from flextui.core.events import (
    AttemptReported,
    AttemptUnknown,
    LeaseAsked,
    NodeConnecting,
    NodeDown,
    NodeEvent,
    NodeFenced,
    NodeReady,
    PlacesSeen,
    Sampled,
    StartRefused,
    XidSeen,
)
from flextui.core.reduce.attempts import (
    attempt_reported,
    attempt_unknown,
    lease_asked,
    start_refused,
)
from flextui.core.reduce.devices import xid_seen
from flextui.core.reduce.nodes import (
    node_connecting,
    node_down,
    node_fenced,
    node_ready,
    places_seen,
)
from flextui.core.reduce.telemetry import sampled

_HANDLERS: dict[type, Callable[[Draft, Any], None]] = {
    NodeConnecting: node_connecting,
    NodeReady: node_ready,
    NodeDown: node_down,
    NodeFenced: node_fenced,
    AttemptReported: attempt_reported,
    StartRefused: start_refused,
    AttemptUnknown: attempt_unknown,
    Sampled: sampled,
    PlacesSeen: places_seen,
    XidSeen: xid_seen,
    LeaseAsked: lease_asked,
}


def fold(draft: Draft, event: NodeEvent) -> None:
    """Fold one fact into the draft."""
    _HANDLERS[type(event)](draft, event)
