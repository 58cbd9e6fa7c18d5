"""Jobs a second: 500 batch jobs that do nothing, on two slots of this machine, against Slurm.

From the first submit to the last result. Ours is the headless core with its database, its agent
and its supervisors; a result counts when it is on disk. Slurm's counts when the job left the queue.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from functools import partial

from common import Ended, Twin, alternate, median, one_node, table, workplace
from slurm import Slurm, missing

from flextui.core.commands import Source, Submit
from flextui.core.socket_client import SocketClient

JOBS = 500
SLOTS = 2
ROUNDS = 3
SUBMITTERS = 4
"""How many submit at a time, where each job is handed in by itself."""
BY_COMMAND = 60
POLL_S = 0.02
SLURM_WITHIN_S = 12.0
GOAL = 200

Hand = Callable[[SocketClient], Awaitable[None]]


def spec(number: int) -> str:
    return f"name: job-{number}\nrun: [/bin/true]\nresources: {{cpus: 1}}\n"


# ---- ours ----


async def one_submit(client: SocketClient) -> None:
    documents = "---\n".join(spec(number) for number in range(JOBS))
    await client.call(Submit((Source("many.yaml", documents),)))


async def many_submits(client: SocketClient) -> None:
    left = iter(range(JOBS))

    async def submit() -> None:
        for number in left:
            await client.call(Submit((Source(f"job-{number}.yaml", spec(number)),)))

    await asyncio.gather(*(submit() for _ in range(SUBMITTERS)))


def by_client(twin: Twin, ended: Ended, hand_in: Hand) -> float:
    """Jobs a second, handed in over one connection that was open before."""

    async def run() -> float:
        client = await SocketClient.connect(twin.socket)
        began = time.monotonic()
        await hand_in(client)
        await client.close()
        return began

    began = asyncio.run(run())
    ended.wait_for(JOBS, poll_s=POLL_S)
    return JOBS / (time.monotonic() - began)


def by_command(twin: Twin, ended: Ended) -> float:
    """Jobs a second where a script calls `flextui submit FILE` for each."""
    files = [twin.folder / f"job-{number}.yaml" for number in range(BY_COMMAND)]
    for number, file in enumerate(files):
        file.write_text(spec(number))
    command = ["xargs", "-n", "1", "-P", str(SUBMITTERS), *twin.command("submit")]
    began = time.monotonic()
    names = "\n".join(map(str, files)).encode()
    subprocess.run(command, input=names, env=twin.env, check=True, stdout=subprocess.DEVNULL)
    ended.wait_for(BY_COMMAND)
    return BY_COMMAND / (time.monotonic() - began)


# ---- Slurm ----


def slurm_each(slurm: Slurm) -> float:
    """Jobs a second, each by an sbatch of its own. (One job array for all is no faster.)

    Counts what is done when the time is over; the rest is cancelled.
    """
    began = time.monotonic()
    each = ["xargs", "-n", "1", "-P", str(SUBMITTERS), "sbatch", "-Q", "-n1", "-o", "/dev/null"]
    scripts = "\n".join([str(slurm.script)] * JOBS).encode()
    subprocess.run(each, input=scripts, env=slurm.env, check=True)
    left = slurm.wait_idle(SLURM_WITHIN_S)
    rate = (JOBS - left) / (time.monotonic() - began)
    if left:
        slurm.cancel_all()
    return rate


# ---- both ----


def main() -> None:
    absent = missing()
    with workplace() as place, Twin(place / "ours", one_node(cpus=SLOTS)) as twin:
        ended = Ended(twin)
        sides = {
            "flextui, one submit": partial(by_client, twin, ended, one_submit),
            "flextui, a submit each": partial(by_client, twin, ended, many_submits),
        }
        if absent:
            found = alternate(ROUNDS, sides)
        else:
            with Slurm(place / "slurm", SLOTS) as slurm:
                peer = {"Slurm, an sbatch each": partial(slurm_each, slurm)}
                found = alternate(ROUNDS, sides | peer)
        found |= alternate(1, {f"flextui, {BY_COMMAND} commands": partial(by_command, twin, ended)})
    best = {name: median(rates) for name, rates in found.items()}
    theirs = best.get("Slurm, an sbatch each")
    rows = [
        (name, f"{rate:.0f}", f"{min(found[name]):.0f} to {max(found[name]):.0f}",
         f"{rate / theirs:.1f}" if theirs else "-")
        for name, rate in best.items()
    ]  # fmt: skip
    title = f"throughput: {JOBS} jobs `true`, {SLOTS} slots, {ROUNDS} rounds; goal {GOAL} jobs/s"
    table(title, ("", "jobs/s", "from, to", "ratio to sbatch"), *rows)
    if absent:
        print(absent)


if __name__ == "__main__":
    main()
