"""The columns of devices, on one node or on all, and of the processes that hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from flextui.core.model.docs import GpuDoc, NodeDoc, ProcessDoc
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field


class Device(NamedTuple):
    """A GPU and the node that it is in."""

    node: NodeDoc
    gpu: GpuDoc


def devices(nodes: Iterable[NodeDoc]) -> dict[str, Device]:
    """All devices of the nodes, by `node:index`."""
    return {
        f"{node['name']}:{gpu['index']}": Device(node, gpu)
        for node in nodes
        for gpu in node["gpus"]
    }


def _state(it: Device, _now: float) -> Cell:
    fine = it.gpu["state"] in ("free", "used")
    return (fmt.gpu_span(it.gpu), Span(f" {it.gpu['state']}", "" if fine else "warn"))


def _memory(it: Device, _now: float) -> Cell:
    gpu = it.gpu
    return (
        Span(fmt.bar(fmt.gpu_fraction(gpu), 10), "ok"),
        Span(f" {fmt.size(gpu['memory_used_bytes']):>4}/{fmt.size(gpu['memory_bytes'])}"),
    )


def _busy(it: Device, _now: float) -> Cell:
    util = it.gpu["utilization"]
    return (
        Span(fmt.bar(None if util is None else util / 100, 6), "accent"),
        Span("  n/a" if util is None else f" {util:3}%"),
    )


def _power(it: Device, _now: float) -> Cell:
    watts, limit = it.gpu["power_w"], it.gpu["power_limit_w"]
    if watts is None:
        return cell("n/a", "dim")
    return cell(f"{watts:.0f}W" if limit is None else f"{watts:.0f}/{limit:.0f}W")


def _known(value: int | None, unit: str = "") -> Cell:
    return cell("n/a", "dim") if value is None else cell(f"{value}{unit}")


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
        Column("model", 5, 14), "o", lambda it, _: cell(fmt.short_model(it.gpu["model"])),
        lambda it: it.gpu["model"],
    ),
    Field(Column("state", 9, 11), "s", _state, lambda it: it.gpu["state"]),
    Field(
        Column("memory", 20, 22), "m", _memory, lambda it: it.gpu["memory_used_bytes"],
        large_first=True,
    ),
    Field(
        Column("busy", 11, 11, drop=2), "u", _busy, lambda it: it.gpu["utilization"],
        large_first=True,
    ),
    Field(
        Column("temp", 4, right=True, drop=3), "t",
        lambda it, _: _known(it.gpu["temperature_c"], "°"), lambda it: it.gpu["temperature_c"],
        large_first=True,
    ),
    Field(
        Column("power", 8, right=True, drop=4), "p", _power, lambda it: it.gpu["power_w"],
        large_first=True,
    ),
    Field(
        Column("ecc", 3, right=True, drop=6), "c",
        lambda it, _: _known(it.gpu["ecc_uncorrected"]), lambda it: it.gpu["ecc_uncorrected"],
        shown=False, large_first=True,
    ),
    Field(
        Column("xid", 3, right=True, drop=6), "x",
        lambda it, _: cell("–" if it.gpu["xid"] is None else it.gpu["xid"], "dim"),
        lambda it: it.gpu["xid"], shown=False, large_first=True,
    ),
    Field(
        Column("procs", 5, right=True, drop=5), "r",
        lambda it, _: cell(len(it.gpu["processes"]) or "–"),
        lambda it: len(it.gpu["processes"]), shown=False, large_first=True,
    ),
    Field(
        Column("users", 5, 16, drop=5), "w", lambda it, _: cell(_users(it) or "–"),
        lambda it: _users(it) or None, shown=False,
    ),
    Field(
        Column("uuid", 10, 42, drop=7), "d", lambda it, _: cell(it.gpu["uuid"], "dim"),
        lambda it: it.gpu["uuid"], shown=False,
    ),
    Field(
        Column("held by", 10, 80), "j",
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
    states: dict[str, int] = {}
    for it in found:
        states[it.gpu["state"]] = states.get(it.gpu["state"], 0) + 1
    said = [f"{number} {state}" for state, number in sorted(states.items())]
    return f"{sum(states.values())} GPUs · " + " · ".join(said)


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
    Field(Column("job", 8, 30), "j", _job, lambda it: it.process["job"]),
    Field(
        Column("memory", 6, right=True), "m",
        lambda it, _: cell(fmt.size(it.process["memory_bytes"])),
        lambda it: it.process["memory_bytes"], large_first=True,
    ),
    Field(
        Column("container", 6, 16, drop=2), "c",
        lambda it, _: cell(it.process["container"] or "–", "dim"),
        lambda it: it.process["container"],
    ),
    Field(
        Column("command", 10, 200), "a",
        lambda it, _: cell(it.process["command"] or it.process["name"], "dim"),
        lambda it: it.process["command"],
    ),
)  # fmt: skip
