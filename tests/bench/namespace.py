"""The namespaces that make one machine out of this one, and the processes that live in them.

They stand for as long as an anchor process does. The anchor reads a pipe that the test process
holds: when that ends, even by kill -9, the anchor kills what lives in the namespaces and goes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Mapping[str, str] = {"PATH": PATH, "LANG": "C.UTF-8"}
_ANCHOR = "FLEXTUI_BENCH_ANCHOR"
READY = "ready"

# What the anchor does after the machine's own set-up: wait, then leave nothing behind.
WAIT_AND_LEAVE = f"""
echo {READY}
cat >/dev/null
leave || true
for round in 1 2 3; do
    for process in /proc/[0-9]*; do
        pid=${{process#/proc/}}
        if [ "$pid" != $$ ] && [ "$process/ns/mnt" -ef /proc/$$/ns/mnt ]; then
            kill -9 "$pid" 2>/dev/null || true
        fi
    done
done
"""


@dataclass(frozen=True)
class NodeProcess:
    """A process of a node: ``pid`` as this machine counts, ``node_pid`` as the node does.

    Equal if it is the same process, whatever it does and whoever its parent is by now.
    """

    pid: int
    node_pid: int
    parent: int = field(compare=False)
    started: int  # in clock ticks since the boot
    name: str = field(compare=False)
    state: str = field(compare=False)
    command: tuple[str, ...] = field(compare=False)
    environment: Mapping[str, str] = field(compare=False)

    def signal(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; a process that has gone is no error."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


class Namespace:
    """Mount and UTS namespaces of their own; PID and network namespaces where asked for.

    ``script`` sets the machine up; it is run by sh and may define ``leave``, which is run when
    the bench lets go. ``log`` takes what it says on stderr.
    """

    def __init__(
        self, script: str, log: Path, *, own_pids: bool = False, own_network: bool = False
    ) -> None:
        self._own_pids = own_pids
        self._own_network = own_network
        self._log = log
        flags = ["--mount", "--uts"]
        if own_network:
            flags.append("--net")
        if own_pids:
            flags += ["--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        with log.open("w") as errors:
            self._anchor = subprocess.Popen(
                ["unshare", *flags, "--", "sh", "-euc", script + WAIT_AND_LEAVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**ENVIRONMENT, _ANCHOR: "1"},
                start_new_session=True,
                text=True,
            )
        self._identity = ""

    @property
    def pid(self) -> int:
        """A process that lives in the mount, UTS and network namespaces for their whole life."""
        return self._anchor.pid

    def wait_ready(self) -> None:
        """Return once the script is through; RuntimeError with its complaint if it failed."""
        assert self._anchor.stdout is not None
        if self._anchor.stdout.readline().strip() != READY:
            self._anchor.wait()
            raise RuntimeError(f"the node could not be set up: {self._log.read_text().strip()}")
        self._identity = os.readlink(f"/proc/{self.pid}/ns/mnt")

    def entering(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in here."""
        flags = [f"--target={self.pid}", "--mount", "--uts"]
        if self._own_network:
            flags.append("--net")
        if self._own_pids:
            flags.append(f"--pid=/proc/{self.pid}/ns/pid_for_children")
        return ["nsenter", *flags, "--", *command]

    def processes(self) -> list[NodeProcess]:
        """Everything that runs in here, the anchor left out."""
        return [
            process
            for process in _scan({self._identity})
            if _ANCHOR not in process.environment and not self._only_enters(process)
        ]

    def _only_enters(self, process: NodeProcess) -> bool:
        # nsenter, which stays in our process table and waits for what it started in the node's
        return self._own_pids and process.node_pid == process.pid

    def close(self) -> None:
        close_all([self])


def close_all(namespaces: Iterable[Namespace]) -> None:
    """End namespaces and all that lives in them; every process is gone when this returns."""
    alive = [space for space in namespaces if space._anchor.poll() is None]
    identities = {os.readlink(f"/proc/{space.pid}/ns/mnt") for space in alive if space._identity}
    deadline = time.monotonic() + 20
    while identities:
        found = [process for process in _scan(identities) if _ANCHOR not in process.environment]
        if not found:
            break
        if time.monotonic() > deadline:
            raise RuntimeError(f"these processes can't be killed: {found}")
        for process in found:
            process.signal()
    for space in alive:
        assert space._anchor.stdin is not None
        space._anchor.stdin.close()
    for space in alive:
        space._anchor.wait()
        assert space._anchor.stdout is not None
        space._anchor.stdout.close()


def _scan(identities: set[str]) -> list[NodeProcess]:
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(f"{entry.path}/ns/mnt") in identities:
                found.append(_read_process(int(entry.name)))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile
    return found


def _whole(environ: Path) -> bytes:
    """An environment: of a process that ends between two reads of a long one only the first part
    is had, and nothing of it when it is read again. Titles that are written over it end anyhow."""
    for _ in range(3):
        read = environ.read_bytes()
        if not read or read.endswith(b"\0"):
            break
    return read


def _read_process(pid: int) -> NodeProcess:
    folder = Path(f"/proc/{pid}")
    head, _, rest = (folder / "stat").read_text().rpartition(")")
    fields = rest.split()
    status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
    environment = _whole(folder / "environ").decode(errors="replace").split("\0")
    command = (folder / "cmdline").read_bytes().decode(errors="replace")
    return NodeProcess(
        pid=pid,
        node_pid=int(status["NSpid"].split()[-1]),
        parent=int(fields[1]),
        started=int(fields[19]),
        name=head.partition("(")[2],
        state=fields[0],
        command=tuple(command.split("\0")[:-1]),
        environment=dict(pair.split("=", 1) for pair in environment if "=" in pair),
    )
