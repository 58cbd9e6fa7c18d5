"""The columns of devices, on one node or on all, and of the processes that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flextui.core.model.docs import GpuDoc, NodeDoc, PastDoc, ProcessDoc
from flextui.core.model.series import columns
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field

Values = Sequence[float | None]
HOUR = 30
"""Cells of a line of the last hour."""


class Device(NamedTuple):
    """A GPU and the node that it is in."""

    node: NodeDoc
    gpu: GpuDoc
    past: Values = ()
    """How busy it was in the last hour, in percent, a value a cell; empty where nobody asked."""


def devices(nodes: Iterable[NodeDoc], past: PastDoc | None = None) -> dict[str, Device]:
    """All devices of the nodes, by `node:index`; `past` is of the only one."""
    found: dict[str, Device] = {}
    for node in nodes:
        for gpu in node["gpus"]:
            busy = past["gpus"].get(gpu["uuid"], {}).get("busy", ()) if past is not None else ()
            hour = columns(busy, HOUR, past["until"]) if past is not None else ()
            found[f"{node['name']}:{gpu['index']}"] = Device(node, gpu, hour)
    return found


def _state(it: Device, _now: float) -> Cell:
    fine = it.gpu["state"] in ("free", "used")
    return (fmt.gpu_span(it.gpu), Span(f" {it.gpu['state']}", "" if fine else "warn"))


def _memory(it: Device, _now: float) -> Cell:
    gpu = it.gpu
    if gpu["memory_used_bytes"] is None:
        return cell(f"{'n/a':>13}/{fmt.size(gpu['memory_bytes'])}", "dim")
    return (
        Span(fmt.bar(fmt.gpu_fraction(gpu), 8), "ok"),
        Span(f"{fmt.size(gpu['memory_used_bytes']):>5}/{fmt.size(gpu['memory_bytes'])}"),
    )


def _busy(it: Device, _now: float) -> Cell:
    util = it.gpu["utilization"]
    if util is None:
        return cell(f"{'n/a':>10}", "dim")
    return (Span(fmt.bar(util / 100, 5), "accent"), Span(f" {util:3}%"))


def _power(it: Device, _now: float) -> Cell:
    watts, limit = it.gpu["power_w"], it.gpu["power_limit_w"]
    if watts is None:
        return cell("n/a", "dim")
    return cell(f"{watts:.0f}W" if limit is None else f"{watts:.0f}/{limit:.0f}W")


def _known(value: int | None, unit: str = "") -> Cell:
    return cell("n/a", "dim") if value is None else cell(f"{value}{unit}")


def _slowed(it: Device, _now: float) -> Cell:
    why = it.gpu["throttle"]
    if why is None:
        return cell("n/a", "dim")
    return cell(", ".join(why), "" if why == [POWER_CAP] else "warn") if why else cell("–", "dim")


POWER_CAP = "power cap"
"""What holds back every GPU that works hard."""


def narrow(gpu: GpuDoc) -> bool:
    """Whether its link has fewer lanes than card and slot could have: it sits badly."""
    return bool(gpu["pcie"]) and gpu["pcie"].split("x")[-1] != gpu["pcie_max"].split("x")[-1]


def link_text(gpu: GpuDoc) -> str:
    """Generation and lanes, and what there could be where that is more."""
    if not gpu["pcie"]:
        return "n/a"
    best = gpu["pcie_max"]
    return gpu["pcie"] if best in ("", gpu["pcie"]) else f"{gpu['pcie']} of {best}"


def _last_hour(it: Device, _now: float) -> Cell:
    drawn = "".join(" " if value is None else fmt.fill(value / 100) for value in it.past)
    return cell(drawn.rjust(HOUR), "ok")


def _holders(it: Device) -> str:
    return ", ".join(it.gpu["jobs"]) or it.gpu["reason"]


def _users(it: Device) -> str:
    names = (p["true_owner"] or p["user"] for p in it.gpu["processes"])
    return " ".join(sorted(set(names)))


DEVICES: tuple[Field[Device], ...] = (
    Field(
        Column("node", 4, 14), "n", lambda it, _: cell(it.node["name"]),
        lambda it: (it.node["name"], it.gpu["index"]),
    ),
    Field(
        Column("gpu", 3, right=True), "i", lambda it, _: cell(it.gpu["index"]),
        lambda it: it.gpu["index"],
    ),
    Field(
        Column("model", 5, 14, drop=2), "o",
        lambda it, _: cell(fmt.short_model(it.gpu["model"])), lambda it: it.gpu["model"],
    ),
    Field(Column("state", 9, 11), "s", _state, lambda it: it.gpu["state"]),
    Field(
        Column("memory", 18, 20), "m", _memory, lambda it: it.gpu["memory_used_bytes"],
        large_first=True,
    ),
    Field(
        Column("busy", 10, 10, drop=1), "u", _busy, lambda it: it.gpu["utilization"],
        large_first=True,
    ),
    Field(
        Column("last hour", HOUR, HOUR, drop=9), "l", _last_hour, lambda it: it.gpu["utilization"],
        live=True, shown=False,
    ),
    Field(
        Column("mem bw", 6, right=True, drop=9), "b",
        lambda it, _: _known(it.gpu["memory_utilization"], "%"),
        lambda it: it.gpu["memory_utilization"], large_first=True, wide=170,
    ),
    Field(
        Column("temp", 4, right=True, drop=3), "t",
        lambda it, _: _known(it.gpu["temperature_c"], "°"), lambda it: it.gpu["temperature_c"],
        large_first=True,
    ),
    Field(
        Column("fan", 4, right=True, drop=7), "a", lambda it, _: _known(it.gpu["fan"], "%"),
        lambda it: it.gpu["fan"], large_first=True, wide=150,
    ),
    Field(
        Column("power", 8, right=True, drop=4), "p", _power, lambda it: it.gpu["power_w"],
        large_first=True,
    ),
    Field(
        Column("MHz", 4, right=True, drop=6), "h", lambda it, _: _known(it.gpu["clock_mhz"]),
        lambda it: it.gpu["clock_mhz"], large_first=True, wide=120,
    ),
    Field(
        Column("slowed by", 9, 24, drop=5), "y", _slowed,
        lambda it: ", ".join(it.gpu["throttle"] or ()) or None, wide=120,
    ),
    Field(
        Column("PCIe", 4, 12, drop=7), "e",
        lambda it, _: cell(link_text(it.gpu), "warn" if narrow(it.gpu) else ""),
        lambda it: it.gpu["pcie"], wide=150,
    ),
    Field(
        Column("ecc", 3, right=True, drop=6), "c",
        lambda it, _: _known(it.gpu["ecc_uncorrected"]), lambda it: it.gpu["ecc_uncorrected"],
        large_first=True, wide=150,
    ),
    Field(
        Column("xid", 3, right=True, drop=6), "x",
        lambda it, _: cell("–", "dim") if it.gpu["xid"] is None else cell(it.gpu["xid"], "bad"),
        lambda it: it.gpu["xid"], large_first=True, wide=170,
    ),
    Field(
        Column("procs", 5, right=True, drop=5), "r",
        lambda it, _: cell(len(it.gpu["processes"]) or "–"),
        lambda it: len(it.gpu["processes"]), large_first=True, wide=170,
    ),
    Field(
        Column("users", 5, 16, drop=5), "w", lambda it, _: cell(_users(it) or "–"),
        lambda it: _users(it) or None, wide=170,
    ),
    Field(
        Column("uuid", 10, 42, drop=7), "d", lambda it, _: cell(it.gpu["uuid"], "dim"),
        lambda it: it.gpu["uuid"], shown=False,
    ),
    Field(
        Column("held by", 18, 80), "j",
        lambda it, _: cell(_holders(it), "" if it.gpu["jobs"] else "warn"),
        lambda it: _holders(it) or None,
    ),
)  # fmt: skip

GROUPS = {
    "node": lambda it: it.node["name"],
    "model": lambda it: fmt.short_model(it.gpu["model"]),
    "state": lambda it: it.gpu["state"],
}


def summary(found: Iterable[Device]) -> str:
    """What the heading of a group says of it."""
    gpus = [it.gpu for it in found]
    states: dict[str, int] = {}
    for gpu in gpus:
        states[gpu["state"]] = states.get(gpu["state"], 0) + 1
    said = [f"{len(gpus)} GPU{'s' if len(gpus) != 1 else ''}"]
    said += [f"{number} {state}" for state, number in sorted(states.items())]
    if busy := [it for gpu in gpus if (it := gpu["utilization"]) is not None]:
        said.append(f"busy {sum(busy) / len(busy):.0f}%")
    used = sum(gpu["memory_used_bytes"] or 0 for gpu in gpus)
    said.append(f"{fmt.size(used)} of {fmt.size(sum(gpu['memory_bytes'] for gpu in gpus))}")
    if watts := sum(gpu["power_w"] or 0.0 for gpu in gpus):
        said.append(f"{watts / 1000:.1f} kW" if watts >= 1000 else f"{watts:.0f} W")
    return " · ".join(said)


def about(it: Device) -> str:
    """One line on the device under the cursor: what is wrong with it, and who is on it."""
    gpu = it.gpu
    said = [f"{it.node['name']}:{gpu['index']}", gpu["reason"]]
    said += ["slowed by " + ", ".join(gpu["throttle"])] if gpu["throttle"] else []
    said += [
        f"{p['true_owner'] or p['user']} {p['pid']} {fmt.size(p['memory_bytes'])} "
        f"{p['command'] or p['name']}"
        for p in gpu["processes"]
    ]
    return "  ".join(part for part in said if part)


# ── processes ──────────────────────────────────────────────────────────────────────────────────


class Holder(NamedTuple):
    """A process and the GPU that it holds memory of."""

    gpu: GpuDoc
    process: ProcessDoc


def holders(node: NodeDoc) -> dict[str, Holder]:
    """Processes on a node's devices, by `index:pid`."""
    return {
        f"{gpu['index']}:{process['pid']}": Holder(gpu, process)
        for gpu in node["gpus"]
        for process in gpu["processes"]
    }


