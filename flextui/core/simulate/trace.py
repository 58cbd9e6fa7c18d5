"""What a trace holds, whichever form it was read from: jobs with what they ask for and how long
they truly run.

The true run time is what a live scheduler never knows, so it stays here, apart from the spec that
the scheduler sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flextui.core.model.problems import BadInput, Problem
from flextui.core.model.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Ask:
    """What a job of a foreign trace asks for, before it is known how large nodes are."""

    gpus: int
    """Whole GPUs in all, however many nodes that takes."""
    share_milli: int = 0
    """Thousandths of one GPU, in place of `gpus`."""
    cpus: float = 0.0
    memory_bytes: int = 0
    models: tuple[str, ...] = ()
    """Models of GPU that will do; any, if empty."""


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job. Times are seconds since the trace began."""

    at: float
    """When it was submitted."""
    run_s: float
    """How long it runs, given what it asks for; infinite for one that only stops when told."""
    owner: str
    project: str = ""
    name: str = "job"
    ask: Ask = Ask(0)
    spec: JobSpec | None = None
    """Of our own history: what was submitted, in place of `ask`."""
    groups: tuple[str, ...] = ()
    """The owner's groups."""
    stopped_at: float | None = None
    """When somebody took it back, if it hadn't ended by itself."""
    waited_s: float | None = None
    """How long it really waited, where that is known."""
    ended_at: float | None = None
    """When it really ended, where that is known."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as it was read, in the order of its file."""

    name: str
    jobs: tuple[TraceJob, ...]
    began: float = 0.0
    """Unix time of its first second."""
    timed: bool = True
    """Whether it tells when jobs came and how long they ran."""
    boxes: tuple[Box, ...] = ()
    """The nodes that it comes with, if it says."""
    projects: Mapping[str, float] = field(default_factory=dict)
    """Projects and their weights: their parts of the fleet."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What of its inventory held for the fleet, where that is known."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""


@dataclass(frozen=True, slots=True)
class BoxGpu:
    """A GPU of a virtual node."""

    model: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Box:
    """A virtual node."""

    name: str
    cpus: float
    memory_bytes: int
    gpus: tuple[BoxGpu, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    share: bool = True
    """Whether its GPUs may be shared."""


def untimed(trace: Trace) -> BadInput:
    """The refusal of a trace without times where they are needed."""
    what = "the trace doesn't tell when jobs came and how long they ran"
    return BadInput([Problem(trace.name, 1, 1, what, "--experiment packing")])
