"""Rules about the core itself: it can't write, or it doubts its own link."""

from __future__ import annotations

from collections.abc import Iterator

from flextui.core.model.state import NodeStatus
from flextui.core.problems.problem import Problem, Scene, Step


def read_only(scene: Scene) -> Iterator[Problem]:
    """A commit failed: nothing can be started, stopped or changed."""
    if scene.read_only:
        yield Problem(
            id="core:read-only",
            severity="critical",
            what=f"the core can't write its state: {scene.read_only}",
            next=Step("mend the disk of the state directory; it goes on by itself"),
            touches="nothing starts, nothing stops; what runs goes on",
        )


def copies(scene: Scene) -> Iterator[Problem]:
    """Logs aren't copied to the core's disk."""
    if scene.copies:
        yield Problem(
            id="core:copies",
            severity="warning",
            what=f"logs can't be copied to the core's disk: {scene.copies}",
            next=Step("mend the disk of the state directory; it goes on by itself"),
            touches="the logs of a node that goes away",
        )


def failed(rule: str, error: Exception) -> Problem:
    """A rule failed: what it looks for may be there unseen."""
    return Problem(
        id=f"rule:{rule}",
        severity="warning",
        what=f"flextui's own failure: looking for '{rule}' ended with {error!r}",
        next=Step("report it with this text; look for such problems by hand"),
        touches="problems of this kind aren't told",
    )


def suspended(scene: Scene) -> Iterator[Problem]:
    """Half of the nodes vanished at once."""
    snapshot = scene.snapshot
    if not snapshot.suspended_until_answer:
        return
    lost = [it for it in snapshot.nodes.values() if it.status is NodeStatus.LOST]
    yield Problem(
        id="core:suspended",
        severity="critical",
        what=f"{len(lost)} of {len(snapshot.nodes)} nodes vanished at once: is it our own link?",
        next=Step("mend the link, or declare lost what is gone"),
        since=min((it.status_at for it in lost), default=None),
        touches="lost work isn't replaced until one of them answers",
    )
