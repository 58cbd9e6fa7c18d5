"""Nodes with a cable: what cutting it does to TCP."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.bench.netns import NetnsFleet
from tests.bench.network import Cut
from tests.bench.nodes import SshFleet, SshNode

SILENCE_S = 0.7


def test_a_node_has_its_own_network_and_is_reached_by_ssh(netns_fleet: SshFleet) -> None:
    node = netns_fleet.add("far1", gpus=1)
    seen = netns_fleet.ssh(node, "hostname; cat /etc/machine-id")
    assert seen.stdout.split() == ["far1", node.machine_id], seen.stderr
    assert node.port == 22
    links = node.run(["ip", "-brief", "link"]).stdout.split("\n")
    assert [line.split("@")[0].split()[0] for line in links if line] == ["lo", "eth0"]


def echoing(node: SshNode, port: int) -> socket.socket:
    """A TCP connection to the node, on which what we send comes back."""
    program = (
        f"import socket; s = socket.create_server(('{node.address}', {port})); c, _ = s.accept()\n"
        "while d := c.recv(99): c.sendall(d)"
    )
    node.spawn(["python3", "-c", program])
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection((node.address, port), timeout=5)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the program on the node doesn't listen"
            time.sleep(0.02)


@pytest.mark.parametrize("how", ["drop", "unplug"])
def test_a_cut_cable_is_silent_and_tcp_carries_on_when_it_is_mended(
    netns_fleet: SshFleet, how: Cut
) -> None:
    node = netns_fleet.add("far1")
    with echoing(node, 7007) as connection:
        connection.sendall(b"one")
        assert connection.recv(9) == b"one"
        node.link_down(how)
        connection.sendall(b"two")  # no error: nothing tells that the peer is gone
        connection.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            connection.recv(9)
        node.link_up()
        connection.settimeout(30)
        assert connection.recv(9) == b"two"


def test_a_reset_tells_the_peer(netns_fleet: SshFleet) -> None:
    node = netns_fleet.add("far1")
    with echoing(node, 7007) as connection:
        node.link_down("reset")
        connection.sendall(b"one")
        with pytest.raises(ConnectionResetError):
            connection.recv(9)


def test_one_cut_cable_leaves_the_others_alone(netns_fleet: SshFleet) -> None:
    one, other = netns_fleet.add_many(["far1", "far2"])
    one.link_down("unplug")
    assert netns_fleet.ssh(other, "hostname").stdout == "far2\n"
    one.link_up()
    assert netns_fleet.ssh(one, "hostname").stdout == "far1\n"


def test_a_reboot_brings_the_cable_back(netns_fleet: SshFleet) -> None:
    node = netns_fleet.add("far1", own_pids=True)
    node.link_down("unplug")
    node.reboot()
    assert netns_fleet.ssh(node, "hostname").stdout == "far1\n"


@pytest.mark.requires("netns")
def test_closing_the_fleet_removes_the_interfaces(state_dir: Path) -> None:
    def addresses() -> str:
        shown = subprocess.run(["ip", "address"], capture_output=True, text=True, check=True)
        return shown.stdout

    with NetnsFleet(state_dir / "fleet") as fleet:
        (node,) = fleet.add_many(["far1"])
        subnet = node.address.rpartition(".")[0]
        gateway = f"{subnet}.{int(node.address.rpartition('.')[2]) - 1}/30"
        assert gateway in addresses()
    assert gateway not in addresses()
