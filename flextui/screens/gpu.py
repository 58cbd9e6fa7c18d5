"""One GPU: its last hour, what it is, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult

from flextui.core.model.docs import GpuDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.fields import charts, gpus
from flextui.screens.fleet import SIGNS
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.sheet import Sheet
from flextui.screens.widgets.words import Words

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

PROCESSES = tuple(it for it in gpus.PROCESSES if it.name != "gpu")


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
        "One device. The charts go back an hour, or to the core's start; each column shows the "
        "highest value of its time."
    )
    LEGEND = SIGNS
    DEFAULT_CSS = """
    Gpu #facts { height: auto; max-height: 40%; padding: 0 1; }
    Gpu #charts { height: auto; max-height: 60%; margin-top: 1; }
    Gpu #holders { height: 1fr; min-height: 3; margin-top: 1; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        _, self.node_name, self.index = location
        super().__init__(location, f"fleet ▸ {self.node_name}:{self.index}")
        self._table = Table(PROCESSES, layout=app.layout("gpu"))
        self._facts = Words(id="facts")
        self._charts = Sheet(id="charts")
        self._charts.can_focus = False
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
            self._facts.say(f"{self.node_name} has no GPU {self.index} now")
            self._table.sync({}, self.app.now())
        else:
            node, gpu = found
            self._facts.say(fmt.safe_lines(facts(node, gpu, self.app.size.width - 3)))
            self._draw_charts(node, gpu)
            held = {key: it for key, it in gpus.holders(node).items() if it.gpu is gpu}
            self._table.sync(held, self.app.now(), self.pattern)
        self._grid.show()

    def _draw_charts(self, node: NodeDoc, gpu: GpuDoc) -> None:
        width = max(20, self.app.size.width - 3)
        across, _ = charts.fitting(width, 4)
        height = max(1, min(8, (self.app.size.height - 14) * across // 4 - 1))
        past = self.app.history.of(self.node_name)
        lines = charts.node_lines(node, past, width, height, only=gpu["uuid"])
        self._charts.styles.height = len(lines)
        self._charts.show(len(lines), lambda at: lines[at])

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


def facts(node: NodeDoc, gpu: GpuDoc, width: int) -> str:
    """What it is, how it is, what holds it back, who holds it."""
    state = f"{fmt.gpu_span(gpu).text} {gpu['state']}"
    mig = f" {gpu['mig']}" if gpu["mig"] else ""
    lines = [f"{node['name']}:{gpu['index']}  {state}  {gpu['model']}{mig}  {gpu['uuid']}"]
    lines += [*fmt.flow(_load(gpu), width), *fmt.flow(_health(gpu), width)]
    if gpu["jobs"]:
        lines.append("held by " + ", ".join(gpu["jobs"]))
    elif gpu["reason"]:
        lines.append(gpu["reason"])
    return "\n".join(lines)


def _load(gpu: GpuDoc) -> list[str]:
    util, traffic = gpu["utilization"], gpu["memory_utilization"]
    heat, watts, fan = gpu["temperature_c"], gpu["power_w"], gpu["fan"]
    limit = "" if gpu["power_limit_w"] is None else f" of {gpu['power_limit_w']:.0f}"
    return [
        f"memory {fmt.size(gpu['memory_used_bytes'])} of {fmt.size(gpu['memory_bytes'])}",
        f"busy {'n/a' if util is None else f'{util}%'}",
        *([] if traffic is None else [f"memory traffic {traffic}%"]),
        f"temp {'n/a' if heat is None else f'{heat}°'}",
        f"power {'n/a' if watts is None else f'{watts:.0f}{limit} W'}",
        *([] if fan is None else [f"fan {fan}%"]),
    ]


def _health(gpu: GpuDoc) -> list[str]:
    clock, most = gpu["clock_mhz"], gpu["clock_max_mhz"]
    of = "" if most is None else f" of {most}"
    why = gpu["throttle"]
    return [
        f"clock {'n/a' if clock is None else f'{clock}{of} MHz'}",
        f"slowed by {', '.join(why) or 'nothing'}" if why is not None else "slowed by n/a",
        f"PCIe {gpus.link_text(gpu)}" + (" (too few lanes)" if gpus.narrow(gpu) else ""),
        f"ECC {'n/a' if gpu['ecc_uncorrected'] is None else gpu['ecc_uncorrected']}",
        *([f"XID {gpu['xid']}"] if gpu["xid"] is not None else []),
    ]
