"""The forty boxes of the simulated fleet, as an inventory would have them and as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # slow to import: not before the first paint
    from flextui.core.model.state import Facts, Gpu

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of GPU: memory in GiB, watts idle and at most, MHz, its link, fans of its own."""

    name: str
    memory: int
    idle_w: float
    limit_w: float
    clock: int
    pcie: tuple[int, int] = (4, 16)
    fan: bool = False


H100 = Model("NVIDIA H100 80GB HBM3", 80, 71, 700, 1980, (5, 16))
A100 = Model("NVIDIA A100-SXM4-80GB", 80, 58, 400, 1410)
A100S = Model("NVIDIA A100-PCIE-40GB", 40, 36, 250, 1410)
L40S = Model("NVIDIA L40S", 48, 34, 350, 2520)
ADA = Model("NVIDIA GeForce RTX 4090", 24, 22, 450, 3105, fan=True)
RTX = Model("NVIDIA GeForce RTX 3090", 24, 27, 350, 2100, fan=True)
T4 = Model("Tesla T4", 15, 10, 70, 1590, (3, 16))
V100 = Model("Tesla V100-SXM2-32GB", 32, 42, 300, 1530, (3, 16))
A30 = Model("NVIDIA A30", 24, 29, 165, 1440)


@dataclass(frozen=True, slots=True)
class Box:
    """A box. `slices` cuts each GPU into so many equal MIG slices."""

    name: str
    gpus: tuple[Model, ...]
    cpus: int
    memory: int
    """GiB"""
    rack: str
    slices: int = 0
    share: bool = False
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """A name that no resolver knows (RFC 6761)."""
        return f"{self.name}.invalid"


def boxes() -> tuple[Box, ...]:
    """All of them."""
    return (
        *_row("h100", 6, (H100,) * 8, 192, 2048, "a"),
        *_row("a100", 8, (A100,) * 8, 128, 1024, "b"),
        *_row("pcie", 4, (A100S,) * 4, 64, 512, "c"),
        *_row("l40s", 4, (L40S,) * 8, 96, 768, "c"),
        *_row("ada", 6, (ADA,) * 4, 32, 256, "d"),
        *_row("desk", 4, (RTX,) * 2, 16, 128, "d"),
        Box("mixed-1", (RTX, RTX, T4, T4), 24, 128, "d"),
        Box("mixed-2", (ADA, RTX, RTX), 24, 128, "d"),
        *_row("v100", 3, (V100,) * 8, 80, 512, "e"),
        Box("mig-1", (A30,) * 2, 48, 256, "e", slices=2),
        Box("play", (A100S,) * 2, 64, 512, "e", share=True, labels={"use": "notebooks"}),
        Box("cpu-1", (), 64, 256, "e"),
    )


def _row(
    name: str, count: int, gpus: tuple[Model, ...], cpus: int, memory: int, rack: str
) -> Iterator[Box]:
    for number in range(1, count + 1):
        yield Box(f"{name}-{number}", gpus, cpus, memory, rack)


PROJECTS = {
    "language": (("bob", "eve", "ines"), "weight: 3"),
    "vision": (("dan", "grace", "yuki"), "weight: 2"),
    "speech": (("heidi", "noor"), "weight: 1, quota: {gpus: 24}"),
    "platform": (("web", "olga"), "weight: 2"),
    "teaching": (("carol", "tom"), "weight: 1, quota: {gpus: 6, gpu_hours: 400/7d}"),
}
ADMINS = ("olga",)
FIRST_UID = 2000


def people() -> dict[str, int]:
    """Users and their numbers."""
    names = [name for members, _ in PROJECTS.values() for name in members]
    return {name: FIRST_UID + number for number, name in enumerate(names)}


def inventory_text() -> str:
    """The inventory of the simulated fleet, as a person would write it."""
    lines = ["fleet: demo", "nodes:"]
    for box in boxes():
        labels = ", ".join(f"{k}: {v}" for k, v in {"rack": box.rack, **box.labels}.items())
        share = ", gpus: {share: true}" if box.share else ""
        lines.append(f"  - {{name: {box.name}, host: {box.host}, labels: {{{labels}}}{share}}}")
    lines += [f"users: {{admins: [{', '.join(ADMINS)}]}}", "projects:"]
    for name, (members, more) in PROJECTS.items():
        lines.append(f"  {name}: {{members: [{', '.join(members)}], {more}}}")
    lines.append("policy: {queue: fair-share, backfill: true, preemption: true, log_copy: 0}")
    return "\n".join(lines) + "\n"


# ── as a node tells it ─────────────────────────────────────────────────────────────────────────


def facts(box: Box) -> Facts:
    """What it says of itself at hello."""
    from flextui.core.model.state import Facts

    return Facts(
        host_id=f"simulated-{box.name}",
        boot="simulated",
        root_path="/var/lib/flextui",
        root_id=f"root-{box.name}",
        hostname=box.host,
        user="lab",
        uid=1000,
        cpus=float(box.cpus),
        memory_bytes=box.memory * GIB,
        python="3.12.3",
        kernel="6.8.0",
        os="Ubuntu 24.04",
        driver_version="570.124.06" if box.gpus else None,
        cgroup="scope",
        linger=True,
        agent="simulated",
    )


def devices(box: Box) -> tuple[Gpu, ...]:
    """Its devices at rest."""
    from flextui.core.model.state import Gpu

    found = []
    for index, model in enumerate(box.gpus):
        whole = f"GPU-{box.name}-{index}"
        parts = range(box.slices) if box.slices else (None,)
        for part in parts:
            memory = model.memory * GIB // (box.slices or 1)
            profile = f"{4 // box.slices}g.{model.memory // box.slices}gb" if box.slices else ""
            found.append(
                Gpu(
                    uuid=whole if part is None else f"MIG-{box.name}-{index}-{part}",
                    index=index,
                    model=model.name,
                    memory_bytes=memory,
                    memory_used_bytes=0,
                    power_limit_w=model.limit_w,
                    ecc_uncorrected=None if model in (ADA, RTX, T4) else 0,
                    clock_max_mhz=model.clock,
                    pcie=model.pcie,
                    pcie_max=model.pcie,
                    mig=profile,
                    parent="" if part is None else whole,
                )
            )
    return tuple(found)
