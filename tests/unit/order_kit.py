"""Small snapshots for tests of the order: jobs that wait and jobs that run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flextui.core.model.ids import TaskKey
from flextui.core.model.inventory import Inventory
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import (
    Account,
    Attempt,
    AttemptState,
    Job,
    JobState,
    Node,
    Now,
    RunTimes,
    Snapshot,
    Task,
)
from tests.unit.world import node

HOUR, DAY = 3600.0, 86_400.0
START = 1_000_000.0


class Scene:
    """Jobs and what they do, at an instant."""

    def __init__(self, *nodes: Node, policy: dict[str, Any] | None = None, **fields: Any) -> None:
        places = nodes or (node("gpu1", gpus=8),)
        described = {"nodes": tuple(it.spec for it in places), "policy": policy or {}, **fields}
        self.inventory = Inventory.model_validate(described)
        self.nodes = {it.name: it for it in places}
        self.jobs: dict[str, Job] = {}
        self.tasks: dict[TaskKey, Task] = {}
        self.attempts: dict[str, Attempt] = {}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.runtimes: dict[str, RunTimes] = {}
        self.time = START

    def now(self) -> Now:
        return Now(self.time, self.time)

    def submit(self, name: str, owner: str = "ann", served: float = 0.0, **fields: Any) -> Job:
        """A job that waits from now on, for one GPU unless it says otherwise."""
        described = {"name": name, "run": "true", "resources": {"gpus": 1}, **fields}
        spec = JobSpec.model_validate(described)
        seq = len(self.jobs) + 1
        job = Job(
            id=f"j{seq}",
            seq=seq,
            name=name,
            owner=owner,
            owner_uid=1000,
            type=spec.type,
            revision=1,
            spec_json=spec.to_text(),
            submitted_at=self.time,
            priority=spec.priority,
            count=spec.count,
            project=spec.project,
        )
        self.jobs[job.id] = job
        for index in range(spec.nodes):
            key = TaskKey(job.id, index)
            self.tasks[key] = Task(key, ready_at=self.time, served_s=served)
        return job

    def start(self, job: Job, at: float | None = None) -> Attempt:
        """The job's first task runs, since then."""
        key = TaskKey(job.id, 0)
        gpus = tuple(f"{job.id}-{index}" for index in range(job.spec.resources.gpus))
        begun = self.time if at is None else at
        attempt = Attempt(
            id=f"{job.id}.0.1",
            task=key,
            number=1,
            revision=1,
            node=next(iter(self.nodes)),
            host_id="",
            boot="",
            root_id="",
            gpus=gpus,
            cpus=1.0,
            memory_bytes=0,
            state=AttemptState.RUNNING,
            placed_at=begun,
            started_at=begun,
        )
        self.attempts[attempt.id] = attempt
        task = replace(self.tasks[key], state=JobState.RUNNING, active=attempt.id, attempts=1)
        self.tasks[key] = task
        return attempt

    def preempted(self, job: Job) -> None:
        """Its attempt ends, and it waits again with what it has been served."""
        task = self.task(job)
        attempt = self.attempts[task.active or ""]
        self.attempts[attempt.id] = replace(attempt, state=AttemptState.KILLED, ended_at=self.time)
        served = task.served_s + self.time - (attempt.started_at or self.time)
        self.tasks[task.key] = replace(task, state=JobState.PENDING, served_s=served)

    def task(self, job: Job) -> Task:
        return self.tasks[TaskKey(job.id, 0)]

    def snapshot(self) -> Snapshot:
        live = frozenset(key for key, it in self.attempts.items() if it.state.live)
        by_job: dict[str, tuple[TaskKey, ...]] = {}
        for key in self.tasks:
            by_job[key.job] = (*by_job.get(key.job, ()), key)
        return Snapshot(
            revision=1,
            inventory=self.inventory,
            jobs=self.jobs,
            tasks=self.tasks,
            attempts=self.attempts,
            nodes=self.nodes,
            by_job=by_job,
            by_node={next(iter(self.nodes)): live},
            accounts=self.accounts,
            runtimes=self.runtimes,
        )
