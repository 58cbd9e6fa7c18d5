"""What one pass has decided so far, on top of the snapshot that it looks at.

The parts of a pass read through the ledger and write only here, so that a later part sees what an
earlier one decided. What ends up as it was before isn't a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import (
    Attempt,
    Job,
    NodeStatus,
    Now,
    Snapshot,
    StopRequest,
    Task,
)
from flextui.core.scheduler.decision import Decision, GiveUp, Kill, Note, Placement

ACTOR = "flextui"


class Ledger:
    """The changes of one pass."""

    def __init__(self, snapshot: Snapshot, now: Now, *, paused: bool) -> None:
        self.snapshot = snapshot
        self.now = now
        self.paused = paused
        """Nothing is given up: see `loss.suspended`."""
        policy = snapshot.inventory.policy
        self.learned = policy.preemption and policy.backfill != "off"
        """Run times that were learned may let in what may be preempted."""
        self.looked: list[str] = []
        """Jobs that were looked at in full, in order."""
        self.placements: list[Placement] = []
        self.notes: list[Note] = []
        self._tasks: dict[TaskKey, Task] = {}
        self._jobs: dict[str, Job] = {}
        self._new: dict[str, list[TaskKey]] = {}
        self._loud: dict[str, None] = {}
        self._kills: dict[str, tuple[Kill, str]] = {}
        self._give_ups: dict[str, tuple[GiveUp, str]] = {}
        self._starting: dict[TaskKey, str] = {}
        self._wall: float | None = None
        self._mono: float | None = None

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def job(self, key: str) -> Job:
        return self._jobs.get(key) or self.snapshot.jobs[key]

    def task(self, key: TaskKey) -> Task:
        return self._tasks.get(key) or self.snapshot.tasks[key]

    def tasks_of(self, job: str) -> list[Task]:
        keys: Sequence[TaskKey] = self.snapshot.by_job.get(job, ())
        if job in self._new:
            keys = [*keys, *self._new[job]]
        return [self.task(key) for key in keys]

    def live(self, task: Task) -> Attempt | None:
        """The task's live attempt, if it has one that hasn't been given up."""
        attempt = self.snapshot.attempts.get(task.active) if task.active else None
        if attempt is None or not attempt.state.live or attempt.replaced:
            return None
        return None if attempt.id in self._give_ups else attempt

    def stopping(self, attempt: Attempt) -> bool:
        """Whether it is to end."""
        return attempt.stop is not None or attempt.id in self._kills

    def starting_on(self, key: TaskKey) -> str | None:
        """The node that this pass has placed the task on."""
        return self._starting.get(key)

    @property
    def changed_jobs(self) -> Iterable[str]:
        """Jobs of which this pass has changed or placed a task, each once."""
        return self._loud.keys()

    @property
    def loud(self) -> tuple[str, ...]:
        """Jobs of which this pass has changed anything at all."""
        ends = [job for _, job in (*self._kills.values(), *self._give_ups.values())]
        return (*self.changed_jobs, *self._jobs, *ends)

    # ── writing ────────────────────────────────────────────────────────────────────────────────

    def put(self, task: Task) -> None:
        before = self.snapshot.tasks.get(task.key)
        if task is before or task == before:
            self._tasks.pop(task.key, None)
            return
        if before is None and task.key not in self._tasks:
            self._new.setdefault(task.key.job, []).append(task.key)
        self._tasks[task.key] = task
        self._loud[task.key.job] = None

    def put_job(self, job: Job) -> None:
        self._jobs[job.id] = job

    def kill(self, attempt: Attempt, why: str, by: str = ACTOR, code: str = "") -> None:
        """Owe the attempt a kill, once."""
        if not self.stopping(attempt):
            request = StopRequest(by, self.now.wall, why, code)
            self._kills[attempt.id] = (Kill(attempt.id, request), attempt.task.job)

    def stop(self, attempt: Attempt, why: str, code: str = "") -> None:
        """Owe it a kill, and have its task say so; where its node isn't in touch, that is told."""
        if self.stopping(attempt):
            return
        self.kill(attempt, why, code=code)
        node = self.snapshot.nodes.get(attempt.node)
        if node is not None and node.status is NodeStatus.READY:
            task = self.task(attempt.task)
            self.put(replace(task, reason=f"stopping: {why}", reason_code="stopping"))

    @property
    def ending(self) -> list[Attempt]:
        """Attempts that this pass has made end."""
        return [self.snapshot.attempts[key] for key in self._kills]

    @property
    def given_up(self) -> list[Attempt]:
        """Attempts that hold nothing any more, since this pass has given them up."""
        return [self.snapshot.attempts[key] for key in self._give_ups]

    def give_up(self, attempt: Attempt, reason: str) -> None:
        self._give_ups[attempt.id] = (GiveUp(attempt.id, reason), attempt.task.job)

    def place(self, placement: Placement) -> None:
        self.placements.append(placement)
        self._starting[placement.task] = placement.node
        self._loud[placement.task.job] = None

    def wake_wall(self, at: float) -> None:
        self._wall = at if self._wall is None else min(self._wall, at)

    def wake_mono(self, at: float) -> None:
        self._mono = at if self._mono is None else min(self._mono, at)

    # ── result ─────────────────────────────────────────────────────────────────────────────────

    def decision(self) -> Decision:
        """In an order that doesn't tell who was looked at first; placements are by turn."""
        kills, give_ups = self._kills, self._give_ups
        return Decision(
            jobs=tuple(sorted(self._jobs.values(), key=_seq)),
            tasks=tuple(map(self._tasks.__getitem__, sorted(self._tasks))),
            placements=tuple(self.placements),
            kills=tuple([kills[key][0] for key in sorted(kills)]) if kills else (),
            give_ups=tuple([give_ups[key][0] for key in sorted(give_ups)]) if give_ups else (),
            notes=tuple(self.notes),
            suspended=self.paused,
            next_wall=self._wall,
            next_mono=self._mono,
        )


def _seq(job: Job) -> int:
    return job.seq


def changed(job: Job, **fields: Any) -> Job:
    """The job with other fields; what was derived from its spec goes along.

    Made in one go: a pass changes many jobs, and `replace` takes ten times as long.
    """
    new = object.__new__(Job)
    new.__dict__.update(job.__dict__, **fields)
    return new
