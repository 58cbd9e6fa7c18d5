"""What every screen shares: top line, content, filter, bottom line, Esc one level up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from flextui.screens.keyed import Keyed
from flextui.screens.keys import Bound, Key
from flextui.screens.trail import Location
from flextui.screens.widgets.filterbar import FilterBar
from flextui.screens.widgets.grid import Grid
from flextui.screens.widgets.lines import KeyLine, TopLine

if TYPE_CHECKING:
    from flextui.screens.view import View


STEP = 250
"""Rows that are read for a filter at once."""


class Place(Keyed):
    """A screen one can be in. Subclasses give `NAME`, `KEYS`, `content` and `show_view`."""

    NAME: ClassVar[str] = ""
    """What the config, the keymap and `:` call it."""
    KEYS: ClassVar[tuple[Key, ...]] = ()
    USES: ClassVar[tuple[str, ...]] = ("list",)
    """The kinds of widgets in it whose keys work here."""
    KINDS: ClassVar[tuple[str, ...]] = ()
    """Where it has several lists: the kinds of each, one of which has the focus."""
    HELP: ClassVar[str] = ""
    """A paragraph for the help screen: what this place is for."""
    OPENS: ClassVar[str] = "open"
    """What Enter leads to, for the bottom line; empty: not told there."""
    LEGEND: ClassVar[tuple[str, ...]] = ()
    """Lines that explain its glyphs."""
    DEFAULT_CSS = """
    Place { background: $background; layout: vertical; overflow: hidden; }
    Place.-low #tabs, Place.-low #strip, Place.-low #charts, Place.-low #about,
    Place.-low #diff, Place.-low #beside { display: none; }
    Place.-low #processes { height: 0; min-height: 0; margin: 0; }
    Place.-low #facts { max-height: 1; }
    Place.-low Grid { height: 1fr; min-height: 2; max-height: 100%; margin: 0; }
    Place.-low #gpus, Place.-low #attempts { max-height: 100%; }
    Place.-low #slash { display: none; }
    """

    @classmethod
    def chains(cls) -> list[tuple[str, ...]]:
        """The places whose keys can be active together here."""
        kinds: list[tuple[str, ...]] = [(kind,) for kind in cls.KINDS] or [()]
        return [(cls.NAME, *kind, *cls.USES, "everywhere") for kind in kinds]

    @property
    def chain(self) -> tuple[str, ...]:
        if self._filter.typing:
            return ("filter", "everywhere")
        kind = (self.grid.kind,) if self.KINDS and self.grid is not None else ()
        return (self.NAME, *kind, *self.USES, "everywhere")

    def __init__(self, location: Location, title: str) -> None:
        super().__init__()
        self.location = location
        self.place_title = title
        self.pattern = ""
        self._top = TopLine(title)
        self._filter = FilterBar()
        self._key_line = KeyLine()

    def compose(self) -> ComposeResult:
        yield self._top
        yield from self.content()
        yield self._filter
        yield self._key_line

    def content(self) -> ComposeResult:
        """The widgets between the two lines."""
        raise NotImplementedError

    def show_view(self, view: View) -> None:
        """Draw from the newest picture; called at each change and when the screen returns."""

    @property
    def waiting(self) -> str:
        """What a list without rows says while nobody can know whether there are any."""
        return "" if self.app.view.seen else "waiting for the core …"

    @property
    def grid(self) -> Grid | None:
        """The list that has the focus, else the first one."""
        if isinstance(self.focused, Grid):
            return self.focused
        return next(iter(self.query(Grid)), None)

    # ── drawing ──

    def on_mount(self) -> None:
        self.remember_back()
        self.refresh_view()
        self.take_focus()
        self.ready.set()

    def on_screen_resume(self) -> None:
        self.refresh_view()

    def remember(self) -> None:
        """This place is about to be left: keep its cursor and filter."""
        memory = self.app.memory.setdefault(self.location, {})
        memory["pattern"] = self.pattern
        for grid in self.query(Grid):
            memory[f"cursor {grid.id}"] = grid.cursor_key or ""

    def remember_back(self) -> None:
        """Cursor and filter as they were when this place was left."""
        memory = self.app.memory.get(self.location, {})
        for grid in self.query(Grid):
            if key := memory.get(f"cursor {grid.id}"):
                grid.select(key)
        if pattern := memory.get("pattern"):
            self.pattern = pattern
            self._filter.restore(pattern)

    def refresh_view(self) -> None:
        """Draw this place from the app's picture now."""
        if not (self._top.is_attached and self._key_line.is_attached):
            return  # not composed yet, or going away
        self.show_view(self.app.view)
        self._filter.found = self.found()
        self._top.redraw()
        self._key_line.redraw()

    def refresh_top(self) -> None:
        """Draw the top line from the app's picture now."""
        if self._top.is_attached:
            self._top.redraw()

    def found(self) -> str:
        """What the filter has found, for its line."""
        table = self.grid.table if self.grid else None
        if table is None or not self.pattern:
            return ""
        words = f"{table.matching:,} of {table.total:,}"
        return f"{words}, as plain text" if table.filter.literal else words

    def hints(self) -> list[tuple[str, str]]:
        """The bottom line: (chord, word), the most useful first."""
        if self._begun:
            after = self.keys_after(self._begun)
            return [(rest, it.key.word.removeprefix("sort by ")) for rest, it in after]
        table, keymap = self.app.keymap.table(self.chain), self.app.keymap
        found: list[tuple[str, str]] = []
        if self.grid is not None and (count := len(self.grid.selected)):
            found.append(("", f"{count} selected"))
        for bound in (it for place in self.chain for it in keymap.of(place)):
            chord = next((it for it in bound.chords if table.get(it) is bound), None)
            if bound.key.short and chord is not None and self.offers(bound):
                found.append((chord, bound.key.short))
        opens = [(chord, self.OPENS) for chord, word in found if word == "open" and self.OPENS]
        return opens + [it for it in found if it[1] != "open"]

    def offers(self, bound: Bound) -> bool:
        """Whether the bottom line should tell of this key now."""
        if self.app.read_only and bound.key.acts:
            return False
        if self.writing:
            return bound.key.typing
        return bound.key.name != "help-typing"

    def key_done(self) -> None:
        self._key_line.redraw()

    # ── lists ──

    @on(Grid.Rearranged)
    def _rearranged(self) -> None:
        for grid in self.query(Grid):
            grid.paint.forget()
        self.refresh_view()

    def action_columns(self) -> None:
        """Choose the columns of the list that has the focus."""
        from flextui.screens.columns import Columns

        grid = self.grid
        if grid is None or grid.table is None:
            return

        def chosen(names: tuple[str, ...] | None) -> None:
            if names is not None and grid.table is not None:
                grid.table.layout.columns = names
                self._rearranged()

        self.app.push_screen(Columns(grid.table), chosen)

    def action_group(self) -> None:
        """Group the list by the next kind of group."""
        grid = self.grid
        if grid is not None and grid.table is not None:
            kind = grid.table.next_group()
            self.app.tell(f"grouped by {kind}" if kind else "not grouped")
            self._rearranged()

    # ── filter ──

    def action_filter(self) -> None:
        self._filter.open()
        self._prepare()

    def _prepare(self) -> None:
        """Read the rows in small steps while one thinks about the first letter."""
        table = self.grid.table if self.grid else None
        if table is not None and self._filter.active and table.prepare(STEP):
            self.set_timer(0.005, self._prepare)

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self.pattern:
            self.pattern = event.value
            self.filter_changed()

    def action_leave_filter(self) -> None:
        """Keep the filter, and back to the list."""
        if self.pattern != self._filter.text:
            self.pattern = self._filter.text
            self.filter_changed()
        self._filter.close()
        self.take_focus()

    def filter_changed(self) -> None:
        """The filter has another text."""
        if self.grid is not None:
            self.grid.paint.forget()
        self.refresh_view()

    def action_back(self) -> None:
        """Esc: first out of a chord, the selections, the filter; then up; at the top nothing."""
        if self.selections:
            self.clear_selection()
        elif self.grid is not None and self.grid.unselect():
            self.refresh_view()
        elif self._filter.active:
            self._filter.clear()
            self.action_leave_filter()
        else:
            self.app.go_up()
