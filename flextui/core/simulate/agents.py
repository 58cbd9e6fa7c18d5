"""What the nodes of the virtual fleet do with their orders: start at once, run for as long as the
trace says, end when told.

An attempt of a job that goes on from what it saved (`preempt: resume`) keeps its work. The next
attempt first spends the preemption cost on getting back to where it was.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from flextui.core.events import AttemptReported, AttemptUnknown, Exit, NodeEvent, Record
from flextui.core.model.ids import TaskKey, task_of_attempt
from flextui.core.ports import AbandonAttempt, Effect, StartAttempt, StopAttempt

Event = tuple[float, int, NodeEvent]
SIGTERM = 15


@dataclass(slots=True)
class Work:
    """What a task has to do, and how much of that is done."""

    run_s: float
    resumes: bool
    done_s: float = 0.0
    preempted: int = 0


@dataclass(slots=True)
class Running:
    """A live attempt."""

    node: str
    task: TaskKey
    began: float
    cost_s: float
    """So long it gets back to where its task was."""
    nonce: str
    end: int
    """The number of the event that ends it, unless it is stopped before."""


class Agents:
    """All nodes' agents. `work_of` gives a new task its work."""

    def __init__(self, work_of: Callable[[TaskKey], Work], cost_s: float) -> None:
        self._work_of = work_of
        self._cost_s = cost_s
        self._work: dict[TaskKey, Work] = {}
        self._running: dict[str, Running] = {}
        self._events: list[Event] = []
        self._counted = 0
        self._void: set[int] = set()

    # ── time ───────────────────────────────────────────────────────────────────────────────────

    @property
    def next_at(self) -> float:
        """When the next event comes; infinite if none does."""
        while self._events and self._events[0][1] in self._void:
            self._void.discard(heapq.heappop(self._events)[1])
        return self._events[0][0] if self._events else inf

    def due(self, at: float) -> Iterator[NodeEvent]:
        """The events up to that instant, in order."""
        while self.next_at <= at:
            event = heapq.heappop(self._events)[2]
            if isinstance(event, AttemptReported) and event.record.state == "ended":
                self._running.pop(event.record.attempt, None)
            yield event

    @property
    def busy(self) -> bool:
        """Whether any attempt is live."""
        return bool(self._running)

    # ── orders ─────────────────────────────────────────────────────────────────────────────────

    def send(self, node: str, effect: Effect, now: float) -> None:
        """Take an order of the core. What comes of it is an event."""
        if isinstance(effect, StartAttempt):
            self._start(node, effect, now)
        elif isinstance(effect, StopAttempt):
            self._stop(node, effect, now)
        elif isinstance(effect, AbandonAttempt):
            self._abandon(node, effect, now)

    def _start(self, node: str, start: StartAttempt, now: float) -> None:
        task = task_of_attempt(start.attempt)
        assert task is not None
        work = self._work.get(task)
        if work is None:
            work = self._work[task] = self._work_of(task)
        cost = self._cost_s if work.preempted and work.resumes else 0.0
        needs = cost + max(0.0, work.run_s - work.done_s)
        limit = inf if start.time_limit_s is None else start.time_limit_s
        record = Record(start.attempt, "running", start.job, 1, 0.0, nonce=start.nonce)
        self._tell(now, AttemptReported(node, record))
        how = Exit(0, None, "exit", ended_ago_s=0.0, ran_s=needs)
        if needs > limit:
            how = Exit(None, SIGTERM, "time_limit", ended_ago_s=0.0, ran_s=limit)
        ended = Record(start.attempt, "ended", start.job, 1, exit=how, nonce=start.nonce)
        end = 0
        if min(needs, limit) < inf:
            end = self._tell(now + min(needs, limit), AttemptReported(node, ended))
        self._running[start.attempt] = Running(node, task, now, cost, start.nonce, end)

    def _stop(self, node: str, stop: StopAttempt, now: float) -> None:
        attempt = self._running.pop(stop.attempt, None)
        if attempt is None:
            self._tell(now, AttemptUnknown(node, stop.attempt))
            return
        if attempt.end:
            self._void.add(attempt.end)
        work = self._work[attempt.task]
        work.preempted += 1
        if work.resumes:
            work.done_s += max(0.0, now - attempt.began - attempt.cost_s)
        how = Exit(None, SIGTERM, "stopped", ended_ago_s=0.0, ran_s=now - attempt.began)
        ended = Record(stop.attempt, "ended", pid=1, exit=how, nonce=attempt.nonce)
        self._tell(now, AttemptReported(node, ended))

    def _abandon(self, node: str, effect: AbandonAttempt, now: float) -> None:
        state = "running" if effect.attempt in self._running else "never"
        self._tell(now, AttemptReported(node, Record(effect.attempt, state, nonce=effect.nonce)))

    def _tell(self, at: float, event: NodeEvent) -> int:
        self._counted += 1
        heapq.heappush(self._events, (at, self._counted, event))
        return self._counted
