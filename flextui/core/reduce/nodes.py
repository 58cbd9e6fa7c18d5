"""What sessions tell of nodes: up, down, driven by somebody else.

When a node is back, its records are held against our attempts. What it doesn't have counts as
evidence only under the root_id that the attempt was placed with; everything else is sent again
(starts and kills are idempotent there) or adopted.
"""

from __future__ import annotations

import math
from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.events import NodeConnecting, NodeDown, NodeFenced, NodeReady, PlacesSeen, Record
from flextui.core.model.state import Attempt, AttemptState, JobState, Node, NodeStatus
from flextui.core.reduce.attempts import take_record
from flextui.core.reduce.devices import declared_gpus, refuse_alias
from flextui.core.reduce.endings import active_task
from flextui.core.reduce.starts import abandon, start_effect

_DOWN = (NodeStatus.LOST, NodeStatus.UNREACHABLE)


def node_connecting(draft: Draft, event: NodeConnecting) -> None:
    """A first try shows as connecting; a retry leaves the reason of the failure in sight."""
    node = draft.nodes.get(event.node)
    if node is not None and node.status not in (*_DOWN, NodeStatus.CONNECTING):
        draft.put_node(
            replace(node, status=NodeStatus.CONNECTING, reason="", status_at=draft.now.wall)
        )


# ── up ─────────────────────────────────────────────────────────────────────────────────────────


def node_ready(draft: Draft, event: NodeReady) -> None:
    """Hello was exchanged: take the node's records in, send again what is still owed."""
    node = draft.nodes.get(event.node)
    if node is None:
        return
    if refusal := _refused_account(draft, event):
        _refuse(draft, node, refusal)
        return
    if draft.suspended:
        # The pause ends with this answer. The others may be on their way back: their loss begins
        # anew, and before the answer, so that they don't seem to have vanished together again.
        restart_loss_timers(draft, math.nextafter(draft.now.mono, 0.0))
    up = _up(draft, node, event)
    twin = draft.home_of(event.facts.host_id)
    new_root = (up.host_id, up.root_path, up.root_id) != (
        node.host_id,
        node.root_path,
        node.root_id,
    )
    draft.put_node(up, durable=new_root)
    if up.status is not node.status or up.reason != node.reason:
        kind, text = ("node.ready", "connected") if event.granted else ("node.observed", up.reason)
        draft.note(kind, f"{up.name}: {text}", node=up.name)
    if twin is not None and twin.name != up.name:
        refuse_alias(draft, up, twin, "host_id")
        if draft.nodes[up.name].status is NodeStatus.UNREACHABLE:
            return
    _reconcile(draft, draft.nodes[up.name], event)


def _up(draft: Draft, node: Node, event: NodeReady) -> Node:
    status = NodeStatus.READY if event.granted else NodeStatus.OBSERVED
    reason = ""
    if not event.granted:
        reason = f"{node.name} is driven by {event.driver or 'another core'}"
        if head := event.driver.rpartition("@")[2]:
            reason += f": use `flextui --connect {head}`"
    facts = event.facts
    return replace(
        node,
        status=status,
        reason=reason,
        status_at=draft.now.wall if status is not node.status else node.status_at,
        down_mono=None,
        up_mono=draft.now.mono,
        declared_lost=False,
        driver="" if event.granted else event.driver,
        facts=facts,
        gpus=declared_gpus(node),
        sampled=False,
        orphans=(),
        host_id=facts.host_id,
        root_path=facts.root_path,
        root_id=facts.root_id,
    )


def _refused_account(draft: Draft, event: NodeReady) -> str:
    """In a shared fleet nobody's job may run as the core's own account: it could become it."""
    shared = draft.shared
    if shared is None or draft.inventory.trust_users:
        return ""
    if event.facts.uid == shared.uid:
        return (
            f"refused: everybody's jobs would run as {event.facts.user} (uid {shared.uid}), the "
            "account of the core: use another account, or trust_users: true in the inventory"
        )
    return ""


def _refuse(draft: Draft, node: Node, reason: str) -> None:
    draft.put_node(
        replace(
            node,
            status=NodeStatus.UNREACHABLE,
            reason=reason,
            status_at=draft.now.wall,
            down_mono=None,
            sampled=False,
            gpus=(),
        )
    )
    draft.note("node.unreachable", f"{node.name}: {reason}", node=node.name)
    draft.order(node.name, "close")


def _reconcile(draft: Draft, node: Node, event: NodeReady) -> None:
    records = {record.attempt: record for record in event.records}
    _follow_rename(draft, node, records)
    for attempt in draft.live_on(node.name):
        record = records.get(attempt.id)
        if record is not None and attempt.owns(record.nonce):
            del records[attempt.id]
            _adopt(draft, attempt, record, event)
        elif not event.granted:
            doubt(draft, attempt, node.reason)
        else:
            _missing(draft, attempt, event)
    for record in records.values():
        take_record(draft, node.name, record)


def _follow_rename(draft: Draft, node: Node, records: dict[str, Record]) -> None:
    """Work that was placed on this very box under a name that the inventory no longer has."""
    for key in records:
        attempt = draft.attempts.get(key)
        if attempt is None or attempt.node == node.name or attempt.host_id != node.host_id:
            continue
        if not attempt.owns(records[key].nonce):
            continue
        if draft.inventory.node(attempt.node) is None:
            draft.put_attempt(replace(attempt, node=node.name))


