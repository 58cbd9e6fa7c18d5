"""One GPU, or slice of one, as the scheduler sees it: who holds what of it and what is really free.

A device is free only if no live attempt holds any of it and NVML sees no more foreign memory on
it than the inventory lets pass. Of one that jobs may share, what is free is what neither
attempts were promised nor others use: in thousandths of the device and in bytes of its memory.
Foreign memory takes its part of both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flextui.core.model.ids import task_of_attempt
from flextui.core.model.state import Attempt, Gpu, GpuProcess, Node, Snapshot
from flextui.core.scheduler.need import MILLI

FREE, HELD, SHARED = "free", "held", "shared"
FOREIGN, CORDONED, LOST = "foreign", "cordoned", "lost"

STEP = 256 * 2**20
"""Memory in use on a device that jobs share is told in steps of this many bytes."""


@dataclass(slots=True, eq=False)
class Device:
    """One GPU of a node and what keeps it from a new task."""

    uuid: str
    index: int
    model: str
    memory: int
    state: str
    """free, held (whole, by a live attempt of ours), shared (parts of it), foreign, cordoned,
    lost."""
    mig: str = ""
    """The profile of a slice; "" for a whole GPU."""
    shareable: bool = False
    """Jobs may hold parts of it."""
    holders: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Attempts (and placements of this pass) → thousandths and bytes; 1000 for all of it."""
    users: tuple[tuple[str, int | None], ...] = ()
    """Foreign use that takes the device: who ('carol: jupyter') and how much memory."""
    foreign: int = 0
    """Bytes of foreign memory, also where it is too little to matter."""
    why: str = ""
    free_milli: int = 0
    """Thousandths that a share could take; 1000 only if a whole task could."""
    free_bytes: int = 0
    """Memory that a share could take."""

    @property
    def holder(self) -> str | None:
        """The first attempt that holds it, or a part of it."""
        return next(iter(self.holders), None)

    @property
    def look(self) -> tuple[int, int]:
        """What two devices of a kind must have in common to be as good as each other."""
        return (self.free_milli, self.free_bytes)


def device_of(node: Node, gpu: Gpu) -> Device:
    """A device that nobody holds; `settle` says what that makes of it."""
    device = Device(gpu.uuid, gpu.index, gpu.model, gpu.memory_bytes, FREE, gpu.mig)
    device.shareable = node.spec.gpus.shares(gpu.index) and not gpu.mig
    return device


def settle(snapshot: Snapshot, node: Node, gpu: Gpu, device: Device) -> None:
    """Work out the state and what is free, from who holds it and what NVML says."""
    device.free_milli = device.free_bytes = 0
    device.why = ""
    quiet = not gpu.processes and not gpu.memory_used_bytes
    device.foreign, device.users = (0, ()) if quiet else foreign_use(snapshot, node, gpu, device)
    mark = node.cordon_of(gpu)
    if mark is not None:
        device.state, device.why = CORDONED, mark.why or f"by {mark.by}"
    elif gpu.state == "claimed":
        device.state, device.users = FOREIGN, ((gpu.text or "claimed by another core", None),)
    elif gpu.state != "ok":
        device.state, device.why = LOST, gpu.text or gpu.state
    elif gpu.recovery_action:
        device.state, device.why = CORDONED, f"NVML asks for recovery action {gpu.recovery_action}"
    elif any(milli >= MILLI for milli, _ in device.holders.values()):
        device.state = HELD
    elif device.holders or device.users:
        device.state = SHARED if device.holders else FOREIGN
        if device.shareable:
            _what_is_left(node, gpu, device)
    else:
        device.state, device.free_milli, device.free_bytes = FREE, MILLI, device.memory


def _what_is_left(node: Node, gpu: Gpu, device: Device) -> None:
    """Of a device that is partly taken. What can't be measured takes all."""
    if any(memory is None for _, memory in device.users):
        return
    milli = sum(part for part, _ in device.holders.values())
    taken = sum(memory for _, memory in device.holders.values())
    foreign = device.foreign if device.users else 0
    used = gpu.memory_used_bytes or 0
    if used <= node.spec.gpus.foreign_ignore:
        used = 0
    elif device.holders:
        used = (used // STEP + 1) * STEP
    taken = max(taken + foreign, used)
    device.free_bytes = max(0, device.memory - taken)
    part = -(-MILLI * foreign // device.memory) if device.memory else MILLI
    device.free_milli = max(0, min(MILLI - 1, MILLI - milli - part))


def foreign_use(
    snapshot: Snapshot, node: Node, gpu: Gpu, device: Device
) -> tuple[int, tuple[tuple[str, int | None], ...]]:
    """Bytes of memory that aren't the holders', and whose they are where they are too many.

    Memory that the driver attributes to nobody counts as well, unless an attempt of ours holds
    the device: then it is most likely its own.
    """
    holders = device.holders
    others = [it for it in gpu.processes if it.attempt is None or it.attempt not in holders]
    amount = sum(it.memory_bytes or 0 for it in others)
    if not holders and gpu.memory_used_bytes is not None:
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


def holder_name(snapshot: Snapshot, key: str) -> str:
    """The full name of the job that holds a device, also where this very pass gave it that."""
    task = task_of_attempt(key)
    job = snapshot.jobs.get(task.job) or snapshot.recent.get(task.job) if task is not None else None
    return job.full_name if job is not None else key


def job_name(snapshot: Snapshot, attempt: Attempt) -> str:
    """The full name of an attempt's job, or its id where that is all we know."""
    key = attempt.task.job
    job = snapshot.jobs.get(key) or snapshot.recent.get(key)
    return job.full_name if job is not None else key
