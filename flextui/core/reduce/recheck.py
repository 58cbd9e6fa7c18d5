"""Whether what the scheduler wants to start still holds, against the state as it is now.

The scheduler is pure and may be wrong, and it may have looked at an older state. A placement is
checked for everything that would oversubscribe something or run work where it may not run; the
ranks of a gang are checked together, so that all of them start or none does.
"""

from __future__ import annotations

from collections.abc import Sequence

from flextui.core.draft import Draft
from flextui.core.model.state import Attempt, Gpu, Job, Node, NodeStatus, Task
from flextui.core.model.usage import WHOLE
from flextui.core.scheduler.decision import Placement

_MILLI = 1000

Holder = Attempt | Placement
"""Something that holds devices, CPUs and memory of a node, or is about to."""


def recheck(draft: Draft, placements: Sequence[Placement]) -> str:
    """Why these can't start now, all together; "" if they can."""
    for index, placement in enumerate(placements):
        if refusal := _one(draft, placement, placements[:index]):
            return f"{placement.task} isn't placed on {placement.node}: {refusal}"
    first = placements[0]
    job = draft.jobs[first.task.job]
    if refusal := _over_quota(draft, job, sum(milli(it) for it in placements)):
        return f"{first.task} isn't placed on {first.node}: {refusal}"
    return ""


def milli(holder: Holder) -> int:
    """Thousandths of GPUs."""
    return holder.share or WHOLE * len(holder.gpus)


def _one(draft: Draft, placement: Placement, mates: Sequence[Placement]) -> str:
    job = draft.jobs.get(placement.task.job)
    task = draft.tasks.get(placement.task)
    node = draft.nodes.get(placement.node)
    if job is None or task is None or node is None:
        return "the job, its task or the node is gone"
    if refusal := _stands(draft, placement, job, task) or _open(node):
        return refusal
    there: list[Holder] = [draft.attempts[key] for key in draft.by_node.get(node.name) or ()]
    there += [it for it in mates if it.node == node.name]
    return _devices(placement, node, there) or _room(placement, node, there)


def _stands(draft: Draft, placement: Placement, job: Job, task: Task) -> str:
    if job.revision != placement.revision or job.stop is not None:
        return "the job has changed"
    if task.retired or task.state.ended:
        return "the task has ended"
    active = draft.attempts.get(task.active) if task.active else None
    if active is not None and active.state.live and not active.replaced:
        return f"{active.id} is still {active.state}"
    return ""


def _open(node: Node) -> str:
    if node.status is not NodeStatus.READY or node.facts is None:
        return f"{node.name} is {node.status}"
    if node.drain is not None or node.cordon is not None:
        return f"{node.name} is {'drained' if node.drain else 'cordoned'}"
    return ""


# ── devices ────────────────────────────────────────────────────────────────────────────────────


def _devices(placement: Placement, node: Node, there: Sequence[Holder]) -> str:
    if not placement.gpus:
        return ""
    gpus = {gpu.uuid: gpu for gpu in node.gpus}
    for uuid in placement.gpus:
        gpu = gpus.get(uuid)
        if gpu is None:
            return "a GPU is gone"
        if node.cordon_of(gpu) is not None:
            return f"GPU {uuid} is cordoned"
        if gpu.state != "ok":
            return f"GPU {uuid} is {gpu.state}"
        if refusal := _taken(placement, node, gpu, there):
            return refusal
    return ""


def _taken(placement: Placement, node: Node, gpu: Gpu, there: Sequence[Holder]) -> str:
    """Whether what others hold of this device leaves room for it."""
    others = [it for it in there if gpu.uuid in it.gpus]
    if placement.share and (len(placement.gpus) > 1 or not node.spec.gpus.shares(gpu.index)):
        return f"GPU {gpu.uuid} isn't one that jobs may share"
    whole = next((it for it in others if not (it.share and placement.share)), None)
    if whole is not None:
        return f"GPU {gpu.uuid} is held by {_name(whole)}"
    if placement.share + sum(it.share for it in others) > WHOLE:
        return f"GPU {gpu.uuid} has no such part left"
    memory = placement.gpu_memory_bytes + sum(it.gpu_memory_bytes for it in others)
    if placement.share and memory > gpu.memory_bytes:
        return f"GPU {gpu.uuid} has not that much memory left"
    return ""


def _name(holder: Holder) -> str:
    return holder.id if isinstance(holder, Attempt) else str(holder.task)


# ── the rest ───────────────────────────────────────────────────────────────────────────────────


def _room(placement: Placement, node: Node, there: Sequence[Holder]) -> str:
    facts, reserve = node.facts, node.spec.reserve
    assert facts is not None
    cpus, memory = round(placement.cpus * _MILLI), placement.memory_bytes
    for it in there:
        cpus += round(it.cpus * _MILLI)
        memory += it.memory_bytes
    if cpus > round((facts.cpus - reserve.cpus) * _MILLI):
        return f"{node.name} has not that many CPUs left"
    if memory > facts.memory_bytes - reserve.memory:
        return f"{node.name} has not that much memory left"
    return ""


def _over_quota(draft: Draft, job: Job, more: int) -> str:
    """GPUs at once, of its user and of its project."""
    if not more:
        return ""
    project = draft.inventory.projects.get(job.project)
    user_quota = draft.inventory.users.quota_of(job.owner).gpus
    project_quota = project.quota.gpus if project is not None else None
    if user_quota is not None:
        held = sum(it.gpus for it in draft.accounts.values() if it.user == job.owner)
        if held + more > user_quota * WHOLE:
            return f"{job.owner} may have {user_quota:g} GPUs at once"
    if project_quota is not None:
        held = sum(it.gpus for it in draft.accounts.values() if it.project == job.project)
        if held + more > project_quota * WHOLE:
            return f"{job.project} may have {project_quota:g} GPUs at once"
    return ""
