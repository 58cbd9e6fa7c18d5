"""Projects, quotas, policy and volumes of an inventory: what they become, what is refused."""

from __future__ import annotations

import pytest

from flextui.core.model.inventory import (
    GpuHours,
    Inventory,
    Policy,
    Quota,
    Volume,
    Weights,
    read_inventory,
)
from flextui.core.model.problems import BadInput

NODES = "nodes: [{host: gpu1}, {host: gpu2}]\n"

FULL = (
    NODES
    + """
projects:
  vision:
    members: [bob, "group:vision"]
    quota: {gpus: 8, gpu_hours: 2000/30d, jobs: 100}
    weight: 2
  speech: {members: [carol]}
users:
  admins: [alice]
  quota: {gpus: 4, gpu_hours: 100/7d}
  quotas: {bob: {gpus: 6.5}}
policy:
  queue: fair-share
  backfill: conservative
  preemption: true
  weights: {priority: 100, age: 1, fair_share: 10, size: 2.5}
  age_full: 3d
  half_life: 14d
  longest_wait: 12h
  share_overuse: stop
  interactive_limit: 2h
  usage_keep: 30d
volumes:
  data: {path: /data, nodes: [gpu1]}
  home: {path: /home, shared: true}
  scratch: {path: /scratch, shared: true, nodes: [gpu1, gpu2]}
"""
)


def the_problem(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        read_inventory(NODES + text, "i.yaml")
    (only,) = caught.value.problems
    return str(only).removeprefix("i.yaml:")


def test_projects_have_members_a_quota_and_a_weight() -> None:
    fleet = read_inventory(FULL, "i.yaml")
    vision, speech = fleet.projects["vision"], fleet.projects["speech"]
    assert (vision.members, vision.weight) == (("bob", "group:vision"), 2.0)
    assert vision.quota == Quota(gpus=8.0, gpu_hours=GpuHours(hours=2000, window="30d"), jobs=100)
    assert (speech.quota, speech.weight) == (Quota(), 1.0)
    assert (speech.quota.gpus, speech.quota.gpu_hours, speech.quota.jobs) == (None, None, None)


def test_membership_is_by_name_or_by_group() -> None:
    fleet = read_inventory(FULL, "i.yaml")
    assert fleet.projects_of("bob", ()) == ("vision",)
    assert fleet.projects_of("carol", ("users", "vision")) == ("vision", "speech")
    assert fleet.projects_of("vision", ("bob",)) == ()


def test_a_users_own_quota_stands_whole_in_place_of_the_common_one() -> None:
    users = read_inventory(FULL, "i.yaml").users
    assert users.quota_of("carol") == Quota(gpus=4, gpu_hours="100/7d")
    assert users.quota_of("bob") == Quota(gpus=6.5)


def test_the_longest_window_of_any_quota_is_known() -> None:
    assert read_inventory(FULL, "i.yaml").quota_window == 30 * 86_400.0
    assert read_inventory(NODES, "i.yaml").quota_window == 0.0


def test_the_policy_is_kept_and_has_defaults() -> None:
    assert read_inventory(FULL, "i.yaml").policy == Policy(
        queue="fair-share",
        backfill="conservative",
        preemption=True,
        weights=Weights(priority=100, age=1, fair_share=10, size=2.5),
        age_full=3 * 86_400.0,
        half_life=14 * 86_400.0,
        longest_wait=43_200.0,
        share_overuse="stop",
        interactive_limit=7200.0,
        usage_keep=30 * 86_400.0,
    )
    plain = read_inventory(NODES, "i.yaml").policy
    assert (plain.queue, plain.backfill, plain.preemption) == ("priority", "easy", False)
    weights = plain.weights
    assert (weights.priority, weights.age, weights.fair_share, weights.size) == (1000, 200, 500, 0)
    assert (plain.age_full, plain.half_life, plain.longest_wait) == (604_800, 604_800, 86_400)
    assert (plain.share_overuse, plain.interactive_limit) == ("warn", 28_800)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", "easy"),
        ("false", "off"),
        ("easy", "easy"),
        ("conservative", "conservative"),
        ('"off"', "off"),
    ],
)
def test_backfill_may_be_a_yes_or_no(written: str, meant: str) -> None:
    assert read_inventory(NODES + f"policy: {{backfill: {written}}}", "i").policy.backfill == meant


def test_a_volume_is_on_its_nodes() -> None:
    volumes = read_inventory(FULL, "i.yaml").volumes
    assert volumes["data"] == Volume(path="/data", nodes=("gpu1",))
    assert (volumes["data"].on("gpu1"), volumes["data"].on("gpu2")) == (True, False)
    assert (volumes["home"].on("gpu2"), volumes["home"].shared) == (True, True)
    assert volumes["scratch"].on("gpu2")


