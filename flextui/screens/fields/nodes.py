"""The columns of nodes."""

from __future__ import annotations

from flextui.core.model.docs import NodeDoc
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field


def word(node: NodeDoc) -> str:
    """The state's word, with what an operator did to it."""
    if node["state"] == "ready" and node["drained"]:
        return "drained"
    if node["state"] == "ready" and node["cordoned"]:
        return "cordoned"
    return node["state"]


def _state(node: NodeDoc, _now: float) -> Cell:
    said = word(node)
    if said in ("drained", "cordoned"):
        return (Span("⊘ ", "warn"), Span(said, "warn"))
    return fmt.state_cell(node["state"], said)


def _cpu(node: NodeDoc, _now: float) -> Cell:
    if node["cpu"] is None:
        return cell("–", "dim")
    return cell(f"{fmt.fill(node['cpu'])}{node['cpu'] * 100:4.0f}%")


def _memory(node: NodeDoc, _now: float) -> Cell:
    if not node["memory_bytes"] or node["state"] in ("lost", "unreachable", "connecting"):
        return cell("–", "dim")
    return cell(f"{fmt.size(node['memory_used_bytes'])}/{fmt.size(node['memory_bytes'])}")


def _jobs(node: NodeDoc, _now: float) -> Cell:
    return cell(" · ".join(node["jobs"]) or "–", "" if node["jobs"] else "dim")


def free_gpus(node: NodeDoc) -> int:
    """GPUs that could take a job now."""
    usable = node["state"] == "ready" and not (node["drained"] or node["cordoned"])
    return sum(1 for gpu in node["gpus"] if gpu["state"] == "free") if usable else 0


FIELDS: tuple[Field[NodeDoc], ...] = (
    Field(
        Column("node", 8, 20), "n",
        lambda n, _: cell(n["name"], "bold" if n["state"] == "ready" else "bad"),
        lambda n: n["name"],
    ),
    Field(
        Column("state", 8, 14), "s", _state, word,
    ),
    Field(
        Column("gpus", 6, 40), "g", lambda n, _: fmt.gpus_cell(n), lambda n: len(n["gpus"]),
        large_first=True,
    ),
    Field(
        Column("free", 4, right=True, drop=4), "f", lambda n, _: cell(free_gpus(n) or "–"),
        free_gpus, wide=140, large_first=True,
    ),
    Field(
        Column("mem", 9, right=True, drop=2), "m", _memory, lambda n: n["memory_used_bytes"],
        large_first=True,
    ),
    Field(Column("cpu", 6, right=True, drop=3), "c", _cpu, lambda n: n["cpu"], large_first=True),
    Field(
        Column("disk", 9, right=True, drop=5), "k",
        lambda n, _: cell(f"{fmt.size(n['disk_free_bytes'])} free" if n["disk_bytes"] else "–"),
        lambda n: n["disk_free_bytes"], wide=140,
    ),
    Field(
        Column("load", 5, right=True, drop=6), "l",
        lambda n, _: cell(f"{n['load'][0]:.1f}" if n["load"] else "–"),
        lambda n: n["load"][0] if n["load"] else None, wide=170, large_first=True,
    ),
    Field(
        Column("host", 8, 30, drop=6), "h", lambda n, _: cell(n["host"], "dim"),
        lambda n: n["host"], shown=False,
    ),
    Field(
        Column("jobs", 8, 60, drop=1, yields=20), "j", _jobs, lambda n: len(n["jobs"]),
        large_first=True,
    ),
    Field(
        Column("note", 24, 120), "e", lambda n, _: fmt.node_note(n),
        lambda n: fmt.plain(fmt.node_note(n)) or None,
    ),
)  # fmt: skip

GROUPS = {
    "state": word,
    "model": lambda node: " + ".join(sorted({fmt.short_model(g["model"]) for g in node["gpus"]})),
}
