"""What holds over whole histories: limits, promises, windows, quotas, gangs and making room."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flextui.core.model.inventory import Reservation
from flextui.core.model.state import Account, Attempt, AttemptState, Job, JobState
from flextui.core.scheduler.accounts import held_milli
from flextui.core.scheduler.decision import Decision
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.placing import Placing
from flextui.core.scheduler.plan import place_steps, plan
from flextui.core.scheduler.timeline import hard_end
from tests.unit.world import FIRST, World, node

UNHURRIED = list(HealthCheck)
GRACE = 1.0


class History(World):
    """A world in which time passes until all has ended: attempts start at once and end by
    themselves after their own run time, at the latest at their limit."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.memo = Memo()
        self.runs: dict[str, float] = {}
        """Job → seconds that it would run."""
        self.done: dict[str, float] = {}
        """Job → seconds that it has run, where that is kept."""
        self.preempted: Counter[str] = Counter()

    def add(self, name: str, runs: float, owner: str = "alice", **fields: Any) -> Job:
        job = self.submit(name, owner, **{"grace": GRACE, **fields})
        self.runs[job.id] = runs
        return job

    def ends_at(self, attempt: Attempt) -> float:
        """When this attempt ends if nobody stops it."""
        if attempt.started_at is None:
            return inf
        job = self.jobs[attempt.task.job]
        limit = job.spec.time_limit
        left = self.runs[job.id] - self.done.get(job.id, 0.0)
        return attempt.started_at + min(left, inf if limit is None else limit)

    def pass_(self) -> Decision:
        """One pass, with the memo and without; carried out, and what was started starts."""
        before = self.snapshot()
        decision = plan(before, self.now, self.memo)
        assert plan(replace(before, journal=None), self.now) == decision, "the memo changed it"
        self._carry_out(decision)
        for it in decision.placements:
            task = self.tasks[it.task]
            assert task.active is not None
            self.started(task.active)
        return decision

    def settle_(self) -> None:
        for _ in range(200):
            decision = self.pass_()
            if not (decision.tasks or decision.jobs or decision.placements or decision.kills):
                self.next_wall = decision.next_wall
                return
        raise AssertionError("it never rests")

    def advance(self, until: float) -> None:
        """Let things happen up to that instant."""
        while True:
            self.settle_()
            live = [it for it in self.attempts.values() if it.state.live]
            ends = [(self._end_of(it), it.id) for it in live]
            at = min([*ends, (until, "")])
            if self.next_wall is not None and self.next_wall < at[0]:
                at = (max(self.next_wall, self.now.wall), "")
            seconds = max(0.0, at[0] - self.now.wall)
            self.now = self.now._replace(wall=self.now.wall + seconds, mono=self.now.mono + seconds)
            self.check()
            if at[1]:
                self._end(self.attempts[at[1]])
            elif at[0] >= until:
                return

    def _end_of(self, attempt: Attempt) -> float:
        end = self.ends_at(attempt)
        return end if attempt.stop is None else min(end, attempt.stop.at + GRACE / 2)

    def _end(self, attempt: Attempt) -> None:
        job = self.jobs[attempt.task.job]
        if attempt.stop is not None and self.now.wall < self.ends_at(attempt):
            if attempt.stop.code == "preempted":
                self.preempted[job.id] += 1
                if job.spec.preempt == "resume":
                    ran = self.now.wall - (attempt.started_at or self.now.wall)
                    self.done[job.id] = self.done.get(job.id, 0.0) + ran
            self.end(attempt.id, state=AttemptState.KILLED, why="stopped", code=143)
        elif self.runs[job.id] - self.done.get(job.id, 0.0) > (job.spec.time_limit or inf):
            self.end(attempt.id, code=143, why="time_limit")
        else:
            self.end(attempt.id)

    def check(self) -> None:
        """What must hold at every instant."""
        live = [it for it in self.attempts.values() if it.state.live]
        for box in self.nodes.values():
            here = [it for it in live if it.node == box.name]
            assert box.facts is not None
            assert sum(it.cpus for it in here) <= box.facts.cpus
            assert sum(it.memory_bytes for it in here) <= box.facts.memory_bytes
            parts: Counter[str] = Counter()
            for it in here:
                for uuid in it.gpus:
                    parts[uuid] += it.share or 1000
            assert all(milli <= 1000 for milli in parts.values())
        self.check_gangs(live)
        self.check_quotas(live)

    def check_gangs(self, live: list[Attempt]) -> None:
        gangs: dict[str, list[Attempt]] = {}
        for it in self.attempts.values():
            if it.gang:
                gangs.setdefault(it.gang, []).append(it)
        for ranks in gangs.values():
            job = self.jobs.get(ranks[0].task.job) or self.recent[ranks[0].task.job]
            assert len(ranks) == job.spec.nodes, "a gang by halves"
            assert len({it.node for it in ranks}) == len(ranks)
            assert len({it.master for it in ranks}) == 1
        masters = [it.master for it in live if it.gang and it.task.index == 0]
        assert len(masters) == len(set(masters))

    def check_quotas(self, live: list[Attempt]) -> None:
        held: Counter[str] = Counter()
        for it in live:
            job = self.jobs.get(it.task.job) or self.recent[it.task.job]
            held[f"project {job.project}"] += held_milli(it)
            held[job.owner] += held_milli(it)
        for name, project in self.inventory.projects.items():
            if project.quota.gpus is not None:
                assert held[f"project {name}"] <= project.quota.gpus * 1000
        for user in ("alice", "bob"):
            quota = self.inventory.users.quota_of(user)
            if quota.gpus is not None:
                assert held[user] <= quota.gpus * 1000


