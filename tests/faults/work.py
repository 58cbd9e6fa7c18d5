"""Work whose every run leaves a trace on its node that no core can make up or lose.

Each job appends a line as it begins and one as it ends, with its attempt's name: what ran, how
often, and to which end is then read from the nodes' disks, not from the core that is being tested.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from flextui.core.commands import LogRequest
from flextui.core.model.docs import AttemptDoc, JobDoc
from flextui.core.socket_client import SocketClient
from tests.bench.namespace import NodeProcess
from tests.bench.nodes import SshFleet, SshNode

LEDGER = "/var/tmp/ledger"
KILLS = int(os.environ.get("FLEXTUI_TEST_KILLS", "20"))
"""How many times a test kills: raise it for a long run."""
SEED = int(os.environ.get("FLEXTUI_TEST_SEED", "2"))
AGENT = "flextui-agent"


@dataclass(frozen=True)
class ShortJob:
    """A batch job that is soon over, with an exit status of its own."""

    name: str
    seconds: float
    status: int

    @property
    def spec(self) -> str:
        return (
            f"name: {self.name}\n"
            f"run: |\n"
            f'  echo "begin $FLEXTUI_ATTEMPT" >> {LEDGER}/{self.name}\n'
            f"  echo {self.name} speaks\n"
            f"  sleep {self.seconds:.2f}\n"
            f'  echo "end $FLEXTUI_ATTEMPT" >> {LEDGER}/{self.name}\n'
            f"  exit {self.status}\n"
            "resources: {cpus: 0.5}\n"
            "workdir: /\n"
        )


def short_jobs(rng: Random, prefix: str, count: int = 30) -> list[ShortJob]:
    return [
        ShortJob(f"{prefix}-{number}", rng.uniform(0, 3), rng.choice((0, 0, 1, 7, 130)))
        for number in range(count)
    ]


SERVICES = (
    "name: web\ntype: service\ncount: 2\nrun: exec sleep 100000\nworkdir: /\n"
    "resources: {cpus: 0.1}\n"
    "---\n"
    "name: fenced\ntype: service\nrun: exec sleep 100000\nworkdir: /\n"
    "resources: {cpus: 0.1}\non_node_loss: {after: 5m, fence: true}\n"
)
"""Three replicas: two of one service, and one under a lease."""


def three_nodes(fleet: SshFleet, *, shared: bool = False, **options: object) -> list[SshNode]:
    """Three nodes with a ledger each, and their names as racks; `shared`: with one HOME, as NFS
    homes are."""
    homes = fleet.shared_homes() if shared else None
    names = ("n1", "n2", "n3")
    nodes = [fleet.add(it, homes=homes, labels={"rack": it}, **options) for it in names]
    for node in nodes:
        (node.machine.var_tmp / "ledger").mkdir(mode=0o777)
    return nodes


# ── what the nodes say ─────────────────────────────────────────────────────────────────────────


def traces(nodes: Iterable[SshNode], job: str) -> list[str]:
    """What a job's runs wrote, on all nodes together."""
    lines = []
    for node in nodes:
        path = node.machine.var_tmp / "ledger" / job
        if path.exists():
            lines += path.read_text().splitlines()
    return lines


def workload(nodes: Iterable[SshNode], **environment: str) -> list[NodeProcess]:
    """The processes of attempts, on all nodes together."""
    return [
        process
        for node in nodes
        for process in node.processes(**environment)
        if "FLEXTUI_ATTEMPT" in process.environment and process.state != "Z"
    ]


def agents(node: SshNode) -> list[NodeProcess]:
    """The agents of a node: sshd's children, not the supervisors, which have left it."""
    sshd = {process.pid for process in node.sshd.sessions()}
    return [it for it in node.processes() if AGENT in it.command and it.parent in sshd]


def spawners(node: SshNode) -> list[NodeProcess]:
    """The processes that an agent has for forking supervisors."""
    parents = {process.pid for process in agents(node)}
    return [it for it in node.processes() if AGENT in it.command and it.parent in parents]


def left_behind(nodes: Iterable[SshNode]) -> list[NodeProcess]:
    """All processes but those of the listening sshd."""
    return [it for node in nodes for it in node.processes() if it.name != "sshd"]


# ── what must be true in the end ───────────────────────────────────────────────────────────────


def ran_once(nodes: Sequence[SshNode], job: ShortJob, doc: JobDoc) -> None:
    """It ran exactly once, to its end, and the core says how it ended."""
    ran = ran_of(doc)
    assert len(ran) == 1, (job, doc)
    name = ran[0]["id"]
    assert traces(nodes, job.name) == [f"begin {name}", f"end {name}"], (job, doc)
    assert (ran[0]["exit_code"], ran[0]["signal"]) == (job.status, None), (job, doc)
    assert doc["state"] == ("succeeded" if job.status == 0 else "failed"), (job, doc)
    assert doc["exit_code"] == job.status, (job, doc)


def ran_of(doc: JobDoc, task: int = 0) -> list[AttemptDoc]:
    """The attempts of a task that were let go; one that never ran says so."""
    attempts = doc["tasks"][task]["attempts"]
    return [it for it in attempts if it["why"] not in ("never", "refused")]


def services_up(nodes: Sequence[SshNode], doc: JobDoc) -> None:
    """Each task of a service runs, as exactly one process, which is its first attempt."""
    assert doc["state"] == "running", doc
    for task in doc["tasks"]:
        processes = workload(nodes, FLEXTUI_JOB=doc["id"], FLEXTUI_TASK=str(task["index"]))
        ran = [(it["id"], it["state"]) for it in ran_of(doc, task["index"])]
        found = [(it.environment["FLEXTUI_ATTEMPT"], "running") for it in processes]
        assert len(ran) == 1, doc
        assert found == ran, doc


async def log_of(client: SocketClient, job: str) -> str:
    """What a job printed, as the core tells it."""
    pieces = []
    async with asyncio.timeout(60):
        async for event in client.logs(LogRequest(job)):
            assert event["kind"] in ("data", "eof"), event
            pieces.append(event["text"])
    return "".join(pieces)
