"""Who has had how much of what is theirs."""

from __future__ import annotations

import pytest

from flextui.core.model.state import Account
from flextui.core.scheduler.fairness import Shares, usage_at
from flextui.core.scheduler.order import Ranking
from tests.unit.order_kit import DAY, HOUR, Scene

PROJECTS = {"vision": {"members": ["ann", "bob"], "weight": 2}, "text": {"members": ["cleo"]}}


def scene_of(*accounts: Account, **policy: object) -> Scene:
    scene = Scene(policy={"queue": "fair-share", **policy}, projects=PROJECTS)
    scene.accounts = {(it.project, it.user): it for it in accounts}
    return scene


def held(project: str, user: str, gpus: int, used: float = 0.0) -> Account:
    return Account(project, user, used=used, at=Scene().time, gpus=gpus * 1000)


def test_use_halves_in_a_half_life() -> None:
    account = Account("", "ann", used=1000.0, at=0.0)
    assert usage_at(account, 7 * DAY, 7 * DAY) == pytest.approx(500.0)
    assert usage_at(account, 14 * DAY, 7 * DAY) == pytest.approx(250.0)


def test_what_is_held_adds_up_to_a_level() -> None:
    """Two GPUs for ever come to two GPUs for the mean life of what is remembered."""
    account = Account("", "ann", at=0.0, gpus=2000)
    assert usage_at(account, 365 * DAY, DAY) == pytest.approx(2 * DAY / 0.693147, rel=1e-4)


def test_projects_stand_by_weight() -> None:
    scene = scene_of(held("vision", "ann", 4), held("text", "cleo", 2))
    shares = Shares(scene.snapshot(), scene.now())
    assert shares.full(("vision", "ann"))[0] == shares.full(("text", "cleo"))[0] == 2.0


def test_users_stand_within_their_project() -> None:
    scene = scene_of(held("vision", "ann", 4), held("text", "cleo", 1))
    ann = scene.submit("a", "ann", project="vision")
    bob = scene.submit("b", "bob", project="vision")
    cleo = scene.submit("c", "cleo", project="text")
    ranking = Ranking(scene.snapshot(), scene.now())
    order = sorted((ann, bob, cleo), key=lambda it: ranking.key(it, scene.task(it)))
    assert order == [cleo, bob, ann]


def test_the_past_counts_for_less_than_the_present() -> None:
    past = held("", "ann", 0, used=2 * 7 * DAY / 0.693147)  # two GPUs for ever, until now
    scene = scene_of(past, held("", "bob", 1))
    shares = Shares(scene.snapshot(), scene.now())
    assert 0 < shares.full(("", "ann"))[1] < shares.full(("", "bob"))[1]


def test_nobody_fills_a_fleet_in_one_pass() -> None:
    scene = scene_of()
    jobs = [scene.submit(f"a{it}", "ann") for it in range(6)]
    jobs += [scene.submit(f"b{it}", "bob") for it in range(3)]
    ranking, placed = Ranking(scene.snapshot(), scene.now()), []
    for _ in range(6):
        first = min(
            (it for it in jobs if it not in placed), key=lambda it: ranking.key(it, scene.task(it))
        )
        assert ranking.placed(first, 1.0) == (("", first.owner),)
        placed.append(first)
    assert [it.owner for it in placed] == ["ann", "bob"] * 3


def test_a_placement_taken_back_leaves_no_trace() -> None:
    scene = scene_of()
    job = scene.submit("a", nodes=2)
    ranking = Ranking(scene.snapshot(), scene.now())
    before = ranking.key(job, scene.task(job))
    ranking.placed(job, 2.0)
    assert ranking.key(job, scene.task(job)) > before
    ranking.placed(job, -2.0)
    assert ranking.key(job, scene.task(job)) == before


def test_the_factor_tells_who_is_above_and_who_below() -> None:
    scene = scene_of(held("vision", "ann", 4), held("text", "cleo", 2))
    shares = Shares(scene.snapshot(), scene.now())
    assert shares.factor(("vision", "ann")) == pytest.approx(0.5)
    assert shares.factor(("vision", "bob")) > 0.5
    assert shares.factor(("text", "dan")) > shares.factor(("text", "cleo"))


def test_the_factor_is_full_where_nothing_is_used() -> None:
    scene = scene_of()
    assert Shares(scene.snapshot(), scene.now()).factor(("", "ann")) == 1.0


def test_who_holds_nothing_comes_first_after_a_while() -> None:
    """However much it has used before: the bound on waiting under fair share."""
    scene = scene_of(held("", "ann", 0, used=1000 * HOUR * 8), held("", "bob", 1))
    ann, bob = scene.submit("a", "ann"), scene.submit("b", "bob")
    scene.time += 40 * DAY
    ranking = Ranking(scene.snapshot(), scene.now())
    assert ranking.key(ann, scene.task(ann)) < ranking.key(bob, scene.task(bob))
