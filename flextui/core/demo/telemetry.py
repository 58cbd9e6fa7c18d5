"""What the sensors of a simulated box tell: a function of who runs there and of the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sin
from zlib import crc32

from flextui.core.demo.boxes import GIB, Box
from flextui.core.demo.load import Work
from flextui.core.model.state import Gpu, GpuProcess, Sample, Use

WARM_UP_S = 90.0
STEP_S = 20.0
"""So long a value stands before the next one."""
_IDLE, _POWER_CAP = 1, 4
"""NVML's clock event reasons."""


@dataclass(slots=True)
class Tenant:
    """A live attempt, or a process of nobody's job (`attempt` None), on devices of a box."""

    attempt: str | None
    user: str
    command: str
    work: Work
    began: float
    devices: tuple[str, ...]
    pid: int
    part: float = 1.0
    """Of each device."""
    cpus: float = 1.0
    memory: int = 0
    """Bytes that it may use of the box."""
    container: str | None = None
    owner: str | None = None


def noise(seed: str, now: float, every: float = STEP_S) -> float:
    """0 to 1, another one each so many seconds."""
    return crc32(f"{seed} {int(now // every)}".encode()) / 2**32


def busy(tenant: Tenant, device: str, now: float) -> float:
    """How busy it keeps a device, 0 to 1."""
    work, age = tenant.work, now - tenant.began
    some = noise(f"{tenant.pid}{device}", now)
    if age < WARM_UP_S / 3 or work.style == "idle":
        return 0.0
    if work.style == "notebook":
        return work.busy * 2 * some if noise(f"{tenant.pid}", now, 420.0) > 0.6 else 0.0
    if work.style == "serve":
        return max(0.02, work.busy * (0.75 + 0.35 * sin(now / 5000.0)) + (some - 0.5) * 0.3)
    if work.style == "train" and age % 1200 < 40:
        return 0.05 + 0.1 * some  # it writes a checkpoint
    return min(1.0, max(0.0, work.busy + (some - 0.5) * 0.12))


def memory(tenant: Tenant, gpu: Gpu, now: float) -> int:
    """Bytes of a device that it holds."""
    part = tenant.work.memory * min(1.0, max(0.02, (now - tenant.began) / WARM_UP_S))
    return int(gpu.memory_bytes * part * tenant.part)


def device(box: Box, gpu: Gpu, tenants: Sequence[Tenant], now: float) -> Gpu:
    """A device with those who are on it."""
    if gpu.state != "ok":
        return gpu
    here = [it for it in tenants if gpu.uuid in it.devices]
    load = min(1.0, sum(busy(it, gpu.uuid, now) * it.part for it in here))
    held = [memory(it, gpu, now) for it in here]
    model = box.gpus[gpu.index]
    heat = 31 + 44 * load + 6 * noise(f"{gpu.uuid} heat", now)
    power = model.idle_w + (model.limit_w * 0.93 - model.idle_w) * load
    return replace(
        gpu,
        memory_used_bytes=sum(held) + GIB // 256,
        utilization=round(load * 100),
        temperature_c=round(heat),
        power_w=round(power + 4 * noise(gpu.uuid, now), 1),
        memory_utilization=round(load * 55),
        fan=round(30 + 55 * load) if model.fan else None,
        clock_mhz=round(model.clock - 0.08 * model.clock * noise(f"{gpu.uuid} clock", now))
        if load else 345,
        throttle=_IDLE if not load else _POWER_CAP if load > 0.97 else 0,
        processes=tuple(
            _process(it, size, round(busy(it, gpu.uuid, now) * 100), now)
            for it, size in zip(here, held, strict=True)
        ),
    )  # fmt: skip


def _process(tenant: Tenant, held: int, work: int, now: float) -> GpuProcess:
    return GpuProcess(
        tenant.pid, tenant.user, tenant.command.split(" ", 1)[0], tenant.command, held,
        tenant.attempt, tenant.container, tenant.owner, work,
        cpu=cores(tenant, now), host_memory_bytes=resident(tenant, now) or GIB,
        ran_s=max(0, int(now - tenant.began)),
    )  # fmt: skip


def cores(tenant: Tenant, now: float) -> float:
    """What it uses of the box's CPUs."""
    return round(tenant.cpus * (0.35 + 0.5 * noise(f"cpu {tenant.pid}", now)), 2)


def resident(tenant: Tenant, now: float) -> int:
    """Bytes that it has of the box's memory."""
    return int(tenant.memory * (0.4 + 0.3 * noise(f"mem {tenant.pid}", now, 300.0)))


def sample(box: Box, tenants: Sequence[Tenant], now: float, disk_free: float) -> Sample:
    """The box itself. `disk_free` is a part of its disk."""
    uses = {
        it.attempt: Use(
            cores(it, now),
            resident(it, now),
            0.0 if it.work.style == "notebook" else None,
        )
        for it in tenants
        if it.attempt is not None
    }
    cpus = sum(it.cpu or 0.0 for it in uses.values()) + 0.4 + noise(box.name, now)
    used = sum(it.memory_bytes or 0 for it in uses.values()) + 6 * GIB
    disk = 3500 * GIB
    return Sample(
        cpu=min(1.0, cpus / box.cpus),
        load=(round(cpus, 2), round(cpus * 0.95, 2), round(cpus * 0.9, 2)),
        memory_bytes=box.memory * GIB,
        memory_used_bytes=min(used, box.memory * GIB),
        disk_bytes=disk,
        disk_free_bytes=int(disk * disk_free),
        uptime_s=now - 1_770_000_000.0,
        nvml="ok" if box.gpus else "",
        attempts=uses,
    )
