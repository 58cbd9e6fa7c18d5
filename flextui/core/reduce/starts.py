"""An attempt as the order that its node gets: made from the spec alone, the same each time."""

from __future__ import annotations

from flextui.core.draft import Draft
from flextui.core.model.state import Attempt, Job, Node
from flextui.core.ports import AbandonAttempt, StartAttempt
from flextui.core.reduce.devices import claim_name


def start_effect(draft: Draft, attempt: Attempt) -> StartAttempt | None:
    """The start of this attempt, or None if its spec is no longer the one it was placed with."""
    job = draft.jobs.get(attempt.task.job)
    node = draft.nodes.get(attempt.node)
    if job is None or node is None or job.revision != attempt.revision:
        return None
    spec = job.spec
    run = spec.run
    argv = ("/bin/sh", "-c", run) if isinstance(run, str) else run
    return StartAttempt(
        attempt=attempt.id,
        boot=attempt.boot,
        job=job.full_name,
        task=attempt.task.index,
        argv=argv,
        env={**spec.env, **_environment(job, attempt, node)},
        workdir=spec.workdir,
        time_limit_s=spec.time_limit,
        grace_s=spec.grace,
        memory_bytes=spec.resources.memory,
        lease_s=attempt.lease_s,
        devices=tuple((claim_name(node, uuid), 1.0) for uuid in attempt.gpus),
        nonce=attempt.nonce,
    )


def abandon(draft: Draft, attempt: Attempt) -> None:
    """Have its node make sure that it never starts, or tell what became of it."""
    draft.send(attempt.node, AbandonAttempt(attempt.id, attempt.nonce))


def _environment(job: Job, attempt: Attempt, node: Node) -> dict[str, str]:
    return {
        "FLEXTUI_JOB": job.id,
        "FLEXTUI_TASK": str(attempt.task.index),
        "FLEXTUI_ATTEMPT": attempt.id,
        "CUDA_VISIBLE_DEVICES": ",".join(_visible(node, uuid) for uuid in attempt.gpus),
    }


def _visible(node: Node, uuid: str) -> str:
    """A device as CUDA knows it: by UUID, a declared one by its number."""
    gpu = next((it for it in node.gpus if it.uuid == uuid), None)
    return str(gpu.index) if gpu is not None and gpu.declared else uuid
