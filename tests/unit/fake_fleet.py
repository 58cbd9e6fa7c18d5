"""Nodes that live in memory and keep the protocol's rules, for tests of the core.

A `FakeNode` outlives sessions, engines and stores, as a box does: records stay until they are
acknowledged, a start is idempotent, an abandoned attempt never runs. `runs` counts how often each
attempt was really executed; a test of "exactly once" looks there. Workloads are scripted by their
shell line: `exit N`, `sleep` (until `end`), `refuse CODE`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from flextui.core.events import (
    AttemptReported,
    AttemptUnknown,
    Exit,
    LeaseAsked,
    NodeConnecting,
    NodeDown,
    NodeEvent,
    NodeReady,
    Record,
    Sampled,
    StartRefused,
    XidSeen,
)
from flextui.core.model.docs import CheckDoc, LogEvent
from flextui.core.model.inventory import Inventory, NodeSpec
from flextui.core.model.state import Facts, Gpu, NodeStatus, Sample
from flextui.core.ports import (
    AbandonAttempt,
    AckAttempts,
    CoreIdentity,
    Effect,
    GrantLease,
    StartAttempt,
    StopAttempt,
    TailRequest,
)

GIB = 2**30


def inventory(*names: str, **settings: object) -> Inventory:
    """An inventory of ssh nodes with these names."""
    nodes = [{"host": name} for name in names or ("n1",)]
    return Inventory.model_validate({"fleet": "test", "nodes": nodes, **settings})


def gpu(uuid: str, index: int = 0, **changes: object) -> Gpu:
    """A healthy, empty device."""
    made = Gpu(uuid, index, "NVIDIA A100-SXM4-80GB", 80 * GIB, 0, utilization=0)
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class FakeNode:
    """A box. `records` is its disk."""

    name: str
    cpus: float = 8.0
    gpus: tuple[Gpu, ...] = ()
    boot: str = "boot-1"
    root_id: str = "root-1"
    host_id: str = ""
    driver: str = ""
    """Set: another core drives it."""
    instant: bool = True
    """Workloads of `exit N` end at once; else when `end` is called."""
    records: dict[str, Record] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)
    stops: list[str] = field(default_factory=list)
    acks: list[str] = field(default_factory=list)
    done: dict[str, Record] = field(default_factory=dict)
    """Records that were acknowledged: no hello lists them, and an abandoning finds them."""
    abandoned: set[str] = field(default_factory=set)
    granted: list[tuple[str, int]] = field(default_factory=list)
    starts: dict[str, StartAttempt] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    session: FakeSession | None = None
    reachable: bool = True
    ignores_stop: bool = False
    deaf: bool = False
    """Effects get lost on their way, as when a link is about to break."""
    epoch: int = 0
    uid: int = 4711

    def __post_init__(self) -> None:
        self.host_id = self.host_id or f"host-{self.name}"

    # ── what a test does to it ─────────────────────────────────────────────────────────────────

    def connect(self) -> None:
        """The session says hello."""
        self.reachable = True
        if self.session is not None:
            self.session.ready()

    def cut(self, status: NodeStatus = NodeStatus.LOST, code: str = "timeout") -> None:
        """The link breaks; the box runs on."""
        self.reachable = False
        if self.session is not None:
            self.session.tell(NodeDown(self.name, status, code, f"{self.name}: {code}"))

    def reboot(self) -> None:
        """Everything on it dies; its disk stays."""
        self.cut()
        self.boot = f"boot-{int(self.boot.split('-')[1]) + 1}"
        for key, record in self.records.items():
            if record.state in ("starting", "running"):
                self.records[key] = replace(record, state="lost", exit=Exit(None, None, "boot"))

    def end(self, attempt: str, code: int = 0, why: str = "exit") -> None:
        """A workload ends."""
        record = self.records[attempt]
        if record.state in ("starting", "running"):
            ended = replace(record, state="ended", exit=Exit(code, None, why, ended_ago_s=0.0))
            self.records[attempt] = ended
            self.push(AttemptReported(self.name, ended))

    def sample(self, gpus: tuple[Gpu, ...] | None = None) -> None:
        """Telemetry arrives."""
        if gpus is not None:
            self.gpus = gpus
        self.push(Sampled(self.name, Sample(memory_bytes=64 * GIB, nvml="ok"), self.gpus))

    def xid(self, uuid: str, number: int) -> None:
        self.push(XidSeen(self.name, uuid, number, ""))

    def ask_lease(self, attempt: str, seq: int = 1) -> None:
        self.push(LeaseAsked(self.name, attempt, seq))

    def push(self, event: NodeEvent) -> None:
        if self.session is not None and self.reachable:
            self.session.tell(event)

    @property
    def running(self) -> list[str]:
        return sorted(key for key, it in self.records.items() if it.state == "running")

    @property
    def facts(self) -> Facts:
        return Facts(
            host_id=self.host_id,
            boot=self.boot,
            root_path="/state",
            root_id=self.root_id,
            hostname=self.name,
            user="lab",
            uid=self.uid,
            cpus=self.cpus,
            memory_bytes=64 * GIB,
        )

    # ── what an agent does ─────────────────────────────────────────────────────────────────────

    def take(self, effect: Effect) -> None:
        if self.deaf:
            return
        match effect:
            case StartAttempt():
                self._start(effect)
            case StopAttempt():
                self._stop(effect)
            case AbandonAttempt():
                self._abandon(effect)
            case AckAttempts():
                for key in effect.attempts:
                    self.acks.append(key)
                    if (record := self.records.pop(key, None)) is not None:
                        self.done[key] = record
            case GrantLease():
                self.granted.append((effect.attempt, effect.seq))

    def _start(self, effect: StartAttempt) -> None:
        key = effect.attempt
        if self._taken(key, effect.nonce):
            return
        known = self._known(key)
        if known is not None:
            self.push(AttemptReported(self.name, known))
            return
        if key in self.abandoned:
            self.push(StartRefused(self.name, key, "tombstone", "it was abandoned"))
            return
        if effect.boot != self.boot:
            self.push(StartRefused(self.name, key, "boot_mismatch", "another boot"))
            return
        line = effect.argv[-1]
        if line.startswith("refuse "):
            device = effect.devices[0][0] if effect.devices else ""
            self.push(StartRefused(self.name, key, line.split()[1], "claimed by bob", device))
            return
        self.starts[key] = effect
        self.runs[key] += 1
        record = Record(key, "running", effect.job, 100, 0.0, None, nonce=effect.nonce)
        self.records[key] = record
        self.push(AttemptReported(self.name, record))
        if self.instant and line.startswith("exit "):
            self.end(key, int(line.split()[1]))

    def _stop(self, effect: StopAttempt) -> None:
        self.stops.append(effect.attempt)
        if self._taken(effect.attempt, effect.nonce):
            return
        if effect.attempt not in self.records:
            self.push(AttemptUnknown(self.name, effect.attempt))
        elif not self.ignores_stop:
            self.end(effect.attempt, 143, "stopped")

    def _abandon(self, effect: AbandonAttempt) -> None:
        key = effect.attempt
        if self._taken(key, effect.nonce):
            return
        known = self._known(key)
        if known is None:
            self.abandoned.add(key)
            known = Record(key, "never", nonce=effect.nonce)
        self.push(AttemptReported(self.name, known))

    def _known(self, key: str) -> Record | None:
        return self.records.get(key) or self.done.get(key)

    def _taken(self, key: str, nonce: str) -> bool:
        """Say so if the folder is another attempt's of this id."""
        known = self._known(key)
        if known is None or known.nonce in ("", nonce):
            return False
        self.push(StartRefused(self.name, key, "taken", f"{key} is another attempt's here"))
        return True


