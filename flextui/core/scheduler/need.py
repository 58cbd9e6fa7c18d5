"""What one task asks of a node, cut down to what decides where it fits.

Two jobs with the same request share one `Need` object, so that a pass tries a request that
nothing can hold only once, however many jobs ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Job, Task
from flextui.core.model.volumes import volume_use

MILLI = 1000
"""Cores and parts of a GPU are counted in thousandths: sums of fractions stay exact."""

DIGITS = 5
"""Requests whose CPUs and memory are the same in so many binary digits are much alike."""

_KEPT = 1 << 16

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Wants:
    """The part of a request that is about GPUs: whole ones, or a share of one.

    Compared by identity: `Need.wants` is the same object for equal ones.
    """

    gpus: int = 0
    """Whole devices."""
    models: tuple[str, ...] = ()
    gpu_memory: int = 0
    """Bytes that each device must have."""
    share: int = 0
    """Thousandths of one device; 0: not asked that way."""
    share_bytes: int = 0
    """A share asked for by its memory; 0: not asked that way."""

    @property
    def shared(self) -> bool:
        """Whether it asks for a part of a device."""
        return self.share > 0 or self.share_bytes > 0

    @property
    def anything(self) -> bool:
        """Whether it asks for a device at all."""
        return self.gpus > 0 or self.shared


@dataclass(frozen=True, eq=False)
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
    share: int = 0
    """Thousandths of one device."""
    share_bytes: int = 0
    """A part of one device, by its memory."""
    apart: tuple[str, ...] = ()
    """Own jobs that it mustn't meet on a node."""
    volumes: tuple[str, ...] = ()
    """Volumes that the node must have."""

    @cached_property
    def wants(self) -> Wants:
        """What it asks of GPUs."""
        return _wants(self.gpus, self.models, self.gpu_memory, self.share, self.share_bytes)

    @cached_property
    def anywhere(self) -> bool:
        """Whether any node will do."""
        return not (
            self.labels
            or self.names
            or self.not_labels
            or self.not_names
            or self.volumes
            or self.pin is not None
        )

    @cached_property
    def about(self) -> Need:
        """Much the same request, as many others are; it asks for no more than this one."""
        return _about(
            self.wants,
            rounded(self.cpus),
            rounded(self.memory),
            (self.labels, self.not_labels, self.prefer, self.volumes),
        )

    @property
    def of_any_size(self) -> tuple[object, ...]:
        """All of it that decides where it fits, but for CPUs and memory."""
        where = (self.labels, self.names, self.not_labels, self.not_names, self.pin, self.volumes)
        what = (self.gpus, self.models, self.gpu_memory, self.share, self.share_bytes)
        return (*where, *what, self.apart)

    @cached_property
    def least(self) -> tuple[int, int, int]:
        """Thousandths of GPUs, thousandths of cores, bytes: no node with less of any can do."""
        part = self.share or (1 if self.share_bytes else 0)
        return (self.gpus * MILLI or part, self.cpus, self.memory)


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
        resources.share_milli,
        resources.share_bytes,
        tuple(sorted(where.apart)),
        tuple(sorted({volume_use(text).name for text in spec.volumes})),
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
    share: int,
    share_bytes: int,
    apart: tuple[str, ...],
    volumes: tuple[str, ...],
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
        None,
        share,
        share_bytes,
        apart,
        volumes,
    )


@lru_cache(maxsize=_KEPT)
def _about(
    wants: Wants, cpus: int, memory: int, where: tuple[Labels, Labels, Labels, tuple[str, ...]]
) -> Need:
    labels, not_labels, prefer, volumes = where
    return Need(
        wants.gpus,
        wants.models,
        wants.gpu_memory,
        cpus,
        memory,
        labels,
        (),
        not_labels,
        (),
        prefer,
        False,
        None,
        wants.share,
        wants.share_bytes,
        (),
        volumes,
    )


def rounded(amount: int) -> int:
    """No more than the amount, told by so many binary digits as matter."""
    spare = max(0, amount.bit_length() - DIGITS)
    return amount >> spare << spare


@lru_cache(maxsize=_KEPT)
def _wants(
    gpus: int, models: tuple[str, ...], gpu_memory: int, share: int, share_bytes: int
) -> Wants:
    return Wants(gpus, models, gpu_memory, share, share_bytes)


@lru_cache(maxsize=_KEPT)
def _pinned(need: Need, node: str) -> Need:
    return replace(need, pin=node)