def _adopt(draft: Draft, attempt: Attempt, record: Record, event: NodeReady) -> None:
    facts = event.facts
    if (attempt.root_id, attempt.host_id) != (facts.root_id, facts.host_id):
        attempt = replace(attempt, root_id=facts.root_id, host_id=facts.host_id)
        draft.put_attempt(attempt)
    take_record(draft, event.node, record)
    now = draft.attempts[attempt.id]
    if now.state is AttemptState.STARTING and (now.stop or now.replaced):
        abandon(draft, now)


def _missing(draft: Draft, attempt: Attempt, event: NodeReady) -> None:
    """The node lists no record of an attempt that we hold for live.

    That alone proves nothing: the record may be put away as acknowledged, by a state of ours that
    a backup has since replaced. The node is asked to abandon the attempt, and what it answers
    settles it: the record wherever it lies, or that it never ran and now never will.
    """
    facts = event.facts
    if event.adopted and not attempt.root_id and attempt.host_id == facts.host_id:
        attempt = replace(attempt, root_id=facts.root_id)
        _ask_what_became(draft, attempt)
    elif (attempt.root_id, attempt.host_id) != (facts.root_id, facts.host_id):
        why = f"{event.node} has another state folder than when it was placed"
        if not attempt.root_id:
            why = "it belongs to the core that this state was copied from, until `flextui takeover`"
        doubt(draft, attempt, why)
    elif attempt.started_at is not None:
        _ask_what_became(draft, attempt)
    elif attempt.boot != facts.boot or attempt.stop or attempt.replaced:
        abandon(draft, attempt)
    else:
        _start_again(draft, attempt)


def _ask_what_became(draft: Draft, attempt: Attempt) -> None:
    doubt(draft, attempt, f"{attempt.node} lists no record of it and is asked what became of it")
    abandon(draft, draft.attempts[attempt.id])


def _start_again(draft: Draft, attempt: Attempt) -> None:
    """The same start once more, if it would still be the same; else it is never to run."""
    effect = start_effect(draft, attempt)
    if effect is None:
        abandon(draft, attempt)
        return
    if attempt.state is AttemptState.UNKNOWN:
        draft.put_attempt(replace(attempt, state=AttemptState.PLACED, reason=""))
    draft.send(attempt.node, effect)


def places_seen(draft: Draft, event: PlacesSeen) -> None:
    """Where its devices sit. What was placed stays; what comes is placed by it."""
    node = draft.nodes.get(event.node)
    if node is not None and node.places != event.places:
        draft.put_node(replace(node, places=event.places))


# ── down ───────────────────────────────────────────────────────────────────────────────────────


def node_down(draft: Draft, event: NodeDown) -> None:
    """The session is gone. What runs there is unknown, not failed."""
    node = draft.nodes.get(event.node)
    if node is None:
        return
    lost = event.status is NodeStatus.LOST
    down_mono = None
    if lost:
        down_mono = node.down_mono if node.status is NodeStatus.LOST else draft.now.mono
    changed = event.status is not node.status
    down = replace(
        node,
        status=event.status,
        reason=event.text,
        status_at=draft.now.wall if changed else node.status_at,
        down_mono=down_mono,
        sampled=False,
        gpus=tuple(replace(gpu, processes=()) for gpu in node.gpus),
    )
    if changed or node.reason != event.text:
        draft.put_node(down)
        draft.note(f"node.{event.status}", f"{node.name}: {event.text}", node=node.name)
    for attempt in draft.live_on(node.name):
        doubt(draft, attempt, f"{node.name} doesn't answer" if lost else event.text)


def node_fenced(draft: Draft, event: NodeFenced) -> None:
    """Another core took the node over, and our attempts with it."""
    node = draft.nodes.get(event.node)
    if node is None:
        return
    reason = f"{node.name} was taken over by {event.by}"
    draft.put_node(
        replace(
            node,
            status=NodeStatus.OBSERVED,
            reason=reason,
            status_at=draft.now.wall,
            driver=event.by,
            down_mono=None,
        )
    )
    draft.note("node.fenced", reason, node=node.name)
    for attempt in draft.live_on(node.name):
        doubt(draft, attempt, reason)


def doubt(draft: Draft, attempt: Attempt, reason: str) -> None:
    """Nobody can say how it stands: unknown, with why."""
    if attempt.state is AttemptState.UNKNOWN and attempt.reason == reason:
        return
    draft.put_attempt(replace(attempt, state=AttemptState.UNKNOWN, reason=reason))
    task = active_task(draft, attempt)
    if task is not None and not task.state.ended:
        state = JobState.RUNNING if attempt.started_at is not None else task.state
        draft.put_task(replace(task, state=state, reason=reason, reason_code="unknown"))


def restart_loss_timers(draft: Draft, at: float | None = None) -> None:
    """The core itself was away (stopped, asleep, cut off): no node is to blame for that time.

    `at` is an instant of the awake clock; now, if left out.
    """
    since = draft.now.mono if at is None else at
    for node in list(draft.nodes.values()):
        if node.status is NodeStatus.LOST and not node.declared_lost:
            draft.put_node(replace(node, down_mono=since))
