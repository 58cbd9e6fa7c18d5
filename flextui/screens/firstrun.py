"""The first run: which machines are in the fleet, each looked at before it is taken.

Nothing is reached that wasn't chosen, and no host key is trusted without a yes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.widgets import Static

from flextui.screens.confirm import Confirm
from flextui.screens.format import Cell, cell, safe, safe_lines
from flextui.screens.keys import Key
from flextui.screens.listing import Column, Field
from flextui.screens.naming import Naming
from flextui.screens.place import Place
from flextui.screens.setup import HERE, Candidate, Looked, SetupError
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

TOLD = ("nvml", "disk", "python")
"""Checks whose findings stand on a machine's line."""


@dataclass(frozen=True, slots=True)
class Row:
    """A machine and what is known of it."""

    machine: Candidate
    chosen: bool = False
    looking: bool = False
    looked: Looked | None = None
    trouble: str = ""

    @property
    def state(self) -> tuple[str, str]:
        """(word with its glyph, role)"""
        if self.looking:
            return "◔ looking", "warn"
        if self.trouble:
            return "✗ not taken", "bad"
        if self.looked is None:
            return "· not looked at", "dim"
        if self.looked.new_keys:
            return "? new host key", "warn"
        return ("✗ unfit", "bad") if self.looked.failed else ("✓ fit", "ok")

    @property
    def found(self) -> str:
        """What is wrong, or what is there."""
        if self.trouble or self.looked is None:
            return self.trouble
        if failed := self.looked.failed:
            return f"{failed['name']}: {failed['text']}"
        texts = {row["name"]: row["text"] for row in self.looked.rows}
        if texts.get("driver", "").startswith("none"):
            texts["nvml"] = "no GPU"
        return " · ".join(texts[it] for it in TOLD if it in texts)


def _state(row: Row, _now: float) -> Cell:
    return cell(*row.state)


FIELDS: tuple[Field[Row], ...] = (
    Field(Column("in", 2, 2), "i", lambda r, _: cell("✓" if r.chosen else "·",
          "ok" if r.chosen else "dim"), lambda r: not r.chosen),
    Field(Column("machine", 8, 24), "m", lambda r, _: cell(r.machine.name, "bold"),
          lambda r: r.machine.name),
    Field(Column("reached as", 10, 34, drop=1), "r", lambda r, _: cell(r.machine.reached, "dim"),
          lambda r: r.machine.reached),
    Field(Column("by way of", 4, 20, drop=2), "w", lambda r, _: cell(r.machine.via or "–", "dim"),
          lambda r: r.machine.via),
    Field(Column("state", 15, 15), "s", _state, lambda r: r.state),
    Field(Column("found", 10, 300), "f", lambda r, _: cell(r.found), lambda r: r.found),
)  # fmt: skip


