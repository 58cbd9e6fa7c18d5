"""A node: a machine made of namespaces, with a real sshd.

Its ``sshd``, ``gpus`` and link are what a test breaks and mends. Fleets of them: nodes.py.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench import accounts
from tests.bench.gpus import FakeGpus
from tests.bench.machine import FILL, Machine, NodeOptions, fill
from tests.bench.namespace import ENVIRONMENT, Namespace, NodeProcess
from tests.bench.network import Cut, Network
from tests.bench.sshd import Sshd, install, make_key

_TIMEOUT = 60.0
# in the background, so that it is init's child and not ours
_DETACH = 'setsid "$@" </dev/null >/dev/null 2>&1 & echo $!'


class SshNode:
    """One machine. It is booted in three steps, so that a fleet can take them side by side."""

    namespace: Namespace
    sshd: Sshd

    def __init__(self, folder: Path, name: str, options: NodeOptions, network: Network) -> None:
        self.name = name
        self.options = options
        self.machine = Machine(folder, name, options)
        self.network = network
        self.booted = False
        self.gpus: FakeGpus | None = None
        if options.gpus:
            seed, model = self.machine.machine_id, options.gpu_model
            self.gpus = FakeGpus(self.machine.nvml, options.gpus, model=model, seed=seed)
        install(self.machine.bench, network.address, network.port, options)

    # ---- boot ----

    def boot(self) -> None:
        self.begin_boot()
        self.continue_boot()
        self.finish_boot()

    def begin_boot(self) -> None:
        self.namespace = Namespace(
            self.machine.script(self.network.leave_script()),
            self.machine.folder / "boot.log",
            own_pids=self.options.own_pids,
            own_network=self.network.own_network,
        )
        self.booted = True

    def continue_boot(self) -> None:
        self.namespace.wait_ready()
        self.network.attach(self.namespace)
        address, port = self.network.address, self.network.port
        self.sshd = Sshd(self.namespace, self.machine.bench, address, port)
        self.sshd.begin()

    def finish_boot(self) -> None:
        self.sshd.wait()

    def power_off(self) -> None:
        """Every process of the node ends at once, and sshd with them."""
        self.namespace.close()

    def power_on(self, *, same_boot_id: bool = False) -> None:
        """Boot again: /tmp, /run and /dev/shm are empty, homes and /var/tmp are as they were.

        A link that was cut is whole.

        ``same_boot_id`` is what a container's restart looks like from inside.
        """
        if not same_boot_id:
            self.machine.new_boot_id()
        for entry in self.machine.tmp.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.boot()

    def reboot(self, *, same_boot_id: bool = False) -> None:
        self.power_off()
        self.power_on(same_boot_id=same_boot_id)

    # ---- who and where ----

    @property
    def machine_id(self) -> str:
        return self.machine.machine_id

    @property
    def address(self) -> str:
        return self.network.address

    @property
    def port(self) -> int:
        return self.network.port

    @property
    def user(self) -> str:
        return self.options.user

    @property
    def host_key(self) -> str:
        """The public host key that sshd shows, as in known_hosts."""
        return " ".join((self.machine.bench / "host_key.pub").read_text().split()[:2])

    def home(self, account: str | None = None) -> str:
        """The path of a home as the node sees it."""
        return accounts.ensure(account or self.user).pw_dir

    def home_folder(self, account: str | None = None) -> Path:
        """The same home from outside, unless it is a disk of its own (``full``, ``small``)."""
        return self.machine.home_folder(account or self.user)

    # ---- inside ----

    def run(
        self,
        command: str | Sequence[str],
        *,
        account: str | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = _TIMEOUT,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command (a string: in sh) on the node without SSH, as root or an account."""
        return subprocess.run(
            self._entering(command, account),
            env={**ENVIRONMENT, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
        )

    def spawn(
        self,
        command: str | Sequence[str],
        *,
        account: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> NodeProcess:
        """Start a process of the node's own: one that is foreign to whoever manages the node.

        It ends with the node, or by ``signal``. RuntimeError if it ends before it is seen.
        """
        detach = ["sh", "-c", _DETACH, "sh", *_words(command)]
        node_pid = int(self.run(detach, account=account, env=env).stdout)
        while True:
            found = [p for p in self.processes() if p.node_pid == node_pid]
            if not found:
                raise RuntimeError(f"{command} ended at once")
            if found[0].command[:3] != tuple(detach[:3]) and found[0].name != "setsid":
                return found[0]

    def processes(self, **environment: str) -> list[NodeProcess]:
        """What runs on the node, or what of it has these variables in its environment."""
        return [
            process
            for process in self.namespace.processes()
            if environment.items() <= process.environment.items()
        ]

    # ---- trouble ----

    def link_down(self, how: Cut = "drop") -> None:
        """Cut the network: see network.Cut. What is connected notices nothing by itself."""
        self.network.down(how)

    def link_up(self) -> None:
        self.network.up()

    def hide(self, path: str) -> None:
        """Something empty is mounted over a folder, as when a network file system goes away."""
        self.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "bench-hidden", path])

    def show(self, path: str) -> None:
        """Take away what ``hide`` put there."""
        self.run(["umount", "--lazy", path])

    def hide_home(self, account: str | None = None) -> None:
        self.hide(self.home(account))

    def show_home(self, account: str | None = None) -> None:
        self.show(self.home(account))

    def fill(self, path: str) -> None:
        """Leave no byte free on a ``small`` disk."""
        self.run(fill(path))

    def drain(self, path: str) -> None:
        """Free what ``fill`` took."""
        self.run(["rm", "-f", f"{path}/{FILL}"])

    def change_host_key(self) -> None:
        """Restart sshd with another host key; known_hosts keeps the old one until it is written."""
        self.sshd.stop()
        for half in ("host_key", "host_key.pub"):
            (self.machine.bench / half).unlink()
        make_key(self.machine.bench / "host_key")
        self.sshd.start()

    def _entering(self, command: str | Sequence[str], account: str | None) -> list[str]:
        identity = accounts.as_account(account) if account else []
        return self.namespace.entering([*identity, *_words(command)])


def _words(command: str | Sequence[str]) -> list[str]:
    return ["sh", "-c", command] if isinstance(command, str) else list(command)
