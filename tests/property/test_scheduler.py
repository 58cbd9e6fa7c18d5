"""What holds for every fleet, every mix of jobs and every order of events."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flextui.core.model.state import Attempt, AttemptState, JobState, Mark, Node, NodeStatus
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.decision import Block, Decision
from flextui.core.scheduler.explain import explain
from flextui.core.scheduler.feasible import fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.need import need_of
from flextui.core.scheduler.obstacles import obstacles
from flextui.core.scheduler.plan import plan
from tests.unit.world import GIB, World, node, process

MODELS = (("NVIDIA A100-SXM4-80GB", 80), ("NVIDIA L4", 24))
RACKS = ("a", "b")
UNHURRIED = list(HealthCheck)
"""Worlds take a while to draw, and many have nothing to say about one property."""


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    model, memory = draw(st.sampled_from(MODELS))
    return node(
        name,
        cpus=draw(st.sampled_from((1, 4, 16))),
        memory=draw(st.sampled_from((8, 64))),
        gpus=draw(st.integers(0, 4)),
        model=model,
        gpu_memory=memory,
        labels={"rack": draw(st.sampled_from(RACKS))},
        reserve={"cpus": draw(st.sampled_from((0, 0.5)))},
    )


@st.composite
def fleets(draw: st.DrawFn, most: int = 4) -> list[Node]:
    count = draw(st.integers(1, most))
    return [draw(nodes(f"n{index}")) for index in range(count)]


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    gpus = draw(st.integers(0, 4))
    resources: dict[str, Any] = {
        "gpus": gpus,
        "cpus": draw(st.sampled_from((0.3, 1, 3, 8))),
        "memory": draw(st.sampled_from((None, 2 * GIB, 20 * GIB))),
    }
    if gpus:
        resources["gpu_model"] = draw(st.sampled_from(((), ("a100",), ("l4", "a100"))))
        resources["gpu_memory"] = draw(st.sampled_from((None, 20 * GIB, 40 * GIB)))
    where: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 0:
        where["labels"] = {"rack": draw(st.sampled_from(RACKS))}
    return {"resources": resources, "where": where}


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(("batch", "batch", "service", "system")))
    spec = {
        **draw(requests()),
        "type": kind,
        "priority": draw(st.sampled_from((10, 50, 90))),
        "restart": {
            "on": draw(st.sampled_from(("never", "failure", "always"))),
            "attempts": draw(st.integers(0, 3)),
            "delay": draw(st.sampled_from((0, 5))),
        },
    }
    if kind == "service":
        spec["count"] = draw(st.integers(0, 3))
        then = draw(st.sampled_from(("wait", "reschedule", "fail")))
        fence = then != "wait" and draw(st.booleans())
        spec["on_node_loss"] = {"then": then, "fence": fence}
    return spec


ENDS: tuple[dict[str, Any], ...] = (
    {"code": 0},
    {"code": 1},
    {"code": 143, "why": "time_limit"},
    {"code": 137, "signal": 9, "why": "memory"},
    {"code": None, "why": "boot", "state": AttemptState.LOST},
    {"code": None, "why": "refused", "state": AttemptState.KILLED},
    {"code": None, "why": "device_lost", "state": AttemptState.FAILED},
)


class Fleets(RuleBasedStateMachine):
    """Anything may happen to a fleet, in any order; a pass follows each time."""

    world: World
    memo: Memo

    @initialize(fleet=fleets())
    def begin(self, fleet: list[Node]) -> None:
        self.world = World(*fleet)
        self.memo = Memo()

    # ── what may happen ────────────────────────────────────────────────────────────────────────

    @rule(spec=specs(), name=st.sampled_from("abcde"))
    def submit(self, spec: dict[str, Any], name: str) -> None:
        live = [it for it in self.world.jobs.values() if it.name == name]
        if not live or live[-1].type == spec["type"] or spec["type"] == "batch":
            self.world.submit(name, **spec)
        self.step()

    @rule(data=st.data())
    @precondition(lambda self: self.world.jobs)
    def stop(self, data: st.DataObject) -> None:
        self.world.stop(data.draw(st.sampled_from([it.name for it in self.world.jobs.values()])))
        self.step()

    @rule(data=st.data())
    @precondition(lambda self: self.world.tasks)
    def restart(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(self.world.tasks)))
        job = self.world.jobs.get(key.job)
        wanted = job is not None and job.stop is None and not self.world.tasks[key].retired
        if job is not None and wanted and self.world.job(job.name) is job:
            self.world.restart(job.name, key.index)
        self.step()

    @rule()
    def obey(self) -> None:
        self.world.obey()
        self.step()

    @rule(data=st.data(), how=st.sampled_from(ENDS))
    def end(self, data: st.DataObject, how: dict[str, Any]) -> None:
        live = [it.id for it in self.live() if self.status(it) is NodeStatus.READY]
        if live:
            self.world.end(data.draw(st.sampled_from(live)), **how)
        self.step()

    @rule(data=st.data(), what=st.sampled_from(("silence", "complain", "answer")))
    def link(self, data: st.DataObject, what: str) -> None:
        name = data.draw(st.sampled_from(list(self.world.nodes)))
        up = self.world.nodes[name].status is NodeStatus.READY
        if up != (what == "answer"):
            getattr(self.world, what)(name)
        self.step()

    @rule(data=st.data())
    def declare_lost(self, data: st.DataObject) -> None:
        lost = [it for it in self.world.nodes.values() if it.status is NodeStatus.LOST]
        if lost:
            self.world.change(data.draw(st.sampled_from(lost)).name, declared_lost=True)
        self.step()

    @rule(data=st.data(), on=st.booleans())
    def drain(self, data: st.DataObject, on: bool) -> None:
        self.world.drain(data.draw(st.sampled_from(list(self.world.nodes))), on)
        self.step()

    @rule(data=st.data(), memory=st.sampled_from((0.1, 10)))
    def foreign(self, data: st.DataObject, memory: float) -> None:
        name = data.draw(st.sampled_from(list(self.world.nodes)))
        if devices := self.world.nodes[name].gpus:
            index = data.draw(st.sampled_from(range(len(devices))))
            used = devices[index].processes
            self.world.use_gpu(name, index, *(() if used else (process("carol", memory),)))
        self.step()

    @rule(data=st.data())
    def cordon_gpu(self, data: st.DataObject) -> None:
        it = self.world.nodes[data.draw(st.sampled_from(list(self.world.nodes)))]
        if it.gpus:
            uuid = data.draw(st.sampled_from(it.gpus)).uuid
            marks = dict(it.cordoned_gpus)
            if marks.pop(uuid, None) is None:
                marks[uuid] = Mark("flextui", 0.0, "XID 79")
            self.world.change(it.name, cordoned_gpus=marks)
        self.step()

    @rule(seconds=st.sampled_from((1, 6, 61, 700)))
    def wait(self, seconds: float) -> None:
        self.step(seconds)

    # ── the pass, and what must hold of it ─────────────────────────────────────────────────────

    def step(self, seconds: float = 0.0) -> None:
        world = self.world
        world.now = world.now._replace(wall=world.now.wall + seconds, mono=world.now.mono + seconds)
        before = world.snapshot()
        decision = plan(before, world.now)
        assert plan(before, world.now) == decision, "same input, another plan"
        for _ in range(2):  # the second time as if the engine had refused the first
            assert plan(before, world.now, self.memo) == decision, "the memo changed the plan"
        self.check_placements(decision)
        self.check_give_ups(decision)
        assert world.step() == decision
        world.settle()

    def check_placements(self, decision: Decision) -> None:
        for it in decision.placements:
            target = self.world.nodes[it.node]
            assert target.status is NodeStatus.READY
            assert target.drain is None
            assert len(it.gpus) == len(set(it.gpus))
            for device in target.gpus:
                if device.uuid in it.gpus:
                    assert device.uuid not in target.cordoned_gpus
                    foreign = sum(p.memory_bytes or 0 for p in device.processes)
                    assert foreign <= target.spec.gpus.foreign_ignore

    def check_give_ups(self, decision: Decision) -> None:
        for it in decision.give_ups:
            attempt = self.world.attempts[it.attempt]
            lost = self.world.nodes[attempt.node]
            assert lost.status is NodeStatus.LOST
            assert lost.declared_lost or not decision.suspended

    def live(self) -> list[Attempt]:
        return [it for it in self.world.attempts.values() if it.state.live]

    def status(self, attempt: Attempt) -> NodeStatus:
        return self.world.nodes[attempt.node].status

    @invariant()
    def nothing_is_oversubscribed(self) -> None:
        if not hasattr(self, "world"):
            return
        for it in self.world.nodes.values():
            here = [attempt for attempt in self.live() if attempt.node == it.name]
            assert it.facts is not None
            cpus = sum(round(attempt.cpus * 1000) for attempt in here)
            assert cpus <= round((it.facts.cpus - it.spec.reserve.cpus) * 1000)
            assert sum(attempt.memory_bytes for attempt in here) <= it.facts.memory_bytes
            devices = Counter(uuid for attempt in here for uuid in attempt.gpus)
            assert all(number == 1 for number in devices.values())
            assert set(devices) <= {gpu.uuid for gpu in it.gpus}

    @invariant()
    def a_task_has_one_attempt_that_counts(self) -> None:
        if hasattr(self, "world"):
            counting = Counter(it.task for it in self.live() if not it.replaced)
            assert all(number == 1 for number in counting.values())

    @invariant()
    def every_wait_has_a_reason(self) -> None:
        if not hasattr(self, "world"):
            return
        for task in self.world.tasks.values():
            if task.state is JobState.PENDING and task.key.job in self.world.jobs:
                assert task.reason
                assert task.reason_code
                assert explain(self.world.snapshot(), task.key, self.world.now).summary
        for job in self.world.jobs.values():
            assert job.state is not JobState.PENDING or job.reason

    @invariant()
    def jobs_follow_their_tasks(self) -> None:
        if not hasattr(self, "world"):
            return
        for job in self.world.recent.values():
            tasks = [it for it in self.world.tasks.values() if it.key.job == job.id]
            assert all(task.state.ended for task in tasks)
            assert job.ended_at is not None


TestFleets = Fleets.TestCase
TestFleets.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=UNHURRIED,
)


# ── reasons ────────────────────────────────────────────────────────────────────────────────────


@st.composite
def occupied(draw: st.DrawFn) -> World:
    """A fleet in which some of everything is in use or out of order."""
    world = World(*draw(fleets()))
    for index in range(draw(st.integers(0, 6))):
        world.submit(f"r{index}", **draw(requests()))
    world.run()
    for it in list(world.jobs.values()):
        if it.state is JobState.PENDING:
            world.stop(it.name)
    for it in list(world.nodes.values()):
        trouble = draw(st.sampled_from(("", "", "", "drain", "cordon", "silence", "complain")))
        if trouble == "drain":
            world.drain(it.name)
        elif trouble == "cordon":
            world.change(it.name, cordon=Mark("alice", 0.0, ""))
        elif trouble:
            getattr(world, trouble)(it.name)
        if it.gpus and draw(st.booleans()):
            index = draw(st.sampled_from(range(len(it.gpus))))
            if draw(st.booleans()):
                world.use_gpu(it.name, index, process("carol", 30))
            else:
                marks = {it.gpus[index].uuid: Mark("flextui", 0.0, "XID 79")}
                world.change(it.name, cordoned_gpus=marks)
    world.settle()
    return world


def remove(world: World, name: str, block: Block) -> None:
    """Take away what a block says is in the way on a node."""
    match block.code:
        case "node_drained":
            world.drain(name, on=False)
        case "node_cordoned":
            world.change(name, cordon=None)
        case "node_down":
            world.answer(name)
        case "cpus" | "memory" | "gpus_busy" | "gpus_foreign" | "gpus_cordoned":
            for attempt in list(world.attempts.values()):
                job = world.jobs.get(attempt.task.job)
                held = job is not None and job.full_name in block.held_by
                if attempt.state.live and attempt.node == name and held:
                    world.end(attempt.id)
            if block.code in ("gpus_foreign", "gpus_cordoned"):
                for index in range(len(world.nodes[name].gpus)):
                    world.use_gpu(name, index)
            if block.code == "gpus_cordoned":
                world.change(name, cordoned_gpus={})
        case other:
            raise AssertionError(f"nothing can remove {other}")


NEVER = {"labels", "too_big", "gpu_model", "gpu_memory"}


@given(occupied(), requests(), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=UNHURRIED)
def test_what_is_named_as_the_only_block_is_the_only_one(
    world: World, request: dict[str, Any], data: st.DataObject
) -> None:
    world.submit("job", **request)
    world.settle()
    assume(world.where("job") is None)
    why = world.why("job")
    assert why.blocks
    per_node: dict[str, list[Block]] = {}
    for block in why.blocks:
        for name in block.nodes:
            per_node.setdefault(name, []).append(block)
    assert set(per_node) == set(world.nodes), "a node without a reason"
    alone = [
        (name, found[0])
        for name, found in sorted(per_node.items())
        if len(found) == 1 and found[0].code not in NEVER
    ]
    never = [name for name, found in per_node.items() if {it.code for it in found} & NEVER]
    assert why.feasible_ever is (len(never) < len(world.nodes))
    if alone:
        name, block = data.draw(st.sampled_from(alone))
        remove(world, name, block)
        world.settle()
        if block.code == "node_down" and world.where("job") is None:
            return  # what is free there couldn't be known
        assert world.where("job") == name, (block, world.why("job"))


@given(occupied(), requests())
@settings(max_examples=100, deadline=None, suppress_health_check=UNHURRIED)
def test_what_would_help_helps(world: World, request: dict[str, Any]) -> None:
    world.submit("job", **request)
    world.settle()
    assume(world.where("job") is None)
    for text in world.why("job").would_help:
        other = {"resources": dict(request["resources"]), "where": dict(request["where"])}
        if found := re.fullmatch(r"with (\d+) GPUs? instead of \d+: now", text):
            other["resources"]["gpus"] = int(found[1])
        elif found := re.fullmatch(r"with ([\d.]+) CPUs? instead of [\d.]+: now", text):
            other["resources"]["cpus"] = float(found[1])
        elif text == "without gpu_model: now":
            other["resources"]["gpu_model"] = ()
        elif text == "without where: now":
            other["where"] = {}
        else:
            continue
        tried = World(*world.nodes.values())
        tried.jobs, tried.tasks = dict(world.jobs), dict(world.tasks)
        tried.attempts, tried.now = dict(world.attempts), world.now
        tried.jobs.pop(world.job("job").id)
        tried.tasks = {key: it for key, it in world.tasks.items() if key.job in tried.jobs}
        tried._seq = 100
        tried.submit("other", **other)
        tried.settle()
        assert tried.where("other") is not None, text


@given(occupied(), requests())
@settings(max_examples=150, deadline=None, suppress_health_check=UNHURRIED)
def test_a_request_fits_exactly_where_nothing_is_in_its_way(
    world: World, request: dict[str, Any]
) -> None:
    need = need_of(world.submit("job", **request))
    ask = Ask(need, "alice/job", "", "alice")
    snapshot = world.snapshot()
    fleet = Fleet(snapshot)
    for room in fleet.rooms:
        free = room in fleet.matching(need) and fit(room, ask) is not None
        assert free is not any(obstacles(snapshot, room, need, ask))


# ── time ───────────────────────────────────────────────────────────────────────────────────────


@given(
    attempts=st.integers(0, 6),
    delay=st.sampled_from((0, 0.5, 5)),
    backoff=st.sampled_from((1, 2, 10)),
    code=st.integers(0, 255),
)
@settings(deadline=None)
def test_crash_loops_end(attempts: int, delay: float, backoff: float, code: int) -> None:
    restart = {
        "on": "always",
        "attempts": attempts,
        "delay": delay,
        "backoff": backoff,
        "max_delay": 60,
        "within": "1h",
    }
    world = World(node("box"))
    world.submit("svc", type="service", restart=restart)
    for _ in range(attempts + 1):
        world.run()
        attempt = world.live("svc")
        assert attempt is not None
        world.end(attempt.id, code=code)
        world.step(61)
    world.run()
    assert world.job("svc").state is JobState.FAILED
    assert world.task("svc").attempts == attempts + 1
    assert not world.step(1_000_000).placements


@given(
    count=st.integers(2, 8),
    data=st.data(),
    then=st.sampled_from(("reschedule", "fail")),
)
@settings(deadline=None)
def test_half_gone_within_a_minute_replaces_nothing(
    count: int, data: st.DataObject, then: str
) -> None:
    world = World(*(node(f"n{index}") for index in range(count)))
    world.submit("svc", type="service", count=count, on_node_loss={"then": then, "after": "60s"})
    world.run()
    gone = data.draw(st.integers(max(2, (count + 1) // 2), count))
    gaps = data.draw(st.lists(st.floats(0, 60 / gone), min_size=gone, max_size=gone))
    for index, gap in enumerate(gaps):
        world.silence(f"n{index}")
        world.step(gap)
    for _ in range(5):
        assert not world.step(data.draw(st.floats(0, 10_000))).give_ups
    assert world.suspended
    world.step(1)
    world.answer("n0")
    assert world.step(100_000).give_ups


@given(fleet=fleets(3), big=requests(), small=st.lists(requests(), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
def test_an_earlier_request_never_starves(
    fleet: list[Node], big: dict[str, Any], small: list[dict[str, Any]]
) -> None:
    """However many smaller jobs keep coming, it starts once what ran before it has ended."""
    world = World(*fleet)
    for index in range(8):
        world.submit(f"early{index}", **small[index % len(small)])
    world.run()
    for it in list(world.jobs.values()):
        if it.state is JobState.PENDING:
            world.stop(it.name)
    world.settle()
    before = [it.id for it in world.attempts.values() if it.state.live]
    world.submit("big", **big)
    world.settle()
    assume(world.where("big") is None)
    assume(world.why("big").feasible_ever)
    for number, attempt in enumerate(before):
        for index, request in enumerate(small):
            world.submit(f"late{number}-{index}", **request)
        world.run()
        world.end(attempt)
    world.run()
    overtaken = [it for it in world.attempts.values() if it.state.live and it.id not in before]
    for late in overtaken:
        if world.where("big") is None and world.attempts[late.id].state.live:
            world.submit(f"more-{late.id.replace('.', '-')}", **small[0])
            world.end(late.id)
            world.run()
    assert world.where("big") is not None, world.why("big")
