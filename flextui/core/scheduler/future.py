"""A state that goes on by itself: what a pass decides happens at once, and work ends when told to.

Forecasts and trials stand on this. They change a copy and let the very pass that decides for real
decide, so that what they tell is what would be done. The pass's own memory makes each further
one cost only what changed.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable
from dataclasses import replace

from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.journal import Journal, Kind
from flextui.core.model.state import (
    Account,
    Attempt,
    AttemptState,
    Gpu,
    Job,
    JobState,
    Node,
    Now,
    Snapshot,
    Task,
)
from flextui.core.scheduler.accounts import charged, held_milli
from flextui.core.scheduler.decision import Decision, Placement
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.plan import plan_steps
from flextui.core.scheduler.restart import after_attempt
from flextui.core.scheduler.settle import fresh


class Future:
    """A copy of a state. `snapshot` shows what was written to it so far."""

    def __init__(self, snapshot: Snapshot, now: Now) -> None:
        self.now = now
        self.memo = Memo()
        self._journal = Journal()
        self._jobs = dict(snapshot.jobs)
        self._recent = dict(snapshot.recent)
        self._tasks = dict(snapshot.tasks)
        self._attempts = dict(snapshot.attempts)
        self._nodes = dict(snapshot.nodes)
        self._by_job = dict(snapshot.by_job)
        self._by_node = dict(snapshot.by_node)
        self._accounts = dict(snapshot.accounts)
        self._base = replace(
            snapshot,
            jobs=self._jobs,
            recent=self._recent,
            tasks=self._tasks,
            attempts=self._attempts,
            nodes=self._nodes,
            by_job=self._by_job,
            by_node=self._by_node,
            accounts=self._accounts,
            journal=self._journal,
            mark=0,
        )

    @property
    def snapshot(self) -> Snapshot:
        """The state as it is; later writes show in it."""
        return replace(self._base, mark=self._journal.end)

    def look(self, *, told: bool = False) -> Generator[None, None, Decision]:
        """What a pass would decide now. Nothing of it is done. `told`: those that wait get their
        reasons."""
        return (yield from plan_steps(self.snapshot, self.now, self.memo, told=told))

    def pass_to(self, wall: float) -> None:
        """Let time pass until then."""
        seconds = max(0.0, wall - self.now.wall)
        self.now = Now(self.now.wall + seconds, self.now.mono + seconds)

    # ── what is different ──────────────────────────────────────────────────────────────────────

    def put_job(self, job: Job) -> None:
        """A job that is handed in, or stands differently."""
        self._jobs[job.id] = job
        self._journal.note(Kind.JOB, job.id)

    def drop_job(self, key: str) -> None:
        """As if a job that holds nothing had never been handed in. Its tasks stay listed."""
        if self._jobs.pop(key, None) is not None:
            self._journal.note(Kind.JOB, key)

    def put_node(self, node: Node) -> None:
        self._nodes[node.name] = node
        self._journal.note(Kind.NODE, node.name)

    def vacate(self, jobs: Iterable[str]) -> None:
        """As if these jobs had never been there, with all that they hold."""
        gone = set(jobs)
        for key in gone:
            self.drop_job(key)
        for attempt in [it for it in self._attempts.values() if it.task.job in gone]:
            if attempt.state.live:
                self._leave(attempt, replace(attempt, state=AttemptState.KILLED))

    def revise(self, job: Job, ending: Container[str]) -> None:
        """A live job in another revision. These of its attempts have come to their end, and their
        tasks start anew; the others are of the new revision."""
        self.put_job(job)
        for key in self._by_job.get(job.id, ()):
            task = self._tasks[key]
            attempt = self._attempts.get(task.active) if task.active else None
            if attempt is None or not attempt.state.live or attempt.replaced:
                continue
            if attempt.id in ending:
                self._leave(attempt, replace(attempt, state=AttemptState.KILLED))
                self._put_task(fresh(task, self.now.wall))
            else:
                self._put_attempt(replace(attempt, revision=job.revision))
                self._journal.note(Kind.NODE, attempt.node)

    # ── what happens ───────────────────────────────────────────────────────────────────────────

    def carry_out(self, decision: Decision) -> list[Attempt]:
        """Do what was decided. Returns the attempts that started."""
        for task in decision.tasks:
            self._put_task(task)
        for kill in decision.kills:
            self._put_attempt(replace(self._attempts[kill.attempt], stop=kill.stop))
        for gone in decision.give_ups:
            attempt = self._attempts[gone.attempt]
            given_up = replace(attempt, replaced=True, reason=gone.reason)
            self._charge(attempt, held_milli(given_up) - held_milli(attempt))
            self._put_attempt(given_up)
        started = [self._start(it) for it in decision.placements if it.task.job in self._jobs]
        for job in decision.jobs:
            self.put_job(job)
            if job.state.ended:
                self._recent[job.id] = self._jobs.pop(job.id)
        self._base = replace(self._base, suspended_until_answer=decision.suspended)
        return started

    def end(self, key: str) -> None:
        """An attempt comes to its end: as it should, or as it was told to."""
        before = self._attempts[key]
        if not before.state.live:
            return
        well = before.stop is None
        state = AttemptState.SUCCEEDED if well else AttemptState.KILLED
        ended = replace(
            before,
            state=state,
            exit_code=0 if well else None,
            why="exit" if well else "stopped",
            ended_at=self.now.wall,
        )
        self._leave(before, ended)
        task, job = self._tasks.get(ended.task), self._jobs.get(ended.task.job)
        if task is not None and job is not None and task.active == key and not ended.replaced:
            self._put_task(after_attempt(job, task, ended, self.now))

    def live(self) -> list[Attempt]:
        """All live attempts."""
        keys = sorted(key for live in self._by_node.values() for key in live)
        return [self._attempts[key] for key in keys]

    # ── records ────────────────────────────────────────────────────────────────────────────────

    def _start(self, it: Placement) -> Attempt:
        task, facts = self._tasks[it.task], self._nodes[it.node].facts
        number = task.attempts + 1
        attempt = Attempt(
            id=attempt_id(it.task, number),
            task=it.task,
            number=number,
            revision=it.revision,
            node=it.node,
            host_id=facts.host_id if facts is not None else "",
            boot=facts.boot if facts is not None else "",
            root_id=facts.root_id if facts is not None else "",
            gpus=it.gpus,
            cpus=it.cpus,
            memory_bytes=it.memory_bytes,
            state=AttemptState.RUNNING,
            placed_at=self.now.wall,
            started_at=self.now.wall,
            share=it.share,
            gpu_memory_bytes=it.gpu_memory_bytes,
            cpu_set=it.cpu_set,
            gang=it.gang,
            master=it.master,
            borrowed=it.borrowed,
        )
        self._put_attempt(attempt)
        self._by_node[it.node] = self._by_node.get(it.node, frozenset()) | {attempt.id}
        self._journal.note(Kind.NODE, it.node)
        self._charge(attempt, held_milli(attempt))
        active = replace(task, attempts=number, active=attempt.id, not_before=None)
        self._put_task(replace(active, state=JobState.RUNNING, reason="", reason_code=""))
        return attempt

    def _leave(self, before: Attempt, ended: Attempt) -> None:
        self._put_attempt(ended)
        self._by_node[ended.node] = self._by_node.get(ended.node, frozenset()) - {ended.id}
        self._free(ended)
        self._journal.note(Kind.NODE, ended.node)
        self._charge(before, -held_milli(before))

    def _free(self, ended: Attempt) -> None:
        """Its processes leave the devices; telemetry, which is of now, still counts them."""
        node = self._nodes.get(ended.node)
        if node is None or not ended.gpus:
            return
        others = {
            uuid for key in self._by_node[ended.node] for uuid in self._attempts[key].gpus
        }  # fmt: skip
        gpus = tuple(
            _without(gpu, ended.id, shared=gpu.uuid in others) if gpu.uuid in ended.gpus else gpu
            for gpu in node.gpus
        )
        self._nodes[node.name] = replace(node, gpus=gpus)

    def _put_task(self, task: Task) -> None:
        key: TaskKey = task.key
        if key not in self._tasks:
            self._by_job[key.job] = (*self._by_job.get(key.job, ()), key)
        self._tasks[key] = task
        self._journal.note(Kind.TASK, key)

    def _put_attempt(self, attempt: Attempt) -> None:
        self._attempts[attempt.id] = attempt
        self._journal.note(Kind.TASK, attempt.task)

    def _charge(self, attempt: Attempt, milli: int) -> None:
        """The account that pays for an attempt holds so many thousandths of GPUs more."""
        job = self._jobs.get(attempt.task.job) or self._recent.get(attempt.task.job)
        if job is None or not milli:
            return
        key = (job.project, job.owner)
        account = self._accounts.get(key) or Account(*key, at=self.now.wall)
        inventory, wall = self._base.inventory, self.now.wall
        half_life, window = inventory.policy.half_life, inventory.quota_window
        self._accounts[key] = charged(account, milli, wall, half_life, window, None)
        self._journal.note(Kind.ACCOUNT, key)


def _without(gpu: Gpu, attempt: str, *, shared: bool) -> Gpu:
    """A device when an attempt has ended: nobody else holds it, or others share it (`shared`)."""
    left = tuple(it for it in gpu.processes if it.attempt != attempt)
    used = gpu.memory_used_bytes
    if used is not None and shared:
        gone = sum(it.memory_bytes or 0 for it in gpu.processes if it.attempt == attempt)
        used = max(0, used - gone)
    elif used is not None:  # what the driver attributes to nobody was most likely its own
        used = min(used, sum(it.memory_bytes or 0 for it in left))
    return replace(gpu, processes=left, memory_used_bytes=used)
