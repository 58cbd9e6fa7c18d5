"""Whose turn it is although shorter jobs wait: the bound on how long `shortest` passes a job over.

A fleet that is asked for more than it has can't start everybody in time, and to give the oldest
whatever they want would be first come, first served. So the oldest are paid by instalments. Of
the jobs that are older than `longest_wait`, those that were first and together ask for a part of
the fleet are looked at; as soon as these have ended, the next are.

- With preemption the part is a half, and each is owed `INSTALMENT` of its time since it grew that
  old: an hour in each day. One that has had less goes first, and isn't preempted while it is paid
  for a `QUANTUM` more than it is owed, so that it gets on.
- Without preemption the part is a sixteenth (one job at least), running ones included; one of them
  that waits goes first.

So a job waits no longer than `longest_wait` and the time that those before it need, each of which
gets on at an `INSTALMENT` of its speed at least (with preemption), or runs to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Attempt, Job, Now, Snapshot, Task
from flextui.core.scheduler.runtimes import kinds_of

INSTALMENT = 1 / 24
"""The part of its time that an overdue job is owed."""
QUANTUM = 1 / 48
"""Of `longest_wait`: how much more it gets at a time."""
_HALF, _SIXTEENTH = 1 / 2, 1 / 16

_WANTS_ROOM = frozenset({"", "order", "cpus", "memory", "gpus_busy", "restart"})
"""Reasons of tasks that wait for others to end; who waits for anything else has no turn."""


class Turns:
    """Who is owed a turn, worked out when first asked for."""

    def __init__(self, snapshot: Snapshot, now: Now) -> None:
        policy = snapshot.inventory.policy
        self._snapshot, self._now = snapshot, now.wall
        self._longest, self._preemption = policy.longest_wait, policy.preemption
        self._owed: tuple[TaskKey, ...] | None = None
        self._paid: set[str] = set()
        self._wake = inf

    @property
    def owed(self) -> tuple[TaskKey, ...]:
        """Waiting tasks that go before everything else, the oldest first."""
        if self._owed is None:
            self._owed = tuple(self._look())
        return self._owed

    @property
    def wake(self) -> float:
        """The next wall time at which the answer may change by itself."""
        return self._wake if self.owed is not None else inf

    def paid(self, job: str) -> bool:
        """Whether a running job is being paid and so isn't preempted."""
        return bool(self._preemption and self.owed is not None and job in self._paid)

    def _look(self) -> Iterator[TaskKey]:
        room, used = 0.0, 0.0
        for job in self._snapshot.jobs.values():
            if self._now < job.submitted_at + self._longest:
                self._wake = min(self._wake, job.submitted_at + self._longest)
                return
            if job.type != "batch" or job.state.ended or job.stop is not None:
                continue
            tasks = [self._snapshot.tasks[it] for it in self._snapshot.by_job.get(job.id, ())]
            running = self._running(tasks)
            waiting = [] if running else [it for it in tasks if self._waits(it)]
            if not waiting and running is None:
                continue
            if not self._old_enough(waiting):
                continue
            room = room or self._part()
            size = kinds_of(job).size
            if used > 0 and used + size > room:
                return
            used += size
            if running is not None:
                self._pay(job, *running)
            elif self._turn(waiting[0]):
                yield from (it.key for it in waiting)

    @staticmethod
    def _waits(task: Task) -> bool:
        return not task.state.ended and task.reason_code in _WANTS_ROOM

    def _running(self, tasks: list[Task]) -> tuple[Task, Attempt] | None:
        for task in tasks:
            attempt = self._snapshot.attempts.get(task.active) if task.active else None
            if attempt is not None and attempt.state.live and not attempt.replaced:
                return task, attempt
        return None

    def _old_enough(self, waiting: list[Task]) -> bool:
        """A task that has only begun to want a place is as old as its wish."""
        if not waiting:
            return True
        at = waiting[0].ready_at + self._longest
        if self._now < at:
            self._wake = min(self._wake, at)
        return self._now >= at

    def _part(self) -> float:
        gpus = sum(len(node.gpus) for node in self._snapshot.nodes.values())
        return gpus * (_HALF if self._preemption else _SIXTEENTH)

    def _due(self, task: Task) -> float:
        """Seconds that the task should have been served by now."""
        return INSTALMENT * (self._now - task.ready_at - self._longest)

    def _turn(self, task: Task) -> bool:
        if not self._preemption or task.served_s <= self._due(task):
            return True
        at = task.ready_at + self._longest + task.served_s / INSTALMENT
        self._wake = min(self._wake, at)
        return False

    def _pay(self, job: Job, task: Task, attempt: Attempt) -> None:
        if not self._preemption:
            return
        served = served_by(task, attempt, self._now)
        ahead = served - self._due(task)
        quantum = QUANTUM * self._longest
        if ahead < quantum:
            self._paid.add(job.id)
            self._wake = min(self._wake, self._now + (quantum - ahead) / (1 - INSTALMENT) + 1.0)


def served_by(task: Task, attempt: Attempt, now: float) -> float:
    """Seconds of service that a running task has had, with what it kept of earlier attempts."""
    if attempt.started_at is None:
        return task.served_s
    return task.served_s + max(0.0, now - attempt.started_at)
