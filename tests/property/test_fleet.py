"""What holds of placement, whatever a fleet consists of and whatever is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flextui.core.model.inventory import NodeSpec
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Attempt, Gpu, Node, Snapshot
from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.demand import seen, shape_of_spec
from flextui.core.scheduler.feasible import Place, fit, share_of
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.fragmentation import Outlook
from flextui.core.scheduler.looks import gaps_of
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.need import Need, need_of_spec
from flextui.core.scheduler.plan import plan
from flextui.core.scheduler.rank import preferred
from tests.unit.world import GIB, World, node, process

UNHURRIED = list(HealthCheck)
MODELS = (("NVIDIA A100", 40), ("NVIDIA L4", 24))


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    plain = node(
        name,
        cpus=draw(st.sampled_from((2, 8, 32))),
        memory=draw(st.sampled_from((16, 128))),
        labels={"rack": draw(st.sampled_from("ab"))},
    )
    policy = NodeSpec(
        name=name, host=name, gpus={"share": draw(st.sampled_from((True, False, [0])))}
    )
    return replace(
        plain,
        spec=plain.spec.model_copy(update={"gpus": policy.gpus}),
        gpus=tuple(draw(devices(name, index)) for index in range(draw(st.integers(0, 4)))),
    )


@st.composite
def devices(draw: st.DrawFn, name: str, index: int) -> Gpu:
    model, memory = draw(st.sampled_from(MODELS))
    whole = Gpu(f"{name}-{index}", index, model, memory * GIB, 0)
    match draw(st.integers(0, 5)):
        case 0:
            used = draw(st.integers(1, 20))
            return replace(whole, memory_used_bytes=used * GIB, processes=(process("carol", used),))
        case 1:
            return replace(whole, mig="1g.10gb", memory_bytes=10 * GIB)
        case _:
            return whole


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    resources: dict[str, Any] = {"cpus": draw(st.sampled_from((0.5, 1, 1.1, 3)))}
    match draw(st.integers(0, 3)):
        case 0:
            resources["gpus"] = draw(st.integers(1, 4))
        case 1:
            resources["gpu_share"] = draw(st.sampled_from((0.1, 0.25, 0.3, 0.5, 0.7)))
        case 2:
            resources["gpu_share"] = f"{draw(st.integers(1, 30))}GiB"
    if len(resources) > 1 and draw(st.booleans()):
        resources["gpu_model"] = draw(st.sampled_from(("a100", "l4", "mig")))
    where: dict[str, Any] = {}
    match draw(st.integers(0, 5)):
        case 0:
            where["labels"] = {"rack": "a"}
        case 1:
            where["prefer"] = {"rack": "b"}
        case 2:
            where["node"] = ["n0", "n2"]
        case 3:
            where["apart"] = ["job0"]
    kind = draw(st.sampled_from(("batch", "service")))
    return JobSpec.model_validate(
        {"name": "job", "run": "true", "type": kind, "resources": resources, "where": where}
    )


fleets = st.integers(1, 4).flatmap(
    lambda count: st.tuples(*(nodes(f"n{index}") for index in range(count)))
)


def learned(known: list[JobSpec], times: int) -> dict[tuple[int, ...], float]:
    demand: dict[tuple[int, ...], float] = {}
    for spec in known * times:
        demand.update(seen(demand, shape_of_spec(spec)))
    return demand


@given(fleets, st.lists(specs(), min_size=1, max_size=12), st.integers(0, 8), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=UNHURRIED)
def test_the_index_finds_what_a_look_at_every_room_finds(
    fleet: tuple[Node, ...], asked: list[JobSpec], times: int, data: st.DataObject
) -> None:
    snapshot = replace(World(*fleet).snapshot(), demand=learned(asked, times))
    rooms = Fleet(snapshot)
    taken: list[tuple[Place, Ask]] = []
    for number, spec in enumerate(asked):
        ask = Ask(need_of_spec(spec), f"alice/job{number}", "", "alice")
        beside = data.draw(st.dictionaries(st.sampled_from(["n0", "n1"]), st.integers(1, 2)))
        exclude = data.draw(st.sets(st.sampled_from(["n0", "n3"])))
        place = rooms.best(ask, beside, exclude=exclude)
        assert place == by_hand(rooms, snapshot, ask, beside, exclude)
        if place is not None:
            pairs = zip(ask.need.least, rooms.most, strict=True)
            assert all(least <= most for least, most in pairs)
            rooms.take(place, ask)
            taken.append((place, ask))
        if taken and data.draw(st.integers(0, 3)) == 0:
            rooms.give_back(*taken.pop(data.draw(st.integers(0, len(taken) - 1))))


def by_hand(
    fleet: Fleet, snapshot: Snapshot, ask: Ask, beside: Mapping[str, int], exclude: set[str]
) -> Place | None:
    """The best place, found by ranking every room."""
    outlook = outlook_of(snapshot)
    found = []
    for room in fleet.rooms:
        need = ask.need
        if not room.open or room.name in exclude or not room.admits(need):
            continue
        place = fit(room, ask, outlook.gap.__getitem__)
        if place is not None:
            replicas = beside.get(room.name, 0) if need.spread else 0
            ranked = rank_of(outlook, need, room, place)
            found.append(((ranked[0], replicas, ranked, room.order), place))
    return min(found, key=lambda it: it[0])[1] if found else None


def outlook_of(snapshot: Snapshot) -> Outlook:
    memo = Memo()
    Fleet(snapshot, memo)
    found = memo.fleet.index.outlook
    assert isinstance(found, Outlook)
    return found


def rank_of(outlook: Outlook, need: Need, room: Room, place: Place) -> Any:
    gaps = gaps_of(room.devices)
    after, price = list(gaps), 0.0
    for device in place.devices:
        milli = share_of(need.wants, device)[0] if need.wants.shared else 1000
        after.remove(device.free_milli)
        after += [device.free_milli - milli] * (device.free_milli > milli)
        price += outlook.price(milli, device.memory)
    cpus, memory, about = room.free_cpus, room.free_memory, need.about
    then = outlook.lost(
        tuple(sorted(after, reverse=True)), cpus - about.cpus, memory - about.memory
    )
    spoilt = then - outlook.lost(gaps, cpus, memory) + price
    size = sum(it.memory for it in place.devices)
    return (-preferred(need, room.node), spoilt, size, sum(gaps), cpus, memory)


@given(fleets, st.lists(specs(), min_size=1, max_size=15), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
def test_nothing_is_given_out_twice_and_a_memo_changes_no_answer(
    fleet: tuple[Node, ...], asked: list[JobSpec], data: st.DataObject
) -> None:
    world, memo = World(*fleet), Memo()
    for number, spec in enumerate(asked):
        resources = {
            key: value
            for key, value in spec.resources.model_dump().items()
            if value not in (None, (), 0)
        }
        world.submit(
            f"job{number}", type=spec.type, resources=resources, where={"apart": spec.where.apart}
        )
        snapshot = replace(world.snapshot(), demand=learned(asked, 2))
        decision = plan(snapshot, world.now, memo)
        assert decision == plan(snapshot, world.now), "a planner that has just begun"
        world.step()
        world.obey()
        live = [it for it in world.attempts.values() if it.state.live]
        for name, it in world.nodes.items():
            check(it, [attempt for attempt in live if attempt.node == name])
        if live and data.draw(st.integers(0, 1)):
            ends: str = data.draw(st.sampled_from(sorted(it.id for it in live)))
            world.end(ends)


def check(node: Node, live: list[Attempt]) -> None:
    """No device holds more than it has, whole tasks are alone, foreign memory is left alone."""
    assert node.facts is not None
    assert sum(it.cpus for it in live) <= node.facts.cpus
    assert sum(it.memory_bytes for it in live) <= node.facts.memory_bytes
    for gpu in node.gpus:
        here = [it for it in live if gpu.uuid in it.gpus]
        parts = [it for it in here if it.share]
        if len(parts) < len(here):
            assert len(here) == 1, "a whole task isn't alone"
            assert not gpu.processes
            continue
        foreign = sum(it.memory_bytes or 0 for it in gpu.processes)
        assert sum(it.share for it in parts) <= 1000
        assert sum(it.gpu_memory_bytes for it in parts) + foreign <= gpu.memory_bytes
        assert not parts or (node.spec.gpus.shares(gpu.index) and not gpu.mig)
