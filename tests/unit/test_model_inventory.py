"""Inventories: what nodes become, what is refused and where, and the fleet without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flextui.core.model.inventory import (
    DeclaredGpu,
    GpuPolicy,
    Inventory,
    default_inventory,
    read_inventory,
)
from flextui.core.model.problems import BadInput, Problem

EXAMPLE = Path(__file__).parents[2] / "inventory.example.yaml"

FULL = """
fleet: vision-lab
head: head.lab.example
defaults: {user: lab, port: 22}
nodes:
  - host: gpu1.lab.example
    name: gpu1
    transport: ssh
    user: bob
    port: 2222
    labels: {rack: a, gen: 007, spot: no}
    reserve: {cpus: 2, memory: 8GiB}
    gpus: auto
    python: /opt/python/bin/python3
  - {host: gpu2, gpus: {share: false, foreign_ignore: 1GiB, only: [0, 1]}}
  - {host: gpu3, gpus: [{index: 0, model: 3090, memory: 24GiB}]}
  - {host: gpu4, gpus: []}
  - {name: here, transport: local}
users: {admins: [alice, "group:sudo"]}
trust_users: true
policy: {queue: priority, backfill: false, preemption: false, node_lost_after: 90s, log_keep: 7d}
"""


def refused(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        read_inventory(text, "i.yaml")
    return caught.value.problems


def the_problem(text: str) -> str:
    (only,) = refused(text)
    return str(only).removeprefix("i.yaml:")


def test_everything_that_is_written_is_kept() -> None:
    fleet = read_inventory(FULL, "i.yaml")
    assert (fleet.fleet, fleet.head) == ("vision-lab", "head.lab.example")
    assert (fleet.defaults.user, fleet.defaults.port) == ("lab", 22)
    gpu1, gpu2, gpu3, gpu4, here = fleet.nodes
    assert (gpu1.name, gpu1.host, gpu1.transport) == ("gpu1", "gpu1.lab.example", "ssh")
    assert (gpu1.user, gpu1.port, gpu1.python) == ("bob", 2222, "/opt/python/bin/python3")
    assert gpu1.labels == {"rack": "a", "gen": "007", "spot": "no"}
    assert (gpu1.reserve.cpus, gpu1.reserve.memory) == (2.0, 8 * 2**30)
    assert gpu1.gpus == GpuPolicy()
    assert gpu1.gpus.foreign_ignore == 512 * 2**20
    assert (gpu2.name, gpu2.user, gpu2.port) == ("gpu2", None, None)
    assert (gpu2.gpus.only, gpu2.gpus.foreign_ignore) == ((0, 1), 2**30)
    assert gpu3.gpus.declared == (DeclaredGpu(index=0, model="3090", memory=24 * 2**30),)
    assert gpu4.gpus.declared == ()
    assert (here.name, here.host, here.transport) == ("here", "localhost", "local")
    assert fleet.users.admins == ("alice", "group:sudo")
    assert fleet.trust_users is True
    assert (fleet.policy.node_lost_after, fleet.policy.log_keep) == (90.0, 7 * 86_400.0)


def test_what_is_left_out_has_a_default() -> None:
    fleet = read_inventory("nodes: [{host: gpu1}]", "i.yaml")
    assert (fleet.fleet, fleet.head, fleet.trust_users) == ("fleet", None, False)
    assert (fleet.policy.node_lost_after, fleet.policy.log_keep) == (60.0, 14 * 86_400.0)
    assert fleet.users.admins == ()


def test_a_node_is_found_by_its_name() -> None:
    fleet = read_inventory(FULL, "i.yaml")
    assert fleet.node("gpu3") is fleet.nodes[2]
    assert fleet.node("gpu9") is None


def test_the_example_is_valid() -> None:
    fleet = read_inventory(EXAMPLE.read_bytes(), EXAMPLE.name)
    assert [node.name for node in fleet.nodes] == ["gpu1", "gpu2", "old", "desk"]


def test_json_is_read_back_and_hashes_tell_inventories_apart() -> None:
    fleet = read_inventory(FULL, "i.yaml")
    assert Inventory.from_json(fleet.to_json()) == fleet
    assert Inventory.from_json(fleet.to_json()).inventory_hash == fleet.inventory_hash
    other = read_inventory(FULL.replace("gpu2,", "gpu5,"), "i.yaml")
    assert other.inventory_hash != fleet.inventory_hash
    assert len({*fleet.nodes, *other.nodes}) == 6


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the inventory is empty; expected nodes: with at least one"),
        ("fleet: x", "1:1: 'nodes' is missing; expected a list of nodes"),
        ("nodes: []", "1:8: nodes is a list; expected at least one node"),
        ("nodes:", "1:7: nodes is empty; expected a list"),
        ("nodes: {gpu1: {}}", "1:8: nodes is a mapping; expected a list"),
        ("nodes: [gpu1]", "1:9: nodes[0] is 'gpu1'; expected a mapping"),
        ("nodes: [{name: a}]", "1:9: nodes[0]: 'host' is missing; expected host: a name"),
        ("nodes: [{hots: a}]", "unknown field 'hots' in nodes[0]; expected one of gpus, host"),
        ("nodes: [{host: GPU_1}]", "the host 'GPU_1' can't be the name; expected name: b"),
        ("nodes: [{host: 'fe80::1'}]", "the host 'fe80::1' can't be the name"),
        (
            "nodes: [{host: -oProxyCommand=x}]",
            "1:16: nodes[0].host is '-oProxyCommand=x'; expected",
        ),
        ("nodes: [{host: bob@gpu1}]", "'bob@gpu1'; expected a host's name or address alone"),
        ("nodes: [{host: a, name: A}]", "1:25: nodes[0].name is 'A'; expected 1 to 63 of a-z"),
        ("nodes: [{host: a, port: 65536}]", "nodes[0].port is 65536; expected at most 65535"),
        ("nodes: [{host: a, user: 'x y'}]", "nodes[0].user is 'x y'; expected the name of an"),
        ("nodes: [{host: a, python: 'a; b'}]", "nodes[0].python is 'a; b'; expected a program's"),
        (
            "nodes: [{host: a, transport: openssh}]",
            "1:30: nodes[0].transport: 'openssh' is not sup",
        ),
        ("nodes: [{host: a, transport: shs}]", "expected one of ssh, local; did you mean 'ssh'?"),
        ("nodes: [{host: a, gpus: atuo}]", "'atuo'; expected auto, a mapping of settings or a li"),
        (
            "nodes: [{host: a, gpus: {share: 1}}]",
            "1:33: nodes[0].gpus.share is 1; expected true, f",
        ),
        ("nodes: [{host: a, gpus: {share: [-1]}}]", "1:33: nodes[0].gpus.share is a list; expect"),
        ("nodes: [{host: a, labels: {apart: b}}]", "1:28: the name 'apart' is not allowed"),
        ("nodes: [{host: a, gpus: {share: [a]}}]", "1:33: nodes[0].gpus.share is a list; expect"),
        ("nodes: [{host: a, gpus: {onyl: [0]}}]", "1:26: unknown field 'onyl' in nodes[0].gpus"),
        ("nodes: [{host: a, gpus: {only: [x]}}]", "nodes[0].gpus.only[0] is 'x'; expected a whole"),
        (
            "nodes: [{host: a, gpus: [{index: 0, model: b}]}]",
            "'memory' is missing in nodes[0].gpus[0]",
        ),
        ("nodes: [{host: a, labels: {node: b}}]", "1:28: the name 'node' is not allowed; expected"),
        ("nodes: [{host: a, labels: {pool: b}}]", "1:28: the name 'pool' is not allowed"),
        ("nodes: [{host: a, labels: {b: [c]}}]", "nodes[0].labels.b is a list; expected text"),
        (
            "nodes:\n- host: a\n- {host: b, name: a}",
            "3:19: the name 'a' is used twice; expected a",
        ),
        (
            "nodes:\n- host: a\n- {host: a}",
            "3:10: the name 'a' is used twice; expected another",
        ),
        (
            "nodes:\n- host: a\n- {host: a, name: b}",
            "3:10: the host 'a' is given twice; expec",
        ),
        ("nodes: [{host: a}]\npools: {x: {}}", "2:1: 'pools' is not supported yet"),
        ("nodes: [{host: a}]\npolicy: {node_lost: 5s}", "did you mean 'node_lost_after'?"),
        ("nodes: [{host: a}]\nnode_lost_after: 5s", "did you mean 'policy.node_lost_after'?"),
        ("nodes: [{host: a}]\nusers: {admins: [a b]}", "users.admins[0] is 'a b'; expected a user"),
        ("nodes: [{host: a}]\ntrust_users: yes", "expected true or false; did you mean 'true'?"),
        ("nodes: [{host: a}]\nfleet: A lab", "2:8: fleet is 'A lab'; expected 1 to 63 of a-z"),
        ("nodes: [{host: a}]\n---\nnodes: []", "3:1: a second document; expected one inventory"),
        ("[]", "1:1: this document is a list; expected a mapping of fields"),
    ],
)
def test_one_mistake_gives_one_problem_at_its_place(text: str, problem: str) -> None:
    assert problem in the_problem(text)


def test_one_host_may_be_reached_on_several_ports() -> None:
    """Containers of one box, each with its own sshd."""
    text = "nodes: [{host: a, name: x, port: 1}, {host: a, name: y, port: 2}]"
    assert len(read_inventory(text, "i.yaml").nodes) == 2


def test_a_gpu_is_declared_once() -> None:
    gpu = "{index: 0, model: a, memory: 1GiB}"
    text = f"nodes: [{{host: a, gpus: [{gpu}, {gpu}]}}]"
    assert "nodes[0].gpus: index 0 is given twice" in the_problem(text)


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("gpu1.lab.example", "gpu1"),
        ("GPU_Box.lab", "gpu-box"),
        ("", "local"),
        ("...", "local"),
        ("-", "local"),
        ("ü" * 300, "local"),
        ("a" * 300, "a" * 63),
    ],
)
def test_without_an_inventory_this_machine_is_the_fleet(hostname: str, name: str) -> None:
    fleet = default_inventory(hostname)
    (node,) = fleet.nodes
    assert (node.name, node.transport, fleet.fleet) == (name, "local", name)
    assert Inventory.from_json(fleet.to_json()) == fleet
