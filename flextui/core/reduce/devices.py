"""What is known of single GPUs: names, XIDs, claims of others, and what these mean.

XIDs of applications show on the attempt and cordon nothing; those of the hardware, and a recovery
action that NVML asks for, cordon that one device. Sources: NVIDIA's XID catalogue (48 double-bit
ECC, 64 page retirement or row remapper failure, 74 NVLink, 79 fallen off the bus, 95 uncontained
ECC; 13, 31, 43, 45 come from applications).
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.events import XidSeen
from flextui.core.model.docs import ACTOR
from flextui.core.model.state import Attempt, AttemptState, Gpu, JobState, Mark, Node, NodeStatus
from flextui.core.scheduler.restart import after_attempt

APPLICATION_XIDS = frozenset({13, 31, 43, 45})
HARDWARE_XIDS = frozenset({48, 64, 74, 79, 95})
MOMENTS_S = 10.0
"""An end this close to its device's failure is put down to the device."""
CLAIM_KEPT_S = 30.0
"""A device that a start found claimed by others is left alone this long."""

SESSION_UP = (NodeStatus.READY, NodeStatus.OBSERVED)
"""A session stands: the node says what it sees."""


# ── names ──────────────────────────────────────────────────────────────────────────────────────


def declared_gpus(node: Node) -> tuple[Gpu, ...]:
    """The GPUs of a box without a driver to ask."""
    return tuple(
        Gpu(
            uuid=f"{node.name}-gpu{it.index}",
            index=it.index,
            model=it.model,
            memory_bytes=it.memory,
            memory_used_bytes=None,
            declared=True,
        )
        for it in node.spec.gpus.declared or ()
    )


def claim_name(node: Node, uuid: str) -> str:
    """What the node's agent calls a device: a declared one by its number on that machine.

    Claims are per machine, so two inventories that name it differently must agree there.
    """
    gpu = next((it for it in declared_gpus(node) if it.uuid == uuid), None)
    return uuid if gpu is None else f"index-{gpu.index}"


def device_named(node: Node, name: str) -> str:
    """The UUID here of what the node's agent calls so."""
    found = (gpu.uuid for gpu in declared_gpus(node) if f"index-{gpu.index}" == name)
    return next(found, name)


def refuse_alias(draft: Draft, node: Node, other: Node, what: str) -> None:
    """Keep the name that has work, else the one that was there first; refuse the other."""
    if draft.by_node.get(node.name) and not draft.by_node.get(other.name):
        node, other = other, node
    text = f"{node.name} and {other.name} are the same machine ({what}): keep one of the names"
    refused = replace(
        node,
        status=NodeStatus.UNREACHABLE,
        reason=text,
        status_at=draft.now.wall,
        down_mono=None,
        gpus=(),
        sampled=False,
    )
    draft.put_node(refused)
    draft.note("node.alias", text, node=node.name)
    draft.order(node.name, "close")


# ── failures ───────────────────────────────────────────────────────────────────────────────────


def heed_recovery_actions(draft: Draft, before: Node, node: Node) -> None:
    """Cordon the devices that NVML newly asks to be reset or drained."""
    old = {gpu.uuid: gpu.recovery_action for gpu in before.gpus}
    for gpu in node.gpus:
        if gpu.recovery_action and gpu.recovery_action != old.get(gpu.uuid):
            why = f"NVML asks for recovery action {gpu.recovery_action}"
            cordon_device(draft, node.name, gpu.parent or gpu.uuid, why)


def xid_seen(draft: Draft, event: XidSeen) -> None:
    """An XID: the application's own, or one that takes the device out, with all slices of it."""
    node = draft.nodes.get(event.node)
    if node is None:
        return
    whole = _of_gpu(node, event.uuid)
    xids = {**node.xids, **dict.fromkeys(whole, (event.xid, draft.now.wall))}
    draft.put_node(replace(node, xids=xids), matters=False)
    text = f"XID {event.xid}" + (f": {event.text}" if event.text else "")
    index = next((str(gpu.index) for gpu in node.gpus if gpu.uuid in whole), event.uuid)
    draft.note("gpu.xid", f"{node.name} GPU {index}: {text}", node=node.name)
    if event.xid in HARDWARE_XIDS:
        cordon_device(draft, node.name, event.uuid, text)
        _judge_again(draft, node.name, whole)
    elif event.xid in APPLICATION_XIDS:
        there = {event.mig} if event.mig else whole
        for attempt in draft.live_on(node.name):
            if there.intersection(attempt.gpus):
                draft.put_attempt(replace(attempt, reason=text))


def _of_gpu(node: Node, uuid: str) -> set[str]:
    """A GPU and the slices that are cut from it."""
    return {uuid, *(gpu.uuid for gpu in node.gpus if gpu.parent == uuid)}


def cordon_device(draft: Draft, name: str, uuid: str, why: str) -> None:
    """No new work on this device, nor on slices of it; who, when and why are kept."""
    node = draft.nodes[name]
    if uuid in node.cordoned_gpus:
        return
    marks = {**node.cordoned_gpus, uuid: Mark(ACTOR, draft.now.wall, why)}
    draft.put_node(replace(node, cordoned_gpus=marks), durable=True)
    draft.note("gpu.cordoned", f"{name} {uuid}: {why}", node=name)


def lost_device(draft: Draft, attempt: Attempt) -> bool:
    """Whether one of its devices failed within moments of now."""
    node = draft.nodes.get(attempt.node)
    if node is None or not node.xids:
        return False
    return any(
        xid in HARDWARE_XIDS and draft.now.wall - at <= MOMENTS_S
        for xid, at in (node.xids.get(uuid, (0, 0.0)) for uuid in attempt.gpus)
    )


def _judge_again(draft: Draft, node: str, uuids: set[str]) -> None:
    """Attempts that failed just before their device's failure was told: all that held it."""
    since = draft.now.wall - MOMENTS_S
    for attempt in list(draft.attempts.values()):
        if (
            attempt.node != node
            or not uuids.intersection(attempt.gpus)
            or attempt.state is not AttemptState.FAILED
            or (attempt.ended_at or 0.0) < since
            or attempt.stop
        ):
            continue
        judged = replace(attempt, why="device_lost", reason="its GPU failed")
        draft.put_attempt(judged)
        _follow_again(draft, judged, since)


def _follow_again(draft: Draft, attempt: Attempt, since: float) -> None:
    """Let the task follow from the new verdict, even where the old one had ended the job."""
    job = draft.job(attempt.task.job)
    task = draft.tasks.get(attempt.task)
    if job is None or task is None or task.active != attempt.id or job.stop is not None:
        return
    if job.state is JobState.FAILED:
        job = replace(job, state=JobState.PENDING, reason="", ended_at=None)
        draft.put_job(job)
    if job.state.ended:
        return
    before = replace(
        task,
        state=JobState.RUNNING,
        failures=tuple(at for at in task.failures if at < since),
        ended_at=None,
    )
    draft.put_task(after_attempt(job, before, attempt, draft.now))


def claim(draft: Draft, name: str, uuid: str, by: str) -> None:
    """Leave a device alone for a while that another user of the box has claimed."""
    node = draft.nodes.get(name)
    if node is None:
        return
    uuid = device_named(node, uuid)
    claims = {**node.claims, uuid: (by, draft.now.wall + CLAIM_KEPT_S)}
    gpus = tuple(
        replace(gpu, state="claimed", text=by) if gpu.uuid == uuid and gpu.state == "ok" else gpu
        for gpu in node.gpus
    )
    draft.put_node(replace(node, claims=claims, gpus=gpus))
