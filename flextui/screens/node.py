"""One node: its devices with live bars, and the processes on them with their true owners."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from flextui.core.model.docs import NodeDoc
from flextui.screens import format as fmt
from flextui.screens import rows
from flextui.screens.place import Place
from flextui.screens.view import View
from flextui.screens.widgets.grid import Column, Grid

GPUS = (
    Column("node", least=4, most=12, drop=5),
    Column("gpu", least=3, right=True),
    Column("model", least=5, most=12),
    Column("state", least=9, most=11),
    Column("memory", least=20, most=22),
    Column("busy", least=11, most=11, drop=2),
    Column("temp", least=4, right=True, drop=3),
    Column("power", least=5, right=True, drop=4),
    Column("held by", least=10, most=80),
)
PROCESSES = (
    Column("gpu", least=3, right=True),
    Column("pid", least=6, right=True, drop=3),
    Column("owner", least=6, most=14),
    Column("job", least=8, most=30),
    Column("memory", least=6, right=True),
    Column("container", least=6, most=16, drop=2),
    Column("command", least=10, most=200),
)


class Node(Place):
    """Facts, devices, processes."""

    KEYS = "c cordon GPU  C cordon node  d drain  tab processes  esc back  : go to  ? help"
    HELP = "The node's devices, and who holds their memory: jobs of flextui and everybody else."
    DEFAULT_CSS = """
    Node #facts { height: auto; padding: 0 1 1 1; }
    Node #processes { height: 1fr; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cordon_gpu", "cordon or uncordon the GPU"),
        Binding("C", "cordon_node", "cordon or uncordon the node"),
        Binding("d", "drain", "drain or undrain"),
        Binding("tab", "app.focus_next", "next table", show=False),
    ]

    def __init__(self, name: str) -> None:
        super().__init__(f"fleet ▸ {name}")
        self.node_name = name

    def content(self) -> ComposeResult:
        yield Static(id="facts", markup=False)
        yield Grid(GPUS, empty="no GPUs here", id="gpus")
        yield Grid(PROCESSES, empty="no process holds GPU memory", id="processes")

    def home_focus(self) -> Grid:
        return self.query_one("#gpus", Grid)

    def show_view(self, view: View) -> None:
        node = view.nodes.get(self.node_name)
        if node is None:
            return
        self.query_one("#facts", Static).update(facts(node, self.app.clock()))
        self.home_focus().show(rows.keep(rows.gpu_rows([node]), self.pattern))
        self.query_one("#processes", Grid).show(rows.keep(rows.process_rows(node), self.pattern))

    def action_cordon_gpu(self) -> None:
        if key := self.home_focus().cursor_key:
            self.app.act.cordon(self.node_name, key.rpartition(":")[2])

    def action_cordon_node(self) -> None:
        self.app.act.cordon(self.node_name, None)

    def action_drain(self) -> None:
        self.app.act.drain(self.node_name)


def facts(node: NodeDoc, now: float) -> str:
    """State, place and load in three lines at most."""
    state = fmt.plain(fmt.state_cell(node["state"], rows.node_word(node)))
    lines = [f"{node['name']}  {state} for {fmt.age(node['since'], now)}  {node['host']}"]
    if node["reason"]:
        lines.append(node["reason"])
    cpu = "–" if node["cpu"] is None else f"{node['cpu'] * 100:.0f}%"
    lines.append(
        f"cpu {fmt.bar(node['cpu'], 10)} {cpu}, {node['cpus_used']:g} of {node['cpus']:g} promised"
        f"   memory {fmt.size(node['memory_used_bytes'])} of {fmt.size(node['memory_bytes'])}"
        f"   disk {fmt.size(node['disk_free_bytes'])} free of {fmt.size(node['disk_bytes'])}"
    )
    if node["jobs"]:
        lines.append("runs " + " · ".join(node["jobs"]))
    lines += [f"orphan {o['attempt']} ({o['job']}) {o['state']}" for o in node["orphans"]]
    return "\n".join(lines)
