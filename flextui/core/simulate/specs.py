"""Job specs for the jobs of a trace: one spec a shape, however many jobs ask for the same.

A trace tells GPUs in all; a spec tells nodes and GPUs of each. So many GPUs as no node has become
a gang over the fewest nodes that divide them evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flextui.core.model.spec import JobSpec
from flextui.core.simulate.trace import Ask, Box, TraceJob


class Specs:
    """Makes and keeps the specs of one replay."""

    def __init__(self, boxes: Sequence[Box], *, limits: bool, margin_s: float = 0.0) -> None:
        """`limits`: each job's time limit is its true run time, and so much more."""
        self._widest = max((len(box.gpus) for box in boxes), default=0)
        self._limits = limits
        self._margin_s = margin_s
        self._known: dict[tuple[object, ...], JobSpec] = {}

    def of(self, job: TraceJob) -> JobSpec:
        """The spec that this job is submitted with."""
        if job.spec is not None:
            return job.spec
        limit = job.run_s + self._margin_s if self._limits else None
        key = (job.name, job.project, job.ask, limit)
        spec = self._known.get(key)
        if spec is None:
            spec = JobSpec.model_validate(self._fields(job, limit))
            self._known[key] = spec
        return spec

    def _fields(self, job: TraceJob, limit: float | None) -> dict[str, Any]:
        nodes, gpus = self._spread(job.ask)
        fields: dict[str, Any] = {
            "name": job.name,
            "run": "true",
            "project": job.project,
            "nodes": nodes,
            "resources": _resources(job.ask, gpus),
            "preempt": "resume",
        }
        if limit is not None:
            fields["time_limit"] = max(limit, 0.001)
        return fields

    def _spread(self, ask: Ask) -> tuple[int, int]:
        """On how many nodes, and how many GPUs of each."""
        if ask.gpus <= self._widest or not self._widest:
            return 1, ask.gpus
        nodes = -(-ask.gpus // self._widest)
        while ask.gpus % nodes:
            nodes += 1
        return nodes, ask.gpus // nodes


def _resources(ask: Ask, gpus: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"gpus": gpus, "cpus": ask.cpus}
    if ask.share_milli:
        fields["gpu_share"] = ask.share_milli / 1000
    if ask.models and (gpus or ask.share_milli):
        fields["gpu_model"] = ask.models
    if ask.memory_bytes:
        fields["memory"] = ask.memory_bytes
    return fields
