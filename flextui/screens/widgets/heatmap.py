"""The fleet as a map: each node a few cells, so that two hundred of them are one page.

Where the page has room for it, a node has three lines: memory, utilisation and who is there. It
shows what its table lists, in its order and groups, and shares the list's selection.
"""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from flextui.core.model.docs import NodeDoc
from flextui.screens.fields import heat
from flextui.screens.format import Span, safe
from flextui.screens.keys import Key
from flextui.screens.listing import HEADING
from flextui.screens.selection import Selection
from flextui.screens.table import Table
from flextui.screens.widgets.roles import role_style

MAP_KEYS = (
    Key("left", "h, left", "the node to the left", "focused.step(-1)"),
    Key("right", "l, right", "the node to the right", "focused.step(1)"),
    Key("down", "j, down", "down", "focused.move(1)"),
    Key("up-line", "k, up", "up", "focused.move(-1)"),
    Key("top", "g, home", "the first node", "focused.step(-100000)"),
    Key("bottom", "G, end", "the last node", "focused.step(100000)"),
    Key("half-down", "ctrl+d, pagedown", "half a page down", "focused.half(1)"),
    Key("half-up", "ctrl+u, pageup", "half a page up", "focused.half(-1)"),
    Key("open", "enter", "open the node", "focused.open", short="open"),
    Key("select", "space", "select or unselect, and to the right", "focused.pick"),
    Key("select-all", "*", "select all that is shown, or nothing", "focused.all"),
    Key("show", "m", "cells show memory, utilisation, owner, temperature", "focused.next_show",
        short="memory …"),
)  # fmt: skip
DEEP = 4
"""Lines of a tile, the blank one among them, where there is room."""
ROLES = ("ok", "busy", "idle", "warn", "bad", "dim", "accent", "bold", "cursor", "head")


