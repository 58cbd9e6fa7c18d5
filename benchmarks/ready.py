"""How soon a core is there: from the start of its process to `flextui: ready`.

With 10,000 ended and 100 running jobs in its database, an SSH fleet in its inventory and nothing
that answers there, so that every start finds the same. Beside it the same core with an empty
database, and what Python itself takes. There is no peer that starts from the same state.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from common import Twin, alternate, median, table, workplace

from flextui.core.adapters.paths import prepare_state_folder
from flextui.core.adapters.store import SqliteStore
from flextui.core.model.docs import EventDoc
from flextui.core.model.ids import TaskKey, attempt_id, job_id
from flextui.core.model.spec import read_specs
from flextui.core.model.state import Attempt, AttemptState, Job, JobState, Task
from flextui.core.model.times import iso
from flextui.core.ports import Changes

ENDED, RUNNING = 10_000, 100
NODES = 5
ROUNDS = 9
GOAL_S = 1.0
EVENTS = ("job.submitted", "attempt.started", "attempt.ended")
_CLOSED_PORT = 1
_STEP = 1000

SPEC = """
name: train
run: python train.py --data /data/imagenet --epochs 90 --lr 0.1
resources: {gpus: 1, cpus: 8, memory: 64GiB}
env: {NCCL_DEBUG: WARN, OMP_NUM_THREADS: "8"}
workdir: ~/resnet
time_limit: 24h
"""


def inventory() -> str:
    nodes = "".join(
        f"  - {{host: 127.0.1.{number + 1}, name: gpu{number}, port: {_CLOSED_PORT}}}\n"
        for number in range(NODES)
    )
    return f"fleet: bench\nnodes:\n{nodes}"


async def fill(folder: Path) -> None:
    """A database as these jobs would have left it."""
    prepare_state_folder(folder)
    store = SqliteStore(folder)
    store.load()
    text = read_specs(SPEC, "job.yaml")[0].to_text()
    for first in range(1, ENDED + RUNNING + 1, _STEP):
        numbers = range(first, min(first + _STEP, ENDED + RUNNING + 1))
        jobs, tasks, attempts = zip(*(_job(number, text) for number in numbers), strict=True)
        events = [event for attempt in attempts for event in _events(attempt)]
        await store.commit(Changes(jobs=jobs, tasks=tasks, attempts=attempts, events=events))
    await store.close()


def _job(seq: int, text: str) -> tuple[Job, Task, Attempt]:
    at = time.time() - 86_400 + seq
    running = seq > ENDED
    ended_at = None if running else at + 600
    state = JobState.RUNNING if running else JobState.SUCCEEDED
    key = TaskKey(job_id(seq), 0)
    name = attempt_id(key, 1)
    code = None if running else 0
    job = Job(
        id=key.job, seq=seq, name=f"train-{seq}", owner="alice", owner_uid=1000, type="batch",
        revision=1, spec_json=text, submitted_at=at, priority=50, count=1, state=state,
        ended_at=ended_at,
    )  # fmt: skip
    task = Task(key, state, attempts=1, active=name, ready_at=at, ended_at=ended_at, exit_code=code)
    attempt = Attempt(
        id=name, task=key, number=1, revision=1, node=f"gpu{seq % NODES}", host_id="h", boot="b",
        root_id="r", gpus=(f"GPU-{seq}",), cpus=8.0, memory_bytes=64 << 30,
        state=AttemptState.RUNNING if running else AttemptState.SUCCEEDED, placed_at=at,
        started_at=at, ended_at=ended_at, exit_code=code, acked=not running,
    )  # fmt: skip
    return job, task, attempt


def _events(attempt: Attempt) -> list[EventDoc]:
    first = int(attempt.task.job[1:]) * len(EVENTS)
    at = iso(attempt.placed_at)
    return [
        EventDoc(
            seq=first + number, at=at, kind=kind, actor="alice", job=attempt.task.job, task=0,
            attempt=attempt.id, node=attempt.node, text="",
        )
        for number, kind in enumerate(EVENTS)
    ]  # fmt: skip


def ready(folder: Path) -> float:
    with Twin(folder, inventory()) as twin:
        return twin.ready_s


def python(*code: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", *code], check=True, env=os.environ)
    return time.monotonic() - began


def main() -> None:
    with workplace() as place:
        full, empty = place / "full", place / "empty"
        full.mkdir()
        asyncio.run(fill(full / "state"))
        size = sum(it.stat().st_size for it in (full / "state").iterdir()) / 1e6
        ready(empty)
        found = alternate(
            ROUNDS,
            {
                f"{ENDED:,} ended, {RUNNING} running ({size:.0f} MB)": partial(ready, full),
                "an empty database": partial(ready, empty),
                "Python alone": partial(python, "pass"),
            },
        )
    rows = [
        (name, f"{median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}")
        for name, times in found.items()
    ]
    title = f"ready: start of the process to `flextui: ready`, {ROUNDS} rounds; goal {GOAL_S:.0f} s"
    table(title, ("", "median, s", "from, to"), *rows)


if __name__ == "__main__":
    main()
