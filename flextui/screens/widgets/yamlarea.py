"""A text area for YAML: coloured as it is drawn, with mistakes marked at their place.

Only lines in view are coloured, so that a megabyte is as quick as a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.geometry import Offset, Size
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from flextui.screens.editing.colour import States, pieces
from flextui.screens.widgets.roles import role_style

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

ROLES = ("comment", "key", "text", "mark", "alias", "number", "word")
_OPENS = re.compile(r":\s*(?:[|>][-+0-9]*)?\s*$|[{\[]\s*$")
LONG = 2_000
"""Characters of a line of which no more is drawn than what shows, without its colours."""
Mark = tuple[int, int]
"""Line and column of a mistake, from 0."""


class Unwrapped(WrappedDocument):
    """Of lines that aren't wrapped: as high as there are lines, without going through them."""

    @property
    def height(self) -> int:
        return self.document.line_count

    def location_to_offset(self, location: tuple[int, int]) -> Offset:
        """Where a place is drawn. As TextArea has it, this measures all of the line before it."""
        row, column = location
        if row < self.document.line_count and is_plain(self.document[row]):
            return Offset(min(column, len(self.document[row])), row)
        return super().location_to_offset(location)


class YamlArea(TextArea):
    """The text of a spec."""

    app: FlextuiApp
    COMPONENT_CLASSES = {f"yaml--{it}" for it in (*ROLES, "wrong")}
    DEFAULT_CSS = """
    YamlArea {
        scrollbar-size-horizontal: 0;
        & .yaml--comment { color: $foreground-muted; text-style: italic; }
        & .yaml--key { color: $text-primary; }
        & .yaml--text { color: $text-success; }
        & .yaml--number { color: $text-warning; }
        & .yaml--word { color: $text-warning; text-style: bold; }
        & .yaml--alias { color: $text-accent; }
        & .yaml--mark { color: $foreground-muted; }
        & .yaml--wrong { color: $text-error; text-style: bold; }
    }
    """

    def __init__(self, text: str) -> None:
        self._states = States()
        self._from_row = 0
        self._joined: str | None = None
        self._marks: dict[int, list[int]] = {}
        super().__init__(
            text, id="text", show_line_numbers=True, tab_behavior="indent", soft_wrap=False
        )
        self.indent_width = 2
        self.cursor_blink = False

    @property
    def lines(self) -> Sequence[str]:
        """The text line by line, without a copy."""
        return self.document.lines

    def get_component_rich_style(
        self, *names: str, partial: bool = False, default: Style | None = None
    ) -> Style:
        """The line of the cursor and what is selected keep the text's colours."""
        style = super().get_component_rich_style(*names, partial=partial, default=default)
        if names and names[0] in ("text-area--cursor-line", "text-area--selection"):
            return Style(bgcolor=style.bgcolor, reverse=style.reverse)
        return style

    # ── quick, however long ──

    @property
    def text(self) -> str:
        """All of it. TextArea asks for it with every line that it draws."""
        if self._joined is None:
            self._joined = self.document.text
        return self._joined

    @text.setter
    def text(self, value: str) -> None:
        self.load_text(value)

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(text, language)
        self.wrapped_document = Unwrapped(self.document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)

    def _refresh_size(self) -> None:
        """TextArea measures every line, cell by cell, after each letter."""
        lines = self.document.lines
        most = max(map(len, lines), default=0)
        width = max(
            (_width(it, self.indent_width) for it in lines if len(it) * 2 >= most), default=0
        )
        self.virtual_size = Size(width + self.gutter_width + 1, len(lines))
        self._refresh_scrollbars()

    def get_column_width(self, row: int, column: int) -> int:
        """Cells before a column."""
        if row < len(self.lines) and is_plain(self.lines[row]):
            return min(column, len(self.lines[row]))
        return super().get_column_width(row, column)

    def _part_of_line(self, row: int) -> Strip:
        """What shows of a line. TextArea draws each as long as the longest, and cuts that."""
        line, left = self.lines[row], self.scroll_offset.x
        width = max(0, self.size.width - self.gutter_width)
        theme = self._theme
        whole = len(line) <= LONG
        text = self.get_line(row)[left : left + width] if whole else Text(line[left : left + width])
        text.end = ""
        text.pad_right(width - len(text))
        here, column = self.selection.end
        lit = here == row and self.highlight_cursor_line and self._has_cursor
        gutter_style = None
        if theme is not None:
            gutter_style = theme.cursor_line_gutter_style if lit else theme.gutter_style
            marked = [(theme.cursor_line_style, 0, len(line) + width)] if lit else []
            if not self.selection.is_empty:
                marked.append((theme.selection_style, *self._selected_columns(row)))
            if here == row and self._draw_cursor:
                marked.append((theme.cursor_style, column, column + 1))
            for style, begin, end in marked:
                if style is not None and end > left:
                    text.stylize(style, max(0, begin - left), max(0, end - left))
        for mistake in self._marks.get(row, ()):
            begin, end = wrong_part(line, mistake)
            if end > left and not whole:
                text.stylize(Style(underline=True), max(0, begin - left), end - left)
        number = f"{row + self.line_number_start:>{self.gutter_width - 2}}  "
        base = theme.base_style if theme is not None else None
        parts = [Segment(number, gutter_style), *text.render(self.app.console)]
        return Strip(parts, self.gutter_width + width).apply_style(base or self.rich_style)

    def _selected_columns(self, row: int) -> tuple[int, int]:
        """What of a line is selected; nothing: an empty range."""
        (top, first), (bottom, last) = sorted(self.selection)
        if not top <= row <= bottom:
            return 0, 0
        return first if row == top else 0, last if row == bottom else len(self.lines[row])

    # ── mistakes ──

    def mark(self, places: Iterable[Mark]) -> None:
        """Mark these places, and no others."""
        marks: dict[int, list[int]] = {}
        for row, column in places:
            marks.setdefault(row, []).append(column)
        if marks != self._marks:
            self._marks = marks
            self._line_cache.clear()
            self.refresh()

    def get_line(self, line_index: int) -> Text:
        """The line in its colours."""
        line = super().get_line(line_index)
        plain = line.plain
        state = self._states.at(self.lines, line_index)
        for piece in pieces(plain, state):
            line.stylize(role_style(self, f"yaml--{piece.role}"), piece.start, piece.end)
        for column in self._marks.get(line_index, ()):
            line.stylize(Style(underline=True), *wrong_part(plain, column))
        return line

    def render_line(self, y: int) -> Strip:
        """The line, with a sign in its margin where it has a mistake."""
        row = y + self.scroll_offset.y
        line = self.lines[row] if row < len(self.lines) else ""
        long = self.virtual_size.width > LONG and row < len(self.lines) and is_plain(line)
        strip = self._part_of_line(row) if long else super().render_line(y)
        if row not in self._marks or self.gutter_width < 3:
            return strip
        width = self.gutter_width
        gutter = strip.crop(0, width).text
        style = self.rich_style + role_style(self, "yaml--wrong")
        head = Strip([Segment(f"{gutter[: width - 2]}✗ ", style)], width)
        return Strip.join([head, strip.crop(width)])

    # ── writing ──

    async def _on_key(self, event: events.Key) -> None:
        """A new line begins where the fields of the line above do, or those inside it would."""
        if event.key == "enter" and not self.read_only:
            event.stop()
            event.prevent_default()
            row, column = self.cursor_location
            self._replace_via_keyboard("\n" + next_indent(self.lines[row][:column]),
                                       *self.selection)  # fmt: skip
            return
        await super()._on_key(event)

    def edit(self, edit: Edit) -> EditResult:
        self._from_row = max(0, edit.top[0] - 1)
        return super().edit(edit)

    def _build_highlight_map(self) -> None:
        """Called by TextArea after each change of the text."""
        self._joined = None
        super()._build_highlight_map()
        self._states.forget(self._from_row)
        self._from_row = 0

    def put(self, text: str, start: int | None = None) -> None:
        """Write at the cursor, over what stands there since column `start`. Can be undone."""
        row, column = self.cursor_location
        begin = (row, column if start is None else min(start, column))
        result = self.replace(text, begin, (row, column), maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    def replace_all(self, text: str, *, stay: bool = False) -> None:
        """Another text in place of all; one step to undo. The cursor goes to its beginning, or with
        `stay` to the line where it was."""
        row = self.cursor_location[0] if stay else 0
        self.history.checkpoint()
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor((min(row, len(self.lines) - 1), 0))
        self.history.checkpoint()
        self.refresh()

    def undo(self) -> None:
        super().undo()
        self.refresh()

    def redo(self) -> None:
        super().redo()
        self.refresh()


def is_plain(line: str) -> bool:
    """Whether each character of it takes one cell."""
    return line.isascii() and "\t" not in line


def _width(line: str, tab: int) -> int:
    """Cells that a line takes."""
    if line.isascii():
        return len(line.expandtabs(tab)) if "\t" in line else len(line)
    return cell_len(line.expandtabs(tab))


def next_indent(before: str) -> str:
    """The spaces that a line after this one begins with."""
    body = before.lstrip(" ")
    indent = len(before) - len(body)
    while body.startswith("- "):
        inner = body[2:].lstrip(" ")
        indent, body = indent + len(body) - len(inner), inner
    if body and not body.startswith("#") and _OPENS.search(before):
        indent += 2
    return " " * indent


def wrong_part(line: str, column: int) -> tuple[int, int]:
    """From where to where a mistake at a column is underlined: the word there."""
    column = min(column, max(0, len(line) - 1))
    end = column
    while end < len(line) and not (end > column and line[end] in " ,]}#"):
        end += 1
    return column, max(end, column + 1)
