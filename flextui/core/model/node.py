"""What is known of a node and its devices: the durable half, and what a session tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flextui.core.model.inventory import NodeSpec


class NodeStatus(StrEnum):
    """How the session to a node stands.

    `lost` is silence on a link that worked or can't be made (loss time runs); `unreachable` is a
    definite complaint (authentication, host key, Python, disk, state folder): never loss.
    `observed`: another core drives the node; telemetry only.
    """

    CONNECTING = "connecting"
    READY = "ready"
    OBSERVED = "observed"
    LOST = "lost"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Mark:
    """A cordon, drain or hold: who, from when on and why."""

    by: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory of a device."""

    pid: int
    user: str
    name: str
    command: str
    memory_bytes: int | None
    attempt: str | None
    container: str | None = None
    owner: str | None = None
    """The true owner when it runs in a container."""
    utilization: int | None = None
    """Percent of the time that it had work on the device; None where the driver doesn't tell."""
    cpu: float | None = None
    """Of the machine's cores; 1.0 is one."""
    host_memory_bytes: int | None = None
    ran_s: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device as NVML reports it; None where the driver doesn't support the query."""

    uuid: str
    index: int
    model: str
    memory_bytes: int
    memory_used_bytes: int | None
    utilization: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    ecc_uncorrected: int | None = None
    recovery_action: int | None = None
    state: str = "ok"
    text: str = ""
    processes: tuple[GpuProcess, ...] = ()
    declared: bool = False
    """From the inventory, of a box without a driver."""
    mig: str = ""
    """The profile of a MIG slice (1g.10gb); "" for a whole GPU."""
    parent: str = ""
    """The UUID of the GPU that a MIG slice is cut from. Slices have its index, model and state; it
    isn't listed itself, unless it has no slices."""
    memory_utilization: int | None = None
    fan: int | None = None
    """Percent."""
    clock_mhz: int | None = None
    clock_max_mhz: int | None = None
    throttle: int | None = None
    """NVML's mask of clock event reasons."""
    pcie: tuple[int, int] | None = None
    """Generation and lanes of its link to the host, as it is now."""
    pcie_max: tuple[int, int] | None = None
    """The same at most, by card and slot."""


@dataclass(frozen=True, slots=True)
class GpuPlace:
    """Where a device sits in its node. It doesn't change while the node runs."""

    numa: int | None = None
    """Its NUMA node; None where the platform doesn't say."""
    cpus: tuple[int, ...] = ()
    """The CPUs near it; empty where NVML doesn't say."""
    near: Mapping[str, int] = field(default_factory=dict)
    """Other devices by UUID → nearness: 100 and more NVLink (100 + links), then what PCIe path
    they share: 50 one board, 40 one switch, 30 several switches, 20 one host bridge, 10 one NUMA
    node, 0 across sockets."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node said of itself at hello."""

    host_id: str
    boot: str
    root_path: str
    root_id: str
    hostname: str
    user: str
    uid: int
    cpus: float
    memory_bytes: int
    python: str = ""
    kernel: str = ""
    os: str = ""
    driver_version: str | None = None
    cgroup: str = "soft"
    linger: bool | None = None
    kill_user_processes: bool | None = None
    agent: str = ""
    clock_ahead_s: float | None = None
    """How far its clock was ahead of this machine's at hello, but for how long that took; None:
    it didn't say."""


class Use(NamedTuple):
    """What an attempt uses of its node."""

    cpu: float | None
    """1.0 is one core; None until there are two measurements."""
    memory_bytes: int | None
    active_ago_s: float | None = None
    """Seconds since a terminal of it saw input or output or a notebook kernel of it was busy; None
    where it has neither."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The last telemetry of a node, without its GPUs."""

    cpu: float | None = None
    load: tuple[float, ...] = ()
    memory_bytes: int = 0
    memory_used_bytes: int = 0
    disk_bytes: int = 0
    disk_free_bytes: int = 0
    uptime_s: float = 0.0
    nvml: str = ""
    attempts: Mapping[str, Use] = field(default_factory=dict)
    """By attempt id."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An attempt of ours on a node that this core doesn't know; shown, never killed by itself."""

    attempt: str
    job: str
    state: str
    gpus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the inventory. The second half is durable, the rest is made anew by a session."""

    name: str
    spec: NodeSpec
    status: NodeStatus = NodeStatus.CONNECTING
    reason: str = ""
    status_at: float = 0.0
    down_mono: float | None = None
    """Since when it is lost, on the awake clock; begins anew at a stall of the core."""
    up_mono: float | None = None
    """When it last became ready, on the awake clock; None: not since the core's start."""
    declared_lost: bool = False
    """An operator confirmed the loss."""
    driver: str = ""
    """Who drives it, when we don't."""
    facts: Facts | None = None
    gpus: tuple[Gpu, ...] = ()
    sampled: bool = False
    """A first sample of this session has arrived: the GPUs are known."""
    sample: Sample = Sample()
    orphans: tuple[Orphan, ...] = ()
    places: Mapping[str, GpuPlace] = field(default_factory=dict)
    """Device → where it sits."""
    xids: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Device → last XID and when."""
    claims: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """Device → who has claimed it (another core or user), and until when (wall) we leave it."""
    # durable
    host_id: str = ""
    root_path: str = ""
    root_id: str = ""
    drain: Mark | None = None
    cordon: Mark | None = None
    cordoned_gpus: Mapping[str, Mark] = field(default_factory=dict)
    """By UUID; that of a GPU holds for the slices that are cut from it as well."""

    def drains(self, wall: float) -> bool:
        """Whether what runs is to leave: new work is kept away even before."""
        return self.drain is not None and self.drain.at <= wall

    def cordon_of(self, gpu: Gpu) -> Mark | None:
        """The mark that keeps new work from a device of this node."""
        return self.cordoned_gpus.get(gpu.uuid) or self.cordoned_gpus.get(gpu.parent)
