"""A log as it is read: opens at its tail, follows, and never moves under one who scrolls up.

What is in view hangs on a line, not on a number of rows: whatever comes before or after it, it
stays where it is. Only the rows in view are made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from flextui.core.logbook.lines import Line
from flextui.screens.keys import Key
from flextui.screens.widgets.logpaint import LogPaint, Manner
from flextui.screens.widgets.roles import role_style

PAGER_KEYS = (
    Key("follow", "G, end", "to the end, and follow", "focused.tail", short="follow"),
    Key("down", "j, down", "down", "focused.by(1)"),
    Key("up-line", "k, up", "up; stops following", "focused.by(-1)"),
    Key("top", "g, home", "to the beginning", "focused.top"),
    Key("half-down", "ctrl+d", "half a page down", "focused.half(1)"),
    Key("half-up", "ctrl+u", "half a page up", "focused.half(-1)"),
    Key("page-down", "pagedown, space, ctrl+f", "a page down", "focused.half(2)"),
    Key("page-up", "pageup, b", "a page up", "focused.half(-2)"),
    Key("right", "l, right", "to the right, where lines are longer than the screen",
        "focused.shift(1)"),
    Key("left", "h, left", "back to the left", "focused.shift(-1)"),
)  # fmt: skip
_ROLES = (
    "err", "note", "stamp", "hit", "error", "warning", "debug", "mark", "cursor",
    *(f"origin{n}" for n in range(6)),
)  # fmt: skip
WHEEL = 3


class LogView(Widget, can_focus=True):
    """Lines of a list that others own; they tell of what changed in it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{role}" for role in _ROLES}
    DEFAULT_CSS = """
    LogView {
        height: 1fr; background: transparent;
        & .log--err { color: $text-warning; }
        & .log--note { color: $foreground-muted; text-style: italic; }
        & .log--stamp { color: $foreground-muted; }
        & .log--hit { background: $warning; color: black; text-style: underline; }
        & .log--error { color: $text-error; }
        & .log--warning { color: $text-warning; }
        & .log--debug { color: $foreground-muted; }
        & .log--mark { background: $accent; color: black; text-style: bold; }
        & .log--cursor { background: $primary-muted; text-style: bold; }
        &:light .log--cursor { background: $surface-lighten-2; text-style: bold; }
        &:ansi .log--cursor { background: ansi_default; text-style: reverse; }
        & .log--origin0 { color: $text-primary; }
        & .log--origin1 { color: $text-success; }
        & .log--origin2 { color: $text-accent; }
        & .log--origin3 { color: #c39bf0; }
        & .log--origin4 { color: #6fd3d3; }
        & .log--origin5 { color: $foreground; }
        &:light .log--origin3 { color: #7a3db8; }
        &:light .log--origin4 { color: #00707a; }
        &:ansi .log--origin3 { color: ansi_magenta; }
        &:ansi .log--origin4 { color: ansi_cyan; }
    }
    """

    class FollowChanged(Message):
        """Following began or stopped."""

        def __init__(self, following: bool) -> None:
            super().__init__()
            self.following = following

    class Edge(Message):
        """An end of what is loaded is near; `up` or down."""

        can_replace_same: ClassVar[bool] = True

        def __init__(self, up: bool) -> None:
            super().__init__()
            self.up = up

        def can_replace(self, message: Message) -> bool:
            """One word about an end is enough."""
            return isinstance(message, LogView.Edge) and message.up == self.up

    class Wanted(Message):
        """The very beginning (`top`) or the very end is to be shown."""

        def __init__(self, top: bool) -> None:
            super().__init__()
            self.top = top

    class Moved(Message):
        """Another line is at the top, or under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.manner = Manner()
        self.lines: list[Line] = []
        """Those that can be scrolled to now."""
        self.following = True
        self.empty = ""
        """What stands there where there is no line."""
        self._top = 0
        """The line at the top, where it isn't followed, and which of its rows."""
        self._row = 0
        self.cursor = 0
        """The line that is marked, yanked and looked from."""
        self._open: list[Line] = []
        self._breaks: Set[tuple[str, str, int]] = frozenset()
        self._styles: dict[str, Style] = {}
        self._cache: dict[tuple[tuple[str, str, int], str, int, bool], list[Strip]] = {}
        self._visible: list[tuple[Line, int]] = []
        self._stale = True
        self._laid: Size | None = None

    # ── what it shows ──

    @property
    def count(self) -> int:
        """Lines that can be scrolled to."""
        return len(self.lines)

    @property
    def cursor_line(self) -> Line | None:
        """The line that keys are about."""
        if not self.lines:
            return None
        if self.following:
            return self.lines[-1]
        return self.lines[max(0, min(self.cursor, len(self.lines) - 1))]

    def show(
        self,
        lines: list[Line],
        at: int | None = None,
        *,
        centre: bool = False,
        breaks: Set[tuple[str, str, int]] = frozenset(),
    ) -> None:
        """Show a list from now on: at its end and following, or with the cursor on a line.
        `breaks`: keys of lines before which others are left out."""
        self.lines = lines
        self._breaks = breaks
        if at is None:
            self._set_following(True)
        else:
            self._set_following(False)
            self.cursor = max(0, min(at, len(lines) - 1))
            self._top, self._row = self.cursor, 0
            if centre:
                self._back(self.size.height // 3)
        self.changed()

    def changed(self, *, above: int = 0, open_lines: Sequence[Line] = ()) -> None:
        """The list has changed; `above` lines were put before the one at the top (or taken)."""
        self._top = max(0, self._top + above)
        self.cursor = max(0, self.cursor + above)
        self._open = list(open_lines)
        self._stale = True
        self.refresh()

    def inserted(self, at: int, before: Line | None) -> None:
        """From index `at` on the list is another; what was at the top and under the cursor stays
        there. `before`: the line under the cursor until now."""
        if self.following:
            self.changed()
            return
        if before is not None and at <= self.cursor:
            shift = _index(self.lines, before, at) - self.cursor
            self._top, self.cursor = self._top + shift, self.cursor + shift
        self._stale = True
        self.refresh()

    @property
    def below(self) -> int:
        """Lines after the last one in view."""
        self._lay()
        if not self._visible or self.following:
            return 0
        return len(self.lines) - 1 - _index(self.lines, self._visible[-1][0], self._top)

    def restyle(self) -> None:
        """The manner has changed; the line under the cursor stays where it is."""
        before = self._cursor_row()
        self._cache.clear()
        self._hold(before)
        self.refresh()

    def _cursor_row(self) -> int | None:
        """At which row of the view the line under the cursor begins; None: it isn't in view."""
        here = None if self.following else self.cursor_line
        return next((y for y, (line, _) in enumerate(self._visible) if line is here), None)

    def _hold(self, row: int | None) -> None:
        """Lay the rows anew, with the line under the cursor at this one, or as near as shows all
        of it."""
        if row is not None:
            self._top, self._row = max(0, min(self.cursor, len(self.lines) - 1)), 0
            rows = self._count(self.lines[self._top], self.size.width)
            self._back(min(row, max(0, self.size.height - rows)))
        self._stale = True

    def find(self, line: tuple[str, str, int]) -> int | None:
        """The index of a line by its key, None if it isn't loaded."""
        return next((n for n in range(len(self.lines) - 1, -1, -1) if self.lines[n].key == line),
                    None)  # fmt: skip

    def text(self, lines: Sequence[Line] | None = None) -> str:
        """Lines as they are saved and yanked: as the workload wrote them."""
        return "\n".join(line.text for line in (self.lines if lines is None else lines))

    # ── layout: which rows are in view ──

    def _lay(self) -> None:
        if not self._stale and self._laid == self.size:
            return
        if self._laid not in (None, self.size):
            self._row = 0
            self._hold(self._cursor_row())
        self._stale, self._laid = False, self.size
        height, width = self.size.height, self.size.width
        if self.following:
            self._visible = self._from_end(height, width)
            return
        count = len(self.lines)
        self._top = max(0, min(self._top, count - 1))
        found: list[tuple[Line, int]] = []
        at, row = self._top, self._row
        while len(found) < height and at < count:
            line = self.lines[at]
            rows = self._count(line, width)
            found += [(line, n) for n in range(min(row, rows - 1), rows)]
            at, row = at + 1, 0
        if len(found) < height and self._top > 0:
            found = self._from_end(height, width, with_open=False)
            if found:
                self._top, self._row = _index(self.lines, found[0][0], 0), found[0][1]
        self._visible = found[:height]

    def _from_end(
        self, height: int, width: int, *, with_open: bool = True
    ) -> list[tuple[Line, int]]:
        found: list[tuple[Line, int]] = []
        lines = [*self.lines[-height:], *(self._open if with_open else ())]
        for line in reversed(lines):
            rows = self._count(line, width)
            found += [(line, n) for n in range(rows - 1, -1, -1)]
            if len(found) >= height:
                break
        return found[:height][::-1]

    def _count(self, line: Line, width: int) -> int:
        manner = self.manner
        if not manner.wrap and not manner.pretty:
            return 1 + self._breaks_before(line)
        return len(self._rows(line, width))

    def _breaks_before(self, line: Line) -> bool:
        return line.key in self._breaks and line is not self.lines[0]

    def _rows(self, line: Line, width: int) -> list[Strip]:
        broken = self._breaks_before(line)
        key = (line.key, line.text, width, broken)
        rows = self._cache.get(key)
        if rows is None or self.manner.stamps == "relative":
            if len(self._cache) > 2000:
                self._cache.clear()
            paint = LogPaint(self.manner, self.app.console, self._roles())
            rows = paint.rows(line, width, self.app.clock())  # type: ignore[attr-defined]
            rows = self._cache[key] = [paint.left_out(width), *rows] if broken else rows
        return rows

    def _roles(self) -> dict[str, Style]:
        if not self._styles:
            self._styles = {role: role_style(self, f"log--{role}") for role in _ROLES}
        return self._styles

    def render_line(self, y: int) -> Strip:
        self._lay()
        width = self.size.width
        if not self._visible and y == 1 and self.empty:
            words = Segment(f" {self.empty}", self._roles()["note"])
            return Strip([words]).adjust_cell_length(width).apply_style(self.rich_style)
        if y >= len(self._visible):
            return Strip.blank(width, self.rich_style)
        line, row = self._visible[y]
        rows = self._rows(line, width)
        strip = rows[min(row, len(rows) - 1)]
        apart = row == 0 and self._breaks_before(line)
        if not self.following and line is self.cursor_line and not apart:
            strip = self._under_cursor(strip)
        return strip.apply_style(self.rich_style)

    def _under_cursor(self, strip: Strip) -> Strip:
        """In 16 colours the cursor is the row in reverse, where no colour of a word is legible;
        what was found stays underlined."""
        if self.app.native_ansi_color:
            plain = [
                Segment(it.text, Style(underline=it.style.underline if it.style else None))
                for it in strip
            ]
            strip = Strip(plain, strip.cell_length)
        return strip.apply_style(self._roles()["cursor"])

    def notify_style_update(self) -> None:
        self._styles.clear()
        self._cache.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        """Rows may be others now; the line under the cursor stays in view."""
        self._stale = True
        self.refresh()

    # ── movement ──

    def _set_following(self, following: bool) -> None:
        if following != self.following:
            if not following:
                self._lay()
                first = self._visible[0] if self._visible else None
                self._top = _index(self.lines, first[0], 0) if first else 0
                self._row = first[1] if first else 0
                self.cursor = len(self.lines) - 1
            self.following = following
            self._stale = True
            self.post_message(self.FollowChanged(following))

    def pause(self) -> None:
        """Stay here."""
        self._set_following(False)

    def _back(self, rows: int) -> None:
        """The top so many rows up."""
        while rows > 0 and (self._row or self._top):
            step = min(rows, self._row)
            self._row, rows = self._row - step, rows - step
            if rows and self._top:
                self._top -= 1
                self._row = self._count(self.lines[self._top], self.size.width)

    def _forth(self, rows: int) -> None:
        """The top so many rows down, as far as there are any."""
        while rows > 0 and self._top < len(self.lines):
            left = self._count(self.lines[self._top], self.size.width) - self._row
            if rows < left:
                self._row += rows
                return
            rows -= left
            if self._top == len(self.lines) - 1:
                return
            self._top, self._row = self._top + 1, 0

    def _scroll(self, rows: int) -> None:
        if self.following:
            if rows > 0:
                return
            self._set_following(False)
        (self._forth if rows > 0 else self._back)(abs(rows))
        self._stale = True
        self._told()

    def _told(self) -> None:
        """It moved: draw, and say so when an end is near."""
        self._stale = True
        self._lay()
        height = max(1, self.size.height)
        if self._top < 3 * height:
            self.post_message(self.Edge(True))
        if not self.following and len(self.lines) - self._top < 4 * height:
            self.post_message(self.Edge(False))
        self.post_message(self.Moved())
        self.refresh()

    def _keep_cursor(self) -> None:
        """The cursor stays among the lines in view."""
        self._lay()
        if self._visible:
            first = self._top
            last = _index(self.lines, self._visible[-1][0], first)
            self.cursor = max(first, min(self.cursor, last))

    def go(self, index: int) -> None:
        """The cursor on a line, scrolled into view."""
        self._set_following(False)
        self.cursor = max(0, min(index, len(self.lines) - 1))
        self._lay()
        shown = [line for line, _ in self._visible]
        line = self.lines[self.cursor] if self.lines else None
        if line is not None and not any(it is line for it in shown):
            self._top, self._row = self.cursor, 0
            self._back(self.size.height // 3)
        self._told()

    def action_by(self, lines: int) -> None:
        if self.following:
            if lines > 0:
                return
            self._set_following(False)
        self._lay()
        self.cursor = max(0, min(self.cursor + lines, len(self.lines) - 1))
        self._into_view(lines)
        self._told()

    def _into_view(self, step: int) -> None:
        """Scroll as little as shows the cursor."""
        if self.cursor < self._top or (self.cursor == self._top and self._row and step < 0):
            self._top, self._row = self.cursor, 0
            return
        for _ in range(abs(step) * 64):
            self._stale = True
            self._lay()
            last = self._visible[-1][0] if self._visible else None
            if last is None or _index(self.lines, last, self._top) >= self.cursor:
                return
            self._forth(1)

    def action_half(self, halves: int) -> None:
        """Half pages; the cursor goes along."""
        rows = halves * max(1, self.size.height // 2)
        before = self._top
        self._scroll(rows)
        if not self.following:
            moved = self._top - before
            self.cursor += moved or (rows > 0) * len(self.lines) - (rows < 0) * len(self.lines)
            self.cursor = max(0, min(self.cursor, len(self.lines) - 1))
            self._keep_cursor()
            self.refresh()

    def action_shift(self, steps: int) -> None:
        """Sideways, where lines are longer than the screen is wide."""
        self.manner.shift = max(0, self.manner.shift + steps * max(8, self.size.width // 3))
        self.restyle()

    def action_top(self) -> None:
        self._set_following(False)
        self.post_message(self.Wanted(True))

    def action_tail(self) -> None:
        self._set_following(True)
        self.post_message(self.Wanted(False))
        self.refresh()

    # ── the mouse ──

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-WHEEL)
        self._keep_cursor()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(WHEEL)
        self._keep_cursor()

    def on_click(self, event: events.Click) -> None:
        """The cursor to where it was clicked."""
        self._set_following(False)
        self._lay()
        if event.y < len(self._visible):
            self.cursor = _index(self.lines, self._visible[event.y][0], self._top)
            self.post_message(self.Moved())
            self.refresh()


def _index(lines: Sequence[Line], line: Line, start: int) -> int:
    """Where this very line is, looked for from `start` on, then from the beginning."""
    for begin in (max(0, start), 0):
        for at in range(begin, len(lines)):
            if lines[at] is line:
                return at
    return max(0, len(lines) - 1)


def compiled(pattern: str, *, ignore_case: bool) -> re.Pattern[str] | None:
    """The pattern that marks what was found; None where Python has none like it."""
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except re.error:
        return None
