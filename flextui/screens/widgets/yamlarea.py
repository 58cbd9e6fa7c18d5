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
from textual.geometry import Size
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from flextui.screens.editing.colour import States, pieces
from flextui.screens.widgets.roles import role_style

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

ROLES = ("comment", "key", "text", "mark", "alias", "number", "word")
_OPENS = re.compile(r":\s*(?:[|>][-+0-9]*)?\s*$|[{\[]\s*$")
Mark = tuple[int, int]
"""Line and column of a mistake, from 0."""


class Unwrapped(WrappedDocument):
    """Of lines that aren't wrapped: as high as there are lines, without going through them."""

    @property
    def height(self) -> int:
        return self.document.line_count


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
        strip = super().render_line(y)
        row = y + self.scroll_offset.y
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

    def replace_all(self, text: str) -> None:
        """Another text in place of all; one step to undo."""
        self.history.checkpoint()
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor((0, 0))
        self.history.checkpoint()
        self.refresh()

    def undo(self) -> None:
        super().undo()
        self.refresh()

    def redo(self) -> None:
        super().redo()
        self.refresh()


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
