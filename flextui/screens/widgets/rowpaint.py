"""How the rows of a grid are drawn: widths that don't jitter, strips that are kept while equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from flextui.screens.format import Cell, Span, safe
from flextui.screens.listing import Column, Listing
from flextui.screens.table import Table
from flextui.screens.widgets.roles import role_style

if TYPE_CHECKING:
    from textual.widget import Widget

ROLES = ("ok", "busy", "warn", "bad", "dim", "accent", "bold")
KEPT = 1000
"""Strips that are kept; more than any terminal has lines."""


class RowPaint:
    """Turns cells to strips in the styles of its widget (component classes `grid--ROLE`)."""

    def __init__(self, widget: Widget, listing: Listing) -> None:
        self._widget = widget
        self._listing = listing
        self._styles: dict[str, Style] = {}
        self._natural: dict[str, int] = {}
        self.widths: tuple[int, ...] = ()
        """Of the columns, 0 for those that have no room."""
        self._strips: dict[tuple[str, bool, bool], tuple[object, Strip]] = {}

    # ── widths ──

    def forget(self) -> None:
        """Columns may become narrower again: another size or other rows."""
        self._natural.clear()
        self._strips.clear()

    def restyle(self) -> None:
        """The theme has changed."""
        self._styles.clear()
        self._strips.clear()

    def measure(self, keys: Sequence[str], room: int) -> None:
        """Widths for these rows; while nothing is forgotten columns only grow, so that nothing
        jumps when numbers change."""
        columns = self._listing.columns
        for key in keys:
            if self._listing.heading(key) is None:
                for column, cell in zip(columns, self._listing.cells(key), strict=False):
                    length = sum(cell_len(span.text) for span in cell)
                    if length > self._natural.get(column.title, 0):
                        self._natural[column.title] = length
        widths = self._fitting(max(10, room))
        if widths != self.widths:
            self.widths = widths
            self._strips.clear()

    def _fitting(self, room: int) -> tuple[int, ...]:
        """A width for each column, 0 for those that leave."""
        columns = self._listing.columns
        wished = [
            max(it.least, len(self._title(it)), min(it.most, self._natural.get(it.title, 0)))
            for it in columns
        ]
        last = len(columns) - 1
        widths = [min(it, column.yields or it) for it, column in zip(wished, columns, strict=True)]
        widths[last] = columns[last].least
        shown = list(range(len(columns)))
        while sum(widths[i] + 2 for i in shown) > room:
            droppable = [i for i in shown if columns[i].drop]
            if not droppable:
                break
            shown.remove(max(droppable, key=lambda i: columns[i].drop))
        left = room - sum(widths[i] + 2 for i in shown)
        for i in [last, *shown] if last in shown else shown:  # what is left, to those that gave up
            more = max(0, min(left, wished[i] - widths[i]))
            widths[i] += more
            left -= more
        if last in shown:
            widths[last] += max(0, left)
        return tuple(widths[i] if i in shown else 0 for i in range(len(columns)))

    def column_at(self, x: int) -> str:
        """The title of the column in that cell of a row; empty beside them."""
        at = 1
        for column, width in zip(self._listing.columns, self.widths, strict=False):
            if width and at <= x < at + width:
                return column.title
            at += width + 2 if width else 0
        return ""

    # ── strips ──

    @property
    def titles(self) -> tuple[str, ...]:
        """What stands above the columns."""
        return tuple(self._title(it) for it in self._listing.columns)

    def made_of(self, key: str) -> tuple[Cell, ...]:
        """The cells of a row, or a heading's one."""
        heading = self._listing.heading(key)
        return (heading,) if heading is not None else tuple(self._listing.cells(key))

    def head(self, width: int) -> Strip:
        """The titles, an arrow on the column that the list is sorted by."""
        titles = [(Span(it, "head"),) for it in self.titles]
        return self._line(titles, width, " ", self._widget.rich_style)

    def _title(self, column: Column) -> str:
        layout = self._listing.layout if isinstance(self._listing, Table) else None
        if layout is None or layout.sort != column.title:
            return column.title
        return column.title + ("▾" if layout.reverse else "▴")

    def words(self, text: str, width: int) -> Strip:
        """A line that is no row."""
        return self._fit([Segment(text, self._style("dim"))], width, self._widget.rich_style)

    def row(self, key: str, width: int, *, cursor: bool, marked: bool) -> Strip:
        """A row or a heading."""
        heading = self._listing.heading(key)
        cells = self.made_of(key)
        place, made_of = (key, cursor, marked), (cells, width)
        kept = self._strips.get(place)
        if kept is not None and kept[0] == made_of:
            return kept[1]
        base = self._widget.rich_style
        if cursor:
            base = base + self._style("cursor")
            cells = self._under_cursor(cells)
        if heading is not None:
            words = [Segment(safe(span.text), self._style(span.role)) for span in cells[0]]
            strip = self._fit([Segment(" "), *words], width, base)
        else:
            strip = self._line(cells, width, "*" if marked else " ", base, plain=cursor)
        if len(self._strips) > KEPT:
            self._strips.clear()
        self._strips[place] = made_of, strip
        return strip

    def _under_cursor(self, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        """Where the row under the cursor has another ground, no colour of a word is legible."""
        if not self._turned:
            return cells
        return tuple(tuple(Span(span.text) for span in cell) for cell in cells)

    @property
    def _turned(self) -> bool:
        """Whether letters are light on dark under the cursor and dark on light elsewhere, or the
        other way: in 16 colours, and in light themes, on whose ground no tint stands out."""
        app = self._widget.app
        return app.native_ansi_color or (self._widget.has_focus and not app.current_theme.dark)

    def _line(
        self, cells: Sequence[Cell], width: int, mark: str, base: Style, *, plain: bool = False
    ) -> Strip:
        plain = plain and self._turned
        segments = [Segment(mark, self._style("" if plain else "accent"))]
        columns = self._listing.columns
        for number, (cell, room) in enumerate(zip(cells, self.widths, strict=False)):
            if room:
                segments.extend(self._cell(cell, room, right=columns[number].right))
                segments.append(Segment("  "))
        return self._fit(segments, width, base)

    def _cell(self, cell: Cell, room: int, *, right: bool) -> list[Segment]:
        total = 0
        segments: list[Segment] = []
        for span in cell:
            text = safe(span.text)
            length = cell_len(text)
            if total + length > room:
                text = set_cell_size(text, max(0, room - total - 1)) + "…"
                segments.append(Segment(text, self._style(span.role)))
                total = room
                break
            segments.append(Segment(text, self._style(span.role)))
            total += length
        pad = Segment(" " * (room - total))
        return [pad, *segments] if right else [*segments, pad]

    def _fit(self, segments: list[Segment], width: int, base: Style) -> Strip:
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _style(self, role: str) -> Style:
        if role not in self._styles:
            self._styles[role] = role_style(self._widget, f"grid--{role}") if role else Style()
        return self._styles[role]
