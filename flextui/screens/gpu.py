"""One GPU: its last hour as this terminal saw it, what it is, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from flextui.core.model.docs import GpuDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.fields import gpus
from flextui.screens.fleet import SIGNS
from flextui.screens.history import EVERY_S, Track, chart
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

PROCESSES = tuple(it for it in gpus.PROCESSES if it.name != "gpu")
LABEL = 12
"""Cells before each line of a chart."""


class Gpu(Place):
    """Facts, two charts, processes."""

    NAME = "gpu"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("cordon", "c", "cordon the GPU, or uncordon", short="cordon",
            command="cordon NODE:GPU", acts=True),
        Key("next-gpu", "J, right", "the node's next GPU", "beside(1)", short="next GPU"),
        Key("previous-gpu", "K, left", "the node's previous GPU", "beside(-1)"),
        Key("yank", "y", "yank its UUID", short="yank UUID"),
        *sort_keys(PROCESSES),
    )  # fmt: skip
    OPENS = "job"
    HELP = (
        "One device. The charts go back an hour at most, to when this terminal was opened; each "
        "column shows the highest value of its time."
    )
    LEGEND = SIGNS
    DEFAULT_CSS = """
    Gpu #facts { height: auto; max-height: 40%; padding: 0 1; }
    Gpu #charts { height: auto; padding: 1 1 0 1; color: $text-success; }
    Gpu #holders { height: 1fr; min-height: 3; margin-top: 1; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        _, self.node_name, self.index = location
        super().__init__(location, f"fleet ▸ {self.node_name}:{self.index}")
        self._table = Table(PROCESSES, layout=app.layout("gpu"))
        self._facts = Static(id="facts", markup=False)
        self._charts = Static(id="charts", markup=False)
        self._grid = Grid(self._table, empty="no process holds its memory", id="holders")

    def content(self) -> ComposeResult:
        yield self._facts
        yield self._charts
        yield self._grid

    def home_focus(self) -> Grid:
        return self._grid

    def _found(self, view: View) -> tuple[NodeDoc, GpuDoc] | None:
        node = view.nodes.get(self.node_name)
        for gpu in node["gpus"] if node else ():
            if str(gpu["index"]) == self.index and node is not None:
                return node, gpu
        return None

    def show_view(self, view: View) -> None:
        found = self._found(view)
        if found is None:
            self._facts.update(f"{self.node_name} has no GPU {self.index} now")
            self._table.sync({}, self.app.now())
        else:
            node, gpu = found
            self._facts.update(fmt.safe_lines(facts(node, gpu)))
            width = max(10, self.app.size.width - LABEL - 3)
            height = max(1, min(8, (self.app.size.height - 14) // 2))
            track = self.app.history.of(gpu["uuid"])
            self._charts.update(charts(track, width, height))
            held = {key: it for key, it in gpus.holders(node).items() if it.gpu is gpu}
            self._table.sync(held, self.app.now(), self.pattern)
        self._grid.show()

    @on(Grid.Opened, "#holders")
    def _open(self, event: Grid.Opened) -> None:
        holder = self._table.doc(event.key)
        job = self.app.view.job_named(holder.process["job"] or "") if holder else None
        if job is not None:
            self.app.open_job(job["id"])
        else:
            self.app.tell("it is of no job of flextui")

    def action_cordon(self) -> None:
        self.app.act.cordon((f"{self.node_name}:{self.index}",))

    def action_beside(self, by: int) -> None:
        node = self.app.view.nodes.get(self.node_name)
        indices = [str(gpu["index"]) for gpu in node["gpus"]] if node else []
        if self.index in indices:
            beside = indices[(indices.index(self.index) + by) % len(indices)]
            self.app.open("gpu", self.node_name, beside)

    def action_yank(self) -> None:
        if found := self._found(self.app.view):
            self.app.yank(found[1]["uuid"])


def facts(node: NodeDoc, gpu: GpuDoc) -> str:
    """What it is, how it is, who holds it."""
    state = f"{fmt.gpu_span(gpu).text} {gpu['state']}"
    lines = [f"{node['name']}:{gpu['index']}  {state}  {gpu['model']}  {gpu['uuid']}"]
    util, heat, watts = gpu["utilization"], gpu["temperature_c"], gpu["power_w"]
    limit = "" if gpu["power_limit_w"] is None else f" of {gpu['power_limit_w']:.0f}"
    lines.append("   ".join((
        f"memory {fmt.size(gpu['memory_used_bytes'])} of {fmt.size(gpu['memory_bytes'])}",
        f"busy {'n/a' if util is None else f'{util}%'}",
        f"{'n/a' if heat is None else f'{heat}°'}",
        f"{'n/a' if watts is None else f'{watts:.0f}{limit} W'}",
        f"ECC {'n/a' if gpu['ecc_uncorrected'] is None else gpu['ecc_uncorrected']}",
        *([f"XID {gpu['xid']}"] if gpu["xid"] is not None else []),
    )))  # fmt: skip
    if gpu["jobs"]:
        lines.append("held by " + ", ".join(gpu["jobs"]))
    elif gpu["reason"]:
        lines.append(gpu["reason"])
    return "\n".join(lines)


def charts(track: Track, width: int, height: int) -> str:
    """Utilisation over memory, with their scale."""
    lines: list[str] = []
    for name, samples in (("busy", track.busy), ("memory", track.memory)):
        for number, line in enumerate(chart(samples, width, height)):
            label = f"{name:<7}100%" if number == 0 else "0%" if number == height - 1 else ""
            lines.append(f"{label:>11} {line}")
    seen = len(track.busy) * EVERY_S
    per = max(1, -(-len(track.busy) // width))
    begins = f"{fmt.span_of(min(seen, width * per * EVERY_S))} ago"
    lines.append(" " * LABEL + begins + " " * max(1, width - len(begins) - 3) + "now")
    return "\n".join(lines)
