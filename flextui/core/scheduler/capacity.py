"""What is free on each node, as the book and the GPUs themselves tell it.

CPU and memory go by the book: what live attempts were promised, the unknown and the given-up ones
that may still run included. GPUs go by both: a device is free only if no live attempt holds it
and NVML sees no more foreign memory on it than the inventory lets pass. A `Room` is a node's
working copy for one pass; placements take from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flextui.core.model.state import Attempt, Gpu, GpuProcess, Node, NodeStatus, Snapshot
from flextui.core.scheduler.need import MILLI, Need

FREE, HELD, FOREIGN, CORDONED, LOST = "free", "held", "foreign", "cordoned", "lost"


@dataclass(slots=True, eq=False)
class Device:
    """One GPU of a node and what keeps it from a new task."""

    uuid: str
    index: int
    model: str
    memory: int
    state: str
    """free, held (a live attempt of ours), foreign, cordoned, lost."""
    holder: str | None = None
    """The attempt that holds it."""
    taker: str = ""
    """The job that this very pass gave it to."""
    users: tuple[tuple[str, int | None], ...] = ()
    """Foreign use that takes the device: who ('carol: jupyter') and how much memory."""
    foreign: int = 0
    """Bytes of foreign memory, also where it is too little to matter."""
    why: str = ""


@dataclass(slots=True, eq=False)
class Room:
    """A node as one pass sees it. CPUs are thousandths of a core."""

    node: Node
    known: bool
    """Facts are there: totals mean something."""
    open: bool
    """New work may start here: ready, and neither drained nor cordoned."""
    cpus: int
    memory: int
    free_cpus: int
    free_memory: int
    devices: tuple[Device, ...]
    free: list[Device] = field(default_factory=list)
    """Free devices, the smallest first. Empty until the first sample has come."""
    usable: tuple[Device, ...] = ()
    """Devices that are free once attempts of ours have ended."""
    hold: Need | None = None
    """The request that what becomes free here is kept for."""
    hold_for: str = ""
    """The job whose request that is."""

    @property
    def name(self) -> str:
        return self.node.name

    def reset(self) -> None:
        """Forget what the last pass kept here."""
        self.hold, self.hold_for = None, ""

    def take(self, job: str, need: Need, devices: Iterable[Device]) -> None:
        """Book a placement of this pass."""
        self.free_cpus -= need.cpus
        self.free_memory -= need.memory
        for device in devices:
            device.state, device.taker = HELD, job
            self.free.remove(device)


def allows(need: Need, node: Node) -> bool:
    """Whether `where` lets this request onto the node."""
    if need.pin is not None:
        return need.pin == node.name
    if need.names and node.name not in need.names:
        return False
    if node.name in need.not_names:
        return False
    labels = node.spec.labels
    if any(labels.get(name) != value for name, value in need.labels):
        return False
    return not any(labels.get(name) == value for name, value in need.not_labels)


def room_of(snapshot: Snapshot, node: Node) -> Room:
    """What a node has and what of it is free."""
    attempts = snapshot.attempts
    live = [attempts[key] for key in sorted(snapshot.by_node.get(node.name, ()))]
    facts, reserve = node.facts, node.spec.reserve
    cpus = round((facts.cpus - reserve.cpus) * MILLI) if facts else 0
    memory = facts.memory_bytes - reserve.memory if facts else 0
    is_open = (
        node.status is NodeStatus.READY
        and facts is not None
        and node.drain is None
        and node.cordon is None
    )
    devices = tuple(devices_of(snapshot, node, live))
    free = [device for device in devices if device.state == FREE] if node.sampled else []
    free.sort(key=lambda device: (device.memory, device.model, device.index))
    return Room(
        node=node,
        known=facts is not None,
        open=is_open,
        cpus=cpus,
        memory=memory,
        free_cpus=cpus - sum(round(it.cpus * MILLI) for it in live),
        free_memory=memory - sum(it.memory_bytes for it in live),
        devices=devices,
        free=free,
        usable=tuple(it for it in devices if it.state in (FREE, HELD) and not it.users),
    )


def devices_of(snapshot: Snapshot, node: Node, live: list[Attempt]) -> Iterator[Device]:
    """The devices of a node that the inventory lets us use."""
    only = node.spec.gpus.only
    holders = {uuid: attempt.id for attempt in live for uuid in attempt.gpus}
    for gpu in node.gpus:
        if only is not None and gpu.index not in only:
            continue
        yield _device(snapshot, node, gpu, holders.get(gpu.uuid))


def _device(snapshot: Snapshot, node: Node, gpu: Gpu, holder: str | None) -> Device:
    device = Device(gpu.uuid, gpu.index, gpu.model, gpu.memory_bytes, FREE, holder)
    device.foreign, device.users = foreign_use(snapshot, node, gpu, holder)
    mark = node.cordoned_gpus.get(gpu.uuid)
    if mark is not None:
        device.state, device.why = CORDONED, mark.why or f"by {mark.by}"
    elif gpu.state == "claimed":
        device.state, device.users = FOREIGN, ((gpu.text or "claimed by another core", None),)
    elif gpu.state != "ok":
        device.state, device.why = LOST, gpu.text or gpu.state
    elif gpu.recovery_action:
        device.state, device.why = CORDONED, f"NVML asks for recovery action {gpu.recovery_action}"
    elif holder is not None:
        device.state = HELD
    elif device.users:
        device.state = FOREIGN
    return device


def foreign_use(
    snapshot: Snapshot, node: Node, gpu: Gpu, holder: str | None
) -> tuple[int, tuple[tuple[str, int | None], ...]]:
    """Bytes of memory that aren't the holder's, and whose they are where they are too many.

    Memory that the driver attributes to nobody counts as well, unless an attempt of ours holds
    the device: then it is most likely its own.
    """
    others = [it for it in gpu.processes if it.attempt is None or it.attempt != holder]
    amount = sum(it.memory_bytes or 0 for it in others)
    if holder is None and gpu.memory_used_bytes is not None:
        amount = max(amount, gpu.memory_used_bytes)
    untold = gpu.memory_used_bytes is None and any(it.memory_bytes is None for it in others)
    if amount <= node.spec.gpus.foreign_ignore and not untold:
        return amount, ()
    biggest = sorted(others, key=lambda it: (-(it.memory_bytes or 0), it.pid))
    users = tuple((_user(snapshot, it), it.memory_bytes) for it in biggest)
    return amount, users or (("a process that the driver doesn't name", amount),)


def _user(snapshot: Snapshot, process: GpuProcess) -> str:
    if process.attempt is None:
        return f"{process.owner or process.user}: {process.name}"
    attempt = snapshot.attempts.get(process.attempt)
    if attempt is None:
        return f"{process.attempt}: {process.name} (left over)"
    left = "" if attempt.state.live else " (left over)"
    return f"{job_name(snapshot, attempt)}: {process.name}{left}"


def job_name(snapshot: Snapshot, attempt: Attempt) -> str:
    """The full name of an attempt's job, or its id where that is all we know."""
    key = attempt.task.job
    job = snapshot.jobs.get(key) or snapshot.recent.get(key)
    return job.full_name if job is not None else key
