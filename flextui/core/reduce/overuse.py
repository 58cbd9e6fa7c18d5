"""Attempts that use more memory of a shared GPU than their share.

The limit is in the workload's environment; nothing on the node can hold it to that, so its use is
watched. What is short is let pass, and who comes down only a little stays told: a workload that
goes up and down around its limit is told once.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.model.docs import ACTOR
from flextui.core.model.state import Attempt, JobState, Meter, Node, StopRequest
from flextui.core.model.units import format_size
from flextui.core.reduce.kills import kill
from flextui.core.scheduler.restart import OVER_SHARE

CODE = OVER_SHARE
"""`reason_code` of a task, and `code` of the request that stops an attempt."""
TELL_AFTER_S = 10.0
STOP_AFTER_S = 30.0
"""With `policy.share_overuse: stop`."""
BACK = 0.95
"""Below this part of its limit it is no longer over it."""


def heed_overuse(draft: Draft, node: Node, attempt: Attempt) -> None:
    """Tell, or stop, what has been over its limit for some time."""
    limit, meter = attempt.gpu_memory_bytes, draft.meters[attempt.id]
    if not attempt.share or not limit or attempt.stop is not None:
        return
    used = _used(node, attempt)
    if used is None or (meter.over_at is None and used <= limit):
        return
    if used <= limit * BACK:
        _clear(draft, attempt, meter)
        return
    now = draft.now.wall
    over_at = now if meter.over_at is None else meter.over_at
    tell = not meter.over_told and now - over_at >= TELL_AFTER_S
    after = replace(meter, over_at=over_at, over_told=meter.over_told or tell)
    if after != meter:
        draft.books.put_meter(attempt.id, after)
    text = f"uses {format_size(used)} of GPU memory, its share is {format_size(limit)}"
    if after.over_told:
        _mark(draft, attempt, text, CODE)
    if tell:
        _note(draft, attempt, "attempt.over_share", text)
    stops = draft.inventory.policy.share_overuse == "stop"
    if stops and after.over_told and used > limit and now - over_at >= STOP_AFTER_S:
        _note(draft, attempt, "attempt.over_share_stopped", text)
        kill(draft, draft.attempts[attempt.id], StopRequest(ACTOR, now, text, CODE))


def _used(node: Node, attempt: Attempt) -> int | None:
    """Bytes that its processes use on its device; None: not told."""
    gpu = next((it for it in node.gpus if it.uuid in attempt.gpus), None)
    if gpu is None or gpu.state != "ok":
        return None
    return sum(it.memory_bytes or 0 for it in gpu.processes if it.attempt == attempt.id)


def _clear(draft: Draft, attempt: Attempt, meter: Meter) -> None:
    draft.books.put_meter(attempt.id, replace(meter, over_at=None, over_told=False))
    if meter.over_told:
        _mark(draft, attempt, "", "")
        _note(draft, attempt, "attempt.within_share", "keeps to its share of GPU memory again")


def _mark(draft: Draft, attempt: Attempt, reason: str, code: str) -> None:
    """Show it on the running task, unless that tells something already; or show it no more."""
    task = draft.tasks.get(attempt.task)
    if task is None or task.state is not JobState.RUNNING or task.active != attempt.id:
        return
    if task.reason_code == ("" if code else CODE):
        draft.put_task(replace(task, reason=reason, reason_code=code))


def _note(draft: Draft, attempt: Attempt, kind: str, text: str) -> None:
    key = attempt.task
    draft.note(kind, text, job=key.job, task=key.index, attempt=attempt.id, node=attempt.node)
