"""What agents say of GPUs, made into the devices that work is placed on.

A GPU in MIG mode isn't one: its slices are, each with its own name, memory and processes. Where
there are none yet the GPU itself is shown, as what can't be used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from flextui.core.adapters.values import (
    DURATION_BOUND,
    duration,
    integer,
    listing,
    mapping,
    number,
    size,
    text,
    within,
)
from flextui.core.model.state import Gpu, GpuPlace, GpuProcess

GPUS_BOUND = 256
PROCESSES_BOUND = 512
CPUS_BOUND = 8192
NEAREST = 200
"""No device is nearer than by a hundred links."""
NO_SLICES = "in MIG mode without slices: make some (`nvidia-smi mig -cgi … -C`) or turn it off"

_NO_PROCESSES: tuple[GpuProcess, ...] = ()


def gpus(messages: object) -> tuple[Gpu, ...]:
    """All devices of a sample."""
    found: list[Gpu] = []
    for message in listing(messages, GPUS_BOUND):
        found += devices(message)
    return tuple(found)


def devices(message: object) -> tuple[Gpu, ...]:
    """What one GPU is to placement: itself, its slices, or nothing where it has no UUID."""
    whole = gpu(message)
    if whole is None or type(message) is not dict:
        return ()
    cut = message.get("mig")
    if type(cut) is not list:
        return (whole,)
    by_slice: dict[object, list[object]] = {}
    for process in listing(message.get("processes"), PROCESSES_BOUND):
        mig = process.get("mig") if type(process) is dict else None
        by_slice.setdefault(text(mig, 128), []).append(process)
    found = tuple(it for entry in cut[:GPUS_BOUND] for it in _slice(whole, entry, by_slice))
    if found:
        return found
    sound = whole.state == "ok"
    return (replace(whole, state="error", text=NO_SLICES) if sound else whole,)


def _slice(whole: Gpu, message: object, by_slice: dict[object, list[object]]) -> Iterable[Gpu]:
    fields = mapping(message)
    uuid = text(fields.get("uuid"), 128)
    if uuid:
        yield replace(
            whole,
            uuid=uuid,
            parent=whole.uuid,
            mig=text(fields.get("profile"), 64) or "MIG",
            memory_bytes=size(fields.get("memory_bytes")),
            memory_used_bytes=integer(fields.get("memory_used_bytes")),
            utilization=None,
            power_w=None,  # that of the whole card; its slices have no measure of their own
            power_limit_w=None,
            memory_utilization=None,
            processes=_processes(by_slice.get(uuid, ())),
        )


def gpu(message: object) -> Gpu | None:
    """One GPU as the driver knows it; None if it has no UUID."""
    if type(message) is not dict:
        return None
    get = message.get
    uuid = text(get("uuid"), 128)
    if not uuid:
        return None
    processes = get("processes")
    return Gpu(
        uuid,
        size(get("index")),
        text(get("model"), 128),
        size(get("memory_bytes")),
        integer(get("memory_used_bytes")),
        integer(get("utilization")),
        integer(get("temperature_c")),
        number(get("power_w")),
        number(get("power_limit_w")),
        integer(get("ecc_uncorrected")),
        integer(get("recovery_action")),
        text(get("state")) or "ok",
        text(get("text")),
        _processes(listing(processes, PROCESSES_BOUND)) if processes else _NO_PROCESSES,
        memory_utilization=within(get("memory_utilization"), 0, 100),
        fan=within(get("fan"), 0, 1000),
        clock_mhz=integer(get("clock_mhz")),
        clock_max_mhz=integer(get("clock_max_mhz")),
        throttle=integer(get("throttle")),
        pcie=_link(get("pcie")),
        pcie_max=_link(get("pcie_max")),
    )


def _link(message: object) -> tuple[int, int] | None:
    """Generation and lanes."""
    if type(message) is not list or len(message) != 2:
        return None
    generation, lanes = within(message[0], 1, 99), within(message[1], 1, 64)
    return None if generation is None or lanes is None else (generation, lanes)


def _processes(messages: Iterable[object]) -> tuple[GpuProcess, ...]:
    found = []
    for entry in messages:
        if type(entry) is not dict:
            continue
        container = mapping(entry.get("container"))
        found.append(
            GpuProcess(
                pid=size(entry.get("pid")),
                user=text(entry.get("user"), 128),
                name=text(entry.get("name"), 256),
                command=text(entry.get("command")),
                memory_bytes=integer(entry.get("memory_bytes")),
                attempt=text(entry.get("attempt"), 256) or None,
                container=text(container.get("name") or container.get("id"), 256) or None,
                owner=text(container.get("owner"), 128) or None,
                utilization=within(entry.get("utilization"), 0, 100),
                cpu=duration(entry.get("cpu")),
                host_memory_bytes=integer(entry.get("host_memory_bytes")),
                ran_s=within(entry.get("ran_s"), 0, int(DURATION_BOUND)),
            )
        )
    return tuple(found)


# ── where they sit ─────────────────────────────────────────────────────────────────────────────


def places(message: object) -> dict[str, GpuPlace]:
    """By UUID; what an agent leaves out is unknown."""
    found: dict[str, GpuPlace] = {}
    for uuid, entry in list(mapping(message).items())[:GPUS_BOUND]:
        if name := text(uuid, 128):
            found[name] = _place(mapping(entry))
    return found


def _place(fields: dict[str, Any]) -> GpuPlace:
    near = list(mapping(fields.get("near")).items())[:GPUS_BOUND]
    told = ((text(other, 128), within(level, 0, NEAREST)) for other, level in near)
    return GpuPlace(
        numa=within(fields.get("numa"), 0, CPUS_BOUND),
        cpus=cpu_list(text(fields.get("cpus"), 4096)),
        near={other: level for other, level in told if other and level is not None},
    )


def cpu_list(told: str) -> tuple[int, ...]:
    """The CPUs of a list as the kernel writes it (0-15,32-47); empty where it isn't one."""
    found: set[int] = set()
    for part in told.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            return ()
        low, high = int(first), int(last or first)
        if not low <= high < CPUS_BOUND:
            return ()
        found.update(range(low, high + 1))
    return tuple(sorted(found))
