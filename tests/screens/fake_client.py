"""A client with a fixed fleet, so that screens can be driven and looked at without a core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from flextui.app import Foresee
from flextui.core.client import Client, CoreInfo
from flextui.core.commands import (
    Command,
    History,
    ListEvents,
    ListPlacement,
    ListQueue,
    LogRequest,
    Plan,
    Revise,
    Revisions,
    Show,
    Submit,
    Why,
)
from flextui.core.model.docs import (
    AttemptDoc,
    Delta,
    EventDoc,
    FleetDoc,
    GpuDoc,
    JobDoc,
    LogEvent,
    NodeDoc,
    ProblemDoc,
)
from flextui.screens.setup import Setup
from tests.screens import answers
from tests.screens.fake_log import FakeLog

GIB = 1 << 30
START = "2026-11-23T12:00:00Z"
A100 = "NVIDIA A100-SXM4-80GB"


def gpu(index: int, model: str, total: int, used: int | None, **more: Any) -> GpuDoc:
    base = {
        "uuid": f"GPU-{model}-{index}", "index": index, "model": model,
        "memory_bytes": total * GIB, "memory_used_bytes": None if used is None else used * GIB,
        "utilization": 40 if used else 0, "temperature_c": 41, "power_w": 120.0,
        "power_limit_w": 400.0, "memory_utilization": 12, "fan": None, "clock_mhz": 1275,
        "clock_max_mhz": 1410, "throttle": [], "pcie": "4x16", "pcie_max": "4x16",
        "ecc_uncorrected": 0, "xid": None, "mig": "", "parent": "",
        "state": "used" if used else "free", "reason": "", "jobs": [], "processes": [],
        "cordoned": more.get("state") == "cordoned",
    }  # fmt: skip
    return cast(GpuDoc, {**base, **more})


def node(name: str, gpus: list[GpuDoc], **more: Any) -> NodeDoc:
    for it in gpus:
        if not it["mig"]:
            it["uuid"] = f"GPU-{name}-{it['index']}"
    base = {
        "name": name, "host": f"{name}.lab.example", "transport": "ssh", "state": "ready",
        "reason": "", "since": START, "drained": False, "cordoned": False, "driver": "",
        "labels": {}, "cpus": 64.0, "cpus_used": 8.0, "memory_bytes": 512 * GIB,
        "memory_promised_bytes": 64 * GIB, "memory_used_bytes": 120 * GIB, "cpu": 0.31,
        "load": [1.0, 1.0, 1.0], "disk_bytes": 900 * GIB, "disk_free_bytes": 300 * GIB,
        "gpus": gpus, "jobs": [], "orphans": [], "facts": {}, "nvml": "ok",
    }  # fmt: skip
    return cast(NodeDoc, {**base, **more})


def attempt(task: str, number: int, state: str, where: str, **more: Any) -> AttemptDoc:
    base = {
        "id": f"{task}.{number}", "node": where, "gpus": [], "state": state, "exit_code": None,
        "signal": None, "reason": "", "why": "", "placed_at": START, "started_at": START,
        "ended_at": None, "revision": 1, "cpus": 1.0, "memory_bytes": 0, "replaced": False,
        "last_lines": "",
        "limit": "soft",
    }  # fmt: skip
    return cast(AttemptDoc, {**base, **more})


def uuids(node: str, first: int, count: int = 1) -> list[str]:
    return [f"GPU-{node}-{index}" for index in range(first, first + count)]


def job(seq: int, name: str, owner: str, state: str, tasks: list[Any], **more: Any) -> JobDoc:
    base = {
        "id": f"j{seq}", "name": name, "type": "batch", "owner": owner, "project": None,
        "state": state, "reason": "", "revision": 1, "priority": 50, "count": 1,
        "resources": {"gpus": 1, "cpus": 1}, "submitted_at": f"2026-11-23T12:{seq:02}:00Z",
        "ended_at": None, "exit_code": None, "tasks": tasks,
    }  # fmt: skip
    return cast(JobDoc, {**base, **more})


def task(index: int, state: str, attempts: list[AttemptDoc], reason: str = "") -> dict[str, Any]:
    return {
        "index": index, "state": state, "reason": reason, "reason_code": "", "node": None,
        "not_before": None, "attempts": attempts,
    }  # fmt: skip


def problem(key: str, bad: str, what: str, command: str, action: str, **more: Any) -> ProblemDoc:
    base = {
        "id": key, "kind": key.partition(":")[0], "severity": bad, "since": START, "what": what,
        "touches": "", "next": "", "action": action, "command": command, "node": None, "gpu": None,
        "job": None, "attempt": None, "silenced": None,
    }  # fmt: skip
    return cast(ProblemDoc, {**base, **more})


def fleet_delta() -> Delta:
    """The fleet of the sketches: busy, mixed, with something wrong."""
    held = "carol: jupyter 31 GiB, no job"
    foreign = [
        {
            "pid": 4711, "user": "root", "name": "python", "command": "python -m jupyter lab",
            "memory_bytes": 31 * GIB, "owner": "foreign", "job": None, "attempt": None,
            "container": "jupyter-carol", "true_owner": "carol", "utilization": 35,
            "cpu": 0.4, "host_memory_bytes": 6 * GIB, "ran_s": 93_600,
        }
    ]  # fmt: skip
    a100 = A100
    nodes = [
        node("gpu1", [gpu(i, a100, 80, 70 if i < 6 else 0, jobs=["bob/train"] if i < 6 else [])
                      for i in range(8)], jobs=["bob/train", "eve/llama-sft"]),
        node("gpu2", [gpu(0, a100, 80, 31, state="foreign", reason=held, processes=foreign),
                      *(gpu(i, a100, 80, 0) for i in range(1, 4))], jobs=["eve/eval"]),
        node("gpu3", [*(gpu(i, "NVIDIA GeForce RTX 3090", 24, 12) for i in range(4)),
                      *(gpu(4 + i, "Tesla T4", 16, 0) for i in range(2))], jobs=["web/chat-api"]),
        node("gpu4", [gpu(i, "NVIDIA H100 80GB HBM3", 80, 78) if i != 3
                      else gpu(3, "NVIDIA H100 80GB HBM3", 80, 0, state="cordoned",
                               reason="XID 79, cordoned 4m ago") for i in range(8)]),
        node("gpu5", [], state="lost", reason="no answer for 38s", cpu=None, memory_used_bytes=0),
    ]  # fmt: skip
    failed = attempt("j3.0", 1, "failed", "gpu3", exit_code=137, ended_at="2026-11-23T12:09:00Z",
                     reason="out of memory")  # fmt: skip
    jobs = [
        job(1, "train", "bob", "running",
            [task(0, "running", [attempt("j1.0", 1, "running", "gpu1",
                                         gpus=uuids("gpu1", 0, 6))])]),
        job(2, "chat-api", "web", "running",
            [task(i, "running", [attempt(f"j2.{i}", 1, "running", "gpu3", gpus=uuids("gpu3", i))])
             for i in range(3)],
            type="service", count=3),
        job(3, "chat-gw", "web", "failed", [task(0, "failed", [failed])], type="service",
            reason="crash loop: 4 failures in 10m, last exit 137", ended_at="2026-11-23T12:09:00Z"),
        job(4, "llama-pre-2", "bob", "pending",
            [task(0, "pending", [], "needs 8 GPUs: gpu4 7 of 8 usable")],
            resources={"gpus": 8, "gpu_model": ["h100"], "cpus": 8}),
    ]  # fmt: skip
    fleet: FleetDoc = {
        "fleet": "vision-lab", "inventory": "/etc/flextui/inventory.yaml", "core": "lab@head",
        "core_pid": 1, "version": "0.1.0", "headless": True, "started_at": START, "read_only": "",
        "replacement_paused": "", "gpus_total": 26, "gpus_used": 18, "pending": 1, "running": 2,
        "problems": 3,
    }  # fmt: skip
    problems = [
        problem("node:gpu5", "critical", "gpu5: no answer for 38s", "declare-lost gpu5",
                "declare-lost", node="gpu5", touches="dan/train-vit unknown",
                next="if it is gone for good, say so: its work is then replaced"),
        problem("fallen:j3", "critical", "web/chat-gw: crash loop: 4 failures in 10m, exit 137",
                "logs j3", "logs", job="j3", touches="0 of 1 run", next="read why"),
        problem("gpu:gpu4:GPU-3", "warning", "gpu4 GPU3: XID 79: fell off the bus, cordoned",
                "uncordon gpu4:3", "uncordon", node="gpu4", gpu="3",
                touches="gpu4 has one H100 80GB HBM3 less", next="when it is well again"),
        problem("foreign:gpu2:carol", "notice", "gpu2 GPU 0: carol: jupyter 31GiB, no job",
                "gpus gpu2", "node", node="gpu2", gpu="0", touches="1 GPU blocked",
                next="see the process; talk to its owner"),
    ]  # fmt: skip
    return {
        "revision": 1, "full": True, "fleet": fleet, "problems": problems,
        "jobs": {j["id"]: j for j in jobs}, "nodes": {n["name"]: n for n in nodes},
    }  # fmt: skip


WHY: dict[str, Any] = {
    "tasks": [
        {
            "index": 0, "state": "pending", "summary": "needs 8 GPUs h100", "position": 1,
            "waiting": 1, "blocks": answers.BLOCKS, "factors": answers.FACTORS,
            "expected": answers.EXPECTED, "would_help": ["with 7 GPUs instead of 8: now"],
        }
    ]
}  # fmt: skip


class FakeClient:
    """Answers from fixed documents and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Command] = []
        self.deltas: asyncio.Queue[Delta] = asyncio.Queue()
        self.deltas.put_nowait(fleet_delta())
        self.log = FakeLog("j1.0.1", "gpu1")
        for text in [*(f"step {n} of 40" for n in range(40)), "ERROR: overflow", "done"]:
            self.log.print(text)
        self.info = CoreInfo("0.1.0", 1, "lab@head", 1, "vision-lab", "", True, "alice", True)

    async def call(self, command: Command) -> dict[str, Any]:
        self.asked.append(command)
        match command:
            case Why():
                return WHY
            case Submit():
                return {"jobs": [{"id": "j4", "name": "hello"}]}
            case Plan(_, str()):
                return {"jobs": [answers.EDIT]}
            case Revise():
                return {"job": {"id": "j1", "name": "train"}, "diff": [], "restarts": [0]}
            case Plan():
                where = {"index": 0, "node": "gpu2", "gpus": []}
                return {"jobs": [{"name": "hello", "action": "new", "tasks": [where]}]}
            case Show():
                return {**job(1, "train", "bob", "running", []), **answers.SHOWN}
            case History():
                return answers.history(command, list(fleet_delta()["nodes"].values()))
            case ListQueue():
                return answers.queue()
            case ListPlacement(which):
                return answers.placement(which)
            case Revisions(which):
                return answers.revisions(which)
            case ListEvents():
                return answers.events(command)
        return {"events": [], "jobs": []}

    async def watch(self) -> AsyncIterator[Delta]:
        while True:
            yield await self.deltas.get()

    async def logs(self, request: LogRequest) -> AsyncIterator[LogEvent]:
        async for event in self.log.events(request):
            yield event

    async def events(self, *, after: int | None = None) -> AsyncIterator[EventDoc]:
        await asyncio.Event().wait()
        yield cast(EventDoc, {})

    async def close(self) -> None: ...


class FakeLink:
    """A link that is up at once."""

    def __init__(self, client: FakeClient, *, holds_core: bool = False) -> None:
        self.client = client
        self.holds_core = holds_core
        self.handed_over: bool | None = None
        self.words: tuple[str, ...] = ()
        self.first_run: Setup | None = None

    async def setup(self) -> Setup | None:
        return self.first_run

    async def open(self, foresee: Foresee) -> Client:
        return self.client

    async def close(self, *, hand_over: bool) -> None:
        self.handed_over = hand_over
