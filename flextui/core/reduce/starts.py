"""An attempt as the order that its node gets: made from the spec alone, the same each time."""

from __future__ import annotations

from math import ceil

from flextui.core.draft import Draft
from flextui.core.model.state import Attempt, Job, Node
from flextui.core.ports import AbandonAttempt, StartAttempt
from flextui.core.reduce.devices import claim_name

MIB = 1 << 20


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
        env={**_hints(job, attempt), **spec.env, **_environment(job, attempt, node)},
        workdir=spec.workdir,
        time_limit_s=spec.time_limit,
        grace_s=spec.grace,
        memory_bytes=spec.resources.memory,
        lease_s=attempt.lease_s,
        devices=tuple((claim_name(node, uuid), _amount(attempt)) for uuid in attempt.gpus),
        nonce=attempt.nonce,
        cpu_set=attempt.cpu_set,
    )


def abandon(draft: Draft, attempt: Attempt) -> None:
    """Have its node make sure that it never starts, or tell what became of it."""
    draft.send(attempt.node, AbandonAttempt(attempt.id, attempt.nonce))


def _amount(attempt: Attempt) -> float:
    """How much of each of its devices it claims."""
    return attempt.share / 1000 if attempt.share else 1.0


def _environment(job: Job, attempt: Attempt, node: Node) -> dict[str, str]:
    """What every task is told; a spec can't say otherwise."""
    found = {
        "FLEXTUI_JOB": job.id,
        "FLEXTUI_TASK": str(attempt.task.index),
        "FLEXTUI_ATTEMPT": attempt.id,
        "CUDA_VISIBLE_DEVICES": ",".join(_visible(node, uuid) for uuid in attempt.gpus),
    }
    if attempt.gpu_memory_bytes:
        found["FLEXTUI_GPU_MEMORY"] = str(attempt.gpu_memory_bytes)
    if attempt.gang:
        found |= _rendezvous(job, attempt)
    return found


def _rendezvous(job: Job, attempt: Attempt) -> dict[str, str]:
    """Where the ranks of a gang meet, by the names that torch.distributed and others read."""
    host, _, port = attempt.master.rpartition(":")
    nodes = job.spec.nodes
    return {
        "MASTER_ADDR": host.strip("[]"),
        "MASTER_PORT": port,
        "NODE_RANK": str(attempt.task.index),
        "NNODES": str(nodes),
        "WORLD_SIZE": str(nodes * max(1, len(attempt.gpus))),
    }


def _hints(job: Job, attempt: Attempt) -> dict[str, str]:
    """For a share: what keeps others' software to its part of the device; a spec may say otherwise.

    MPS enforces the first two where its daemon runs; without it CUDA doesn't read them. The limit
    is by device ordinal, counted among those of CUDA_VISIBLE_DEVICES: a share has one, ordinal 0.
    JAX and TensorFlow would take most of the device's memory at once: they are told to grow.
    """
    if not attempt.share:
        return {}
    found = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if attempt.gpu_memory_bytes:
        found["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = f"0={attempt.gpu_memory_bytes // MIB}M"
    if milli := job.spec.resources.share_milli:
        found["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = str(ceil(milli / 10))
    return found


def _visible(node: Node, uuid: str) -> str:
    """A device as CUDA knows it: by UUID, a declared one by its number."""
    gpu = next((it for it in node.gpus if it.uuid == uuid), None)
    return str(gpu.index) if gpu is not None and gpu.declared else uuid
