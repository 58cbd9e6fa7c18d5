"""What free room is worth, learned from what is asked for, and which nodes that makes the best."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from flextui.core.model.spec import JobSpec, spec_from_text
from flextui.core.scheduler.demand import (
    FIRST,
    KEPT,
    Shape,
    epoch,
    in_force,
    seen,
    shape_of_spec,
)
from flextui.core.scheduler.fragmentation import Outlook
from tests.unit.world import GIB

PLENTY = (10_000_000, 10_000 * GIB)
"""CPUs and memory that are never short."""


def share(milli: int, cpus: int = 4000) -> Shape:
    return Shape(0, milli, 0, cpus, 16 * GIB, 0)


def whole(gpus: int, cpus: int = 8000, gpu_memory: int = 0) -> Shape:
    return Shape(gpus, 0, 0, cpus, 32 * GIB, gpu_memory)


def learn(shapes: Iterable[Shape]) -> dict[tuple[int, ...], float]:
    demand: dict[tuple[int, ...], float] = {}
    for shape in shapes:
        demand.update(seen(demand, shape))
    return demand


def spec(**resources: object) -> JobSpec:
    return spec_from_text(json.dumps({"name": "job", "run": "true", "resources": resources}))


# ── demand ─────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_in_force_until_a_few_jobs_have_come() -> None:
    assert in_force(learn([share(500)] * (FIRST - 1))) == {}
    assert in_force(learn([share(500)] * FIRST)) == {share(500): 1.0}


def test_counts_are_put_in_force_now_and_then_and_not_each_time() -> None:
    demand: dict[tuple[int, ...], float] = {}
    epochs = []
    for _ in range(1000):
        demand.update(seen(demand, share(500)))
        epochs.append(epoch(demand))
    assert epochs == sorted(epochs)
    assert len(set(epochs)) < 10


def test_what_was_asked_for_long_ago_counts_less() -> None:
    demand = learn([*[share(250)] * 3000, *[share(750)] * 20_000])
    parts = in_force(demand)
    assert parts[share(750)] > 0.9


def test_counts_stay_sound_over_millions_of_jobs() -> None:
    demand = learn([share(250), share(750)] * 40)
    demand[3,] = 2.0**61  # the weight of one submission, as after very many
    for key in [key for key in demand if key[0] == 0]:
        demand[key] *= 2.0**61
    demand[2,] *= 2.0**61
    for _ in range(200):
        demand.update(seen(demand, share(250)))
    parts = in_force(demand)
    assert sum(parts.values()) == pytest.approx(1)
    assert parts[share(250)] > parts[share(750)] > 0
    assert max(demand.values()) < 2.0**60


def test_only_the_most_frequent_shapes_are_in_force() -> None:
    many = [share(10 + index) for index in range(2 * KEPT)]
    demand = learn([*many * 2, *[whole(8)] * 500])
    parts = in_force(demand)
    assert len(parts) <= KEPT
    assert whole(8) in parts


def test_requests_that_hardly_differ_are_one_shape() -> None:
    assert shape_of_spec(spec(gpus=1, cpus=11.3)) == shape_of_spec(spec(gpus=1, cpus=11.9))
    assert shape_of_spec(spec(gpus=1, cpus=11.3)) != shape_of_spec(spec(gpus=2, cpus=11.3))
    assert shape_of_spec(spec(gpu_share=0.5)).share == 500


# ── what will be lost ──────────────────────────────────────────────────────────────────────────


def test_without_demand_nothing_is_known_to_be_lost() -> None:
    outlook = Outlook({})
    assert outlook.lost((), 0, 0) == 0
    assert outlook.lost((1000, 1000), *PLENTY) == outlook.lost((1000, 1000), 0, 0)


def test_a_gap_that_usual_shares_fill_exactly_loses_least() -> None:
    gap = Outlook({share(400): 0.5, share(300): 0.5}).gap
    assert gap[700] < gap[650] < gap[290]
    assert gap[290] == 290
    assert gap[0] == 0


def test_gpus_without_cpus_are_lost() -> None:
    outlook = Outlook({whole(1, cpus=8000): 1.0})
    free = (1000,) * 8
    assert outlook.lost(free, 64_000, PLENTY[1]) < 2000
    assert outlook.lost(free, 16_000, PLENTY[1]) > 5000
    assert outlook.lost(free, 0, PLENTY[1]) >= 8000
    assert outlook.lost(free, PLENTY[0], 64 * GIB) > 5000, "nor without memory"


def test_never_less_is_lost_with_fewer_cpus() -> None:
    outlook = Outlook({whole(1): 0.5, share(500): 0.3, whole(4, 64_000): 0.2})
    losses = [outlook.lost((1000, 1000, 400), cpus, PLENTY[1]) for cpus in range(0, 65_000, 1000)]
    assert losses == sorted(losses, reverse=True)


def test_a_whole_node_is_worth_more_where_whole_nodes_are_asked_for() -> None:
    asks_for_eight = Outlook({whole(1): 0.5, whole(8, 64_000): 0.5})
    asks_for_one = Outlook({whole(1): 1.0})
    for outlook, more in ((asks_for_eight, True), (asks_for_one, False)):
        full, broken = (1000,) * 8, (1000,) * 7
        spoilt = outlook.lost(broken, *PLENTY) - outlook.lost(full, *PLENTY)
        assert (spoilt > 0) is more


def test_large_devices_cost_more_where_some_need_them() -> None:
    outlook = Outlook({whole(1): 0.5, whole(1, gpu_memory=40 * GIB): 0.5})
    assert outlook.price(1000, 80 * GIB) > outlook.price(1000, 24 * GIB)
    indifferent = Outlook({whole(1): 1.0})
    assert indifferent.price(1000, 80 * GIB) == indifferent.price(1000, 24 * GIB)


def test_shares_by_size_are_known_by_the_usual_device() -> None:
    by_size = Shape(0, 0, 20 * GIB, 4000, 16 * GIB, 0)
    assert Outlook({by_size: 1.0}, 40 * GIB).gap == Outlook({share(500): 1.0}).gap
