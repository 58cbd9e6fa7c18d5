"""When what a node has will be free again, as far as time limits prove it.

Only hard limits count: an attempt has ended at the latest when its time limit and its grace are
over, or its job's deadline is. What has no limit may run for ever. So a start that is promised
from this can only come earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import NamedTuple, Protocol

from flextui.core.model.state import Attempt, Job, Snapshot
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.device import Device
from flextui.core.scheduler.feasible import missing, once_left, share_of, suitable
from flextui.core.scheduler.need import MILLI, Need, Wants

NOW = -inf
"""Free already."""
_WHOLE = 1000


class Use(NamedTuple):
    """A part of a node that somebody has, or is to have."""

    since: float
    until: float
    """Wall time by which it is free again at the latest."""
    gpus: tuple[str, ...]
    milli: int
    """Thousandths of its one device; `_WHOLE` of each where it has whole ones."""
    gpu_memory: int
    cpus: int
    memory: int


def hard_end(job: Job | None, attempt: Attempt) -> float:
    """Wall time by which an attempt has certainly ended. The limit of an older revision, which its
    node keeps to, isn't known any more."""
    if job is None:
        return inf
    spec = job.spec
    limit = spec.time_limit if attempt.revision == job.revision else None
    start = attempt.started_at if attempt.started_at is not None else attempt.placed_at
    end = inf if limit is None else start + limit + spec.grace
    if job.deadline_at is not None:
        end = min(end, job.deadline_at + spec.grace)
    if attempt.stop is not None:
        end = min(end, attempt.stop.at + spec.grace)
    return end


def job_of(snapshot: Snapshot, attempt: Attempt) -> Job | None:
    return snapshot.jobs.get(attempt.task.job) or snapshot.recent.get(attempt.task.job)


def uses(
    snapshot: Snapshot, node: str, stopping: Callable[[Attempt], bool], wall: float
) -> list[Use]:
    """What live attempts have of a node. `stopping`: whether it is to end, by this pass as well."""
    found = []
    for key in sorted(snapshot.by_node.get(node, ())):
        attempt = snapshot.attempts[key]
        job = job_of(snapshot, attempt)
        end = hard_end(job, attempt)
        if job is not None and stopping(attempt):
            end = min(end, wall + job.spec.grace)
        found.append(use_of(attempt, end))
    return found


def use_of(attempt: Attempt, until: float) -> Use:
    return Use(
        NOW,
        until,
        attempt.gpus,
        attempt.share or _WHOLE,
        attempt.gpu_memory_bytes,
        round(attempt.cpus * MILLI),
        attempt.memory_bytes,
    )


def _until(use: Use) -> float:
    return use.until


class Kept(Protocol):
    """A place that is promised to somebody else."""

    @property
    def need(self) -> Need: ...
    @property
    def at(self) -> float: ...
    @property
    def gpus(self) -> frozenset[str]: ...


class Slot(NamedTuple):
    """A place for a request on one node, and from when on it is certainly free."""

    at: float
    """-inf: now; inf: once something that has no limit has ended."""
    gpus: tuple[str, ...]
    spare_cpus: int
    """What is free then beyond what the request takes; never negative."""
    spare_memory: int


class Timeline:
    """One node's future: what is free there, and when more of it will be."""

    def __init__(self, room: Room, taken: Iterable[Use]) -> None:
        """`taken`: all that the room counts as taken."""
        self.room = room
        self.uses = sorted(taken, key=_until)
        self._freed: dict[str, float] = {}
        for use in self.uses:
            for uuid in use.gpus:
                self._freed[uuid] = use.until

    def earliest(self, need: Need) -> float:
        """Wall time from which on the request certainly fits, if nothing else comes; inf where
        that takes the end of something without a limit. Only asked where it could fit at all."""
        at = NOW
        cpus, memory = need.cpus - self.room.free_cpus, need.memory - self.room.free_memory
        if cpus > 0 or memory > 0:
            for use in self.uses:
                cpus, memory, at = cpus - use.cpus, memory - use.memory, use.until
                if cpus <= 0 and memory <= 0:
                    break
            else:
                return inf
        if need.wants.anything:
            times = [time for time, _ in self._devices(need)]
            number = need.gpus or 1
            at = max(at, times[number - 1] if len(times) >= number else inf)
        return at

    def slot(self, need: Need, at: float) -> Slot:
        """The place that the request gets at such an instant, as `earliest` tells it."""
        cpus, memory = self.room.free_cpus - need.cpus, self.room.free_memory - need.memory
        for use in self.uses:
            if use.until > at or use.until == inf:
                break
            cpus, memory = cpus + use.cpus, memory + use.memory
        gpus = tuple(uuid for _, uuid in self._devices(need)[: need.gpus or 1])
        return Slot(at, gpus, max(0, cpus), max(0, memory))

    def ends(self, after: float) -> list[float]:
        """When more becomes free, from then on."""
        return [use.until for use in self.uses if after < use.until < inf]

    def beside(
        self, need: Need, at: float, others: Sequence[Kept], barred: frozenset[str]
    ) -> Slot | None:
        """The place that the request gets at that instant beside others that it overlaps with,
        without some devices; None if there is none then."""
        cpus, memory = self.room.free_cpus - need.cpus, self.room.free_memory - need.memory
        for use in self.uses:
            if use.until > at:
                break
            cpus, memory = cpus + use.cpus, memory + use.memory
        taken = barred.union(*(it.gpus for it in others))
        gpus = [uuid for time, uuid in self._devices(need) if time <= at and uuid not in taken]
        for it in others:
            cpus, memory = cpus - it.need.cpus, memory - it.need.memory
        number = need.gpus or int(need.wants.shared)
        if cpus < 0 or memory < 0 or len(gpus) < number:
            return None
        for it in others:
            if it.at > at:  # it has its own count of what it can spare
                cpus, memory = cpus + it.need.cpus, memory + it.need.memory
        return Slot(at, tuple(gpus[:number]), cpus, memory)

    def lacks(self, need: Need) -> tuple[int, int, int]:
        """What is missing now: devices, CPUs, memory."""
        return missing(self.room, need)[:3]

    def _devices(self, need: Need) -> list[tuple[float, str]]:
        """Devices that would do, and from when on; those that are free first first."""
        wants = need.wants
        if not wants.anything:
            return []
        if wants.shared:
            able = [it for it in self.room.devices if once_left(wants, it)]
            found = [(self._shared_at(wants, it), it.index, it.uuid) for it in able]
        else:
            freed = self._freed
            able = suitable(need, self.room.usable)
            found = [(freed.get(it.uuid, NOW), it.index, it.uuid) for it in able]
        return [(at, uuid) for at, _, uuid in sorted(found)]

    def _shared_at(self, wants: Wants, device: Device) -> float:
        """When a share fits the device."""
        milli, memory = share_of(wants, device)
        milli, memory = milli - device.free_milli, memory - device.free_bytes
        at = NOW
        for use in self.uses:
            if milli <= 0 and memory <= 0:
                break
            if device.uuid in use.gpus:
                at = use.until
                milli -= use.milli
                memory -= use.gpu_memory or device.memory
        return at
