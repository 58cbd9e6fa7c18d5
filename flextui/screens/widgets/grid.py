"""A list that draws only the rows in view, from documents that change many times a second.

Textual's DataTable keeps and measures every cell; with thousands of jobs that holds the loop for
longer than a keypress may wait. Here a row is made when it comes into view, the cursor and the
selection stay on the same *things* (their keys) when lines move under them, and a redraw costs
what the screen shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from flextui.screens.keys import Key
from flextui.screens.listing import HEADING, Field, Listing
from flextui.screens.selection import Selection
from flextui.screens.table import Table
from flextui.screens.widgets.rowpaint import ROLES, RowPaint

LIST_KEYS = (
    Key("down", "j, down", "down", "focused.move(1)"),
    Key("up-line", "k, up", "up", "focused.move(-1)"),
    Key("top", "g, home", "top", "focused.first"),
    Key("bottom", "G, end", "bottom", "focused.last"),
    Key("half-down", "ctrl+d", "half a page down", "focused.half(1)"),
    Key("half-up", "ctrl+u", "half a page up", "focused.half(-1)"),
    Key("page-down", "pagedown, ctrl+f", "a page down", "focused.half(2)"),
    Key("page-up", "pageup", "a page up", "focused.half(-2)"),
    Key("open", "enter", "open what is under the cursor", "focused.open", short="open"),
    Key("select", "space", "select or unselect, and down", "focused.pick"),
    Key("range", "v", "select from here to where the cursor goes", "focused.range"),
    Key("select-all", "*", "select all that is shown, or nothing", "focused.all"),
    Key("columns", "f", "choose columns", "columns"),
    Key("next-table", "tab", "to the next table", "app.focus_next"),
    Key("previous-table", "shift+tab", "to the previous table", "app.focus_previous"),
)


def sort_keys(fields: Sequence[Field[Any]]) -> tuple[Key, ...]:
    """A key for each column of a list."""
    return tuple(
        Key(f"sort-{it.name.replace(' ', '-')}", f"o {it.letter}", f"sort by {it.name}",
            f"focused.sort({it.name!r})")
        for it in fields
    )  # fmt: skip


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
        &:light .grid--cursor { background: $surface; }
        &:light:focus .grid--cursor {
            background: $primary; color: $background-lighten-2; text-style: bold;
        }
        &:ansi .grid--cursor { background: ansi_default; text-style: underline; }
        &:ansi:focus .grid--cursor { background: ansi_default; text-style: reverse; }
    }
    """

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), layout=False)

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

    class Rearranged(Message):
        """Another order, or a group folded: the rows have to be made anew."""

    def __init__(
        self, listing: Listing, *, kind: str = "", empty: str = "", id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.kind = kind
        """The place whose keys are of this list, where that isn't the screen."""
        self._listing = listing
        self._empty = empty
        self._at = 0
        self._key: str | None = None
        self._framed: object = None
        self._drawn: list[object] = []
        """What the rows in view were made of."""
        self.selection = Selection()
        self.paint = RowPaint(self, listing)

    # ── content ──

    @property
    def table(self) -> Table[Any] | None:
        """Its listing, if that can be sorted and has columns to choose."""
        return self._listing if isinstance(self._listing, Table) else None

    @property
    def keys(self) -> Sequence[str]:
        """All rows in order, headings among them."""
        return self._listing.keys

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor; None on a heading and when there are no rows."""
        return None if self._key is None or self._key.startswith(HEADING) else self._key

    @property
    def chosen(self) -> tuple[str, ...]:
        """What an action is for: the selected rows in order, else the one under the cursor."""
        if picked := self.selection.of(self.keys, self._at):
            return tuple(key for key in self.keys if key in picked)
        return () if self.cursor_key is None else (self.cursor_key,)

    @property
    def selected(self) -> frozenset[str]:
        """The selected rows; the one under the cursor doesn't count."""
        return self.selection.of(self.keys, self._at)

    def show(self, empty: str | None = None) -> None:
        """The listing has changed; the cursor stays on its key, or near where it was."""
        before = self._key
        if empty is not None:
            self._empty = empty
        self._at = self._find(before)
        self._key = self.keys[self._at] if self.keys else None
        self._measure()
        self._redraw()
        if self._key != before:
            self.post_message(self.Moved(self, self.cursor_key))

    @property
    def _words(self) -> str:
        """What stands there where it has no rows."""
        waiting = getattr(self.screen, "waiting", "") if self.is_attached else ""
        return waiting or self._empty

    def select(self, key: str) -> None:
        """Put the cursor on this row, if it is there; else as soon as it is."""
        if key in self.keys:
            self._go(self.keys.index(key))
        elif not self.keys:
            self._key = key

    def _find(self, key: str | None) -> int:
        keys = self.keys
        if key is not None:
            if self._at < len(keys) and keys[self._at] == key:
                return self._at
            try:
                return keys.index(key)
            except ValueError:
                pass
        return max(0, min(self._at, len(keys) - 1))

    # ── drawing ──

    def _measure(self) -> None:
        top = int(self.scroll_offset.y)
        self.paint.measure(self.keys[top : top + max(1, self.size.height)], self.size.width)
        self._extend(Size(self.size.width, len(self.keys) + 1))

    def _extend(self, all_of_it: Size) -> None:
        """So large are all rows together. The screen is laid out anew only where a scrollbar comes
        or goes: that takes longer than all else, and rows come and go all the time."""
        before, page = self.virtual_size, self.size.height
        if all_of_it == before:
            return
        self.virtual_size = all_of_it
        if (before.height > page) != (all_of_it.height > page) or before.width != all_of_it.width:
            self.refresh(layout=True)
            return
        self.vertical_scrollbar.window_virtual_size = all_of_it.height
        self.scroll_y = min(self.scroll_y, self.max_scroll_y)

    def _redraw(self) -> None:
        """Draw the rows that aren't as they were drawn, all of them where they lie elsewhere."""
        top, keys, size = int(self.scroll_offset.y), self.keys, self.size
        framed = size, top, self.paint.widths, self.paint.titles, bool(keys), self._words
        rows: list[object] = []
        for index in range(top, min(len(keys), top + self._page)):
            key = keys[index]
            marked = self.selection.has(key, index, self._at, keys)
            rows.append((key, self.paint.made_of(key), index == self._at, marked))
        before, self._drawn = self._drawn, rows
        if framed != self._framed or len(before) != len(rows):
            self._framed = framed
            self.refresh()
            return
        changed = [y for y, row in enumerate(rows, 1) if row != before[y - 1]]
        if changed:
            self.refresh(*(Region(0, y, size.width, 1) for y in changed))

    def on_resize(self, _event: events.Resize) -> None:
        if self.table is not None and self.table.fit(self.size.width):
            self.post_message(self.Rearranged())
        self.paint.forget()
        self._measure()

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        self._measure()

    def notify_style_update(self) -> None:
        self.paint.restyle()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self.paint.head(width)
        index = int(self.scroll_offset.y) + y - 1
        keys = self.keys
        if index >= len(keys):
            words = self._words if not keys and y == 2 else ""
            return self.paint.words("  " + words if words else "", width)
        key = keys[index]
        marked = self.selection.has(key, index, self._at, keys)
        return self.paint.row(key, width, cursor=index == self._at, marked=marked)

    # ── movement ──

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _go(self, index: int) -> None:
        keys = self.keys
        if not keys:
            return
        index = max(0, min(index, len(keys) - 1))
        if index != self._at or self._key != keys[index]:
            self._at, self._key = index, keys[index]
            self.post_message(self.Moved(self, self.cursor_key))
        self.scroll_to_region(Region(0, index, 1, 2), animate=False)
        self._redraw()

    def action_move(self, by: int) -> None:
        self._go(self._at + by)

    def action_half(self, by: int) -> None:
        self._go(self._at + by * max(1, self._page // 2))

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(len(self.keys) - 1)

    def action_open(self) -> None:
        if self.cursor_key is not None:
            self.post_message(self.Opened(self, self.cursor_key))
        elif self._key is not None and self.table is not None:
            self.table.fold(self._key)
            self.post_message(self.Rearranged())

    def on_click(self, event: events.Click) -> None:
        index = int(self.scroll_offset.y) + event.y - 1
        if event.y == 0:
            if name := self.paint.column_at(event.x):
                self.action_sort(name)
        elif 0 <= index < len(self.keys):
            self._go(index)
            if event.ctrl:
                self.selection.toggle(self.cursor_key)
            elif event.chain == 2:
                self.action_open()

    # ── selection, order ──

    def action_pick(self) -> None:
        self.selection.toggle(self.cursor_key)
        self._go(self._at + 1)

    def action_range(self) -> None:
        self.selection.range(self.keys, self._at)
        self.refresh()

    def action_all(self) -> None:
        self.selection.all(self.keys)
        self.refresh()

    def unselect(self) -> bool:
        """Forget the selection; whether there was one."""
        had = self.selection.clear()
        self.refresh()
        return had

    def action_sort(self, name: str) -> None:
        if self.table is not None:
            self.table.sort_by(name)
            self.post_message(self.Rearranged())
