"""Reducers without an engine: a state that is moved along turn by turn, on a clock of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flextui.core.draft import Counters, Draft
from flextui.core.events import AttemptReported, Exit, Record, Sampled
from flextui.core.model.docs import EventDoc
from flextui.core.model.ids import TaskKey, attempt_id, job_id
from flextui.core.model.inventory import GpuPolicy, Inventory
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Attempt, Gpu, Job, Node, Now, Sample, Snapshot, Task, Use
from flextui.core.model.usage import UsageKey, Used
from flextui.core.reduce.decisions import apply_decision
from flextui.core.reduce.fold import fold
from flextui.core.scheduler.decision import Decision, Placement
from tests.unit.world import node

HOUR = 3600.0
START = 500_000 * HOUR
"""Wall time at which each book begins: a full hour."""


def shared(name: str = "n1", gpus: int = 1, **fields: Any) -> Node:
    """A node whose GPUs jobs may share."""
    made = node(name, gpus=gpus, **fields)
    return replace(made, spec=made.spec.model_copy(update={"gpus": GpuPolicy(share=True)}))


class Book:
    """A state, and the draft of the turn under way."""

    def __init__(self, *nodes: Node, **inventory: Any) -> None:
        nodes = nodes or (node("n1", gpus=4),)
        self.inventory = Inventory.model_validate(
            {"nodes": [it.spec.model_dump(by_alias=True) for it in nodes], **inventory}
        )
        first = Snapshot(1, self.inventory, nodes={it.name: it for it in nodes})
        self.usage: dict[UsageKey, Used] = {}
        """The rows that the store would hold."""
        self.events: list[EventDoc] = []
        self._nonces = itertools.count(1)
        self._counters = Counters()
        self._base = first
        self.draft = self._begin(first, Now(START, 1000.0))

    def _begin(self, base: Snapshot, now: Now) -> Draft:
        return Draft(base, now, self._counters, lambda: f"n{next(self._nonces)}")

    def later(self, seconds: float) -> Snapshot:
        """End the turn as a commit does, and begin the next one so much later."""
        draft = self.draft
        for key, used in draft.books.usage.items():
            self.usage[key] = self.usage.get(key, Used(0.0, 0.0)).plus(used)
        self.events += draft.events
        snapshot = draft.freeze(1)
        now = Now(draft.now.wall + seconds, draft.now.mono + seconds)
        self._base = snapshot
        self.draft = self._begin(snapshot, now)
        return snapshot

    def discard(self) -> Snapshot:
        """What a commit that fails does: the state that came to nothing."""
        base, now = self._base, self.draft.now
        wasted = self.draft.freeze(1)
        self.draft = self._begin(base, now)
        return wasted

    def submit(self, name: str = "work", owner: str = "ann", tasks: int = 1, **spec: Any) -> Job:
        seq = self.draft.next_job()
        given = JobSpec.model_validate({"name": name, "run": "sleep", **spec})
        job = Job(
            job_id(seq), seq, name, owner, 1000, given.type, 1, given.to_text(),
            self.draft.now.wall, given.priority, given.count, project=given.project,
        )  # fmt: skip
        self.draft.put_job(job)
        self.draft.put_tasks([Task(TaskKey(job.id, index)) for index in range(tasks)])
        return job

    def placement(self, job: Job, *gpus: str, index: int = 0, **more: Any) -> Placement:
        key = TaskKey(job.id, index)
        fields: dict[str, Any] = {"node": "n1", "cpus": 1.0, "memory_bytes": 0, **more}
        return Placement(task=key, revision=job.revision, gpus=gpus, **fields)

    def decide(self, *placements: Placement, **more: Any) -> None:
        apply_decision(self.draft, Decision(placements=placements, **more))

    def start(self, job: Job, *gpus: str, index: int = 0, **more: Any) -> Attempt:
        """Place a task there and see it run."""
        self.decide(self.placement(job, *gpus, index=index, **more))
        task = self.draft.tasks[TaskKey(job.id, index)]
        key = attempt_id(task.key, task.attempts)
        self.report(key, "running", started_ago_s=0.0)
        return self.attempt(key)

    def end(self, attempt: Attempt, code: int = 0, why: str = "exit", ago: float = 0.0) -> Attempt:
        self.report(attempt.id, "ended", exit=Exit(code, None, why, ended_ago_s=ago))
        return self.attempt(attempt.id)

    def report(self, attempt: str, state: str, **fields: Any) -> None:
        found = self.attempt(attempt)
        fold(self.draft, AttemptReported(found.node, Record(attempt, state, **fields)))

    def sample(self, *gpus: Gpu, node: str = "n1", uses: dict[str, Use] | None = None) -> None:
        """Telemetry: the node's devices as they are, but for those given."""
        given = {gpu.uuid: gpu for gpu in gpus}
        known = self.draft.nodes[node].gpus
        seen = tuple(given.get(gpu.uuid, gpu) for gpu in known)
        fold(self.draft, Sampled(node, Sample(nvml="ok", attempts=uses or {}), seen))

    def watch(self, seconds: float, *gpus: Gpu, every: float = 10.0, **more: Any) -> None:
        """So much time with the same telemetry again and again."""
        until = self.draft.now.wall + seconds
        while self.draft.now.wall < until:
            self.later(min(every, until - self.draft.now.wall))
            self.sample(*gpus, **more)

    def attempt(self, key: str) -> Attempt:
        return self.draft.attempts[key]

    def gpu(self, uuid: str, **changes: Any) -> Gpu:
        """A device as it is, but for these fields."""
        for it in self.draft.nodes.values():
            for device in it.gpus:
                if device.uuid == uuid:
                    return replace(device, **changes)
        raise AssertionError(f"no GPU {uuid}")

    def held_s(self, **where: Any) -> float:
        return sum(used.held_s for key, used in self.usage.items() if _matches(key, where))

    def idle_s(self, **where: Any) -> float:
        return sum(used.idle_s for key, used in self.usage.items() if _matches(key, where))

    def told(self, kind: str) -> Sequence[str]:
        """The texts of the events of a kind."""
        return [it["text"] for it in (*self.events, *self.draft.events) if it["kind"] == kind]


def _matches(key: UsageKey, where: dict[str, Any]) -> bool:
    return all(getattr(key, name) == value for name, value in where.items())
