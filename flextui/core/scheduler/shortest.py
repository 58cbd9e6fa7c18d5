"""`shortest`: what is likely to end soonest goes first, and nothing waits for ever behind it."""

from __future__ import annotations

from collections.abc import Hashable
from math import inf, log

from flextui.core.model.state import Attempt, Job, Now, Snapshot, Task
from flextui.core.model.units import format_duration
from flextui.core.scheduler.overdue import Turns, served_by
from flextui.core.scheduler.policy import FULL_PRIORITY, Factor, Key, Right, age_text
from flextui.core.scheduler.runtimes import (
    Outlook,
    expected,
    kinds_of,
    next_step,
    part_of,
    step_of,
)

SURE, MARGIN = 1.05, 1.25
"""So many times longer a running job must have to go for a shorter one to take its place: where
limits say how long, and where that is learned."""
COST = 60.0
"""Seconds that stopping and resuming a job is thought to cost it."""


class Shortest:
    """`shortest`: what is likely to end soonest for what it takes goes first, own priority ahead.

    What counts are GPU-seconds that are left: from the time limit where limits have proved true,
    else from what is learned of run times. A job that isn't as short as was thought falls back as
    it runs, and with preemption makes room for shorter ones where it can resume. Nothing waits
    beyond the bound of `overdue`: `longest_wait`, and then instalments. Services, which don't end,
    aren't measured: they go first.
    """

    fair = False
    steady: Hashable | None = None

    def __init__(self, snapshot: Snapshot, now: Now, turns: Turns, outlook: Outlook) -> None:
        self._snapshot, self._now = snapshot, now.wall
        self._turns, self._outlook = turns, outlook

    def group(self, job: Job, task: Task) -> Hashable:
        if job.type != "batch":
            return job.priority
        kinds = kinds_of(job)
        if kinds.limit is None:
            return job.priority, *kinds.seconds[:2], step_of(task.served_s)
        whole = _class(kinds.limit * kinds.size)
        return job.priority, kinds.parts[0], whole, part_of(kinds, task.served_s)

    def lane(self, job: Job, task: Task) -> Hashable:
        return job.priority

    def level(self, job: Job, task: Task) -> float:
        return self._class(job, task.served_s) if job.type == "batch" else -inf

    def leans(self, job: Job) -> tuple[str, ...]:
        if job.type != "batch":
            return ()
        kinds, known = kinds_of(job), self._snapshot.runtimes
        keys = kinds.seconds if kinds.limit is None else kinds.parts
        first = next((at for at, key in enumerate(keys) if key in known), len(keys) - 1)
        return keys[: first + 1]

    def key(self, job: Job, task: Task) -> Key:
        level = self.level(job, task)
        return (-job.priority, level, task.ready_at, job.seq, task.key.index)

    def factors(self, job: Job, task: Task) -> tuple[Factor, ...]:
        told = expected(self._snapshot.runtimes, job, task.served_s)
        about = f"about {format_duration(told.seconds)} more, from {told.basis}"
        left = self._left(job, task.served_s) / 3600 if job.type == "batch" else 0.0
        found = [
            Factor("priority", 1.0, job.priority / FULL_PRIORITY, "its own priority"),
            Factor("GPU hours left", 1.0, left, about),
            Factor("age", 1.0, 1.0, age_text(self._now - task.ready_at)),
        ]
        if task.key in self._turns.owed:
            found.insert(0, Factor("turn", 1.0, 1.0, "has waited so long that it is its turn"))
        return tuple(found)

    def right(self, job: Job, task: Task, attempt: Attempt | None = None) -> Right:
        if attempt is None:
            served, turn = task.served_s, task.key in self._turns.owed
        else:
            served, turn = served_by(task, attempt, self._now), self._turns.paid(job.id)
        if job.type != "batch":
            return Right(job.priority, turn)
        kinds, resumes = kinds_of(job), job.spec.preempt == "resume"
        level, left = self._measured(job, served)
        limited = kinds.limit is not None
        return Right(job.priority, turn, resumes, True, level, left, limited, kinds.size)

    def yields(self, has: Right, wants: Right) -> bool:
        if has.turn:
            return False
        if wants.turn:
            return has.resumes
        if wants.priority != has.priority:
            return wants.priority > has.priority
        if not has.resumes or not wants.measured or wants.level >= has.level:
            return False
        margin = SURE if wants.limited and has.limited else MARGIN
        return wants.left * margin + COST * has.size < has.left

    def grows(self, job: Job, task: Task, attempt: Attempt) -> float:
        """The wall time at which a running job is next thought to have longer to go; never, where
        a limit says how long."""
        if job.spec.preempt != "resume" or kinds_of(job).limit is not None:
            return inf
        served = served_by(task, attempt, self._now)
        return self._now + max(1.0, next_step(served) - served)

    def _measured(self, job: Job, served: float) -> tuple[int, float]:
        """What is left, in classes and in GPU-seconds: as a sum of what a group has in common."""
        kinds, runtimes = kinds_of(job), self._snapshot.runtimes
        if kinds.limit is None:
            left = self._outlook.left(runtimes, job, served)
            return _class(left), left
        part = self._outlook.part_left(runtimes, kinds, part_of(kinds, served))
        whole = kinds.limit * kinds.size
        return _class(whole) + _class(part), whole * part

    def _class(self, job: Job, served: float) -> int:
        return self._measured(job, served)[0]

    def _left(self, job: Job, served: float) -> float:
        return self._measured(job, served)[1]


_STEP = log(1.05)


def _class(amount: float) -> int:
    """Amounts within a twentieth of each other are alike: among them, the older goes first."""
    return round(log(amount) / _STEP)
