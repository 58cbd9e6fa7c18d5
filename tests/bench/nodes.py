"""Fleets of nodes that one key opens.

with SshFleet(folder) as fleet:
    node = fleet.add("gpu1", gpus=2)
    print(fleet.ssh(node, "hostname").stdout)
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.bench.machine import BENCH, NodeOptions
from tests.bench.namespace import close_all
from tests.bench.network import Loopback, Network
from tests.bench.node import SshNode
from tests.bench.sshd import make_key

__all__ = ["SshFleet", "SshNode"]

_TIMEOUT = 60.0


class SshFleet:
    """Nodes that one key opens, and the files by which a client finds them."""

    network: Callable[[Path, str], Network] = Loopback

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, SshNode] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.identity = make_key(folder / "id_ed25519")
        self._host_key = make_key(folder / "host_key")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> SshNode:
        return self.nodes[name]

    # ---- nodes ----

    def add(self, name: str, **options: Any) -> SshNode:
        """One more node, running; ``options`` are the fields of machine.NodeOptions."""
        (node,) = self.add_many([name], **options)
        return node

    def add_many(self, names: Iterable[str], **options: Any) -> list[SshNode]:
        """Several nodes that are alike, started side by side."""
        nodes = [self._make(name, NodeOptions(**options)) for name in names]
        for step in (SshNode.begin_boot, SshNode.continue_boot, SshNode.finish_boot):
            for node in nodes:
                step(node)
        self.write_known_hosts()
        return nodes

    def shared_homes(self, name: str = "shared") -> Path:
        """A folder for the ``homes`` option of several nodes."""
        folder = self.folder / "homes" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self) -> None:
        """End every node; no process, mount, rule or interface of theirs is left."""
        nodes = list(self.nodes.values())
        close_all(node.namespace for node in nodes if node.booted)
        for node in nodes:
            node.network.close()
        self.nodes.clear()

    def _make(self, name: str, options: NodeOptions) -> SshNode:
        if name in self.nodes:
            raise ValueError(f"there is a node {name} already")
        folder = self.folder / "nodes" / name
        bench = folder / "bench"
        bench.mkdir(parents=True)
        for half in ("host_key", "host_key.pub"):
            shutil.copy(self._host_key.with_name(half), bench / half)
        shutil.copy(self.identity.with_suffix(".pub"), bench / "authorized_keys")
        node = SshNode(folder, name, options, self.network(bench, BENCH))
        self.nodes[name] = node
        return node

    # ---- clients ----

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.folder / "ssh_config"

    def write_known_hosts(self) -> None:
        """Write known_hosts and ssh_config for the nodes and host keys as they are now."""
        hosts = [f"{_known_as(node)} {node.host_key}\n" for node in self.nodes.values()]
        self.known_hosts.write_text("".join(hosts))
        self.ssh_config.write_text("".join(map(self._host_entry, self.nodes.values())))

    def _host_entry(self, node: SshNode) -> str:
        return (
            f"Host {node.name}\n"
            f"  HostName {node.address}\n"
            f"  Port {node.port}\n"
            f"  User {node.user}\n"
            f"  IdentityFile {self.identity}\n"
            "  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n"
            "  StrictHostKeyChecking yes\n"
        )

    def write_home(self, home: Path) -> Path:
        """Give a home the .ssh by which its owner reaches the nodes; nodes added later too.

        For a process with ``HOME`` set to it. OpenSSH's own client looks elsewhere (in the
        account's home, whatever HOME says): it takes ``-F fleet.ssh_config``.
        """
        folder = home / ".ssh"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, target in (("config", self.ssh_config), ("known_hosts", self.known_hosts)):
            (folder / name).symlink_to(target)
        shutil.copy(self.identity, folder / "id_ed25519")
        shutil.copy(self.identity.with_suffix(".pub"), folder / "id_ed25519.pub")
        return home

    def inventory(self, path: Path, *, aliases: bool = False, **top: Any) -> Path:
        """Write an inventory of the nodes; ``top`` are further sections, such as ``policy``.

        With ``aliases`` it names hosts of ssh_config, else addresses and ports.
        """
        content = {"fleet": "bench", **top, "nodes": [*map(_entry(aliases), self.nodes.values())]}
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def ssh(
        self,
        node: SshNode | str,
        command: str,
        *,
        timeout: float = _TIMEOUT,
        user: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a node by the system's ssh; its exit status is in the answer."""
        name = node if isinstance(node, str) else node.name
        flags = ["-F", str(self.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        if user is not None:
            flags += ["-l", user]
        return subprocess.run(
            ["ssh", *flags, name, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def _entry(aliases: bool) -> Callable[[SshNode], dict[str, Any]]:
    def entry(node: SshNode) -> dict[str, Any]:
        if aliases:
            found: dict[str, Any] = {"host": node.name}
        else:
            found = {"host": node.address, "name": node.name, "port": node.port, "user": node.user}
        if node.options.labels:
            found["labels"] = dict(node.options.labels)
        return found

    return entry


def _known_as(node: SshNode) -> str:
    return node.address if node.port == 22 else f"[{node.address}]:{node.port}"
