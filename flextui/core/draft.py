"""A mutable working copy of a Snapshot for one turn of the engine.

Reducers write here and nowhere else. The draft copies a table only when it is written to, knows
what changed (for the store, for the views, for the scheduler) and collects the effects that may
go out once the changes are durable. Thrown away, it leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from flextui.core.model.docs import EventDoc
from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Attempt, Job, Node, NodeStatus, Now, Snapshot, Task
from flextui.core.model.times import iso
from flextui.core.ports import Changes, Effect
from flextui.core.table import Table

ACTOR = "flextui"
"""The actor of events that nobody asked for."""


@dataclass(slots=True)
class Counters:
    """Numbers that are never used again; a gap does no harm."""

    job: int = 1
    event: int = 1


@dataclass(frozen=True, slots=True)
class Shared:
    """The core serves several Unix users; this is the account that it runs under itself."""

    uid: int


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """Something to do with a session itself, after the commit."""

    node: str
    what: Literal["close", "reopen", "take_over"]


class Draft:
    """What one turn makes of a Snapshot."""

    def __init__(
        self,
        base: Snapshot,
        now: Now,
        counters: Counters,
        token: Callable[[], str],
        shared: Shared | None = None,
    ) -> None:
        self.base = base
        self.now = now
        self.counters = counters
        self.token = token
        """Gives a new random text each time: the nonces of attempts."""
        self.shared = shared
        self.settled: Mapping[str, str] = {}
        """Attempts that memory has forgotten and the store knows to have ended → their nonces."""
        self.inventory = base.inventory
        self.jobs: Table[str, Job] = Table(base.jobs)
        self.recent: Table[str, Job] = Table(base.recent)
        self.tasks: Table[TaskKey, Task] = Table(base.tasks)
        self.attempts: Table[str, Attempt] = Table(base.attempts)
        self.nodes: Table[str, Node] = Table(base.nodes)
        self.by_job: Table[str, tuple[TaskKey, ...]] = Table(base.by_job)
        self.by_node: Table[str, frozenset[str]] = Table(base.by_node)
        self.lease_mono: Table[str, float] = Table(base.lease_mono)
        self.suspended = base.suspended_until_answer
        self.replan = False
        """Something changed that the scheduler looks at."""
        self.replan_within: float | None = None
        """Seconds that planning may wait to gather more of what is seldom urgent."""
        self.effects: list[tuple[str, Effect]] = []
        self.orders: list[SessionOrder] = []
        self.events: list[EventDoc] = []
        self.durable_nodes: set[str] = set()
        self.touched_jobs: set[str] = set()
        self.touched_nodes: set[str] = set()
        self._homes: dict[str, str] | None = None

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def job(self, job: str) -> Job | None:
        """A live or recent job."""
        return self.jobs.get(job) or self.recent.get(job)

    def live_on(self, node: str) -> list[Attempt]:
        """The live attempts of a node, in a stable order."""
        return [self.attempts[key] for key in sorted(self.by_node.get(node) or ())]

    def home_of(self, key: str) -> Node | None:
        """The node that was last seen with this host_id or GPU, if it wasn't refused."""
        if self._homes is None:
            self._homes = {}
            for node in self.nodes.values():
                self._note_home(node)
        name = self._homes.get(key)
        home = self.nodes.get(name) if name is not None else None
        return None if home is None or home.status is NodeStatus.UNREACHABLE else home

    def _note_home(self, node: Node) -> None:
        if self._homes is None or node.status is NodeStatus.UNREACHABLE or node.facts is None:
            return
        self._homes[node.facts.host_id] = node.name
        for gpu in node.gpus:
            if not gpu.declared:
                self._homes[gpu.uuid] = node.name

    # ── writing ────────────────────────────────────────────────────────────────────────────────

    def put_job(self, job: Job) -> None:
        old = self.job(job.id)
        if old is not None and old.spec_json == job.spec_json and "spec" in old.__dict__:
            job.__dict__.setdefault("spec", old.__dict__["spec"])
        here, there = (self.recent, self.jobs) if job.state.ended else (self.jobs, self.recent)
        there.drop(job.id)
        here.put(job.id, job)
        self.touched_jobs.add(job.id)
        self.replan = True

    def put_tasks(self, tasks: Iterable[Task]) -> None:
        new: dict[str, list[TaskKey]] = {}
        for task in tasks:
            if task.key not in self.tasks:
                new.setdefault(task.key.job, []).append(task.key)
            self.tasks.put(task.key, task)
            self.touched_jobs.add(task.key.job)
            self.replan = True
        for job, keys in new.items():
            self.by_job.put(job, (self.by_job.get(job) or ()) + tuple(keys))

    def put_task(self, task: Task) -> None:
        self.put_tasks((task,))

    def put_attempt(self, attempt: Attempt) -> None:
        old = self.attempts.get(attempt.id)
        if old is not None and old.node != attempt.node:
            self.by_node.put(old.node, (self.by_node.get(old.node) or frozenset()) - {old.id})
            self.touched_nodes.add(old.node)
        self.attempts.put(attempt.id, attempt)
        here = self.by_node.get(attempt.node) or frozenset()
        if attempt.state.live != (attempt.id in here):
            changed = here | {attempt.id} if attempt.state.live else here - {attempt.id}
            self.by_node.put(attempt.node, changed)
            if not attempt.state.live:
                self.lease_mono.drop(attempt.id)
        self.touched_jobs.add(attempt.task.job)
        self.touched_nodes.add(attempt.node)
        self.replan = True

    def put_node(self, node: Node, *, durable: bool = False, matters: bool = True) -> None:
        """`durable`: the half that the store keeps changed. `matters`: to the scheduler."""
        self.nodes.put(node.name, node)
        self._note_home(node)
        self.touched_nodes.add(node.name)
        if durable:
            self.durable_nodes.add(node.name)
        if matters:
            self.replan = True

    def plan_within(self, seconds: float) -> None:
        """Something changed that the scheduler looks at, but not at once."""
        self.replan_within = min(seconds, self.replan_within or seconds)

    def next_job(self) -> int:
        seq = self.counters.job
        self.counters.job += 1
        return seq

    def send(self, node: str, effect: Effect) -> None:
        """An effect to go out when this turn's changes are durable."""
        self.effects.append((node, effect))

    def order(self, node: str, what: Literal["close", "reopen", "take_over"]) -> None:
        self.orders.append(SessionOrder(node, what))

    def note(
        self,
        kind: str,
        text: str,
        *,
        actor: str = ACTOR,
        job: str | None = None,
        task: int | None = None,
        attempt: str | None = None,
        node: str | None = None,
    ) -> None:
        """One line of history."""
        seq = self.counters.event
        self.counters.event += 1
        self.events.append(
            {
                "seq": seq,
                "at": iso(self.now.wall),
                "kind": kind,
                "actor": actor,
                "job": job,
                "task": task,
                "attempt": attempt,
                "node": node,
                "text": text,
            }
        )

    # ── results ────────────────────────────────────────────────────────────────────────────────

    def freeze(self, revision: int) -> Snapshot:
        """The state so far; later writes to the draft don't reach it."""
        return Snapshot(
            revision=revision,
            inventory=self.inventory,
            jobs=self.jobs.share(),
            recent=self.recent.share(),
            tasks=self.tasks.share(),
            attempts=self.attempts.share(),
            nodes=self.nodes.share(),
            by_job=self.by_job.share(),
            by_node=self.by_node.share(),
            lease_mono=self.lease_mono.share(),
            suspended_until_answer=self.suspended,
        )

    def changes(self) -> Changes:
        """What must be durable before anybody hears of this turn."""
        jobs = self.jobs.changed | self.recent.changed
        return Changes(
            jobs=[job for key in jobs if (job := self.job(key)) is not None],
            tasks=[task for key in self.tasks.changed if (task := self.tasks.get(key))],
            attempts=[it for key in self.attempts.changed if (it := self.attempts.get(key))],
            nodes=[self.nodes[name] for name in self.durable_nodes],
            events=self.events,
        )
