"""Lives of a whole core in memory: whatever people, nodes and time may do to it, in any order.

A `Life` takes the turns that the engine takes (fold, plan, recheck, write, commit, effects), one
after the other and on a clock of its own, over a real store and boxes that keep the protocol's
rules. All of it follows from one seed. What must hold at each moment is in `check`; what must
hold of time that passes is in `pass_time`, and of the end in `finish`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flextui.core import commands as c
from flextui.core.adapters.store import SqliteStore
from flextui.core.commands import CommandError
from flextui.core.draft import Counters, Draft
from flextui.core.events import NodeConnecting, NodeEvent, NodeReady
from flextui.core.forget import forget_old_jobs
from flextui.core.model.ids import TaskKey
from flextui.core.model.inventory import Inventory
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import (
    Attempt,
    Gpu,
    Identity,
    Job,
    JobState,
    NodeStatus,
    Now,
    Snapshot,
    Task,
)
from flextui.core.ports import CoreIdentity, Effect
from flextui.core.reduce.admission import check_ever
from flextui.core.reduce.commands import apply_command
from flextui.core.reduce.decisions import apply_decision
from flextui.core.reduce.fold import fold
from flextui.core.reduce.nodes import restart_loss_timers
from flextui.core.restore import first_hour, restored
from flextui.core.scheduler.accounts import held_milli, used_at
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.decision import Decision
from flextui.core.scheduler.explain import explain
from flextui.core.scheduler.feasible import fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.forecast import foresee
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.plan import drained, plan
from flextui.core.scheduler.quota import Quotas
from tests.property.test_why import changed
from tests.unit.fake_fleet import GIB, FakeNode, FakeSession, gpu
from tests.unit.world import process

BEGAN = 1_700_000_000.0
PEOPLE = ("ann", "ben", "cem")
NAMES = "abcdefgh"
TICKS = ("order", "reserved", "quota")
"""Codes of what time alone may add to: whose place is kept, what is left of hours."""
QUIET = 60
"""A decision comes to rest within so many passes."""


def who(user: str) -> Identity:
    return Identity(user, 1000 + PEOPLE.index(user) if user in PEOPLE else 1099)


def brief(it: Any) -> str:
    """A record in a few words."""
    if isinstance(it, Job):
        return f"job {it.id} {it.state}: {it.reason}"
    if isinstance(it, Task):
        return f"task {it.key} {it.state} {it.reason_code}: {it.reason}"
    return str(it)


def difference(one: Decision, other: Decision) -> str:
    """What of a decision isn't as in the other."""
    found = []
    for name in Decision.__slots__:
        left, right = getattr(one, name), getattr(other, name)
        if left != right and isinstance(left, tuple):
            left, right = (
                [brief(it) for it in left if it not in right],
                [brief(it) for it in right if it not in left],
            )
        if left != right:
            found.append(f"{name}: {left} / {right}")
    return "\n".join(found)


