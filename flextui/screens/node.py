"""One node: its devices and the processes on them with their true owners, its last hour, and what
became of its link."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from flextui.core.commands import ListEvents
from flextui.core.model.docs import EventDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.fields import charts, gpus, link, nodes
from flextui.screens.fleet import SIGNS
from flextui.screens.inquiry import Inquiry
from flextui.screens.keys import Key
from flextui.screens.listing import Filter
from flextui.screens.sections import Sectioned
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.sheet import Sheet
from flextui.screens.widgets.words import Words

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

DEVICES = tuple(
    replace(it, shown=True, wide=150) if it.name == "last hour" else it
    for it in gpus.DEVICES if it.name != "node"
)  # fmt: skip
DEVICE_KEYS = sort_keys(DEVICES)
PROCESS_KEYS = sort_keys(gpus.PROCESSES)
EVENTS = 200
ASK_S = 5.0
TALL = 36
"""From so many lines on the charts of the node itself stand above its devices."""


class Node(Sectioned):
    """Facts, and below them devices and processes, charts, or the story of its link."""

    NAME = "node"
    SECTIONS = ("devices", "charts", "link")
    KINDS = ("devices", "processes")
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("devices", "a", "its GPUs and who holds them", "section('devices')",
            command="gpus NODE"),
        Key("charts", "m", "charts of its last hour: CPU, memory, disk, load, each GPU",
            "section('charts')", command="history NODE"),
        Key("link", "w", "how it is reached, what it is, and its events", "section('link')",
            command="events --node NODE"),
        Key("cordon-gpu", "c", "cordon the GPU, or uncordon", short="cordon GPU",
            command="cordon NODE:GPU", acts=True),
        Key("cordon-node", "C", "cordon the node, or uncordon",
            command="cordon NODE", acts=True),
        Key("drain", "d", "drain the node, or undrain", short="drain", command="drain NODE",
            acts=True),
        Key("logs", "l", "what all that runs on it prints", short="logs",
            command="logs -f --node NODE"),
        Key("shell", "s", "a shell on it", short="shell", command="shell NODE"),
        Key("history", "h", "its events, as a list", command="events --node NODE"),
        Key("yank", "y", "yank the GPU's UUID, or the process's pid"),
    )  # fmt: skip
    OPENS = "GPU"
    HELP = (
        "The node's devices, and who holds their memory: jobs of flextui and everybody else. The "
        "charts go back an hour, or to the core's start; each column shows the highest value of "
        "its time."
    )
    LEGEND = SIGNS
    DEFAULT_CSS = """
    Node #facts { height: auto; max-height: 50%; padding: 0 1; }
    Node #tabs { margin-top: 1; }
    Node #strip { height: auto; margin-bottom: 1; }
    Node #gpus { height: auto; max-height: 60%; min-height: 3; }
    Node #processes { height: 1fr; min-height: 3; margin-top: 1; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        self.node_name = location[1]
        super().__init__(location, f"fleet ▸ {self.node_name}", app)
        self._events: list[EventDoc] = []
        self._asking = Inquiry(app, self)
        self._gpus = Table(DEVICES, layout=app.layout("devices"))
        self._processes = Table(gpus.PROCESSES, layout=app.layout("processes"))
        self._facts = Words(id="facts")
        self._strip = Sheet(id="strip")
        self._strip.can_focus = False
        self._devices = Grid(self._gpus, kind="devices", empty="no GPUs here", id="gpus")
        self._holders = Grid(
            self._processes, kind="processes", empty="no process holds GPU memory", id="processes"
        )

    def content(self) -> ComposeResult:
        yield self._facts
        yield self._tabs
        yield self._strip
        yield self._devices
        yield self._holders
        yield self._sheet

    def first_list(self) -> Grid:
        return self._devices

    def list_widgets(self) -> list[Widget]:
        return [self._strip, self._devices, self._holders]

    def show_view(self, view: View) -> None:
        node, now = view.nodes.get(self.node_name), self.app.now()
        if node is None:
            self._facts.say(f"{self.node_name} is not in the fleet any more")
            self._gpus.sync({}, now)
            self._processes.sync({}, now)
        else:
            self._facts.say(facts(node, now, self.page_width))
            past = self.app.history.of(self.node_name)
            self._gpus.sync(gpus.devices([node], past), now, self.pattern)
            self._processes.sync(gpus.holders(node), now, self.pattern)
        self._draw_strip(node)
        self._devices.styles.height = len(self._gpus.keys) + 1
        self._devices.show("nothing matches the filter" if node and node["gpus"] else None)
        held = node is not None and any(gpu["processes"] for gpu in node["gpus"])
        self._holders.show("nothing matches the filter" if held else None)
        self.draw_sections(view)

    def _draw_strip(self, node: NodeDoc | None) -> None:
        """The node's own charts, where there is room for them beside its lists."""
        tall = node is not None and self.app.size.height >= TALL
        self._strip.display = self.listed and tall
        if node is not None and tall and self.listed:
            past = self.app.history.of(self.node_name)
            lines = charts.own_lines(node, past, self.page_width, 2)
            self._strip.styles.height = len(lines)
            self._strip.show(len(lines), lambda at: lines[at])

    def draw_page(self, view: View) -> None:
        node, width = view.nodes.get(self.node_name), self.page_width
        if node is None:
            self._sheet.show(0, lambda _: ())
            return
        if self.section == "charts":
            past = self.app.history.of(self.node_name)
            fits = Filter(self.pattern).fits
            height = 2 if self.size.height < 50 else 3
            lines = charts.node_lines(node, past, width, height, fits=fits)
            self._sheet.show(len(lines), lambda at: lines[at])
        else:
            query = ListEvents(node=self.node_name, limit=EVENTS)
            self._asking.ask("events", query, self._take_events, every=ASK_S)
            now = self.app.now()
            self.show_lines(link.lines(node, self._events, width, now, view.jobs))

    def _take_events(self, answer: dict[str, Any]) -> None:
        self._events = answer["events"]

    @on(Grid.Opened, "#gpus")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_gpu(self.node_name, event.key.rpartition(":")[2])

    @on(Grid.Opened, "#processes")
    def _open_job(self, event: Grid.Opened) -> None:
        holder = self._processes.doc(event.key)
        job = self.app.view.job_named(holder.process["job"] or "") if holder else None
        if job is not None:
            self.app.open_job(job["id"])
        else:
            self.app.tell("it is of no job of flextui")

    def action_history(self) -> None:
        self.app.open_events(node=self.node_name)

    def action_cordon_gpu(self) -> None:
        self.app.act.cordon(self._devices.chosen)

    def action_cordon_node(self) -> None:
        self.app.act.cordon((self.node_name,))

    def action_drain(self) -> None:
        self.app.act.drain((self.node_name,))

    def action_logs(self) -> None:
        self.app.open_logs(f"@{self.node_name}")

    def action_shell(self) -> None:
        self.app.act.shell(self.node_name)

    def action_yank(self) -> None:
        if self.grid is self._holders:
            pids = [it.process["pid"] for key in self._holders.chosen
                    if (it := self._processes.doc(key))]  # fmt: skip
            self.app.yank(" ".join(map(str, pids)))
        else:
            found = (self._gpus.doc(key) for key in self._devices.chosen)
            self.app.yank("\n".join(it.gpu["uuid"] for it in found if it))


def facts(node: NodeDoc, now: float, width: int) -> str:
    """State, place and load, in few lines."""
    state = fmt.plain(fmt.state_cell(node["state"], nodes.word(node)))
    lines = [f"{node['name']}  {state} for {fmt.age(node['since'], now)}  {node['host']}"]
    if node["reason"]:
        lines.append(node["reason"])
    cpu = "–" if node["cpu"] is None else f"{node['cpu'] * 100:.0f}%"
    parts = (
        f"cpu {fmt.bar(node['cpu'], 8)} {cpu}, {node['cpus_used']:g} of {node['cpus']:g} promised",
        f"memory {fmt.size(node['memory_used_bytes'])} of {fmt.size(node['memory_bytes'])},"
        f" {fmt.size(node['memory_promised_bytes'])} promised",
        f"disk {fmt.size(node['disk_free_bytes'])} of {fmt.size(node['disk_bytes'])} free",
    )
    lines += fmt.flow(parts, width)
    if node["jobs"]:
        lines.append("runs " + " · ".join(node["jobs"]))
    lines += [f"orphan {o['attempt']} ({o['job']}) {o['state']}" for o in node["orphans"]]
    return fmt.safe_lines("\n".join(lines))
