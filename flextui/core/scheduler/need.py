"""What one task asks of a node, cut down to what decides where it fits.

Two jobs with the same request share one `Need` object, so that a pass tries a request that
nothing can hold only once, however many jobs ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Job, Task

MILLI = 1000
"""Cores are counted in thousandths: sums of fractions stay exact."""

_KEPT = 1 << 16

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """A request. Compared by identity: `need_of` gives equal requests the same object."""

    gpus: int
    models: tuple[str, ...]
    gpu_memory: int
    cpus: int
    """Thousandths of a core."""
    memory: int
    labels: Labels
    names: tuple[str, ...]
    not_labels: Labels
    not_names: tuple[str, ...]
    prefer: Labels
    spread: bool
    pin: str | None = None
    """The one node that a system job's task is for."""

    @property
    def anywhere(self) -> bool:
        """Whether any node will do."""
        return not (
            self.labels or self.names or self.not_labels or self.not_names or self.pin is not None
        )


def need_of(job: Job, task: Task | None = None) -> Need:
    """The request of a job's tasks, or of this one. Kept on the job, as its spec is."""
    known: Need | None = job.__dict__.get("need")
    if known is None:
        known = job.__dict__["need"] = need_of_spec(job.spec)
    if task is None or task.node is None:
        return known
    return _pinned(known, task.node)


def need_of_spec(spec: JobSpec) -> Need:
    """The request of a spec."""
    resources, where = spec.resources, spec.where
    placement = where.placement or ("spread" if spec.type == "service" else "pack")
    return _shared(
        resources.gpus,
        tuple(resources.gpu_model),
        resources.gpu_memory or 0,
        round(resources.cpus * MILLI),
        resources.memory or 0,
        tuple(sorted(where.labels.items())),
        tuple(where.node),
        tuple(sorted(where.not_.labels.items())),
        tuple(where.not_.node),
        tuple(sorted(where.prefer.items())),
        placement == "spread",
    )


@lru_cache(maxsize=_KEPT)
def _shared(
    gpus: int,
    models: tuple[str, ...],
    gpu_memory: int,
    cpus: int,
    memory: int,
    labels: Labels,
    names: tuple[str, ...],
    not_labels: Labels,
    not_names: tuple[str, ...],
    prefer: Labels,
    spread: bool,
) -> Need:
    return Need(
        gpus,
        models,
        gpu_memory,
        cpus,
        memory,
        labels,
        names,
        not_labels,
        not_names,
        prefer,
        spread,
    )


@lru_cache(maxsize=_KEPT)
def _pinned(need: Need, node: str) -> Need:
    return replace(need, pin=node)
