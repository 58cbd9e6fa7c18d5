"""What a problem is, and what a rule sees when it looks for some."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from flextui.core.model.state import Attempt, Job, JobState, Snapshot, Task
from flextui.core.model.times import iso

Severity = Literal["critical", "warning", "notice"]
"""critical: work is lost or stands still. warning: it soon will, or GPUs are wasted. notice: to be
known, not to be mended; it isn't counted on the top line."""
RANK: dict[Severity, int] = {"critical": 0, "warning": 1, "notice": 2}

_WORDS = re.compile(r"[\w.-]+")

NAMED = 3
"""So many jobs by name in one line."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: in words, as the key of a screen, as a command line."""

    text: str
    action: str = ""
    """What the screen's key does: logs, why, uncordon …; empty: nothing that a key could do."""
    command: str = ""
    """The words after `flextui`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. The same thing has the same `id` for as long as it lasts."""

    id: str
    severity: Severity
    what: str
    next: Step
    since: float | None = None
    """Wall time; None: the state doesn't tell, so it is since it was first seen."""
    touches: str = ""
    """Who suffers from it, and how."""
    node: str = ""
    gpu: str = ""
    """Its index; empty: the node as a whole."""
    job: str = ""
    attempt: str = ""

    @property
    def kind(self) -> str:
        """Which rule found it: the first part of the id."""
        return self.id.partition(":")[0]


@dataclass(frozen=True)
class Scene:
    """The state at an instant, with what several rules need of it."""

    snapshot: Snapshot
    wall: float
    read_only: str = ""
    """Why the core has no effects; empty when all is well."""
    copies: str = ""
    """Why logs can't be copied; empty when all is well."""

    @cached_property
    def live(self) -> dict[str, list[Attempt]]:
        """The live attempts by node."""
        attempts = self.snapshot.attempts
        return {
            node: [attempts[key] for key in sorted(keys)]
            for node, keys in self.snapshot.by_node.items()
            if keys
        }

    @cached_property
    def pending(self) -> list[Task]:
        """The tasks of live jobs that haven't got what they want."""
        jobs = self.snapshot.jobs
        return [
            task
            for task in self.snapshot.tasks.values()
            if task.state is JobState.PENDING and not task.retired and task.key.job in jobs
        ]

    def job_of(self, attempt: Attempt) -> Job | None:
        """An attempt's job."""
        key = attempt.task.job
        return self.snapshot.jobs.get(key) or self.snapshot.recent.get(key)

    def names(self, attempts: Iterable[Attempt]) -> list[str]:
        """The full names of the jobs of these attempts."""
        jobs = (self.job_of(it) for it in attempts)
        return sorted({it.full_name for it in jobs if it is not None})

    @cached_property
    def waiting_for(self) -> dict[str, list[str]]:
        """By node: the jobs whose reason to wait names it."""
        nodes = self.snapshot.nodes.keys()
        named: dict[str, list[str]] = {}
        found: dict[str, dict[str, None]] = {}
        for task in self.pending:
            if task.reason not in named:  # thousands have the same one
                named[task.reason] = [it for it in _WORDS.findall(task.reason) if it in nodes]
            for name in named[task.reason]:
                found.setdefault(name, {})[self.snapshot.jobs[task.key.job].full_name] = None
        return {name: list(jobs) for name, jobs in found.items()}

    @cached_property
    def waiting_for_gpus(self) -> int:
        """How many jobs wait for GPUs that others hold."""
        return len({it.key.job for it in self.pending if it.reason_code == "gpus_busy"})

    def came_back(self, job: Job) -> bool:
        """Whether a live job has taken an ended one's name."""
        return bool(self.snapshot.named.get((job.owner, job.name)))


Rule = Callable[[Scene], Iterable[Problem]]


def listed(names: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return ", ".join(known[:NAMED]) + more


def at(wall: float) -> str:
    """A moment of the day, UTC, for texts that mustn't change with each look."""
    return iso(wall)[11:16] + "Z"