def fleet(count: int, gpus: int = 4) -> list[Any]:
    return [node(f"n{index}", cpus=16, memory=64, gpus=gpus) for index in range(count)]


@st.composite
def work(draw: st.DrawFn, *, limited: bool = False) -> dict[str, Any]:
    runs = float(draw(st.integers(1, 100)))
    limit = draw(st.one_of(st.just(runs + draw(st.integers(-5, 50))), st.none()))
    fields: dict[str, Any] = {
        "resources": {
            "gpus": draw(st.integers(0, 4)),
            "cpus": draw(st.sampled_from((1, 4, 16))),
        },
        "priority": draw(st.sampled_from((10, 50, 90))),
        "preempt": draw(st.sampled_from(("never", "restart", "resume"))),
    }
    if limited or limit is not None:
        fields["time_limit"] = max(1.0, limit if limit is not None else runs + 10)
    if draw(st.integers(0, 4)) == 0:
        fields["nodes"] = 2
    return {"runs": runs, "owner": draw(st.sampled_from(("alice", "bob"))), "fields": fields}


@given(
    backfill=st.sampled_from(("off", "easy", "conservative")),
    preemption=st.booleans(),
    queue=st.sampled_from(("priority", "fifo", "fair-share", "shortest")),
    jobs=st.lists(st.tuples(st.integers(0, 60), work()), min_size=1, max_size=14),
    boxes=st.integers(1, 3),
    gpus=st.sampled_from((None, 4, 6)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=UNHURRIED)
def test_every_history_comes_to_its_end(
    backfill: str,
    preemption: bool,
    queue: str,
    jobs: list[tuple[int, dict[str, Any]]],
    boxes: int,
    gpus: int | None,
) -> None:
    """Nothing is oversubscribed meanwhile, gangs are whole, quotas kept, nobody goes in circles."""
    world = History(
        *fleet(max(2, boxes)),
        policy={"backfill": backfill, "preemption": preemption, "queue": queue},
        users={"quota": {"gpus": gpus}} if gpus else {},
    )
    for index, (wait, one) in enumerate(sorted(jobs, key=lambda it: it[0])):
        at = FIRST + wait
        if world.now.wall < at:
            world.advance(at)
        fields = one["fields"]
        if gpus and fields["resources"]["gpus"] * fields.get("nodes", 1) > gpus:
            continue
        world.add(f"j{index}", one["runs"], one["owner"], **fields)
    world.advance(FIRST + 1_000_000)
    assert not world.jobs, {it.name: it.reason for it in world.jobs.values()}
    assert all(number <= len(jobs) ** 2 for number in world.preempted.values())


@given(
    queue=st.sampled_from(("priority", "fair-share", "shortest")),
    backfill=st.sampled_from(("off", "easy", "conservative")),
    jobs=st.lists(
        st.fixed_dictionaries(
            {
                "owner": st.sampled_from(("alice", "bob")),
                "priority": st.sampled_from((10, 50, 90)),
                "preempt": st.sampled_from(("never", "restart", "resume", "resume")),
                "nodes": st.sampled_from((1, 1, 1, 2)),
            }
        ),
        min_size=2,
        max_size=6,
    ),
    boxes=st.sampled_from((1, 1, 2)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
def test_who_made_room_isnt_asked_again_and_again(
    queue: str,
    backfill: str,
    jobs: list[dict[str, Any]],
    boxes: int,
) -> None:
    """Jobs that never end share a GPU or two for a day, those of one who has had more than his part
    and those of one who hasn't. Each may have to make room for each other one; under `shortest`
    also again once somebody has had a step more, which are twice as long each."""
    policy = {"queue": queue, "backfill": backfill, "preemption": True}
    world = History(*fleet(boxes, gpus=1), policy={**policy, "weights": {"priority": 100}})
    world.accounts["", "alice"] = Account("", "alice", used=1e7, at=FIRST)
    for index, fields in enumerate(jobs):
        world.advance(FIRST + 10 * index)
        if fields["nodes"] <= boxes:
            world.add(f"j{index}", inf, **fields, resources={"gpus": 1})
    world.advance(FIRST + 86_400)
    each = len(jobs) * (10 if queue == "shortest" else 1)
    assert all(number <= each for number in world.preempted.values()), world.preempted


@given(
    backfill=st.sampled_from(("easy", "conservative")),
    before=st.lists(work(limited=True), min_size=1, max_size=6),
    head=work(limited=True),
    later=st.lists(st.tuples(st.integers(0, 60), work()), max_size=10),
)
@settings(max_examples=40, deadline=None, suppress_health_check=UNHURRIED)
def test_the_heads_promised_start_is_never_put_off(
    backfill: str,
    before: list[dict[str, Any]],
    head: dict[str, Any],
    later: list[tuple[int, dict[str, Any]]],
) -> None:
    world = History(*fleet(2), policy={"backfill": backfill, "queue": "fifo"})
    for index, one in enumerate(before):
        world.add(f"before{index}", one["runs"], **one["fields"])
    world.settle_()
    for it in list(world.jobs.values()):
        if it.state is JobState.PENDING:
            world.stop(it.name)
    world.settle_()
    job = world.add("head", head["runs"], **head["fields"])
    world.settle_()
    promise = promised(world, job)
    for index, (wait, one) in enumerate(sorted(later, key=lambda it: it[0])):
        world.advance(max(world.now.wall, FIRST + wait))
        promise = min(promise, kept(world, job, promise))
        world.add(f"later{index}", one["runs"], **one["fields"])
        world.settle_()
        promise = min(promise, kept(world, job, promise))
    while job.id in world.jobs and world.live("head") is None:
        assert world.now.wall <= promise
        ends = [world._end_of(it) for it in world.attempts.values() if it.state.live]
        assert ends, world.task("head").reason
        world.advance(min(ends) + 0.001)
        promise = min(promise, kept(world, job, promise))


def promised(world: History, job: Job) -> float:
    """When the job is promised to start; now, if it has started."""
    if job.id not in world.jobs or world.task("head").active is not None:
        return -inf
    steps = place_steps(world.snapshot(), world.now, Memo(), Pace())
    while True:
        try:
            next(steps)
        except StopIteration as done:
            placing: Placing = done.value
            holds = [it for held in placing.keeper.holds.values() for it in held]
            own = [it.at for it in holds if it.job == job.full_name]
            assert own, "nothing is kept for the head"
            return max(own)


def kept(world: History, job: Job, promise: float) -> float:
    now = promised(world, job)
    assert now <= promise
    return now


def iso(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat()


@given(
    jobs=st.lists(st.tuples(st.integers(0, 100), work()), min_size=1, max_size=12),
    start=st.integers(20, 80),
    length=st.integers(5, 60),
    gpus=st.sampled_from((None, (0, 1))),
    backfill=st.sampled_from(("off", "easy", "conservative")),
)
@settings(max_examples=40, deadline=None, suppress_health_check=UNHURRIED)
def test_a_reservation_is_never_crossed(
    jobs: list[tuple[int, dict[str, Any]]],
    start: int,
    length: int,
    gpus: tuple[int, ...] | None,
    backfill: str,
) -> None:
    window: dict[str, Any] = {
        "name": "exam",
        "for": ["bob"],
        "nodes": ["n0"],
        "from": iso(FIRST + start),
        "to": iso(FIRST + start + length),
    }
    if gpus is not None:
        window["gpus"] = gpus
    world = History(*fleet(2), policy={"backfill": backfill})
    world.reservations["exam"] = Reservation.model_validate(window)
    opens, closes = FIRST + start, FIRST + start + length
    for index, (wait, one) in enumerate(sorted(jobs, key=lambda it: it[0])):
        world.advance(max(world.now.wall, FIRST + wait))
        world.add(f"j{index}", one["runs"], one["owner"], **one["fields"])
    world.advance(FIRST + 1_000_000)
    assert not world.jobs
    barred = {f"n0-{index}" for index in gpus or ()}
    for it in world.attempts.values():
        owner = world.recent[it.task.job].owner
        if owner == "bob" or it.node != "n0" or (gpus is not None and not barred & {*it.gpus}):
            continue
        assert it.ended_at is not None
        assert it.ended_at <= opens or it.placed_at >= closes


@given(
    jobs=st.lists(st.tuples(st.integers(0, 5000), work()), min_size=1, max_size=12),
    hours=st.sampled_from((0.02, 0.05, 0.2)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=UNHURRIED)
def test_gpu_hours_are_never_over(jobs: list[tuple[int, dict[str, Any]]], hours: float) -> None:
    world = History(*fleet(2), users={"quota": {"gpu_hours": f"{hours}/1h"}})
    for index, (wait, one) in enumerate(sorted(jobs, key=lambda it: it[0])):
        world.advance(max(world.now.wall, FIRST + wait))
        world.add(f"j{index}", one["runs"] * 3, one["owner"], **one["fields"])
    world.advance(FIRST + 20_000)
    for user in ("alice", "bob"):
        spans = [
            (it.placed_at, it.ended_at or world.now.wall, len(it.gpus))
            for it in world.attempts.values()
            if (world.recent.get(it.task.job) or world.jobs[it.task.job]).owner == user
        ]
        for end in [span[1] for span in spans]:
            used = sum(
                max(0.0, min(end, to) - max(end - 3600, since)) * number
                for since, to, number in spans
            )
            assert used <= hours * 3600 + 1e-6


def test_ends_are_proved_by_limits_alone() -> None:
    world = World(node("box"))
    world.submit("job", time_limit=60, grace=5)
    world.run()
    attempt = world.live("job")
    assert attempt is not None
    assert hard_end(world.job("job"), attempt) == FIRST + 65
