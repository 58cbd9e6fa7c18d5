"""A table that draws only the rows in view, from documents that change many times a second.

Textual's DataTable keeps and measures every cell; with thousands of jobs that holds the loop for
longer than a keypress may wait. Here rows are plain tuples, the cursor stays on the same *thing*
(its key) when lines move under it, and a redraw costs what the screen shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from flextui.screens.format import Cell, Span, to_ascii

ROLES = ("ok", "busy", "warn", "bad", "dim", "accent", "bold")


@dataclass(frozen=True, slots=True)
class Column:
    """`least` and `most` bound its width in cells; the last column takes what is left."""

    title: str
    least: int = 3
    most: int = 40
    right: bool = False
    drop: int = 0
    """Columns with a higher number leave first when the terminal is narrow; 0 never leaves."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `key` is the identity that the cursor keeps."""

    key: str
    cells: tuple[Cell, ...]


class Grid(ScrollView, can_focus=True):
    """Rows with a cursor; movement as in vi and less, never destructive."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"grid--{r}" for r in (*ROLES, "cursor", "head")}
    DEFAULT_CSS = """
    Grid {
        height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; background: transparent;
        & .grid--ok { color: $text-success; }
        & .grid--busy { color: $text-accent; }
        & .grid--warn { color: $text-warning; }
        & .grid--bad { color: $text-error; text-style: bold; }
        & .grid--dim { color: $foreground-muted; }
        & .grid--accent { color: $text-primary; }
        & .grid--bold { text-style: bold; }
        & .grid--head { color: $foreground-muted; text-style: bold; }
        & .grid--cursor { background: $panel; }
        &:focus .grid--cursor { background: $primary-muted; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False),
        Binding("k,up", "move(-1)", "up", show=False),
        Binding("g,home", "first", "top", show=False),
        Binding("G,end", "last", "bottom", show=False),
        Binding("ctrl+d", "half(1)", "half a page down", show=False),
        Binding("ctrl+u", "half(-1)", "half a page up", show=False),
        Binding("pagedown,ctrl+f", "half(2)", "page down", show=False),
        Binding("pageup", "half(-2)", "page up", show=False),
        Binding("enter", "open", "open", show=False),
    ]

    class Opened(Message):
        """Enter or a double click on a row."""

        def __init__(self, grid: Grid, key: str) -> None:
            super().__init__()
            self.grid = grid
            self.key = key

        @property
        def control(self) -> Grid:
            return self.grid

    class Moved(Message):
        """The cursor is on another thing."""

        def __init__(self, grid: Grid, key: str | None) -> None:
            super().__init__()
            self.grid = grid
            self.key = key

        @property
        def control(self) -> Grid:
            return self.grid

    def __init__(
        self, columns: Sequence[Column], *, empty: str = "", id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._empty = empty
        self._rows: list[Row] = []
        self._at = 0
        self._widths: list[int] = []
        self._styles: dict[str, Style] = {}

    # ── content ──

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor, None when there are no rows."""
        return self._rows[self._at].key if 0 <= self._at < len(self._rows) else None

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    def show(self, rows: Sequence[Row], empty: str | None = None) -> None:
        """Replace all rows; the cursor stays on its key, or near where it was."""
        before = self.cursor_key
        if empty is not None:
            self._empty = empty
        self._rows = list(rows)
        self._at = self._find(before)
        self._layout_columns()
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self.refresh()
        if self.cursor_key != before:
            self.post_message(self.Moved(self, self.cursor_key))

    def select(self, key: str) -> None:
        """Put the cursor on this row, if it is there."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self._go(index)
                return

    def _find(self, key: str | None) -> int:
        if key is not None:
            at = self._at
            if at < len(self._rows) and self._rows[at].key == key:
                return at
            for index, row in enumerate(self._rows):
                if row.key == key:
                    return index
        return max(0, min(self._at, len(self._rows) - 1))

    # ── drawing ──

    def _layout_columns(self) -> None:
        room = max(10, self.size.width)
        widths = self._natural_widths()
        last = len(self._columns) - 1
        widths[last] = self._columns[last].least
        shown = list(range(len(self._columns)))
        while sum(widths[i] + 2 for i in shown) > room:
            droppable = [i for i in shown if self._columns[i].drop]
            if not droppable:
                break
            shown.remove(max(droppable, key=lambda i: self._columns[i].drop))
        used = sum(widths[i] + 2 for i in shown if i != last) + 2
        widths[last] = max(widths[last], room - used)
        self._widths = [widths[i] if i in shown else 0 for i in range(len(self._columns))]

    def _natural_widths(self) -> list[int]:
        top = int(self.scroll_offset.y)
        window = self._rows[max(0, top - 50) : top + 200]
        widths = []
        for number, column in enumerate(self._columns):
            longest = max(
                (sum(cell_len(span.text) for span in row.cells[number]) for row in window),
                default=0,
            )
            widths.append(max(column.least, len(column.title), min(column.most, longest)))
        return widths

    def on_resize(self, _event: events.Resize) -> None:
        self._layout_columns()
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: str) -> Style:
        if role not in self._styles:
            name = f"grid--{role}" if role else ""
            style = self.get_component_rich_style(name, partial=True) if name else Style()
            self._styles[role] = style
        return self._styles[role]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._line(tuple((Span(c.title, "head"),) for c in self._columns), width)
        index = int(self.scroll_offset.y) + y - 1
        if index >= len(self._rows):
            if not self._rows and y == 2 and self._empty:
                return self._fit([Segment("  " + self._empty, self._style("dim"))], width)
            return Strip.blank(width, self.rich_style)
        base = self.rich_style + self._style("cursor") if index == self._at else self.rich_style
        return self._line(self._rows[index].cells, width, base)

    def _line(self, cells: Sequence[Cell], width: int, base: Style | None = None) -> Strip:
        segments = [Segment(" ")]
        for number, cell in enumerate(cells):
            room = self._widths[number] if number < len(self._widths) else 0
            if not room:
                continue
            segments.extend(self._cell(cell, room, right=self._columns[number].right))
            segments.append(Segment("  "))
        return self._fit(segments, width, base)

    def _cell(self, cell: Cell, room: int, *, right: bool) -> list[Segment]:
        ascii_only = bool(getattr(self.app, "ascii_only", False))
        total = 0
        segments: list[Segment] = []
        for span in cell:
            text = to_ascii(span.text) if ascii_only else span.text
            length = cell_len(text)
            if total + length > room:
                text = set_cell_size(text, max(0, room - total - 1)) + ("~" if ascii_only else "…")
                segments.append(Segment(text, self._style(span.role)))
                total = room
                break
            segments.append(Segment(text, self._style(span.role)))
            total += length
        pad = Segment(" " * (room - total))
        return [pad, *segments] if right else [*segments, pad]

    def _fit(self, segments: list[Segment], width: int, base: Style | None = None) -> Strip:
        style = self.rich_style if base is None else base
        return Strip(segments).adjust_cell_length(width, style).apply_style(style)

    # ── movement ──

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _go(self, index: int) -> None:
        if not self._rows:
            return
        index = max(0, min(index, len(self._rows) - 1))
        if index != self._at:
            self._at = index
            self.post_message(self.Moved(self, self.cursor_key))
        self.scroll_to_region(Region(0, index, 1, 2), animate=False)
        self.refresh()

    def action_move(self, by: int) -> None:
        self._go(self._at + by)

    def action_half(self, by: int) -> None:
        self._go(self._at + by * max(1, self._page // 2))

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(len(self._rows) - 1)

    def action_open(self) -> None:
        if self.cursor_key is not None:
            self.post_message(self.Opened(self, self.cursor_key))

    def on_click(self, event: events.Click) -> None:
        index = int(self.scroll_offset.y) + event.y - 1
        if event.y >= 1 and 0 <= index < len(self._rows):
            self._go(index)
            if event.chain == 2:
                self.action_open()
