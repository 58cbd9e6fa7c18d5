"""How long until a fleet is in sight: connect to 200 sshd endpoints and see what each node is.

flextui logs in, starts its agent and has each node's facts; ClusterShell and parallel-ssh log in
and run `true`. All on this one machine, which is also the 200 nodes: what sshd costs, all pay.
While flextui connects, its event loop is watched: a terminal that it drives must not stutter.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial

from common import Held, alternate, median, table, workplace

from flextui.core.adapters.fleet import Fleet
from flextui.core.events import NodeEvent, NodeReady
from flextui.core.model.inventory import NodeSpec
from flextui.core.ports import CoreIdentity
from tests.bench.nodes import SshFleet

NODES = 200
ROUNDS = 3
FANOUT = 64
"""Logins at a time for the peers; flextui finds its own number."""
GOAL_S = 5.0
GOAL_HELD_MS = 50.0
WITHIN_S = 180.0


async def see_all(bench: SshFleet, held: Held, cpu: list[float]) -> float:
    """Seconds from the first connection to the last node's facts."""
    fleet = Fleet()
    seen: set[str] = set()
    all_seen = asyncio.Event()

    def emit(event: NodeEvent) -> None:
        if isinstance(event, NodeReady):
            seen.add(event.node)
            if len(seen) == len(bench.nodes):
                all_seen.set()

    specs = [NodeSpec(host=name, name=name) for name in bench.nodes]
    identity = CoreIdentity("bench", 1, "bench@here")
    watching = asyncio.create_task(held.watch())
    began, worked = time.monotonic(), time.process_time()
    for spec in specs:
        fleet.open(spec, identity, None, emit)
    try:
        async with asyncio.timeout(WITHIN_S):
            await all_seen.wait()
    except TimeoutError:
        absent = sorted(set(bench.nodes) - seen)
        raise SystemExit(f"{len(absent)} nodes never came: {', '.join(absent[:5])} …") from None
    took = time.monotonic() - began
    cpu.append(time.process_time() - worked)
    watching.cancel()
    await fleet.close()
    return took


def run(command: list[str]) -> float:
    """Seconds a peer takes for all nodes."""
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    took = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed: {(done.stdout + done.stderr)[-300:]}")
    return took


def peers(bench: SshFleet) -> dict[str, list[str]]:
    """Their command lines."""
    config, names = bench.ssh_config, list(bench.nodes)
    clush = ["clush", "-q", "-f", str(FANOUT), "-o", f"-F {config}", "-w", ",".join(names), "true"]
    pssh = ["parallel-ssh", "-p", str(FANOUT), "-x", f"-F {config}", "-H", " ".join(names), "true"]
    return {"ClusterShell": clush, "parallel-ssh": pssh}


def main() -> None:
    held = Held()
    cpu: list[float] = []
    with workplace() as place, SshFleet(place / "bench") as bench:
        bench.add_many([f"n{number:03}" for number in range(NODES)])
        os.environ["HOME"] = str(bench.write_home(place / "home"))
        os.environ.pop("SSH_AUTH_SOCK", None)
        first = asyncio.run(see_all(bench, Held(), []))
        sides: dict[str, Callable[[], float]] = {
            "flextui": lambda: asyncio.run(see_all(bench, held, cpu))
        }
        absent = []
        for name, command in peers(bench).items():
            if shutil.which(command[0]):
                sides[name] = partial(run, command)
            else:
                absent.append(f"{name} isn't installed here ({command[0]}): left out")
        found = alternate(ROUNDS, sides)
    ours = median(found["flextui"])
    rows = [
        (name, f"{median(times):.1f}", f"{min(times):.1f} to {max(times):.1f}",
         f"{median(times) / ours:.1f}")
        for name, times in found.items()
    ]  # fmt: skip
    rows.append(("flextui, agent not there yet", f"{first:.1f}", "once", f"{first / ours:.1f}"))
    title = f"connect: {NODES} sshd endpoints, {ROUNDS} rounds; goal {GOAL_S:.0f} s"
    table(title, ("", "seconds", "from, to", "ratio"), *rows)
    print(
        f"\nevent loop held at most {held.own_ms:.0f} ms by its own work; woken at most "
        f"{held.late_ms:.0f} ms late beside all these sshd (goal {GOAL_HELD_MS:.0f} ms); "
        f"{median(cpu):.1f} s of processor time"
    )
    for line in absent:
        print(line)


if __name__ == "__main__":
    main()
