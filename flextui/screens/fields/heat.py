"""Pure: a device as one cell of the map, by what one wants to see of it."""

from __future__ import annotations

from collections.abc import Sequence

from flextui.core.model.docs import GpuDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.format import Span

SHOWS = ("memory", "utilisation", "owner", "temperature")
SHORT = {"memory": "mem", "utilisation": "busy", "owner": "who", "temperature": "temp"}
IDLE = 5
"""Percent of utilisation up to which a device that a job holds is idle."""
BUSY = 50
COOL, HOT = 30, 90
"""Degrees at the ends of the scale."""


def cell(gpu: GpuDoc, show: str) -> Span:
    """Height is what is asked for, shade utilisation; what is wrong or foreign shows as itself."""
    plain = fmt.gpu_span(gpu)
    if gpu["state"] not in ("free", "used"):
        return plain
    role = _shade(gpu)
    if show == "utilisation":
        util = gpu["utilization"]
        return Span(fmt.fill(None if util is None else util / 100), role)
    if show == "temperature":
        degrees = gpu["temperature_c"]
        part = None if degrees is None else (degrees - COOL) / (HOT - COOL)
        return Span(fmt.fill(part if part is None else max(0.0, part)), role)
    if show == "owner":
        return Span(_owner(gpu) or plain.text, role)
    return Span(plain.text, role)


def _shade(gpu: GpuDoc) -> str:
    if gpu["state"] == "free":
        return "dim"
    util = gpu["utilization"]
    if util is not None and util <= IDLE:
        return "idle"
    return "busy" if util is not None and util > BUSY else "ok"


def _owner(gpu: GpuDoc) -> str:
    """The first letter of who holds it; + for several."""
    owners = {job.partition("/")[0] for job in gpu["jobs"]}
    return "+" if len(owners) > 1 else next(iter(owners), "")[:1]


def tile(node: NodeDoc, show: str, name: str) -> list[Span]:
    """A node: its name, its devices."""
    if node["state"] not in ("ready", "observed"):
        glyph = fmt.state_cell(node["state"])[0]
        return [Span(name, "bad"), Span(" "), Span(f"{glyph.text}{node['state']}", glyph.role)]
    out = node["drained"] or node["cordoned"]
    return [
        Span(name, "warn" if out else ""), Span("⊘" if out else " ", "warn"),
        *(devices(node, show) or [Span("–", "dim")]),
    ]  # fmt: skip


def width(node: NodeDoc) -> int:
    """Cells of a tile beside its name."""
    if node["state"] in ("ready", "observed"):
        return 1 + max(1, len(node["gpus"]))
    return 1 + len(fmt.plain(fmt.state_cell(node["state"])))


def devices(node: NodeDoc, show: str) -> list[Span]:
    """Its devices by themselves; nothing of a node that tells nothing."""
    if node["state"] not in ("ready", "observed"):
        return []
    return [cell(gpu, show) for gpu in node["gpus"]]


def rows(first: str) -> tuple[str, ...]:
    """What the lines of a tile show where it has three."""
    return (first, *(it for it in SHOWS[:3] if it != first))[:3]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without the beginning that all of them share, as long as something is left."""
    if len(names) < 2:
        return {name: name for name in names}
    first, last = min(names), max(names)
    same = 0
    while same < len(first) and same < len(last) and first[same] == last[same]:
        same += 1
    while same and not all(_parts(name, same) for name in names):
        same -= 1
    return {name: name[same:] for name in names}


def _parts(name: str, at: int) -> bool:
    """Whether a name may be cut here: something is left, and no word or number is torn."""
    if at >= len(name):
        return False
    return name[at - 1] in "-_." or (name[at].isdigit() and not name[at - 1].isdigit())


def about(node: NodeDoc) -> str:
    """One line on the node under the cursor, what is wrong with it before what runs there."""
    models: dict[str, int] = {}
    for gpu in node["gpus"]:
        model = fmt.short_model(gpu["model"])
        models[model] = models.get(model, 0) + 1
    busy = [it for gpu in node["gpus"] if (it := gpu["utilization"]) is not None]
    none = "no GPUs" if node["memory_bytes"] else ""  # without, it hasn't told of itself yet
    parts = [
        node["name"],
        fmt.plain(fmt.state_cell(node["state"])),
        fmt.plain(fmt.node_note(node)).strip(),
        " · ".join(node["jobs"]),
        " + ".join(f"{count}× {model}" for model, count in models.items()) or none,
        f"{sum(1 for gpu in node['gpus'] if gpu['state'] == 'free')} free" if models else "",
        f"busy {sum(busy) / len(busy):.0f}%" if busy else "",
    ]
    return "  ".join(part for part in parts if part)
