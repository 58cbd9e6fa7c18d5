"""A place that is kept for somebody: a gate (`gates`) until his promised start.

Until then others may use the place if their own limits prove that they will have left it by then;
and at any time what it won't miss. So no later start delays it. With preemption on, work that may
be preempted is also let in if the run times that were learned say that it will probably be gone in
time. It is marked as `borrowed`, and makes room if it isn't.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from flextui.core.model.times import iso
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.gates import NOBODY, Usable
from flextui.core.scheduler.need import Need


@dataclass(frozen=True, slots=True)
class Hold:
    """A place on one node that is kept for a request."""

    need: Need
    project: str
    user: str
    job: str
    key: str
    """The job's id."""
    at: float
    """Wall time of the promised start; infinite: none can be promised."""
    until: float
    """Wall time by which the request will have given the place back, if it starts then."""
    gpus: frozenset[str]
    spare_cpus: int
    """What it won't miss at its start."""
    spare_memory: int
    firm: bool = False
    """Others gave way to it: nobody slips in before they have gone, however short."""

    def limits(self, ask: Ask) -> Usable | None:
        if self.for_whom(ask) or self.in_time(ask.until) or self.in_time(ask.likely):
            return None
        if self.need.apart and self._avoids(ask.job):
            return Usable(self.gpus, NOBODY, NOBODY)
        return Usable(self.gpus, self.spare_cpus, self.spare_memory)

    def for_whom(self, ask: Ask) -> bool:
        """Whether it is kept for this very job."""
        return ask.need is self.need and ask.key == self.key

    def _avoids(self, job: str) -> bool:
        """Whether it couldn't start beside this job."""
        return any(job == f"{self.user}/{name}" for name in self.need.apart)

    def in_time(self, until: float) -> bool:
        return until <= self.at and until < inf and not self.firm

    def told(self, ask: Ask) -> str:
        if self.limits(ask) is None:
            return ""
        promised = f" until {iso(self.at)}" if self.at < inf else ""
        return f"kept for {self.job}{promised}"

    @property
    def code(self) -> str:
        return "order"

    @property
    def holders(self) -> tuple[str, ...]:
        return (self.job,)

    def less(self, need: Need) -> Hold:
        """After somebody who stays longer has taken some of what it won't miss."""
        return replace(
            self,
            spare_cpus=max(0, self.spare_cpus - need.cpus),
            spare_memory=max(0, self.spare_memory - need.memory),
        )
