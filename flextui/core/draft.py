"""A mutable working copy of a Snapshot for one turn of the engine.

Reducers write here and nowhere else. The draft copies a table only when it is written to, knows
what changed (for the store, for the views, for the scheduler) and collects the effects that may
go out once the changes are durable. Thrown away, it leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flextui.core.books import Books, Lessons, Unwritten
from flextui.core.livejobs import Blocks, LiveJobs
from flextui.core.model.docs import ACTOR, EventDoc
from flextui.core.model.ids import TaskKey
from flextui.core.model.inventory import Reservation
from flextui.core.model.journal import Journal, Kind
from flextui.core.model.revisions import Revision
from flextui.core.model.silences import Silence
from flextui.core.model.state import (
    Account,
    Attempt,
    Job,
    Meter,
    Node,
    NodeStatus,
    Now,
    Snapshot,
    Task,
)
from flextui.core.model.times import iso
from flextui.core.ports import Changes, Effect
from flextui.core.scheduler.accounts import held_milli
from flextui.core.table import Table


@dataclass(slots=True)
class Counters:
    """What goes on from turn to turn whatever becomes of them."""

    job: int = 1
    event: int = 1
    """Numbers that are never used again; a gap does no harm."""
    learned: Unwritten = field(default_factory=Unwritten)


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
        *,
        own: bool = False,
        silent: bool = False,
    ) -> None:
        """`own`: it copies the tables once and is used for many turns (see `turn`); its snapshots
        show later writes as well. `silent`: neither history nor usage is kept."""
        self.now = now
        self._silent = silent
        self.counters = counters
        self.token = token
        """Gives a new random text each time: the nonces of attempts."""
        self.shared = shared
        self.settled: Mapping[str, str] = {}
        """Attempts that memory has forgotten and the store knows to have ended → their nonces."""
        self.inventory = base.inventory
        self.jobs: Table[str, Job] = Table(base.jobs, own=own)
        self.recent: Table[str, Job] = Table(base.recent, own=own)
        self.tasks: Table[TaskKey, Task] = Table(base.tasks, own=own)
        self.attempts: Table[str, Attempt] = Table(base.attempts, own=own)
        self.nodes: Table[str, Node] = Table(base.nodes, own=own)
        self.by_job: Table[str, tuple[TaskKey, ...]] = Table(base.by_job, own=own)
        self.by_node: Table[str, frozenset[str]] = Table(base.by_node, own=own)
        self.lease_mono: Table[str, float] = Table(base.lease_mono, own=own)
        self.reservations: Table[str, Reservation] = Table(base.reservations, own=own)
        self.silences: Table[str, Silence] = Table(base.silences, own=own)
        self._live_jobs = LiveJobs(base.named, base.live_counts, own=own)
        self.suspended = base.suspended_until_answer
        self.journal = base.journal or Journal()
        self.journal.trim()
        self.journal.again(base.mark)
        self.books = Books(base, self.journal, own=own, metered=not silent)
        self.lessons = Lessons(base, self.journal, own=own)
        self._homes: dict[str, str] | None = None
        self._begin()

    def turn(self, now: Now) -> None:
        """Begin another turn on the same tables: only for a draft with `own`."""
        self.now = now
        for table in self._tables():
            table.changed.clear()
        self.books.begin()
        self.journal.trim()
        self._begin()

    def _begin(self) -> None:
        self.replan = False
        """Something changed that the scheduler looks at."""
        self.replan_within: float | None = None
        """Seconds that planning may wait to gather more of what is seldom urgent."""
        self.effects: list[tuple[str, Effect]] = []
        self.orders: list[SessionOrder] = []
        self.events: list[EventDoc] = []
        self.revisions: list[Revision] = []
        self.durable_nodes: set[str] = set()
        self.touched_jobs: set[str] = set()
        self.touched_nodes: set[str] = set()

    def _tables(self) -> tuple[Table[Any, Any], ...]:
        return (
            self.jobs,
            self.recent,
            self.tasks,
            self.attempts,
            self.nodes,
            self.by_job,
            self.by_node,
            self.lease_mono,
            self.reservations,
            self.silences,
            self.books.accounts,
            self.books.meters,
            self.lessons.runtimes,
            self.lessons.demand,
            self._live_jobs.named,
            self._live_jobs.counts,
        )

    @property
    def named(self) -> Table[tuple[str, str], Blocks]:
        """(owner, name) → live jobs that nobody has stopped. Read only."""
        return self._live_jobs.named

    @property
    def live_counts(self) -> Table[tuple[str, str], int]:
        """("user", name) and ("project", name) → how many live jobs they have. Read only."""
        return self._live_jobs.counts

    @property
    def accounts(self) -> Table[tuple[str, str], Account]:
        """What users have of GPUs, by (project, user). Read only."""
        return self.books.accounts

    @property
    def meters(self) -> Table[str, Meter]:
        """By live attempt that holds GPUs. Written by `books.put_meter`."""
        return self.books.meters

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def job(self, job: str) -> Job | None:
        """A live or recent job."""
        return self.jobs.get(job) or self.recent.get(job)

    def holding(self, job: str) -> list[Attempt]:
        """The attempts of a job that hold GPUs and count for its task."""
        return [it for it in self._active_of(job) if held_milli(it)]

    def _active_of(self, job: str) -> Iterator[Attempt]:
        """The attempts, live or ended, that count for the tasks of a job."""
        for key in self.by_job.get(job) or ():
            attempt = self.attempts.get(self.tasks[key].active or "")
            if attempt is not None:
                yield attempt

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
        if old is None or old.revision != job.revision:
            self.lessons.asked(job)
            for attempt in self._active_of(job.id):
                self.journal.note(Kind.NODE, attempt.node)  # by when it is free there
        if old is not None and old.project != job.project:
            self.books.move(old, job, self.holding(old.id), self.now)
        here, there = (self.recent, self.jobs) if job.state.ended else (self.jobs, self.recent)
        there.drop(job.id)
        here.put(job.id, job)
        self._live_jobs.put(old, job)
        self.journal.note(Kind.JOB, job.id)
        self.touched_jobs.add(job.id)
        self.replan = True

    def put_tasks(self, tasks: Iterable[Task]) -> None:
        new: dict[str, list[TaskKey]] = {}
        for task in tasks:
            if task.key not in self.tasks:
                new.setdefault(task.key.job, []).append(task.key)
            self.tasks.put(task.key, task)
            self.journal.note(Kind.TASK, task.key)
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
            self.journal.note(Kind.NODE, old.node)
            self.touched_nodes.add(old.node)
        self.attempts.put(attempt.id, attempt)
        job, node = self.job(attempt.task.job), self.nodes.get(attempt.node)
        if job is not None and node is not None:
            self.books.follow(job, old, attempt, self.now, node)
        here = self.by_node.get(attempt.node) or frozenset()
        if attempt.state.live != (attempt.id in here):
            changed = here | {attempt.id} if attempt.state.live else here - {attempt.id}
            self.by_node.put(attempt.node, changed)
            if not attempt.state.live:
                self.lease_mono.drop(attempt.id)
        self.journal.note(Kind.TASK, attempt.task)
        self.journal.note(Kind.NODE, attempt.node)
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
            self.journal.note(Kind.NODE, node.name)
            self.replan = True

    def told_apart(self, node: str) -> None:
        """Telemetry of a node changed what can be placed on it."""
        self.journal.note(Kind.NODE, node)

    # ── planning, effects, history ─────────────────────────────────────────────────────────────

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
        if self._silent:
            return
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
            accounts=self.books.accounts.share(),
            runtimes=self.lessons.runtimes.share(),
            demand=self.lessons.demand.share(),
            reservations=self.reservations.share(),
            silences=self.silences.share(),
            meters=self.books.meters.share(),
            named=self.named.share(),
            live_counts=self.live_counts.share(),
            journal=self.journal,
            mark=self.journal.end,
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
            revisions=self.revisions,
            accounts=[self.accounts[key] for key in self.accounts.changed],
            runtimes=self.lessons.due(self.counters.learned, self.now),
            reservations={key: self.reservations.get(key) for key in self.reservations.changed},
            silences=tuple(self.silences.values()) if self.silences.changed else None,
            meters={key: self.meters.get(key) for key in self.books.durable_meters},
            usage=self.books.usage,
        )
