"""How a node is reached, and how that can be cut.

``Loopback`` nodes share this machine's network, each on a port of its own. netns.py has the nodes
with a network of their own.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Literal, Protocol

from tests.bench.claims import claim
from tests.bench.namespace import Namespace

Cut = Literal["drop", "reset", "unplug"]
"""drop: packets vanish, both ways. reset: connections are refused and reset. unplug: no carrier."""

# below the ports that Linux gives to outgoing connections, so that a stopped sshd finds it free
PORTS = range(20000, 32000)


class Network(Protocol):
    """A node's way to be reached."""

    address: str
    port: int
    own_network: bool

    def leave_script(self) -> str:
        """Shell by which the node's anchor undoes a cut when the bench has died."""
        ...

    def attach(self, namespace: Namespace) -> None:
        """Make the node reachable: called after each of its boots."""
        ...

    def down(self, how: Cut) -> None: ...

    def up(self) -> None: ...

    def close(self) -> None: ...


class Loopback:
    """127.0.0.1 and a port that no other test process uses.

    ``folder`` is one that the node sees as ``node_folder``; a mark in it tells of a cut.
    """

    own_network = False
    address = "127.0.0.1"

    def __init__(self, folder: Path, node_folder: str) -> None:
        self._claim = claim("port", PORTS, _bindable)
        self.port = self._claim.number
        self._mark = folder / "link-down"
        self._node_mark = f"{node_folder}/link-down"
        self._rules: list[list[str]] = []

    def leave_script(self) -> str:
        return f"[ ! -e {self._node_mark} ] || sh {self._node_mark}"

    def attach(self, namespace: Namespace) -> None:
        return

    def down(self, how: Cut) -> None:
        if how == "unplug":
            raise ValueError("a loopback node has no cable: use drop or reset, or a netns node")
        self.up()
        tcp = ["INPUT", "-i", "lo", "-p", "tcp"]
        to_node, from_node = ["--dport", str(self.port)], ["--sport", str(self.port)]
        if how == "drop":
            self._rules = [[*tcp, *ends, "-j", "DROP"] for ends in (to_node, from_node)]
        else:
            refuse = ["-j", "REJECT", "--reject-with", "tcp-reset"]
            self._rules = [[*tcp, *to_node, *refuse]]
        undo = [f"iptables -w -D {' '.join(rule)}\n" for rule in self._rules]
        self._mark.write_text("".join(undo))
        for rule in self._rules:
            _iptables("-I", rule).check_returncode()

    def up(self) -> None:
        for rule in self._rules:
            _iptables("-D", rule)  # it is gone already if the node was switched off meanwhile
        self._rules = []
        self._mark.unlink(missing_ok=True)

    def close(self) -> None:
        self.up()
        self._claim.release()


def _iptables(action: str, rule: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["iptables", "-w", action, *rule], check=False, capture_output=True)


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