class HeatMap(ScrollView, can_focus=True):
    """Tiles with a cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"map--{role}" for role in ROLES}
    DEFAULT_CSS = """
    HeatMap {
        height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; background: transparent;
        & .map--ok { color: $text-success; }
        & .map--busy { color: $text-success; text-style: bold; }
        & .map--idle { color: $text-success 60%; }
        & .map--warn { color: $text-warning; }
        & .map--bad { color: $text-error; text-style: bold; }
        & .map--dim { color: $foreground-muted; }
        & .map--accent { color: $text-primary; }
        & .map--bold { text-style: bold; }
        & .map--head { color: $foreground-muted; text-style: bold; }
        & .map--cursor { background: $primary-muted; text-style: bold; }
        &:light .map--cursor {
            background: $primary; color: $background-lighten-2; text-style: bold;
        }
        &:ansi .map--cursor { background: ansi_default; text-style: reverse; }
    }
    """

    class Opened(Message):
        """Enter or a double click on a node."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Moved(Message):
        """The cursor is on another node, or the cells show something else."""

    def __init__(self, table: Table[NodeDoc], selection: Selection, *, id: str) -> None:
        super().__init__(id=id)
        self._table = table
        self.selection = selection
        self.showing = heat.SHOWS[0]
        self._at = 0
        self._key: str | None = None
        self._keys: list[str] = []
        self._lines: list[list[str]] = []
        self._wide = 1
        self._deep = 1
        """Lines of a tile."""
        self._names: dict[str, str] = {}
        self._styles: dict[str, Style] = {}
        self._drawn: dict[int, tuple[object, Strip]] = {}
        """Lines as they were drawn, and what they were made of."""

    # ── content ──

    @property
    def cursor_key(self) -> str | None:
        """The node under the cursor."""
        return self._key

    @property
    def chosen(self) -> tuple[str, ...]:
        """The selected nodes, else the one under the cursor."""
        if picked := self.selection.of(self._keys, self._at):
            return tuple(key for key in self._keys if key in picked)
        return () if self._key is None else (self._key,)

    def show(self) -> None:
        """The table has changed."""
        self._keys = [key for key in self._table.keys if not key.startswith(HEADING)]
        if self._key in self._keys:
            self._at = self._keys.index(self._key)
        self._at = max(0, min(self._at, len(self._keys) - 1))
        self._key = self._keys[self._at] if self._keys else None
        self._layout_tiles()
        self._redraw()

    def select(self, key: str) -> None:
        """Put the cursor on a node."""
        if key in self._keys:
            self._go(self._keys.index(key))
        else:
            self._key = key

    def _doc(self, key: str) -> NodeDoc:
        doc = self._table.doc(key)
        assert doc is not None, "a key of the table"
        return doc

    def _layout_tiles(self) -> None:
        a_line = self._fit({key: key for key in self._keys})
        if -(-len(self._keys) // a_line) > self.size.height:
            a_line = self._fit(heat.short_names(self._keys))
        self._lines = []
        run: list[str] = []
        for key in [*self._table.keys, HEADING]:
            if key.startswith(HEADING):
                self._lines += [run[at : at + a_line] for at in range(0, len(run), a_line)]
                run = []
                if key != HEADING:
                    self._lines.append([key])
            else:
                run.append(key)
        fits = len(self._lines) * DEEP - 1 <= self.size.height
        self._deep = DEEP if fits and len(self._keys) == len(self._table.keys) else 1
        self.virtual_size = Size(self.size.width, len(self._lines) * self._deep)

    def _fit(self, names: dict[str, str]) -> int:
        """Call the nodes so; how many tiles are a line."""
        longest = max((cell_len(name) for name in names.values()), default=0)
        names = {key: set_cell_size(name, longest) for key, name in names.items()}
        self._names = names
        wide = max((heat.width(self._doc(key)) for key in self._keys), default=1)
        self._wide = 3 + longest + wide
        return max(1, self.size.width // self._wide)

    # ── drawing ──

    def on_resize(self, _event: events.Resize) -> None:
        self._layout_tiles()

    def notify_style_update(self) -> None:
        self._styles.clear()
        self._drawn.clear()
        super().notify_style_update()

    def _style(self, role: str) -> Style:
        if role not in self._styles:
            self._styles[role] = role_style(self, f"map--{role}") if role else Style()
        return self._styles[role]

    def _redraw(self) -> None:
        """Draw the lines that aren't as they were drawn."""
        drawn = self._drawn
        changed = [
            y for y in range(self.size.height) if y not in drawn or drawn[y][0] != self._parts(y)
        ]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _parts(self, y: int) -> list[object]:
        """What a line is made of: headings, or nodes with what is told of each."""
        index, part = divmod(int(self.scroll_offset.y) + y, self._deep)
        keys = self._lines[index] if index < len(self._lines) else ()
        picked = self.selection.of(self._keys, self._at)
        parts: list[object] = [self.size.width, self._wide, part, self.showing, self.rich_style]
        for key in keys:
            if (heading := self._table.heading(key)) is not None:
                parts.append(heading)
            else:
                here = key == self._key and self.has_focus
                parts.append((self._doc(key), self._names[key], here, key in picked))
        return parts

    def render_line(self, y: int) -> Strip:
        parts = self._parts(y)
        if y not in self._drawn or self._drawn[y][0] != parts:
            self._drawn[y] = parts, self._line(y)
        return self._drawn[y][1]

    def _line(self, y: int) -> Strip:
        width = self.size.width
        index, part = divmod(int(self.scroll_offset.y) + y, self._deep)
        base = self.rich_style
        segments: list[Segment] = []
        for place, key in enumerate(self._lines[index] if index < len(self._lines) else ()):
            if (heading := self._table.heading(key)) is not None:
                segments += [Segment(safe(s.text), self._style(s.role)) for s in heading]
            elif part < DEEP - 1:
                segments += self._tile(key, part, named=not place)
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _tile(self, key: str, part: int, *, named: bool) -> list[Segment]:
        """A line of a tile; `named` says what the lower ones show."""
        marked = not part and key in self.selection.of(self._keys, self._at)
        here = key == self._key and self.has_focus
        over = self._style("cursor") if here else Style()
        plain = here and (self.app.native_ansi_color or not self.app.current_theme.dark)
        parts = [Segment("*" if marked else " ", self._style("accent"))]
        used = 1
        for span in self._spans(key, part, named):
            style = Style() if plain else self._style(span.role)
            parts.append(Segment(safe(span.text), style + over))
            used += cell_len(span.text)
        parts.append(Segment(" " * (self._wide - used)))
        return parts

    def _spans(self, key: str, part: int, named: bool) -> list[Span]:
        node, name = self._doc(key), self._names[key]
        if not part:
            return heat.tile(node, self.showing, name)
        show = heat.rows(self.showing)[part]
        word = heat.SHORT[show] if named else ""
        before = Span(f"{set_cell_size(word.rjust(len(name)), len(name))} ", "dim")
        return [before, *heat.devices(node, show)]

    # ── movement ──

    def _go(self, index: int) -> None:
        if not self._keys:
            return
        self._at = max(0, min(index, len(self._keys) - 1))
        self._key = self._keys[self._at]
        line, _ = self._place()
        self.scroll_to_region(Region(0, line * self._deep, 1, self._deep), animate=False)
        self._redraw()
        self.post_message(self.Moved())

    def _place(self) -> tuple[int, int]:
        for number, line in enumerate(self._lines):
            if self._key in line:
                return number, line.index(self._key or "")
        return 0, 0

    def action_step(self, by: int) -> None:
        self._go(self._at + by)

    def action_move(self, by: int) -> None:
        line, column = self._place()
        step = 1 if by > 0 else -1
        target = line + by
        while 0 <= target < len(self._lines) and self._lines[target][0].startswith(HEADING):
            target += step
        if 0 <= target < len(self._lines):
            row = self._lines[target]
            self._go(self._keys.index(row[min(column, len(row) - 1)]))
        else:
            self._go(0 if by < 0 else len(self._keys) - 1)

    def action_half(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height // 2 // self._deep))

    def action_open(self) -> None:
        if self._key is not None:
            self.post_message(self.Opened(self._key))

    def action_pick(self) -> None:
        self.selection.toggle(self._key)
        self.action_step(1)

    def action_all(self) -> None:
        self.selection.all(self._keys)
        self.refresh()

    def action_next_show(self) -> None:
        shows = heat.SHOWS
        self.showing = shows[(shows.index(self.showing) + 1) % len(shows)]
        self.refresh()
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        index = (int(self.scroll_offset.y) + event.y) // self._deep
        column = event.x // self._wide
        if index < len(self._lines) and column < len(self._lines[index]):
            key = self._lines[index][column]
            if not key.startswith(HEADING):
                self._go(self._keys.index(key))
                if event.chain == 2:
                    self.action_open()