class FakeSession:
    """The session of one engine to one node."""

    def __init__(
        self, node: FakeNode, identity: CoreIdentity, emit: Callable[[NodeEvent], None]
    ) -> None:
        self.node = node
        self.identity = identity
        self.emit = emit
        self.closed = False
        self.taken_over = False

    @property
    def name(self) -> str:
        return self.node.name

    def tell(self, event: NodeEvent) -> None:
        if not self.closed and self.node.session is self:
            self.emit(event)

    def ready(self) -> None:
        node = self.node
        granted = not node.driver
        records = tuple(node.records.values())
        adopted = granted and bool(self.identity.adopt)
        self.tell(NodeReady(node.name, node.facts, records, granted, node.driver, adopted))
        node.sample()

    def send(self, effect: Effect) -> None:
        if not self.closed and self.node.reachable and self.node.session is self:
            self.node.take(effect)

    async def tail(self, request: TailRequest) -> AsyncIterator[LogEvent]:
        if not self.node.reachable:
            raise ConnectionError(f"{self.name} isn't connected")
        text = self.node.logs.get(request.attempt, "")
        base: LogEvent = {
            "kind": "data", "attempt": request.attempt, "node": self.name, "stream": "out",
            "at": 0, "to": len(text), "text": text,
        }  # fmt: skip
        if text:
            yield base
        yield {**base, "kind": "eof", "text": ""}

    async def check(self) -> list[CheckDoc]:
        return [{"node": self.name, "name": "reach", "ok": self.node.reachable, "text": ""}]

    def retry_now(self) -> None:
        pass

    def take_over(self) -> None:
        self.taken_over = True
        self.node.driver = ""
        self.ready()

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        self.closed = True
        if self.node.session is self:
            self.node.session = None


class FakeFleet:
    """A SessionFactory over nodes that a test made; reachable ones say hello at once."""

    def __init__(self, *nodes: FakeNode) -> None:
        self.nodes = {node.name: node for node in nodes}

    def __getitem__(self, name: str) -> FakeNode:
        return self.nodes[name]

    def open(
        self,
        node: NodeSpec,
        identity: CoreIdentity,
        root: tuple[str, str] | None,
        emit: Callable[[NodeEvent], None],
    ) -> FakeSession:
        box = self.nodes[node.name]
        session = FakeSession(box, identity, emit)
        box.session = session
        box.epoch = identity.epoch
        emit(NodeConnecting(node.name))
        if box.reachable:
            asyncio.get_running_loop().call_soon(session.ready)
        return session

    async def close(self) -> None:
        pass

    @property
    def runs(self) -> Counter[str]:
        """How often each attempt was executed, over all nodes."""
        return sum((node.runs for node in self.nodes.values()), Counter())
