"""What decides whether a task can start, cut down to what many tasks share.

Tasks of one kind fare alike: where one of them can't start, none of the others can. So a pass
tries each kind once, however many tasks are of it, and remembers kinds from pass to pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import NamedTuple

from flextui.core.model.state import Job, Task
from flextui.core.scheduler.need import Need, need_of

_KEPT = 1 << 16
WHOLE = 1000
"""Thousandths of one GPU."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Compared by identity: `kind_of` gives equal requests of one account the same object."""

    need: Need
    nodes: int
    """So many nodes at once, each with the need: more than 1 for a gang."""
    lasts: float
    """Seconds after which it has given its place back at the latest: its time limit and its
    grace; infinite without a limit."""
    by: float
    """Wall time by which it has in any case; infinite without a deadline."""
    project: str
    user: str
    groups: tuple[str, ...]
    learns: str
    """The job's name where its learned run time counts, else empty: see `hold`."""
    served: float
    """Seconds of its work that are done already, where that counts for the same."""
    family: object | None
    """The same for kinds that differ in nothing but CPUs, memory and how long they last: where one
    of them can't start, nor can any that asks for no less. None: nothing is known from others."""

    @property
    def account(self) -> tuple[str, str]:
        return (self.project, self.user)

    @property
    def milli(self) -> int:
        """Thousandths of GPUs that quotas count, on all its nodes. A share by its bytes is a part
        of a device that isn't known yet: it counts as the whole."""
        need = self.need
        return self.nodes * (need.share or WHOLE * (need.gpus or int(need.wants.shared)))

    @property
    def brief(self) -> float:
        """Seconds that it may be over after, at the soonest that anybody may suppose: what is
        kept for others lets in who has left by then."""
        return -inf if self.learns or self.by < inf else self.lasts

    def until(self, wall: float) -> float:
        """Wall time by which it has ended if it starts now."""
        return min(wall + self.lasts, self.by)


class Waiting(NamedTuple):
    """A task that wants a place; for a gang its first rank, which stands for all."""

    job: Job
    task: Task
    need: Need
    kind: Kind


def kind_of(job: Job, task: Task, *, learned: bool) -> Kind:
    """The kind of a job's task. Kept on the job, as its spec is.

    `learned`: run times that were learned may let in what may be preempted.
    """
    known: tuple[bool, Kind] | None = job.__dict__.get("kind")
    if known is None or known[0] is not learned:
        known = job.__dict__["kind"] = (learned, _kind_of(job, learned))
    kind = known[1]
    if task.node is None and not (task.served_s and kind.learns):
        return kind
    return _of_task(kind, need_of(job, task), task.served_s if kind.learns else 0.0)


def _kind_of(job: Job, learned: bool) -> Kind:
    spec = job.spec
    grace = spec.grace
    return _shared(
        need_of(job),
        spec.nodes,
        inf if spec.time_limit is None else spec.time_limit + grace,
        inf if job.deadline_at is None else job.deadline_at + grace,
        job.project,
        job.owner,
        job.groups,
        job.name if learned and spec.preempt != "never" else "",
        0.0,
    )


@lru_cache(maxsize=_KEPT)
def _shared(
    need: Need,
    nodes: int,
    lasts: float,
    by: float,
    project: str,
    user: str,
    groups: tuple[str, ...],
    learns: str,
    served: float,
) -> Kind:
    family = None
    if not learns and by == inf:
        alike = need.of_any_size
        family = _family(alike, nodes, project, user, groups)
    return Kind(need, nodes, lasts, by, project, user, groups, learns, served, family)


@lru_cache(maxsize=_KEPT)
def _family(*alike: object) -> object:
    return object()


@lru_cache(maxsize=_KEPT)
def _of_task(kind: Kind, need: Need, served: float) -> Kind:
    return _shared(
        need,
        kind.nodes,
        kind.lasts,
        kind.by,
        kind.project,
        kind.user,
        kind.groups,
        kind.learns,
        served,
    )
