"""Small worlds for tests of the scheduler: nodes, jobs and a harness that carries decisions out.

`World` is a pure stand-in for engine and fleet: it folds decisions and a few events into the
records in the way that the engine does, with no time but its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.inventory import Inventory, NodeSpec, Reservation
from flextui.core.model.journal import Journal, Kind
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import (
    Account,
    Attempt,
    AttemptState,
    Facts,
    Gpu,
    GpuProcess,
    Job,
    Mark,
    Node,
    NodeStatus,
    Now,
    RunTimes,
    Snapshot,
    StopRequest,
    Task,
)
from flextui.core.scheduler.accounts import charged, held_milli
from flextui.core.scheduler.decision import Decision, Explanation
from flextui.core.scheduler.explain import explain
from flextui.core.scheduler.plan import plan
from flextui.core.scheduler.restart import after_attempt

GIB = 2**30
FIRST = 1_000_000.0
"""Wall time at which each world begins; its awake clock begins at 1000."""


def node(
    name: str,
    *,
    cpus: float = 8,
    memory: int = 64,
    gpus: int = 0,
    model: str = "NVIDIA A100-SXM4-80GB",
    gpu_memory: int = 80,
    **fields: Any,
) -> Node:
    """A ready node; memory in GiB. Further fields are those of NodeSpec."""
    spec = NodeSpec(name=name, host=name, **fields)
    devices = tuple(gpu(f"{name}-{index}", index, model, gpu_memory) for index in range(gpus))
    facts = Facts(
        host_id=f"host-{name}",
        boot=f"boot-{name}",
        root_path="/root",
        root_id=f"root-{name}",
        hostname=name,
        user="lab",
        uid=1000,
        cpus=cpus,
        memory_bytes=memory * GIB,
    )
    return Node(
        name=name,
        spec=spec,
        status=NodeStatus.READY,
        facts=facts,
        gpus=devices,
        sampled=True,
        up_mono=500.0,
    )


def gpu(uuid: str, index: int, model: str = "NVIDIA A100-SXM4-80GB", memory: int = 80) -> Gpu:
    """An idle device; memory in GiB."""
    return Gpu(uuid, index, model, memory * GIB, memory_used_bytes=0)


def process(user: str, memory: float, *, attempt: str | None = None, pid: int = 77) -> GpuProcess:
    """A process on a device; memory in GiB."""
    return GpuProcess(pid, user, "jupyter", "jupyter lab", int(memory * GIB), attempt)


class World:
    """A fleet with its jobs, moved along by events and decisions."""

    def __init__(self, *nodes: Node, lost_after: float = 60.0, **inventory: Any) -> None:
        """Further fields are those of Inventory; `policy` as a mapping."""
        specs = tuple(it.spec for it in nodes)
        policy: Any = {"node_lost_after": lost_after, **inventory.pop("policy", {})}
        self.inventory = Inventory(nodes=specs, policy=policy, **inventory)
        self.nodes = {it.name: it for it in nodes}
        self.jobs: dict[str, Job] = {}
        self.recent: dict[str, Job] = {}
        self.tasks: dict[TaskKey, Task] = {}
        self.attempts: dict[str, Attempt] = {}
        self.lease_mono: dict[str, float] = {}
        self.suspended = False
        self.now = Now(FIRST, 1000.0)
        self.decision = Decision()
        self.accounts: dict[tuple[str, str], Account] = {}
        self.runtimes: dict[str, RunTimes] = {}
        self.reservations: dict[str, Reservation] = {}
        self._held: dict[str, int] = {}
        self._journal = Journal()
        self._seen: dict[Kind, dict[Any, Any]] = {}
        self._seq = 0

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> Snapshot:
        """The state as it is, with what changed since the last time in its journal."""
        self._charge()
        by_job: dict[str, tuple[TaskKey, ...]] = {}
        for key in self.tasks:
            by_job[key.job] = (*by_job.get(key.job, ()), key)
        by_node: dict[str, frozenset[str]] = {}
        for attempt in self.attempts.values():
            if attempt.state.live:
                by_node[attempt.node] = by_node.get(attempt.node, frozenset()) | {attempt.id}
        self._note(Kind.JOB, {**self.jobs, **self.recent})
        self._note(Kind.TASK, {key: (it, *self._of(it)) for key, it in self.tasks.items()})
        there: dict[str, list[Attempt]] = {}
        for attempt in self.attempts.values():
            there.setdefault(attempt.node, []).append(attempt)
        self._note(Kind.NODE, {key: (it, there.get(key)) for key, it in self.nodes.items()})
        self._note(Kind.ACCOUNT, dict(self.accounts))
        self._note(Kind.RUNTIMES, dict(self.runtimes))
        return Snapshot(
            revision=1,
            inventory=self.inventory,
            jobs=dict(self.jobs),
            recent=dict(self.recent),
            tasks=dict(self.tasks),
            attempts=dict(self.attempts),
            nodes=dict(self.nodes),
            by_job=by_job,
            by_node=by_node,
            suspended_until_answer=self.suspended,
            lease_mono=dict(self.lease_mono),
            accounts=dict(self.accounts),
            runtimes=dict(self.runtimes),
            reservations=dict(self.reservations),
            journal=self._journal,
            mark=self._journal.end,
        )

    def _of(self, task: Task) -> list[Attempt]:
        """A task's attempts."""
        numbers = range(1, task.attempts + 1)
        found = (self.attempts.get(attempt_id(task.key, number)) for number in numbers)
        return [it for it in found if it is not None]

    def _note(self, kind: Kind, now: dict[Any, Any]) -> None:
        """Tell the journal what changed in a table."""
        before = self._seen.get(kind, {})
        for key in {**before, **now}:
            if key not in now or key not in before or before[key] != now[key]:
                self._journal.note(kind, key)
        self._seen[kind] = now

    def _charge(self) -> None:
        """Bring the accounts up to what the attempts hold."""
        half_life, window = self.inventory.policy.half_life, self.inventory.quota_window
        for it in self.attempts.values():
            held, before = held_milli(it), self._held.get(it.id, 0)
            job = self.jobs.get(it.task.job) or self.recent.get(it.task.job)
            if held == before or job is None:
                continue
            key = (job.project, job.owner)
            account = self.accounts.get(key) or Account(*key, at=self.now.wall)
            ended = it.ended_at if not it.state.live else None
            delta = held - before
            self.accounts[key] = charged(account, delta, self.now.wall, half_life, window, ended)
            self._held[it.id] = held

    def job(self, name: str) -> Job:
        """The newest job of that name."""
        jobs = [*self.jobs.values(), *self.recent.values()]
        return max((it for it in jobs if it.name == name), key=lambda it: it.seq)

    def task(self, name: str, index: int = 0) -> Task:
        return self.tasks[TaskKey(self.job(name).id, index)]

    def live(self, name: str, index: int = 0) -> Attempt | None:
        """The task's live attempt that hasn't been given up."""
        task = self.tasks.get(TaskKey(self.job(name).id, index))
        found = [
            it
            for it in self.attempts.values()
            if task and it.task == task.key and it.state.live and not it.replaced
        ]
        assert len(found) <= 1, f"{len(found)} live attempts of {name}.{index}"
        return found[0] if found else None

    def where(self, name: str, index: int = 0) -> str | None:
        """The node of the task's live attempt."""
        attempt = self.live(name, index)
        return attempt.node if attempt else None

    def why(self, name: str, index: int = 0) -> Explanation:
        return explain(self.snapshot(), self.task(name, index).key, self.now)

    # ── commands ───────────────────────────────────────────────────────────────────────────────

    def submit(self, name: str, owner: str = "alice", **fields: Any) -> Job:
        """A job of one core unless it says otherwise; a live service gets a new revision.

        `begin` and `deadline` are seconds from now.
        """
        spec = JobSpec.model_validate({"run": "true", "name": name, **fields})
        known = [it for it in self.jobs.values() if it.full_name == f"{owner}/{name}"]
        if known and spec.type != "batch":
            job = replace(
                known[-1],
                revision=known[-1].revision + 1,
                spec_json=spec.to_text(),
                priority=spec.priority,
                count=spec.count,
            )
        else:
            self._seq += 1
            job = Job(
                id=f"j{self._seq}",
                seq=self._seq,
                name=name,
                owner=owner,
                owner_uid=1000,
                type=spec.type,
                revision=1,
                spec_json=spec.to_text(),
                submitted_at=self.now.wall,
                priority=spec.priority,
                count=spec.count,
                project=spec.project,
                begin_at=self._at(spec.begin),
                deadline_at=self._at(spec.deadline),
            )
        self.jobs[job.id] = job
        return job

    def _at(self, moment: Any) -> float | None:
        return None if moment is None else self.now.wall + moment

    def stop(self, name: str) -> None:
        job = self.job(name)
        stop = StopRequest("alice", self.now.wall, "stopped by alice")
        self.jobs[job.id] = replace(job, stop=stop)

    def restart(self, name: str, index: int = 0) -> None:
        task = self.task(name, index)
        request = StopRequest("alice", self.now.wall, "restarted by alice")
        self.tasks[task.key] = replace(task, restart=request)
        job = self.recent.pop(task.key.job, None)
        if job is not None:
            self.jobs[job.id] = replace(job, state=task.state.PENDING, ended_at=None, stop=None)

    def change(self, name: str, **fields: Any) -> None:
        """Change fields of a node's record."""
        self.nodes[name] = replace(self.nodes[name], **fields)

    def drain(self, name: str, on: bool = True) -> None:
        self.change(name, drain=Mark("alice", self.now.wall, "") if on else None)

    # ── what happens ───────────────────────────────────────────────────────────────────────────

    def step(self, seconds: float = 0.0) -> Decision:
        """Let time pass, then plan once and carry the decision out."""
        self.now = Now(self.now.wall + seconds, self.now.mono + seconds)
        self.decision = plan(self.snapshot(), self.now)
        self._carry_out(self.decision)
        return self.decision

    def settle(self, most: int = 50) -> None:
        """Plan until nothing changes: a decision must come to rest by itself."""
        for _ in range(most):
            decision = self.step()
            if not (
                decision.jobs
                or decision.tasks
                or decision.placements
                or decision.kills
                or decision.give_ups
            ):
                return
        raise AssertionError(f"still changing after {most} passes: {self.decision}")

    def run(self) -> None:
        """Plan until nothing changes, with every start and every kill succeeding at once."""
        for _ in range(200):
            self.settle()
            if not self.obey():
                return
        raise AssertionError("no rest after 200 rounds")

    def obey(self) -> bool:
        """Starts and kills that nodes in touch owe us happen. False: there were none."""
        moved = False
        for attempt in list(self.attempts.values()):
            if not attempt.state.live or self.nodes[attempt.node].status is not NodeStatus.READY:
                continue
            if attempt.stop is not None or attempt.replaced:
                self.end(attempt.id, state=AttemptState.KILLED, why="stopped", code=143)
                moved = True
            elif attempt.state is not AttemptState.RUNNING:
                self.started(attempt.id)
                moved = True
        return moved

    def started(self, attempt: str) -> None:
        it = self.attempts[attempt]
        started = it.started_at if it.started_at is not None else self.now.wall
        self.attempts[attempt] = replace(it, state=AttemptState.RUNNING, started_at=started)

    def end(
        self,
        attempt: str,
        *,
        code: int | None = 0,
        state: AttemptState | None = None,
        why: str = "exit",
        signal: int | None = None,
        reason: str = "",
    ) -> None:
        """The attempt's end arrives, and the task follows from it."""
        before = self.attempts[attempt]
        assert before.state.live
        if state is None:
            state = AttemptState.SUCCEEDED if code == 0 else AttemptState.FAILED
        ended = replace(
            before,
            state=state,
            exit_code=code,
            signal=signal,
            why=why,
            reason=reason,
            ended_at=self.now.wall,
        )
        self.attempts[attempt] = ended
        task = self.tasks[ended.task]
        job = self.jobs.get(ended.task.job)
        if job is not None and task.active == attempt and not ended.replaced:
            self.tasks[task.key] = after_attempt(job, task, ended, self.now)

    def silence(self, *names: str) -> None:
        """No answer from these nodes any more; what runs there is unknown."""
        for name in names:
            self.change(name, status=NodeStatus.LOST, down_mono=self.now.mono, sampled=False)
            self._doubt(name)

    def complain(self, name: str, reason: str = "host key changed") -> None:
        """The node is unreachable for a definite reason."""
        self.change(
            name, status=NodeStatus.UNREACHABLE, reason=reason, down_mono=None, sampled=False
        )
        self._doubt(name)

    def _doubt(self, name: str) -> None:
        for attempt in list(self.attempts.values()):
            if attempt.node == name and attempt.state.live:
                self.attempts[attempt.id] = replace(attempt, state=AttemptState.UNKNOWN)

    def answer(self, name: str) -> None:
        """The node is back; its attempts run still, and those that are owed a kill end."""
        self.change(
            name,
            status=NodeStatus.READY,
            reason="",
            down_mono=None,
            declared_lost=False,
            up_mono=self.now.mono,
            sampled=True,
        )
        for attempt in list(self.attempts.values()):
            if attempt.node != name or not attempt.state.live:
                continue
            if attempt.replaced or attempt.stop is not None:
                self.end(attempt.id, state=AttemptState.KILLED, why="stopped", code=143)
            else:
                self.started(attempt.id)

    def use_gpu(self, name: str, index: int, *processes: GpuProcess) -> None:
        """What NVML sees on one device from now on."""
        used = sum(it.memory_bytes or 0 for it in processes)
        devices = list(self.nodes[name].gpus)
        devices[index] = replace(devices[index], processes=processes, memory_used_bytes=used)
        self.change(name, gpus=tuple(devices))

    # ── carrying out ───────────────────────────────────────────────────────────────────────────

    def _carry_out(self, decision: Decision) -> None:
        for job in decision.jobs:
            ended = job.state.ended
            here, there = (self.recent, self.jobs) if ended else (self.jobs, self.recent)
            there.pop(job.id, None)
            here[job.id] = job
        for task in decision.tasks:
            self.tasks[task.key] = task
        for kill in decision.kills:
            attempt = self.attempts[kill.attempt]
            assert attempt.state.live
            assert attempt.stop is None
            self.attempts[kill.attempt] = replace(attempt, stop=kill.stop)
        for gone in decision.give_ups:
            attempt = self.attempts[gone.attempt]
            assert attempt.state.live
            assert not attempt.replaced
            self.attempts[gone.attempt] = replace(attempt, replaced=True, reason=gone.reason)
        for placement in decision.placements:
            task = self.tasks[placement.task]
            self._place(task, placement.node, placement.gpus, placement)
        self.suspended = decision.suspended

    def _place(self, task: Task, name: str, gpus: tuple[str, ...], placement: Any) -> None:
        job = self.jobs[task.key.job]
        facts = self.nodes[name].facts
        assert facts is not None
        loss = job.spec.on_node_loss
        number = task.attempts + 1
        attempt = Attempt(
            id=attempt_id(task.key, number),
            task=task.key,
            number=number,
            revision=placement.revision,
            node=name,
            host_id=facts.host_id,
            boot=facts.boot,
            root_id=facts.root_id,
            gpus=gpus,
            cpus=placement.cpus,
            memory_bytes=placement.memory_bytes,
            state=AttemptState.PLACED,
            placed_at=self.now.wall,
            lease_s=30.0 if loss.fence else None,
            share=placement.share,
            gpu_memory_bytes=placement.gpu_memory_bytes,
            cpu_set=placement.cpu_set,
            gang=placement.gang,
            master=placement.master,
            borrowed=placement.borrowed,
        )
        self.attempts[attempt.id] = attempt
        if loss.fence:
            self.lease_mono[attempt.id] = self.now.mono
        self.tasks[task.key] = replace(
            task,
            attempts=number,
            active=attempt.id,
            reason=f"starting on {name}",
            reason_code="starting",
            not_before=None,
        )
