"""How long from submit until the workload runs, and until its end is known.

It runs when its first instruction does: it rings through a FIFO. Here against `srun`; on a node
behind SSH against plain `ssh` over an open control connection, which neither queues nor remembers
anything. flextui both as a client that is connected, as the terminal is (its end: the result is on
disk), and as a whole command, from the start of its process to its end.
"""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from common import Ended, Twin, alternate, one_node, percentile, table, workplace
from slurm import Slurm, missing

from flextui.core.commands import Source, Submit
from flextui.core.socket_client import SocketClient
from tests.bench.nodes import SshFleet

ROUNDS = 60
SLOTS = 2
WITHIN_S = 20.0
SHARED = Path("/tmp/shared")
"""Where the bench's node has the folder with the FIFO."""


class Times(NamedTuple):
    """Seconds from the start."""

    runs: float
    ended: float


Way = Callable[[], Times]


class Bell:
    """A FIFO that a workload rings. `there` is its folder as the workload sees it."""

    def __init__(self, folder: Path, there: Path | None = None) -> None:
        os.mkfifo(folder / "bell")
        self._fd = os.open(folder / "bell", os.O_RDWR | os.O_NONBLOCK)
        self.ring = f"echo > {there or folder}/bell"

    def wait(self) -> float:
        """When it rang. Raises TimeoutError."""
        if not select.select([self._fd], [], [], WITHIN_S)[0]:
            raise TimeoutError("the workload didn't run")
        now = time.monotonic()
        os.read(self._fd, 64)
        return now


def connected(client: SocketClient, twin: Twin, bell: Bell, run: asyncio.Runner) -> Way:
    """Submit over a connection that is open."""
    ended = Ended(twin)
    spec = f"name: bell\nrun: [/bin/sh, -c, '{bell.ring}']\nresources: {{cpus: 1}}\n"
    submit = Submit((Source("bell.yaml", spec),))

    def way() -> Times:
        began = time.monotonic()
        run.run(client.call(submit))
        rang = bell.wait()
        ended.wait_for(1)
        return Times(rang - began, time.monotonic() - began)

    return way


def command(bell: Bell, env: Mapping[str, str], *words: str) -> Way:
    """A whole command that rings the bell somewhere."""

    def way() -> Times:
        began = time.monotonic()
        process = subprocess.Popen(
            words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        rang = bell.wait()
        _, said = process.communicate(timeout=WITHIN_S)
        if process.returncode:
            raise RuntimeError(f"{words[0]}: {said.decode(errors='replace')}")
        return Times(rang - began, time.monotonic() - began)

    return way


def compare(title: str, twin: Twin, bell: Bell, peers: Mapping[str, Way]) -> None:
    """Ours and the peers in turn, and a table of them."""
    words = twin.command("run", "--quiet", "--cpus", "1", "--", "/bin/sh", "-c", bell.ring)
    with asyncio.Runner() as run:
        client = run.run(SocketClient.connect(twin.socket))
        ways = {
            "flextui, connected": connected(client, twin, bell, run),
            "flextui run": command(bell, twin.env, *words),
            **peers,
        }
        alternate(2, ways)  # the node connects, caches fill
        found = alternate(ROUNDS, ways)
        run.run(client.close())
    rows = [(name, *_figures(times)) for name, times in found.items()]
    table(title, ("ms", "runs p50", "p99", "ended p50", "p99"), *rows)


def _figures(times: list[Times]) -> Iterator[str]:
    for values in zip(*times, strict=True):
        for share in (0.50, 0.99):
            yield f"{1000 * percentile(values, share):.1f}"


# ---- here, against srun ----


def here(place: Path) -> None:
    place.mkdir()
    bell = Bell(place)
    with ExitStack() as stack:
        peers = {}
        if not missing():
            slurm = stack.enter_context(Slurm(place / "slurm", SLOTS))
            srun = ("srun", "-Q", "-n1", "/bin/sh", "-c", bell.ring)
            peers["srun"] = command(bell, slurm.env, *srun)
        twin = stack.enter_context(Twin(place / "core", one_node(cpus=SLOTS)))
        compare(f"latency here, {ROUNDS} rounds", twin, bell, peers)
    if absent := missing():
        print(absent)


# ---- there, against ssh ----


def there(place: Path) -> None:
    shared = place / "shared"
    shared.mkdir(parents=True)
    bell = Bell(shared, SHARED)
    with SshFleet(place / "fleet") as fleet:
        fleet.add("gpu1", binds={shared: str(SHARED)})
        home = fleet.write_home(place / "home")
        inventory = fleet.inventory(place / "inventory.yaml").read_text()
        with control(fleet, place / "control") as ssh, Twin(place, inventory, home=home) as twin:
            peers = {"ssh, open connection": command(bell, os.environ, *ssh, bell.ring)}
            compare(f"latency on a node over SSH, {ROUNDS} rounds", twin, bell, peers)


@contextmanager
def control(fleet: SshFleet, socket: Path) -> Iterator[list[str]]:
    """An open control connection, and the words of a command that goes over it."""
    words = ["ssh", "-F", str(fleet.ssh_config), "-S", str(socket)]
    master = subprocess.Popen([*words, "-M", "-N", "gpu1"], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WITHIN_S
        while not socket.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("ssh doesn't connect")
            time.sleep(0.01)
        yield [*words, "gpu1"]
    finally:
        master.terminate()
        master.wait()


def main() -> None:
    with workplace() as place:
        here(place / "here")
        print()
        there(place / "there")


if __name__ == "__main__":
    main()
