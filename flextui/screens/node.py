"""One node: its devices with live bars, and the processes on them with their true owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from flextui.core.model.docs import NodeDoc
from flextui.screens import format as fmt
from flextui.screens.fields import gpus, nodes
from flextui.screens.fleet import SIGNS
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

DEVICES = tuple(it for it in gpus.DEVICES if it.name != "node")
DEVICE_KEYS = sort_keys(DEVICES)
PROCESS_KEYS = sort_keys(gpus.PROCESSES)


class Node(Place):
    """Facts, devices, processes."""

    NAME = "node"
    KINDS = ("devices", "processes")
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("cordon-gpu", "c", "cordon the GPU, or uncordon", short="cordon GPU",
            command="cordon NODE:GPU", acts=True),
        Key("cordon-node", "C", "cordon the node, or uncordon", short="cordon node",
            command="cordon NODE", acts=True),
        Key("drain", "d", "drain the node, or undrain", short="drain", command="drain NODE",
            acts=True),
        Key("shell", "s", "a shell on it", short="shell", command="shell NODE"),
        Key("yank", "y", "yank the GPU's UUID, or the process's pid"),
    )  # fmt: skip
    OPENS = "GPU"
    HELP = "The node's devices, and who holds their memory: jobs of flextui and everybody else."
    LEGEND = SIGNS
    DEFAULT_CSS = """
    Node #facts { height: auto; max-height: 50%; padding: 0 1 1 1; }
    Node #processes { height: 1fr; margin-top: 1; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        self.node_name = location[1]
        super().__init__(location, f"fleet ▸ {self.node_name}")
        self._gpus = Table(DEVICES, layout=app.layout("devices"))
        self._processes = Table(gpus.PROCESSES, layout=app.layout("processes"))
        self._facts = Static(id="facts", markup=False)
        self._devices = Grid(self._gpus, kind="devices", empty="no GPUs here", id="gpus")
        self._holders = Grid(
            self._processes, kind="processes", empty="no process holds GPU memory", id="processes"
        )

    def content(self) -> ComposeResult:
        yield self._facts
        yield self._devices
        yield self._holders

    def home_focus(self) -> Grid:
        return self._devices

    def show_view(self, view: View) -> None:
        node, now = view.nodes.get(self.node_name), self.app.now()
        if node is None:
            self._facts.update(f"{self.node_name} is not in the fleet any more")
            self._gpus.sync({}, now)
            self._processes.sync({}, now)
        else:
            self._facts.update(facts(node, now))
            self._gpus.sync(gpus.devices([node]), now, self.pattern)
            self._processes.sync(gpus.holders(node), now, self.pattern)
        self._devices.show()
        self._holders.show()

    @on(Grid.Opened, "#gpus")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_gpu(self.node_name, event.key.rpartition(":")[2])

    def action_cordon_gpu(self) -> None:
        self.app.act.cordon(self._devices.chosen)

    def action_cordon_node(self) -> None:
        self.app.act.cordon((self.node_name,))

    def action_drain(self) -> None:
        self.app.act.drain((self.node_name,))

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


def facts(node: NodeDoc, now: float) -> str:
    """State, place and load in three lines at most."""
    state = fmt.plain(fmt.state_cell(node["state"], nodes.word(node)))
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
    return fmt.safe_lines("\n".join(lines))
