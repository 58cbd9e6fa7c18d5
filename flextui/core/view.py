"""Pure: the Snapshot as the documents that screens and commands see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flextui.core.model.docs import Delta, FleetDoc, GpuDoc, JobDoc, NodeDoc, ProcessDoc
from flextui.core.model.ids import attempt_id
from flextui.core.model.job_doc import job_doc
from flextui.core.model.names import mark_text
from flextui.core.model.state import (
    Attempt,
    Gpu,
    GpuProcess,
    Job,
    JobState,
    Node,
    Snapshot,
    Task,
)
from flextui.core.model.times import iso, iso_or_none
from flextui.core.model.units import format_size
from flextui.core.scheduler.device import device_of, foreign_use


@dataclass(frozen=True, slots=True)
class CoreFacts:
    """What a view tells of the core itself."""

    core: str
    """user@host"""
    pid: int
    version: str
    headless: bool
    inventory: str
    started_at: float
    simulated: bool = False


# ── jobs ───────────────────────────────────────────────────────────────────────────────────────


def job_view(snapshot: Snapshot, job: Job, *, spec: bool = False) -> JobDoc:
    """A live or recent job."""
    tasks = (snapshot.tasks[key] for key in snapshot.by_job.get(job.id, ()))
    rows = [(task, attempts_of(snapshot, task)) for task in tasks]
    return job_doc(job, rows, spec=spec)


def attempts_of(snapshot: Snapshot, task: Task) -> list[Attempt]:
    """The attempts of a task that memory holds, oldest first."""
    ids = (attempt_id(task.key, number) for number in range(1, task.attempts + 1))
    return [found for key in ids if (found := snapshot.attempts.get(key)) is not None]


def find(snapshot: Snapshot, job_id: str) -> Job | None:
    """A live or recent job by its id."""
    return snapshot.jobs.get(job_id) or snapshot.recent.get(job_id)


# ── nodes ──────────────────────────────────────────────────────────────────────────────────────


def node_view(snapshot: Snapshot, node: Node) -> NodeDoc:
    """A node with its devices, what is promised on it and to whom."""
    live = [snapshot.attempts[key] for key in sorted(snapshot.by_node.get(node.name, ()))]
    names = {it.id: _job_name(snapshot, it) for it in live}
    facts = node.facts
    sample = node.sample
    return {
        "name": node.name,
        "host": node.spec.host,
        "transport": node.spec.transport,
        "state": str(node.status),
        "reason": _node_reason(node),
        "since": iso(node.status_at),
        "drained": node.drain is not None,
        "drains_at": iso_or_none(node.drain.at if node.drain is not None else None),
        "cordoned": node.cordon is not None,
        "driver": node.driver,
        "labels": dict(node.spec.labels),
        "cpus": facts.cpus if facts else 0.0,
        "cpus_used": sum(it.cpus for it in live),
        "memory_bytes": facts.memory_bytes if facts else sample.memory_bytes,
        "memory_promised_bytes": sum(it.memory_bytes for it in live),
        "memory_used_bytes": sample.memory_used_bytes,
        "cpu": sample.cpu,
        "load": list(sample.load),
        "disk_bytes": sample.disk_bytes,
        "disk_free_bytes": sample.disk_free_bytes,
        "gpus": [_gpu_view(snapshot, node, gpu, live, names) for gpu in node.gpus],
        "jobs": sorted(set(names.values())),
        "orphans": [
            {"attempt": it.attempt, "job": it.job, "state": it.state, "gpus": list(it.gpus)}
            for it in node.orphans
        ],
        "facts": _facts(node),
        "nvml": sample.nvml,
    }


def _node_reason(node: Node) -> str:
    """What is wrong with the link first, then who took the node out and why."""
    parts = [node.reason] if node.reason else []
    for word, mark in (("drained", node.drain), ("cordoned", node.cordon)):
        if mark is not None:
            parts.append(mark_text(word, mark.by, mark.why))
    return "; ".join(parts)


def _job_name(snapshot: Snapshot, attempt: Attempt) -> str:
    job = find(snapshot, attempt.task.job)
    return job.full_name if job is not None else attempt.task.job


def _facts(node: Node) -> dict[str, Any]:
    facts = node.facts
    if facts is None:
        return {}
    return {
        "hostname": facts.hostname,
        "user": facts.user,
        "uid": facts.uid,
        "python": facts.python,
        "kernel": facts.kernel,
        "os": facts.os,
        "driver_version": facts.driver_version,
        "cgroup": facts.cgroup,
        "linger": facts.linger,
        "kill_user_processes": facts.kill_user_processes,
        "agent": facts.agent,
        "root": facts.root_path,
        "uptime_s": node.sample.uptime_s,
    }


def _gpu_view(
    snapshot: Snapshot, node: Node, gpu: Gpu, live: list[Attempt], names: dict[str, str]
) -> GpuDoc:
    holders = [names[it.id] for it in live if gpu.uuid in it.gpus]
    state, reason = _gpu_state(snapshot, node, gpu, holders)
    xid = node.xids.get(gpu.uuid) or node.xids.get(gpu.parent)
    return {
        "uuid": gpu.uuid,
        "index": gpu.index,
        "model": gpu.model,
        "mig": gpu.mig,
        "parent": gpu.parent,
        "memory_bytes": gpu.memory_bytes,
        "memory_used_bytes": gpu.memory_used_bytes,
        "utilization": gpu.utilization,
        "memory_utilization": gpu.memory_utilization,
        "temperature_c": gpu.temperature_c,
        "power_w": gpu.power_w,
        "power_limit_w": gpu.power_limit_w,
        "fan": gpu.fan,
        "clock_mhz": gpu.clock_mhz,
        "clock_max_mhz": gpu.clock_max_mhz,
        "throttle": None if gpu.throttle is None else throttled(gpu.throttle),
        "pcie": _link(gpu.pcie),
        "pcie_max": _link(gpu.pcie_max),
        "ecc_uncorrected": gpu.ecc_uncorrected,
        "xid": xid[0] if xid else None,
        "state": state,
        "cordoned": node.cordon_of(gpu) is not None,
        "reason": reason,
        "jobs": sorted(set(holders)),
        "processes": [_process_view(it, names) for it in gpu.processes],
    }


_SLOWED = (
    (0x004, "power cap"), (0x008, "hardware slowdown"), (0x010, "sync boost"),
    (0x020, "heat"), (0x040, "heat (hardware)"), (0x080, "power brake"),
    (0x200, "board limit"), (0x400, "reliability"),
)  # fmt: skip
"""NVML's clock event reasons that are no wish of the user's and no idleness."""


def throttled(mask: int) -> list[str]:
    """What keeps a clock down, in words."""
    return [word for bit, word in _SLOWED if mask & bit]


def _link(link: tuple[int, int] | None) -> str:
    return "" if link is None else f"{link[0]}x{link[1]}"


def _left_out(node: Node, gpu: Gpu) -> bool:
    only = node.spec.gpus.only
    return only is not None and gpu.index not in only


def _gpu_state(snapshot: Snapshot, node: Node, gpu: Gpu, holders: list[str]) -> tuple[str, str]:
    """The one word that matters most about a device: broken, out, ours, theirs, free."""
    if gpu.state in ("lost", "error"):
        return gpu.state, gpu.text
    mark = node.cordon_of(gpu)
    if mark is not None:
        return "cordoned", f"by {mark.by}" + (f": {mark.why}" if mark.why else "")
    if holders:
        return "used", ""
    if _left_out(node, gpu):
        return "cordoned", "left out by the inventory"
    if gpu.state == "claimed":
        return "foreign", gpu.text
    _, users = foreign_use(snapshot, node, gpu, device_of(node, gpu))
    if users:
        held = [f"{who} {format_size(memory)}" if memory else who for who, memory in users]
        return "foreign", ", ".join(held)
    return "free", ""


def _process_view(process: GpuProcess, names: dict[str, str]) -> ProcessDoc:
    return {
        "pid": process.pid,
        "user": process.user,
        "name": process.name,
        "command": process.command,
        "memory_bytes": process.memory_bytes,
        "owner": "foreign" if process.attempt is None else "flextui",
        "job": names.get(process.attempt) if process.attempt else None,
        "attempt": process.attempt,
        "container": process.container,
        "true_owner": process.owner,
        "utilization": process.utilization,
        "cpu": process.cpu,
        "host_memory_bytes": process.host_memory_bytes,
        "ran_s": process.ran_s,
    }


# ── fleet ──────────────────────────────────────────────────────────────────────────────────────


def fleet_view(snapshot: Snapshot, core: CoreFacts, read_only: str, problems: int) -> FleetDoc:
    """The top line."""
    nodes = snapshot.nodes.values()
    gpus = [gpu for node in nodes for gpu in node.gpus if not _left_out(node, gpu)]
    used = {
        uuid
        for keys in snapshot.by_node.values()
        for key in keys
        for uuid in snapshot.attempts[key].gpus
    }
    running = sum(1 for job in snapshot.jobs.values() if job.state is JobState.RUNNING)
    return {
        "fleet": snapshot.inventory.fleet,
        "inventory": core.inventory,
        "core": core.core,
        "core_pid": core.pid,
        "version": core.version,
        "headless": core.headless,
        "started_at": iso(core.started_at),
        "read_only": read_only,
        "replacement_paused": _paused(snapshot),
        "gpus_total": len(gpus),
        "gpus_used": len(used),
        "pending": len(snapshot.jobs) - running,
        "running": running,
        "simulated": core.simulated,
        "problems": problems,
    }


def _paused(snapshot: Snapshot) -> str:
    if not snapshot.suspended_until_answer:
        return ""
    return (
        "half of the nodes or more went silent within a minute: nothing is replaced until one "
        "answers or is declared lost"
    )


def delta(
    snapshot: Snapshot, jobs: Iterable[str], nodes: Iterable[str], fleet: FleetDoc, *, full: bool
) -> Delta:
    """The view's change for these jobs and nodes; None for what has left it."""
    job_docs: dict[str, JobDoc | None] = {}
    for key in jobs:
        job = find(snapshot, key)
        job_docs[key] = None if job is None else job_view(snapshot, job)
    node_docs: dict[str, NodeDoc | None] = {}
    for name in nodes:
        node = snapshot.nodes.get(name)
        node_docs[name] = None if node is None else node_view(snapshot, node)
    return {
        "revision": snapshot.revision,
        "full": full,
        "fleet": fleet,
        "jobs": job_docs,
        "nodes": node_docs,
    }