class FirstRun(Place):
    """Choose, name, begin."""

    NAME = "first-run"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("choose", "space", "take the machine in, or leave it out", short="take in"),
        Key("look", "c", "look at the machine: SSH, Python, driver, disk", short="look at it"),
        Key("all", "*", "take all of them in", "everything"),
        Key("go-on", "enter", "name the fleet, write its inventory, begin", short="go on"),
        Key("down", "j, down", "down", "focused.move(1)"),
        Key("up-line", "k, up", "up", "focused.move(-1)"),
        Key("top", "g, home", "top", "focused.first"),
        Key("bottom", "G, end", "bottom", "focused.last"),
        Key("half-down", "ctrl+d, pagedown", "half a page down", "focused.half(1)"),
        Key("half-up", "ctrl+u, pageup", "half a page up", "focused.half(-1)"),
    )
    USES: ClassVar[tuple[str, ...]] = ()
    OPENS = ""
    HELP = (
        "The machines that can be a fleet: this one, and those of ~/.ssh/config. What is taken in "
        "is looked at: can it be reached, has it Python, a driver, room on its disk. Enter writes "
        "the inventory; Esc begins with this machine alone and writes nothing."
    )
    DEFAULT_CSS = """
    FirstRun .question { height: auto; padding: 1 1 0 1; text-style: bold; }
    FirstRun .hint { height: auto; padding: 0 1 1 1; color: $foreground-muted; }
    FirstRun #checks { height: auto; max-height: 45%; padding: 1 1 0 1; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "first run")
        self._rows: dict[str, Row] = {}
        self._table = Table(FIELDS, layout=app.layout("first-run"))
        self._grid = Grid(self._table, empty="reading ~/.ssh/config …", id="machines")
        self._asking = asyncio.Lock()

    waiting = ""
    """What it lists is known without a core."""

    def content(self) -> ComposeResult:
        yield Static("Which machines are in the fleet?", classes="question", markup=False)
        yield Static(
            "Space takes one in and looks at it, Enter goes on. Esc: this machine alone.",
            classes="hint", markup=False,
        )  # fmt: skip
        yield self._grid
        yield Static("", id="checks", markup=False)

    def home_focus(self) -> Grid:
        return self._grid

    def on_mount(self) -> None:
        super().on_mount()
        if self.app.setup is not None:
            self._begin()

    def on_unmount(self) -> None:
        self.app.set_up.set()

    def show_view(self, view: View) -> None:
        self._table.sync(self._rows, self.app.now(), self.pattern)
        empty = "nothing matches the filter" if self._rows else None
        if self.app.setup is None:
            empty = "there is a fleet already: its inventory is a file to edit"
        self._grid.show(empty)
        self._tell_checks()

    def _tell_checks(self) -> None:
        row = self._row
        lines = []
        for it in row.looked.rows if row is not None and row.looked is not None else ():
            glyph = {True: "✓", False: "✗", None: "!"}[it["ok"]]
            lines.append(f"{glyph} {it['name']:<12} {safe(it['text'])}")
        self.query_one("#checks", Static).update(safe_lines("\n".join(lines)))

    @on(Grid.Moved, "#machines")
    def _moved(self) -> None:
        self._tell_checks()

    @property
    def _row(self) -> Row | None:
        return self._rows.get(self._grid.cursor_key or HERE)

    def _put(self, row: Row) -> None:
        self._rows[row.machine.key] = row
        if self.is_attached:
            self.refresh_view()

    # ── looking ──

    @work(exclusive=True, group="machines")
    async def _begin(self) -> None:
        assert self.app.setup is not None
        for machine in await self.app.setup.candidates():
            self._put(Row(machine, chosen=machine.key == HERE))
        self._look(HERE)

    @work(group="look")
    async def _look(self, key: str) -> None:
        """Look at a machine; ask about host keys that nobody has seen before."""
        setup = self.app.setup
        if setup is None or self._rows[key].looking:
            return
        self._put(replace(self._rows[key], looking=True, trouble=""))
        try:
            looked = await setup.look(key)
            while looked.new_keys:
                if not await self._trusts(key, looked):
                    self._left_out(key, "its host key is not trusted")
                    return
                await setup.trust(key)
                looked = await setup.look(key)
        except SetupError as error:
            self._left_out(key, str(error))
            return
        self._put(replace(self._rows[key], looking=False, looked=looked))

    async def _trusts(self, key: str, looked: Looked) -> bool:
        name = self._rows[key].machine.name
        question = f"Is this the host key of {name}? Nobody here has seen it before."
        detail = "\n".join(looked.new_keys)
        detail += "\n\nCompare it: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` over there."
        async with self._asking:
            asked = Confirm(question, detail, yes="trust it", no="leave the machine out")
            return bool(await self.app.push_screen_wait(asked))

    def _left_out(self, key: str, why: str) -> None:
        self._put(replace(self._rows[key], looking=False, chosen=False, trouble=why))

    # ── keys ──

    def action_choose(self) -> None:
        row = self._row
        if row is None:
            return
        self._put(replace(row, chosen=not row.chosen, trouble=""))
        if not row.chosen and (row.looked is None or row.looked.failed):
            self._look(row.machine.key)
        self._grid.action_move(1)

    def action_everything(self) -> None:
        for key in self._table.keys:
            row = self._rows[key]
            self._put(replace(row, chosen=True, trouble=""))
            if row.looked is None:
                self._look(key)

    def action_look(self) -> None:
        if (row := self._row) is not None:
            self._look(row.machine.key)

    @on(Grid.Opened, "#machines")
    def action_go_on(self) -> None:
        setup = self.app.setup
        chosen = [key for key, row in self._rows.items() if row.chosen]
        if setup is None or not chosen:
            self.app.tell("Space takes a machine in: a fleet has at least one", bad=True)
            return

        def named(name: str | None) -> None:
            if name is None:
                return
            try:
                path = setup.write(name, chosen)
            except SetupError as error:
                self.app.tell(str(error), bad=True)
                return
            self.app.begun(str(path))

        unfit = tuple(
            row.machine.name
            for row in self._rows.values()
            if row.chosen and row.looked is not None and row.looked.failed
        )
        naming = Naming(setup.fleet, setup.path, lambda name: setup.text(name, chosen), unfit)
        self.app.push_screen(naming, named)

    def action_back(self) -> None:
        """Esc: this machine alone, as without any inventory."""
        if self.app.setup is not None and not self.pattern and not self._grid.selected:
            self.app.setup.skip()
        super().action_back()
