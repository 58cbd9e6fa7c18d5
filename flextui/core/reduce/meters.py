"""How much of what an attempt holds is idle, from telemetry.

A device is idle while its utilisation is below the job's own `idle.gpu_below` (5 % if it says
nothing), or while no process of the attempt is on it; of a shared device, where the driver tells
it, the utilisation by the attempt's own processes counts. Only what was seen counts: a device
whose state isn't told (a box without a driver, a device in error) is in use, and so is one on
which processes are but whose utilisation is not told, as on MIG slices. The time between two
samples is idle if both say so and they aren't far apart; a node out of sight is never idle.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.books import models_of
from flextui.core.draft import Draft
from flextui.core.model.records import changed
from flextui.core.model.state import Attempt, AttemptState, Gpu, Job, Meter, Node
from flextui.core.model.usage import HOUR, WHOLE

BELOW = 5.0
"""Percent of use below which a device is idle, unless the job says otherwise."""
GAP_S = 15.0
"""Samples further apart than this tell nothing of the time between them."""
SETTLE_S = 300.0
"""How often idle time is made durable."""
BARE = 512 * 2**20
"""Bytes in use on a device without a listed process that are nobody's work."""


def read_meters(draft: Draft, node: Node, attempt: Attempt) -> None:
    """Fold the node's newest sample into the meter of one of its attempts."""
    job = draft.job(attempt.task.job)
    if job is None or attempt.state is not AttemptState.RUNNING:
        return
    meter = _settled(draft, job, attempt, node)
    idle = _idle_devices(node, attempt, gpu_below(job))
    after = _read(meter, attempt, idle, draft.now.wall)
    if after != meter:
        draft.books.put_meter(attempt.id, after)


def gpu_below(job: Job) -> float:
    """Percent of use below which a device of this job is idle."""
    return job.spec.idle.gpu_below if job.spec.idle is not None else BELOW


def _read(meter: Meter, attempt: Attempt, idle: int, now: float) -> Meter:
    if not idle and meter.seen_at is None:
        return meter
    gap = now - meter.seen_at if meter.seen_at is not None else 0.0
    lasting = meter.seen_at is not None and 0 <= gap <= GAP_S
    part = attempt.share / WHOLE if attempt.share else 1.0
    idle_at = None
    if idle == len(attempt.gpus):
        idle_at = meter.idle_at if lasting and meter.idle_at is not None else now
    return changed(
        meter,
        idle_s=meter.idle_s + (gap * idle * part if lasting else 0.0),
        seen_at=now if idle else None,
        idle_at=idle_at,
    )


def _settled(draft: Draft, job: Job, attempt: Attempt, node: Node) -> Meter:
    """The meter, settled if an hour has closed, or idle time has waited long enough."""
    meter, now = draft.meters[attempt.id], draft.now.wall
    if not meter.models or "" in meter.models:
        models = models_of(attempt, node)
        if models != meter.models:
            meter = replace(meter, models=models)
            draft.books.put_meter(attempt.id, meter, durable=True)
    closed = now // HOUR > meter.since // HOUR
    if closed or (meter.idle_s and now // SETTLE_S > meter.since // SETTLE_S):
        draft.books.settle(job, attempt, now)
    return draft.meters[attempt.id]


def _idle_devices(node: Node, attempt: Attempt, below: float) -> int:
    gpus = {gpu.uuid: gpu for gpu in node.gpus}
    found = (gpus.get(uuid) for uuid in attempt.gpus)
    return sum(1 for gpu in found if gpu is not None and _is_idle(gpu, attempt, below))


def _is_idle(gpu: Gpu, attempt: Attempt, below: float) -> bool:
    if gpu.declared or gpu.state != "ok":
        return False
    if gpu.utilization is not None and gpu.utilization < below:
        return True
    if not gpu.processes:  # or the driver doesn't list them: then memory tells
        return gpu.memory_used_bytes is not None and gpu.memory_used_bytes < BARE
    if not attempt.share:
        return False
    own = [it for it in gpu.processes if it.attempt in (None, attempt.id)]
    used = [it.utilization for it in own if it.utilization is not None]
    return len(used) == len(own) and sum(used) < below
