"""What happens in a replay, as it is seen on the nodes: who holds how much, and for how long.

Taken from the orders that nodes get and from what they report, not from the scheduler's own
books, so that a mistake there shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from flextui.core.simulate.fairness import Fairness
from flextui.core.simulate.trace import TraceJob

MILLI = 1000


@dataclass(slots=True)
class Run:
    """How one job of the trace fared. Times are seconds since the trace began."""

    job: TraceJob
    tasks: int
    milli: int
    """Thousandths of GPUs that each task asks for."""
    left: int
    """Tasks that haven't ended."""
    running: int = 0
    since: float = 0.0
    """Since when it has been running, or waiting."""
    ran_s: float = 0.0
    """So long at least one of its tasks ran."""
    longest_s: float = 0.0
    """The longest that it waited without a break."""
    first: float | None = None
    """When it first started."""
    ended: float | None = None
    stopped: bool = False
    """It was taken back before its end."""
    preempted: int = 0
    refused: str = ""

    @property
    def gpus(self) -> float:
        """GPUs that it asks for in all."""
        return self.tasks * self.milli / MILLI

    @property
    def jct_s(self) -> float | None:
        """From submission to its end."""
        return None if self.ended is None else self.ended - self.job.at

    @property
    def waited_s(self) -> float:
        """From submission to its end without a place, breaks by preemption included."""
        return inf if self.ended is None else self.ended - self.job.at - self.ran_s


class Recorder:
    """Follows a replay. `tick` ends each instant."""

    def __init__(self, capacity_milli: int, weights: dict[str, float]) -> None:
        self.capacity = capacity_milli
        self.runs: list[Run] = []
        self.times: list[float] = []
        """Instants at which something changed, and from each on:"""
        self.busy: list[int] = []
        """thousandths of GPUs that are held,"""
        self.waiting: list[int] = []
        """and those that jobs wait for."""
        self.starts = 0
        self.fairness = Fairness(capacity_milli, weights)
        self._busy = 0
        self._waiting = 0
        self._held: dict[str, tuple[Run, int]] = {}

    # ── what happens ───────────────────────────────────────────────────────────────────────────

    def refused(self, job: TraceJob, why: str) -> None:
        self.runs.append(Run(job, 0, 0, 0, refused=why))

    def submitted(self, job: TraceJob, tasks: int, milli: int) -> Run:
        run = Run(job, tasks, milli, tasks, since=job.at)
        self.runs.append(run)
        self._wait(run, tasks * milli)
        return run

    def started(self, at: float, run: Run, attempt: str, milli: int) -> None:
        """An attempt that holds so much begins."""
        self.starts += 1
        self._held[attempt] = (run, milli)
        if not run.running:
            run.longest_s = max(run.longest_s, at - run.since)
            run.since = at
            if run.first is None:
                run.first = at
        run.running += 1
        self._wait(run, -run.milli)
        self._hold(run, milli)

    def ended(self, at: float, attempt: str, *, done: bool) -> None:
        """An attempt ends: with its work done, or made to."""
        run, milli = self._held.pop(attempt)
        run.running -= 1
        self._hold(run, -milli)
        if not run.running:
            run.ran_s += at - run.since
            run.since = at
        if done:
            run.left -= 1
            if not run.left:
                run.ended = at
        elif not run.stopped:
            run.preempted += 1
            self._wait(run, run.milli)
        elif not run.running:
            run.ended = at

    def taken_back(self, at: float, run: Run) -> None:
        """Somebody stops the job."""
        if run.ended is not None or run.stopped:
            return
        run.stopped = True
        self._wait(run, -(run.left - run.running) * run.milli)
        if not run.running:
            run.longest_s = max(run.longest_s, at - run.since)
            run.ended = at

    def tick(self, at: float) -> None:
        """All of this instant has happened."""
        if self.times and self.times[-1] == at:
            self.busy[-1], self.waiting[-1] = self._busy, self._waiting
        elif not self.times or (self._busy, self._waiting) != (self.busy[-1], self.waiting[-1]):
            self.times.append(at)
            self.busy.append(self._busy)
            self.waiting.append(self._waiting)
        self.fairness.tick(at)

    # ── sums ───────────────────────────────────────────────────────────────────────────────────

    def _hold(self, run: Run, milli: int) -> None:
        self._busy += milli
        self.fairness.held(run.job.project or run.job.owner, milli)

    def _wait(self, run: Run, milli: int) -> None:
        self._waiting += milli
        self.fairness.waits(run.job.project or run.job.owner, milli)