class Life:
    """A core, its store and its boxes; what happens to them is the seed's to say."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = rng = random.Random(seed)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.loop = asyncio.new_event_loop()
        self.now = Now(BEGAN, 1000.0)
        self.boxes = {
            name: self._box(name) for name in [f"n{at}" for at in range(rng.choice((2, 3, 4)))]
        }
        self.inventory = Inventory.model_validate(
            {
                "nodes": [
                    {"host": it, "gpus": {"share": rng.choice((True, False, [0]))}}
                    for it in self.boxes
                ],
                "projects": {
                    "p": {
                        "members": ["ann", "ben"],
                        "weight": 2,
                        "quota": rng.choice(({}, {"gpus": 4})),
                    },
                    "q": {"members": ["cem"]},
                },
                "users": {
                    "admins": ["root"],
                    "quota": rng.choice(({}, {}, {"gpus": 3}, {"gpu_hours": "20/1d"}, {"jobs": 6})),
                },
                "policy": {
                    "queue": rng.choice(("fifo", "priority", "fair-share", "shortest")),
                    "backfill": rng.choice(("off", "easy", "conservative")),
                    "preemption": rng.choice((True, False)),
                    "half_life": rng.choice(("1h", "7d")),
                    "longest_wait": rng.choice(("1h", "24h")),
                },
            }
        )
        self.log: list[str] = []
        """What was done, for a life that fails."""
        self.mail: list[NodeEvent] = []
        self.sessions: dict[str, FakeSession] = {}
        self.store: SqliteStore | None = None
        self.work: dict[str, tuple[float, int]] = {}
        """By attempt that runs: when it ends by itself, and with which code."""
        self.seen_jobs: set[str] = set()
        self.owed_plan = False
        self.promises: dict[TaskKey, tuple[float, float]] = {}
        """Tasks that certainly start by a time, and since when that is known."""
        self._nonces = itertools.count(1)
        self.open()

    def _box(self, name: str) -> FakeNode:
        model, memory = self.rng.choice((("NVIDIA A100-SXM4-80GB", 80), ("NVIDIA L4", 24)))
        devices = tuple(
            gpu(f"{name}-{index}", index, model=model, memory_bytes=memory * GIB)
            for index in range(self.rng.choice((0, 1, 2, 4)))
        )
        return FakeNode(name, cpus=self.rng.choice((4.0, 16.0)), gpus=devices, instant=False)

    # ── the core: begins, dies, takes its turns ────────────────────────────────────────────────

    def open(self) -> None:
        self.store = SqliteStore(self.folder)
        loaded = self.store.load(first_hour(self.inventory, self.now))
        self.counters = Counters(loaded.next_job_seq, loaded.next_event_seq)
        self.snapshot = restored(loaded, self.inventory, self.now)
        self.memo = Memo()
        self.decision = Decision()
        self.owed_plan = True
        self.mail.clear()
        identity = CoreIdentity(loaded.core_id, loaded.epoch, "root@head", loaded.adopt)
        for name, box in self.boxes.items():
            session = FakeSession(box, identity, self.mail.append)
            box.session = self.sessions[name] = session
            self.mail.append(NodeConnecting(name))
            if box.reachable:
                session.ready()

    def die(self) -> None:
        """The process is gone; what it had in memory is compared with what comes back."""
        before = self.snapshot
        for session in self.sessions.values():
            session.closed = True
        self.close()
        self.now = Now(self.now.wall + self.rng.choice((0.1, 30.0, 4000.0)), 5.0)
        self._catch_up()
        self.open()
        self._compare(before, self.snapshot)

    def close(self) -> None:
        if self.store is not None:
            self.loop.run_until_complete(self.store.close())
            self.store = None

    def end(self) -> None:
        self.close()
        self.loop.close()

    def turn(self, command: Any = None, by: str = "root", *, dies: str = "") -> bool:
        """A turn of the engine. False: the command was refused."""
        items, self.mail[:] = list(self.mail), []
        while True:
            draft = self._draft(items)
            try:
                if command is not None:
                    self._apply(draft, command, by)
                break
            except CommandError as error:
                self.say(f"  refused: {error}")
                command = None
        ok = command is not None
        if draft.replan or self.owed_plan or self._due():
            self._plan(draft)
            self.owed_plan = False
        elif draft.replan_within is not None:
            self.owed_plan = True
        if dies == "before the commit":
            self.die()
            return False
        changes = draft.changes()
        if changes:
            assert self.store is not None
            self.loop.run_until_complete(self.store.commit(changes))
        self.snapshot = draft.freeze(self.snapshot.revision + 1)
        if dies == "after the commit":
            self.die()
            return ok
        for name, effect in draft.effects:
            if dies == "amid the effects" and self.rng.random() < 0.5:
                continue
            self._carry_out(name, effect)
        if dies:
            self.die()
        self.check()
        return ok

    def _draft(self, items: list[NodeEvent]) -> Draft:
        draft = Draft(self.snapshot, self.now, self.counters, lambda: f"x{next(self._nonces)}")
        draft.settled = self._settled(items)
        forget_old_jobs(draft)
        for item in items:
            fold(draft, item)
        return draft

    def _settled(self, items: list[NodeEvent]) -> Any:
        told = [it for item in items if isinstance(item, NodeReady) for it in item.records]
        unknown = tuple(it.attempt for it in told if it.attempt not in self.snapshot.attempts)
        assert self.store is not None
        return self.loop.run_until_complete(self.store.ended_attempts(unknown)) if unknown else {}

    def _apply(self, draft: Draft, command: Any, by: str) -> None:
        specs: list[JobSpec] = []
        if isinstance(command, tuple):
            command, spec = command
            check_ever(self.snapshot, spec)
            specs = [spec]
        found = apply_command(draft, command, who(by), by == "root", specs)
        if isinstance(found, Generator):
            for _ in found:
                pass

    def _plan(self, draft: Draft) -> None:
        frozen = draft.freeze(self.snapshot.revision + 1)
        decision = plan(frozen, draft.now, self.memo)
        anew = plan(frozen, draft.now, Memo())
        assert decision == anew, f"the memo changed the plan: {difference(decision, anew)}"
        before = len(draft.events)
        apply_decision(draft, decision)
        refused = [it["text"] for it in draft.events[before:] if it["kind"] == "plan.refused"]
        assert not refused, refused
        self.decision = decision

    def _due(self) -> bool:
        wall, mono = self.decision.next_wall, self.decision.next_mono
        return (wall is not None and self.now.wall >= wall) or (
            mono is not None and self.now.mono >= mono
        )

    def _carry_out(self, name: str, effect: Effect) -> None:
        box = self.boxes[name]
        before = set(box.starts)
        self.sessions[name].send(effect)
        for key in box.starts.keys() - before:
            lasts = self.rng.choice((5.0, 60.0, 600.0, 5000.0, 50_000.0))
            code = self.rng.choice((0, 0, 0, 1, 3))
            limit = box.starts[key].time_limit_s
            if limit is not None and limit < lasts:
                lasts, code = limit, -1
            self.work[key] = (self.now.wall + lasts, code)

    # ── time ───────────────────────────────────────────────────────────────────────────────────

    def settle(self) -> None:
        """Turns until nothing changes by itself any more."""
        for _ in range(QUIET):
            self.turn()
            if not self.mail and not self.owed_plan and not self._due():
                self._nobody_is_passed_over()
                return
        raise AssertionError(f"no rest: {difference(self.decision, Decision())}")

    def pass_time(self, seconds: float) -> None:
        """Time passes, with a turn whenever something is due."""
        until = self.now.wall + seconds
        for _ in range(2000):
            self.settle()
            at = min(until, self._next())
            self._nothing_is_due_before(at)
            self._pass_to(at)
            self._catch_up()
            self._promises_hold()
            if at >= until:
                self.settle()
                return
        raise AssertionError("time stands still")

    def _next(self) -> float:
        """The wall time at which something happens next."""
        wall, mono = self.decision.next_wall, self.decision.next_mono
        at = min(
            wall if wall is not None else inf,
            self.now.wall + mono - self.now.mono if mono is not None else inf,
            *(end for end, _ in self.work.values()),
            inf,
        )
        return max(at, self.now.wall + 0.005)

    def _pass_to(self, at: float) -> None:
        seconds = at - self.now.wall
        self.now = Now(at, self.now.mono + seconds)

    def _catch_up(self) -> None:
        """Work whose time has come has ended."""
        for key, (end, code) in list(self.work.items()):
            box = next(it for it in self.boxes.values() if key in it.starts)
            record = box.records.get(key)
            if record is None or record.state != "running":
                del self.work[key]
            elif end <= self.now.wall:
                del self.work[key]
                if code < 0:
                    box.end(key, 143, "time_limit")
                else:
                    box.end(key, code)

    def _nothing_is_due_before(self, at: float) -> None:
        """A planner that looked at any moment until then would find nothing to do."""
        if self.rng.random() > 0.3 or at - self.now.wall < 0.1:
            return
        seconds = (at - self.now.wall) * self.rng.choice((0.1, 0.5, 0.999))
        found = plan(self.snapshot, Now(self.now.wall + seconds, self.now.mono + seconds), Memo())
        if self.inventory.policy.preemption and found.kills:
            return  # the order changes with each moment, and is looked at when anything happens
        acts = found.placements or found.kills or found.give_ups
        if acts or any(it.reason_code not in TICKS for it in found.tasks):
            was = [brief(self.snapshot.tasks.get(it.key)) for it in found.tasks]
            what = difference(found, Decision())
            raise AssertionError(f"{seconds} of {at - self.now.wall} s: {what}\nwas {was}")

    # ── what must hold ─────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        self._check_devices()
        self._check_runs()
        self._check_gangs()
        self._check_tasks()
        self._check_accounts()

    def _check_devices(self) -> None:
        snapshot = self.snapshot
        for name, box in self.boxes.items():
            live = [snapshot.attempts[key] for key in snapshot.by_node.get(name, ())]
            assert all(it.state.live and it.node == name for it in live)
            assert sum(round(it.cpus * 1000) for it in live) <= box.cpus * 1000
            assert sum(it.memory_bytes for it in live) <= 64 * GIB
            for device in box.gpus:
                here = [it for it in live if device.uuid in it.gpus]
                if any(not it.share for it in here):
                    assert len(here) == 1, f"{device.uuid} twice: {[it.id for it in here]}"
                assert sum(it.share for it in here) <= 1000
                if any(it.share for it in here):
                    assert sum(it.gpu_memory_bytes for it in here) <= device.memory_bytes
        listed = {key for live in snapshot.by_node.values() for key in live}
        assert listed == {it.id for it in snapshot.attempts.values() if it.state.live}

    def _check_runs(self) -> None:
        """Nothing ran twice; what runs of a task beside another has been given up."""
        runs: Counter[str] = Counter()
        for box in self.boxes.values():
            runs.update(box.runs)
        twice = {key: times for key, times in runs.items() if times > 1}
        assert not twice, twice
        counting: Counter[Any] = Counter()
        for it in self.snapshot.attempts.values():
            if it.state.live and not it.replaced:
                counting[it.task] += 1
        assert all(times == 1 for times in counting.values()), counting
        really: dict[Any, list[str]] = {}
        for box in self.boxes.values():
            for key in box.running:
                really.setdefault(key.rpartition(".")[0], []).append(key)
        for task, keys in really.items():
            known = [self.snapshot.attempts.get(key) for key in keys]
            left = [it for it in known if it is None or not it.replaced]
            assert len(left) <= 1, f"{task} runs {len(left)} times: {keys}"

    def _check_gangs(self) -> None:
        snapshot = self.snapshot
        for job in snapshot.jobs.values():
            if job.spec.nodes < 2:
                continue
            live = [it for it in self._live_of(job) if not it.replaced]
            nodes = [it.node for it in live]
            assert len(nodes) == len(set(nodes)), f"ranks of {job.id} share a node"
            tasks = [snapshot.tasks[key] for key in snapshot.by_job.get(job.id, ())]
            waits = [it for it in tasks if it.state is JobState.PENDING and not self._lives(it)]
            if waits and not (self.owed_plan or self.mail) and job.stop is None:
                assert all(it.stop for it in live), f"{job.id}: {len(live)} of {len(tasks)} ranks"
            together = {it.gang for it in live if it.stop is None}
            assert len(together) <= 1, together

    def _live_of(self, job: Job) -> list[Attempt]:
        keys = self.snapshot.by_job.get(job.id, ())
        found = (self.snapshot.attempts.get(self.snapshot.tasks[key].active or "") for key in keys)
        return [it for it in found if it is not None and it.state.live]

    def _lives(self, task: Task) -> bool:
        attempt = self.snapshot.attempts.get(task.active or "")
        return attempt is not None and attempt.state.live and not attempt.replaced

    def _check_tasks(self) -> None:
        snapshot = self.snapshot
        assert snapshot.jobs.keys() | snapshot.recent.keys() >= self.seen_jobs, "a job is gone"
        self.seen_jobs = {*snapshot.jobs}
        for job in snapshot.recent.values():
            assert job.state.ended, job
            assert job.ended_at is not None, job
            for key in snapshot.by_job.get(job.id, ()):
                assert snapshot.tasks[key].state.ended, (job, snapshot.tasks[key])
        if self.owed_plan or self.mail:
            return
        for task in snapshot.tasks.values():
            its = snapshot.jobs.get(task.key.job)
            if its is not None and task.state is JobState.PENDING:
                assert task.reason, f"{task} of {its} waits without a reason"
                assert task.reason_code, task
                self._check_reason(its, task)

    def _check_reason(self, job: Job, task: Task) -> None:
        """The reason is true as far as the state alone says so."""
        lives, code = self._lives(task), task.reason_code
        attempt = self.snapshot.attempts.get(task.active or "")
        true = {
            "starting": lives,
            "unknown": lives,
            "held": job.hold is not None,
            "begin": (job.begin_at or 0.0) > self.now.wall,
            "delay": (task.not_before or 0.0) > self.now.wall,
            "stopping": not lives or (attempt is not None and bool(attempt.stop or task.restart)),
        }
        assert true.get(code, True), (job, task, attempt)
        if lives:
            assert code in ("starting", "stopping", "unknown", "node_lost"), (task, attempt)
        elif job.stop is not None:
            assert code == "stopping", (task, job.stop)
        elif job.hold is not None:
            assert code == "held", (task, job)

    def _check_accounts(self) -> None:
        held: Counter[tuple[str, str]] = Counter()
        for it in self.snapshot.attempts.values():
            job = self.snapshot.jobs.get(it.task.job) or self.snapshot.recent.get(it.task.job)
            if job is not None and (milli := held_milli(it)):
                held[(job.project, job.owner)] += milli
        told = {key: it.gpus for key, it in self.snapshot.accounts.items() if it.gpus}
        assert told == dict(held), (told, held)

    def _compare(self, before: Snapshot, after: Snapshot) -> None:
        """What comes back from the store is what was."""
        assert after.jobs == before.jobs
        assert after.named == before.named
        assert {k: n for k, n in after.live_counts.items() if n} == {
            k: n for k, n in before.live_counts.items() if n
        }
        for key in before.jobs:
            assert set(after.by_job.get(key, ())) == set(before.by_job.get(key, ()))
            for task in before.by_job.get(key, ()):
                assert after.tasks[task] == before.tasks[task]
        live = {key: it for key, it in before.attempts.items() if it.state.live}
        assert {key: it for key, it in after.attempts.items() if it.state.live} == live
        assert after.reservations == before.reservations
        half_life = self.inventory.policy.half_life
        for payer, account in before.accounts.items():
            other = after.accounts.get(payer)
            assert other is not None or not account.used
            if other is not None:
                was = used_at(account, self.now.wall, half_life)
                now = used_at(other, self.now.wall, half_life)
                assert abs(was - now) <= 1e-6 * max(1.0, was), (payer, was, now)
                assert other.gpus == account.gpus
        for name, node in before.nodes.items():
            back = after.nodes[name]
            assert (back.drain, back.cordon) == (node.drain, node.cordon)
            assert back.cordoned_gpus == node.cordoned_gpus

    def _nobody_is_passed_over(self) -> None:
        """Nobody waits who would fit beside what runs and what is kept: node by node, by hand."""
        if self.rng.random() > 0.3 or self.memo.calendar is None:
            return
        fleet = Fleet(self.snapshot)
        ledger = Ledger(self.snapshot, self.now, paused=False)
        quotas = Quotas(ledger)
        for room in fleet.rooms:
            kept = self.memo.holds.get(room.name, ())
            room.gates = (*self.memo.calendar.gates(room), *kept)
        for it in self.memo.queue:
            kind = it.kind
            until = kind.until(self.now.wall)
            name, whose = it.job.full_name, (kind.project, kind.user)
            ask = Ask(it.need, name, *whose, until, kind.groups, key=it.job.id)
            fits = [room for room in fleet.matching(it.need) if fit(room, ask) is not None]
            passed = len(fits) >= kind.nodes and not quotas.refusal(kind)
            assert not passed, f"{it.task} fits on {[room.name for room in fits]}"

    # ── what is told ───────────────────────────────────────────────────────────────────────────

    def ask_why(self) -> None:
        """One that waits is asked why: what would help helps, and what is certain comes true."""
        snapshot = self.snapshot
        if snapshot.tasks:  # whatever it does, there is an answer
            assert explain(snapshot, self.rng.choice(sorted(snapshot.tasks)), self.now).summary
        drained(foresee(Future(snapshot, self.now)))
        waits = [it.task for it in self.memo.queue if it.job.type == "batch"]
        if not waits:
            return
        task = snapshot.tasks[self.rng.choice(sorted(it.key for it in waits))]
        told = explain(snapshot, task.key, self.now)
        assert told.summary, task
        assert told.position is not None, task
        assert told.blocks or told.code in ("order", "quota"), told
        for text in told.would_help[:2]:
            self._helps(snapshot.jobs[task.key.job], text)
        if told.expected is not None and told.expected.latest is not None:
            self.promises[task.key] = (told.expected.latest, self.now.wall)

    def _helps(self, job: Job, text: str) -> None:
        """The job is taken away, handed in anew with the change, and starts."""
        if re.search(r"undrained|uncordoned|project|where\.|with [\d.]+GiB", text):
            return
        request = job.spec.model_dump(exclude_unset=True, by_alias=True)
        request.pop("begin", None)
        request.pop("deadline", None)
        spec = JobSpec.model_validate(changed(request, text))
        draft = Draft(self.snapshot, self.now, replace(self.counters), lambda: "y")
        apply_command(draft, c.Stop((job.id,)), who("root"), True, [])
        try:
            self._apply(draft, (c.Submit(()), spec), job.owner)
        except CommandError:
            return  # a job too many, or a deadline that has passed
        new = max(draft.jobs.data.values(), key=lambda it: it.seq)
        found = plan(draft.freeze(self.snapshot.revision + 1), self.now, Memo())
        started = [it for it in found.placements if it.task.job == new.id]
        assert started, f"{job.id} {job.full_name}: {text}"

    def _promises_hold(self) -> None:
        """Who was promised a start has started by then, if nobody has come since."""
        for key, (latest, since) in list(self.promises.items()):
            task = self.snapshot.tasks.get(key)
            if task is None or task.state is not JobState.PENDING or self._lives(task):
                del self.promises[key]
            elif self.now.wall > latest + 1.0:
                del self.promises[key]
                others = [it.ready_at for it in self.snapshot.tasks.values() if it.key != key]
                assert any(it > since for it in others), f"{task}: promised {latest - BEGAN}"

    # ── what may happen ────────────────────────────────────────────────────────────────────────

    def say(self, text: str) -> None:
        self.log.append(f"{self.now.wall - BEGAN:.3f} {text}")

    def live(self, steps: int) -> None:
        self.settle()
        for _ in range(steps):
            name = self.rng.choice(_WHAT)
            getattr(self, f"_{name}")()
            if self.rng.random() < 0.7:
                self.settle()

    def command(self, command: Any, by: str) -> bool:
        self.say(f"{by}: {command}")
        dies = ""
        if self.rng.random() < 0.05:
            dies = self.rng.choice(("before the commit", "after the commit", "amid the effects"))
            self.say(f"  it dies {dies}")
        return self.turn(command, by, dies=dies)

    def _submit(self) -> None:
        fields = self._fields()
        try:
            spec = JobSpec.model_validate(fields)
        except ValidationError:
            return
        self.command((c.Submit(()), spec), self.rng.choice(PEOPLE))

    def _fields(self) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choice(("batch", "batch", "batch", "batch", "service", "system"))
        resources: dict[str, Any] = {"cpus": rng.choice((0.5, 1, 1, 3))}
        what = rng.choice(("gpus", "gpus", "share", "size", "none"))
        if what == "gpus":
            resources["gpus"] = rng.choice((1, 1, 2, 4))
        elif what == "share":
            resources["gpu_share"] = rng.choice((0.3, 0.5))
        elif what == "size":
            resources["gpu_share"] = f"{rng.choice((6, 20))}GiB"
        if rng.random() < 0.3:
            resources["memory"] = rng.choice((2 * GIB, 20 * GIB))
        fields: dict[str, Any] = {
            "name": rng.choice(NAMES),
            "run": rng.choice(("work", "other")),
            "type": kind,
            "resources": resources,
            "priority": rng.choice((10, 50, 50, 90)),
            "preempt": rng.choice(("never", "restart", "resume", "resume")),
            "grace": rng.choice((0, 5, 30)),
            "restart": {
                "on": rng.choice(("never", "failure", "always")),
                "attempts": rng.choice((0, 1, 3)),
                "delay": rng.choice((0, 5)),
            },
        }
        if rng.random() < 0.5:
            then = rng.choice(("wait", "reschedule", "fail"))
            fence = then != "wait" and rng.random() < 0.4
            fields["on_node_loss"] = {
                "then": then,
                "fence": fence,
                "after": rng.choice(("60s", "300s")),
            }
        if kind == "batch":
            if rng.random() < 0.3:
                fields["nodes"] = 2
            if rng.random() < 0.6:
                fields["time_limit"] = rng.choice((300, 600, 3600))
            if rng.random() < 0.1:
                fields["begin"] = rng.choice((60, 3000))
            if rng.random() < 0.1:
                fields["deadline"] = rng.choice((2000, 10_000))
        elif kind == "service":
            fields["count"] = rng.choice((0, 1, 2, 3))
        if rng.random() < 0.3:
            fields["project"] = rng.choice("pq")
        if rng.random() < 0.1:
            fields["where"] = {"apart": [rng.choice(NAMES)]}
        if rng.random() < 0.1 and resources.get("gpus"):
            fields["idle"] = {"gpu_below": 5, "for": "10m", "then": "stop"}
        return fields

    def _someones(self) -> Job | None:
        """A job, most often one that lives."""
        jobs = list(self.snapshot.jobs.values())
        if not jobs or self.rng.random() < 0.05:
            jobs = list(self.snapshot.recent.values())
        return self.rng.choice(jobs) if jobs else None

    def _to_job(self, make: Any) -> None:
        job = self._someones()
        if job is not None:
            self.command(make(job), job.owner if self.rng.random() < 0.7 else "root")

    def _stop(self) -> None:
        self._to_job(lambda it: c.Stop((it.id,), after_s=self.rng.choice((0.0, 10.0, 10.0, 600.0))))

    def _unstop(self) -> None:
        jobs = [it for it in self.snapshot.jobs.values() if it.stop is not None]
        if jobs:
            self.command(c.Unstop((self.rng.choice(jobs).id,)), "root")

    def _hold(self) -> None:
        self._to_job(lambda it: c.Hold((it.id,)))

    def _release(self) -> None:
        jobs = [it for it in self.snapshot.jobs.values() if it.hold is not None]
        if jobs:
            self.command(c.Release((self.rng.choice(jobs).id,)), "root")

    def _restart(self) -> None:
        """What runs is told to end, once, and starts anew: no restart is lost."""
        job = self._someones()
        if job is None:
            return
        running = [it.id for it in self._live_of(job) if not it.replaced]
        if self.command(c.Restart((job.id,)), "root"):
            for key in running:
                attempt = self.snapshot.attempts[key]
                task = self.snapshot.tasks[attempt.task]
                ends = attempt.stop is not None or not attempt.state.live or attempt.replaced
                assert ends or task.restart is not None or task.retired, (task, attempt)

    def _scale(self) -> None:
        self._to_job(lambda it: c.Scale(it.id, self.rng.choice((0, 1, 2, 3))))

    def _priority(self) -> None:
        self._to_job(lambda it: c.SetPriority(it.id, self.rng.choice((10, 50, 90))))

    def _revise(self) -> None:
        job = self._someones()
        if job is None:
            return
        fields = job.spec.model_dump(exclude_unset=True, by_alias=True)
        other = self._fields()
        for name in self.rng.sample(
            (
                "run",
                "priority",
                "grace",
                "preempt",
                "restart",
                "time_limit",
                "resources",
                "count",
                "project",
                "deadline",
                "begin",
            ),
            2,
        ):
            if name in other:
                fields[name] = other[name]
            else:
                fields.pop(name, None)
        try:
            spec = JobSpec.model_validate(fields)
        except ValidationError:
            return
        self.command((c.Revise(job.id, c.Source("x", "")), spec), job.owner)

    def _some_box(self) -> FakeNode:
        return self.rng.choice(list(self.boxes.values()))

    def _drain(self) -> None:
        box = self._some_box()
        on = self.snapshot.nodes[box.name].drain is None
        self.command(c.Drain(box.name, on, after_s=self.rng.choice((0.0, 10.0))), "root")

    def _cordon(self) -> None:
        box = self._some_box()
        node = self.snapshot.nodes[box.name]
        if box.gpus and node.gpus and self.rng.random() < 0.7:
            device = self.rng.choice(node.gpus)
            on = device.uuid not in node.cordoned_gpus
            self.command(c.Cordon(box.name, device.uuid, on), "root")
        else:
            self.command(c.Cordon(box.name, None, node.cordon is None), "root")

    def _cut(self) -> None:
        box = self._some_box()
        if not box.reachable:
            return
        box.deaf = self.rng.random() < 0.5
        if box.deaf:
            self.turn()
        self.say(f"{box.name} falls silent")
        status = self.rng.choice((NodeStatus.LOST, NodeStatus.LOST, NodeStatus.UNREACHABLE))
        box.cut(status)
        box.reachable = True  # the end of the session is told, then nothing more
        box.reachable = box.deaf = False

    def _back(self) -> None:
        away = [it for it in self.boxes.values() if not it.reachable]
        if away:
            box = self.rng.choice(away)
            self.say(f"{box.name} is back")
            box.connect()

    def _reboot(self) -> None:
        box = self._some_box()
        self.say(f"{box.name} restarts")
        box.reboot()
        if self.rng.random() < 0.7:
            box.connect()

    def _declare_lost(self) -> None:
        lost = [it for it in self.snapshot.nodes.values() if it.status is NodeStatus.LOST]
        if lost:
            self.command(c.DeclareLost(self.rng.choice(lost).name), "root")

    def _foreign(self) -> None:
        box = self._some_box()
        if not box.gpus:
            return
        devices = list(box.gpus)
        at = self.rng.randrange(len(devices))
        busy = bool(devices[at].processes)
        self.say(f"{devices[at].uuid} is {'left' if busy else 'used'} by others")
        devices[at] = self._used(devices[at], 0 if busy else self.rng.choice((0.1, 10, 20)))
        box.sample(tuple(devices))

    def _used(self, device: Gpu, gib: float) -> Gpu:
        there = (process("carol", gib),) if gib else ()
        return replace(device, processes=there, memory_used_bytes=int(gib * GIB))

    def _xid(self) -> None:
        box = self._some_box()
        if box.gpus:
            box.xid(self.rng.choice(box.gpus).uuid, self.rng.choice((13, 79)))

    def _reserve(self) -> None:
        if self.snapshot.reservations and self.rng.random() < 0.5:
            self.command(c.Unreserve(next(iter(self.snapshot.reservations))), "root")
            return
        box = self._some_box()
        name = f"r{next(self._nonces)}"
        begin = self.rng.choice(("", "30m"))
        self.command(c.Reserve(name, (self.rng.choice(PEOPLE),), (box.name,), "1h", begin), "root")

    def _end(self) -> None:
        running = [(box, key) for box in self.boxes.values() for key in box.running]
        if running:
            box, key = self.rng.choice(running)
            code = self.rng.choice((0, 0, 1, 3))
            self.say(f"{key} ends with {code}")
            box.end(key, code)

    def _die(self) -> None:
        self.say("the core dies")
        self.die()

    def _sleep(self) -> None:
        """The machine of the core sleeps: the wall clock goes on, the awake one doesn't."""
        self.say("the core sleeps")
        self.now = Now(self.now.wall + 500.0, self.now.mono)
        self._catch_up()
        draft = self._draft([])
        restart_loss_timers(draft)
        self.snapshot = draft.freeze(self.snapshot.revision + 1)
        self.owed_plan = True

    def _time(self) -> None:
        seconds = self.rng.choice((1.0, 10.0, 61.0, 400.0, 4000.0))
        self.say(f"{seconds:g} s pass")
        self.promises.clear()
        self.settle()
        if self.rng.random() < 0.3:
            self.ask_why()
        self.pass_time(seconds)

    # ── the end ────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> None:
        """All is well again and whatever runs ends: then nothing is left that waits."""
        self.say("all is well")
        for box in self.boxes.values():
            box.connect()
            box.sample(tuple(self._used(it, 0) for it in box.gpus))
        self.settle()
        for name, node in list(self.snapshot.nodes.items()):
            if node.drain is not None:
                self.turn(c.Drain(name, False))
            if node.cordon is not None:
                self.turn(c.Cordon(name, None, False))
            for uuid in list(node.cordoned_gpus):
                self.turn(c.Cordon(name, uuid, False))
        for name in list(self.snapshot.reservations):
            self.turn(c.Unreserve(name))
        for job in list(self.snapshot.jobs.values()):
            if job.hold is not None:
                self.turn(c.Release((job.id,)))
            if job.type != "batch" or job.spec.restart.on == "always":
                self.turn(c.Stop((job.id,)))
        for _ in range(200):
            if not self.snapshot.jobs:
                break
            for key in self.work:
                self.work[key] = (min(self.work[key][0], self.now.wall + 60.0), 0)
            self.pass_time(3600.0)
        left = [(it.id, it.reason) for it in self.snapshot.jobs.values() if self._may_start(it)]
        assert not left, left
        for box in self.boxes.values():
            assert not box.running, box.running

    def _may_start(self, job: Job) -> bool:
        """Whether the fleet could ever hold it: what was handed in when nodes weren't known yet
        may be too big, and says so."""
        keys = self.snapshot.by_job[job.id]
        return all(explain(self.snapshot, key, self.now).feasible_ever for key in keys)


_WHAT = (
    *["submit"] * 14,
    *["time"] * 8,
    *["end"] * 5,
    *["stop"] * 3,
    *["unstop"] * 3,
    *["hold", "release"] * 2,
    *["restart"] * 2,
    *["scale"] * 2,
    "priority",
    *["revise"] * 4,
    *["drain"] * 3,
    *["cordon"] * 2,
    *["cut"] * 3,
    *["back"] * 4,
    "reboot",
    "declare_lost",
    *["foreign"] * 3,
    "xid",
    *["reserve"] * 2,
    *["die"] * 2,
    "sleep",
)
