"""What is learned of run times, and what follows from it."""

from __future__ import annotations

import pytest

from flextui.core.model.state import RunTimes
from flextui.core.scheduler.lifetable import (
    PARTS,
    SECONDS,
    Counts,
    blend,
    counted,
    index,
    nothing,
    prior,
    quantile,
)
from flextui.core.scheduler.runtimes import (
    Outlook,
    expected,
    keys_of,
    learn,
    next_step,
    step_of,
)
from tests.unit.order_kit import HOUR, Scene


def learned(*runs: tuple[float, bool], **fields: object) -> tuple[Scene, dict[str, RunTimes]]:
    """A scene in which jobs `train-0`, `train-1` … of these lengths have been."""
    scene, found = Scene(), {}
    for number, (seconds, ended) in enumerate(runs):
        job = scene.submit(f"train-{number}", **fields)
        found.update(learn(found, job, seconds, ended=ended))
        scene.time += 2 * HOUR
    return scene, found


def test_keys_go_from_siblings_to_all() -> None:
    scene = Scene()
    one, other = scene.submit("train-1"), scene.submit("train-2")
    assert keys_of(one) == keys_of(other)
    assert keys_of(one)[-1] == "all"
    scene.time += 2 * HOUR
    later = scene.submit("train-3")
    assert keys_of(later)[0] != keys_of(one)[0]
    assert keys_of(later)[1:] == keys_of(one)[1:]
    bigger = scene.submit("train-4", resources={"gpus": 2})
    assert set(keys_of(bigger)) & set(keys_of(later)) == {"all"}


def test_a_time_limit_adds_kinds_of_its_own() -> None:
    scene = Scene()
    free, limited = scene.submit("a"), scene.submit("a", time_limit=HOUR)
    assert set(keys_of(free)) < set(keys_of(limited))


def test_estimates_come_from_the_runs_of_the_same_name() -> None:
    scene, found = learned(*[(4 * HOUR, True)] * 6)
    told = expected(found, scene.submit("train-9"))
    assert told.seconds == pytest.approx(4 * HOUR)
    assert told.samples == 6
    assert told.basis == "6 earlier runs of ann/train"


def test_what_has_run_for_some_time_has_less_to_go() -> None:
    scene, found = learned(*[(4 * HOUR, True)] * 6)
    job = scene.submit("train-9")
    assert expected(found, job, HOUR).seconds == pytest.approx(3 * HOUR)


def test_an_estimate_never_goes_beyond_the_limit() -> None:
    scene, found = learned(*[(4 * HOUR, True)] * 6)
    told = expected(found, scene.submit("train-9", time_limit=HOUR), 0.5 * HOUR)
    assert told.high <= 0.5 * HOUR


def test_without_any_run_the_limit_is_taken_at_its_word() -> None:
    told = expected({}, Scene().submit("new", time_limit=2 * HOUR), HOUR)
    assert (told.seconds, told.samples) == (HOUR, 0)
    assert told.basis == "the time limit, 2h"


def test_limits_that_prove_too_long_are_taken_for_less() -> None:
    scene, found = learned(*[(0.1 * HOUR, True)] * 20, time_limit=10 * HOUR)
    job = scene.submit("train-99", time_limit=10 * HOUR)
    assert Outlook().left(found, job, 0.0) < HOUR
    assert expected(found, job).seconds < HOUR


def test_the_longer_something_has_run_the_longer_it_is_thought_to_run() -> None:
    scene = Scene()
    job, outlook = scene.submit("new"), Outlook()
    left = [outlook.left({}, job, served) for served in (0.0, HOUR, 10 * HOUR, 100 * HOUR)]
    assert left == sorted(left)
    assert left[0] < left[-1] / 100


def test_size_counts() -> None:
    scene, outlook = Scene(), Outlook()
    one = scene.submit("one")
    gang = scene.submit("gang", nodes=2, resources={"gpus": 8})
    assert outlook.left({}, gang, 0.0) == pytest.approx(16 * outlook.left({}, one, 0.0))


def test_siblings_that_go_on_for_long_set_each_other_back() -> None:
    scene = Scene()
    one, other = scene.submit("a"), scene.submit("b")
    found = learn({}, one, 10 * HOUR, ended=False)
    outlook = Outlook()
    assert outlook.left(found, other, 0.0) > 5 * outlook.left({}, other, 0.0)


def test_a_run_cut_in_pieces_counts_as_one() -> None:
    scene = Scene()
    whole = learn({}, scene.submit("a"), 5 * HOUR)
    job, found = scene.submit("a"), {}
    for since, until, ended in ((0.0, HOUR, False), (HOUR, 2 * HOUR, False)):
        found.update(learn(found, job, until, since, ended))
    found.update(learn(found, job, 5 * HOUR, 2 * HOUR))
    for key, record in whole.items():
        assert found[key].samples == record.samples
        assert found[key].ended == pytest.approx(record.ended)
        fade = 0.011  # an end makes older runs count less
        assert found[key].reached == pytest.approx(record.reached, abs=fade)


def test_an_outlook_tells_the_same_with_and_without_a_past() -> None:
    scene, found = learned(*[(HOUR, True)] * 3)
    job, kept = scene.submit("train-7"), Outlook()
    first = kept.left(found, job, 0.0)
    found.update(learn(found, scene.submit("train-8"), 40 * HOUR))
    assert kept.left(found, job, 0.0) == Outlook().left(found, job, 0.0) != first


def test_steps_grow_by_two() -> None:
    assert [step_of(it) for it in (0, 299, 300, 599, 600, 1300)] == [0, 0, 300, 300, 600, 1200]
    assert [next_step(it) for it in (0, 299, 300, 700)] == [300, 300, 600, 1200]


def test_the_index_prefers_a_good_chance_to_end_soon() -> None:
    """Nine in ten end in the first minute, the rest take days: the index looks at the minute."""
    counts = nothing(SECONDS)
    for _ in range(9):
        counts = counted(counts, SECONDS, 0.0, 50.0, ended=True, kept=1e9)
    counts = counted(counts, SECONDS, 0.0, 500_000.0, ended=True, kept=1e9)
    chances = blend(prior(SECONDS), counts, 0.01)
    assert index(chances, SECONDS, 0.0) < 100
    assert index(chances, SECONDS, 300.0) > 100_000
    assert quantile(chances, SECONDS, 0.0, 0.5) < 60


def test_the_last_level_of_a_limit_is_sure() -> None:
    assert prior(PARTS)[-1] == 1.0
    counts = counted(nothing(PARTS), PARTS, 0.0, 1.2, ended=True, kept=10)
    assert counts == Counts((1.0,) * 9, (0.0,) * 8 + (1.0,))
