"""Kills that are owed: durable first, then told to a node in touch, or to it when it is back."""

from __future__ import annotations

from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.model.state import Attempt, NodeStatus, StopRequest
from flextui.core.reduce.attempts import send_owed_stop
from flextui.core.reduce.starts import abandon


def kill(draft: Draft, attempt: Attempt, stop: StopRequest) -> None:
    """Owe a live attempt its end, once."""
    if attempt.state.live and attempt.stop is None:
        stopping = replace(attempt, stop=stop)
        draft.put_attempt(stopping)
        send_kill(draft, stopping)


def send_kill(draft: Draft, attempt: Attempt) -> None:
    """To a node in touch at once; it is owed to any other until that is back."""
    node = draft.nodes.get(attempt.node)
    if node is None or node.status is not NodeStatus.READY:
        return
    if attempt.started_at is None:
        abandon(draft, attempt)
    else:
        send_owed_stop(draft, attempt)
