"""What a machine of the simulated fleet remembers, whoever is connected to it: its attempts with
what they print, strangers' processes, broken devices. And what work does of which only the command
is known."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from math import inf
from random import Random

from flextui.core.demo import logs
from flextui.core.demo.boxes import Box
from flextui.core.demo.load import Work
from flextui.core.demo.telemetry import Tenant
from flextui.core.events import Exit, NodeDown, Record
from flextui.core.model.ids import task_of_attempt
from flextui.core.ports import StartAttempt


@dataclass(slots=True)
class Run:
    """An attempt, live or ended and not yet forgotten."""

    start: StartAttempt
    tenant: Tenant
    output: logs.Output
    began: float
    state: str = "starting"
    exit: Exit | None = None
    ended: float = inf
    stops: bool = False

    def record(self, now: float) -> Record:
        """As the node's disk tells it."""
        how = self.exit
        if how is not None:
            how = replace(how, ended_ago_s=max(0.0, now - self.ended))
        return Record(
            attempt=self.start.attempt,
            state=self.state,
            job=self.start.job,
            pid=self.tenant.pid,
            started_ago_s=None if self.state == "starting" else max(0.0, now - self.began),
            exit=how,
            devices=tuple(name for name, _ in self.start.devices),
            limit="scope",
            nonce=self.start.nonce,
        )


@dataclass(slots=True)
class Machine:
    """What a box remembers, whoever is connected to it."""

    box: Box
    runs: dict[str, Run] = field(default_factory=dict)
    others: list[Tenant] = field(default_factory=list)
    """Processes that are no job of ours."""
    broken: dict[str, str] = field(default_factory=dict)
    """Device → what is wrong with it."""
    disk_free: float = 0.62
    down: NodeDown | None = None

    @property
    def tells(self) -> bool:
        """Whether its telemetry holds what the core would act on: idle GPUs, others' processes."""
        idle = any(run.tenant.work.style == "idle" for run in self.runs.values())
        return idle or bool(self.others)


_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")
_EXIT = re.compile(r"\bexit\s+(\d+)")


def guessed(start: StartAttempt) -> Work:
    """What work does of which only the command is known: `sleep` and `exit` are understood."""
    text = " ".join(start.argv)
    code = int(found[1]) % 256 if (found := _EXIT.search(text)) else 0
    if waits := [float(it) for it in _SLEEP.findall(text)]:
        return Work("prepare", sum(waits) + 0.5, code, busy=0.5, memory=0.3)
    if found is not None or text.split()[-1:] in (["true"], ["false"]):
        return Work("prepare", 2.0, code or int(text.endswith("false")), busy=0.1, memory=0.1)
    random_ = Random(text)
    long = len(start.devices) * random_.uniform(1800, 7200) or random_.uniform(20, 60)
    return Work("train" if start.devices else "prepare", long, code, busy=0.85, memory=0.7)


def task_name(start: StartAttempt) -> str:
    """The task that attempts of a start are of."""
    task = task_of_attempt(start.attempt)
    return str(task) if task is not None else start.attempt
