"""Nodes with a network of their own, joined to this machine by one cable that can be cut.

Each has a network namespace and a veth pair with a /30 of 10.199.0.0/16. What the cable does to
TCP is what a real one does: a peer that is unplugged sends nothing, not even a reset.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.bench.claims import claim
from tests.bench.namespace import Namespace
from tests.bench.network import Cut
from tests.bench.nodes import SshFleet

_SUBNETS = range(64 * 256)
_INSIDE = "eth0"


class Cable:
    """A veth pair. It exists while the node's network namespace does."""

    own_network = True
    port = 22

    def __init__(self, folder: Path, node_folder: str) -> None:
        self._claim = claim("subnet", _SUBNETS, lambda _: True)
        third, fourth = divmod(self._claim.number * 4, 256)
        prefix = f"10.199.{third}"
        self.gateway, self.address = f"{prefix}.{fourth + 1}", f"{prefix}.{fourth + 2}"
        self._outside = f"fxv{self._claim.number}"
        self._namespace: Namespace | None = None

    def leave_script(self) -> str:
        return ":"

    def attach(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._remove()
        peer = ["peer", "name", _INSIDE, "netns", str(namespace.pid)]
        _run(["ip", "link", "add", self._outside, "type", "veth", *peer])
        _run(["ip", "address", "add", f"{self.gateway}/30", "dev", self._outside])
        _run(["ip", "link", "set", self._outside, "up"])
        self._inside("ip", "address", "add", f"{self.address}/30", "dev", _INSIDE)
        self._inside("ip", "link", "set", "lo", "up")
        self._inside("ip", "link", "set", _INSIDE, "up")
        self._inside("ip", "route", "add", "default", "via", self.gateway)

    def down(self, how: Cut) -> None:
        self.up()
        if how == "unplug":
            self._inside("ip", "link", "set", _INSIDE, "down")
        elif how == "drop":
            self._inside("iptables", "-w", "-I", "INPUT", "-i", _INSIDE, "-j", "DROP")
            self._inside("iptables", "-w", "-I", "OUTPUT", "-o", _INSIDE, "-j", "DROP")
        else:
            refuse = ["-j", "REJECT", "--reject-with", "tcp-reset"]
            self._inside("iptables", "-w", "-I", "INPUT", "-i", _INSIDE, "-p", "tcp", *refuse)

    def up(self) -> None:
        self._inside("iptables", "-w", "-F")
        self._inside("ip", "link", "set", _INSIDE, "up")
        self._inside("ip", "route", "replace", "default", "via", self.gateway)

    def close(self) -> None:
        self._remove()
        self._claim.release()

    def _remove(self) -> None:
        # it goes with its namespace, but some time after that has ended
        subprocess.run(["ip", "link", "delete", self._outside], capture_output=True, check=False)

    def _inside(self, *command: str) -> None:
        assert self._namespace is not None, "the node has not been started"
        _run(self._namespace.entering(command))


class NetnsFleet(SshFleet):
    """A fleet whose nodes have a cable each: ``link_down("unplug")`` works on them."""

    network = Cable


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