def _owner(it: Holder) -> str:
    return it.process["true_owner"] or it.process["user"]


def _job(it: Holder, _now: float) -> Cell:
    return cell(it.process["job"] or "no job of flextui", "" if it.process["job"] else "warn")


def _cpu(it: Holder, _now: float) -> Cell:
    cores = it.process["cpu"]
    return cell("n/a", "dim") if cores is None else cell(f"{cores * 100:.0f}%")


def _ran(it: Holder, _now: float) -> Cell:
    ran = it.process["ran_s"]
    return cell("n/a", "dim") if ran is None else cell(fmt.long_span(ran))


PROCESSES: tuple[Field[Holder], ...] = (
    Field(
        Column("gpu", 3, right=True), "i", lambda it, _: cell(it.gpu["index"]),
        lambda it: it.gpu["index"],
    ),
    Field(
        Column("pid", 6, right=True, drop=3), "p", lambda it, _: cell(it.process["pid"], "dim"),
        lambda it: it.process["pid"],
    ),
    Field(Column("owner", 6, 14), "o", lambda it, _: cell(_owner(it)), _owner),
    Field(
        Column("user", 4, 14, drop=9), "s", lambda it, _: cell(it.process["user"], "dim"),
        lambda it: it.process["user"], wide=150,
    ),
    Field(Column("job", 8, 30), "j", _job, lambda it: it.process["job"]),
    Field(
        Column("memory", 6, right=True), "m",
        lambda it, _: cell(fmt.size(it.process["memory_bytes"])),
        lambda it: it.process["memory_bytes"], large_first=True,
    ),
    Field(
        Column("busy", 4, right=True, drop=4), "u",
        lambda it, _: _known(it.process["utilization"], "%"), lambda it: it.process["utilization"],
        large_first=True,
    ),
    Field(
        Column("cpu", 5, right=True, drop=5), "k", _cpu, lambda it: it.process["cpu"],
        large_first=True,
    ),
    Field(
        Column("host mem", 8, right=True, drop=6), "h",
        lambda it, _: cell(fmt.size(it.process["host_memory_bytes"])),
        lambda it: it.process["host_memory_bytes"], large_first=True,
    ),
    Field(
        Column("time", 6, right=True, drop=5), "t", _ran, lambda it: it.process["ran_s"],
        large_first=True,
    ),
    Field(
        Column("container", 6, 16, drop=7), "c",
        lambda it, _: cell(it.process["container"] or "–", "dim"),
        lambda it: it.process["container"],
    ),
    Field(
        Column("command", 16, 200), "a",
        lambda it, _: cell(it.process["command"] or it.process["name"], "dim"),
        lambda it: it.process["command"],
    ),
)  # fmt: skip