def test_gpus_may_be_shared_all_or_by_index() -> None:
    text = "nodes: [{host: a, gpus: {share: true}}, {host: b, gpus: {share: [1, 3]}}, {host: c}]"
    all_of_them, some, none = read_inventory(text, "i.yaml").nodes
    assert all_of_them.gpus.shares(7)
    assert [some.gpus.shares(index) for index in range(4)] == [False, True, False, True]
    assert not none.gpus.shares(0)


def test_its_json_is_an_inventory_too() -> None:
    fleet = read_inventory(FULL, "i.yaml")
    assert Inventory.from_json(fleet.to_json()) == fleet
    assert read_inventory(fleet.to_text(), "i.yaml") == fleet


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("projects: {v: {}}", "2:15: 'members' is missing in projects.v; expected users, and gr"),
        ("projects: {v: {members: []}}", "2:25: projects.v.members is a list; expected at least"),
        ("projects: {v: {members: bob}}", "2:25: projects.v.members is 'bob'; expected a list"),
        ("projects: {v: {members: ['a b']}}", "projects.v.members[0] is 'a b'; expected a user,"),
        ("projects: {v: {members: [a, b, a]}}", "2:25: projects.v.members: 'a' is given twice"),
        ("projects: {Vision: {members: [a]}}", "2:12: the name 'Vision' is not allowed"),
        ("projects: {v: {members: [a], weight: 0}}", "projects.v.weight is 0; expected more than"),
        ("projects: {v: {members: [a], wieght: 1}}", "did you mean 'weight'?"),
        ("projects: {v: {members: [a], quota: {gpus: 0}}}", "quota.gpus is 0; expected more th"),
        ("projects: {v: {members: [a], quota: {gpus: -1}}}", "quota.gpus is -1; expected more"),
        ("projects: {v: {members: [a], quota: {jobs: 0}}}", "quota.jobs is 0; expected more th"),
        ("projects: {v: {members: [a], quota: {jobs: 1.5}}}", "quota.jobs is 1.5; expected a wh"),
        (
            "projects: {v: {members: [a], quota: {gpu_hours: 2000}}}",
            "2:49: projects.v.quota.gpu_hours is 2000; expected GPU hours in a window, such as",
        ),
        ("users: {quota: {gpu_hours: 0/30d}}", "2:28: users.quota.gpu_hours: '0/30d' allows not"),
        ("users: {quota: {gpu_hours: -5/30d}}", "is '-5/30d'; expected GPU hours in a window"),
        ("users: {quota: {gpu_hours: 5/10}}", "is '5/10'; expected a window from 1h to 366d"),
        ("users: {quota: {gpu_hours: 5/400d}}", "is '5/400d'; expected a window from 1h to 366d"),
        ("users: {quota: {gpu_hours: 5/soon}}", "is '5/soon'; expected a duration such as 30s"),
        ("users: {quotas: {bob: {gpus: 0}}}", "2:30: users.quotas.bob.gpus is 0; expected more"),
        ("users: {quotas: {'a b': {gpus: 1}}}", "2:18: the name 'a b' is not allowed"),
        ("policy: {queue: fairshare}", "one of priority, fifo, fair-share, shortest; did you mean"),
        ("policy: {backfill: esay}", "expected true, false, easy or conservative; did you mean"),
        ("policy: {preemption: 1}", "2:22: policy.preemption is 1; expected true or false"),
        ("policy: {weights: {age: -1}}", "policy.weights.age is -1; expected at least 0"),
        ("policy: {weights: {ages: 1}}", "did you mean 'age'?"),
        ("policy: {half_life: 0}", "policy.half_life is 0; expected more than 0"),
        ("policy: {share_overuse: kill}", "policy.share_overuse is 'kill'; expected one of warn"),
        ("volumes: {d: {path: /d}}", "volumes.d: no node has it; expected nodes: [NAME], or sha"),
        ("volumes: {d: {path: /d, nodes: []}}", "2:32: volumes.d.nodes: no node has it; expected"),
        ("volumes: {d: {path: d, shared: true}}", "2:21: volumes.d.path is 'd'; expected an absol"),
        ("volumes: {d: {path: /d, nodes: [gpu3]}}", "2:33: there is no node 'gpu3'; expected a n"),
    ],
)
def test_one_mistake_gives_one_problem_at_its_place(text: str, problem: str) -> None:
    assert problem in the_problem(text)
