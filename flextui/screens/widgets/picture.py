"""The picture of who holds what: a line for each node, of which only those in view are made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from flextui.core.model.docs import GpuDoc, NodeDoc
from flextui.screens.fields import picture
from flextui.screens.fields.picture import Codes, Line, Piece, Scene
from flextui.screens.format import safe
from flextui.screens.keys import Key
from flextui.screens.widgets.roles import role_style

PICTURE_KEYS = (
    Key("left", "h, left", "the device to the left", "focused.step(-1)"),
    Key("right", "l, right", "the device to the right", "focused.step(1)"),
    Key("down", "j, down", "down", "focused.move(1)"),
    Key("up-line", "k, up", "up", "focused.move(-1)"),
    Key("top", "g, home", "the first node", "focused.move(-100000)"),
    Key("bottom", "G, end", "the last node", "focused.move(100000)"),
    Key("half-down", "ctrl+d, pagedown", "half a page down", "focused.half(1)"),
    Key("half-up", "ctrl+u, pageup", "half a page up", "focused.half(-1)"),
    Key("open", "enter", "open the GPU", "focused.open", short="open"),
    Key("next-table", "tab, shift+tab", "to the list of jobs", "app.focus_next", short="to jobs"),
)
ROLES = ("ok", "warn", "bad", "dim", "accent", "bold", "cursor")


class Picture(ScrollView, can_focus=True):
    """Devices with a cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"picture--{role}" for role in ROLES),
        *(f"picture--job{number}" for number in range(picture.COLOURS)),
    }
    DEFAULT_CSS = """
    Picture {
        height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; background: transparent;
        & .picture--ok { color: $text-success; text-style: bold; }
        & .picture--warn { color: $text-warning; }
        & .picture--bad { color: $text-error; text-style: bold; }
        & .picture--dim { color: $foreground-muted; }
        & .picture--accent { color: $text-primary; text-style: bold; }
        & .picture--bold { text-style: bold; }
        & .picture--job0 { color: $text-primary; }
        & .picture--job1 { color: $text-success; }
        & .picture--job2 { color: $text-accent; }
        & .picture--job3 { color: $text-secondary; }
        & .picture--job4 { color: $foreground; }
        & .picture--job5 { color: $text-primary; text-style: bold; }
        & .picture--cursor { background: $panel; text-style: bold; }
        &:focus .picture--cursor { background: $primary-muted; }
        &:light .picture--cursor { background: $surface; }
        &:light:focus .picture--cursor { background: $surface-lighten-2; }
        &:ansi .picture--cursor { background: ansi_default; text-style: reverse; }
    }
    """

    class Opened(Message):
        """Enter or a double click on a device."""

        def __init__(self, node: str, gpu: GpuDoc | None) -> None:
            super().__init__()
            self.node = node
            self.gpu = gpu

    class Moved(Message):
        """The cursor is on another device."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._docs: list[NodeDoc] = []
        self._scene = Scene({}, Codes())
        self._lines: list[Line] = []
        self._at = 0
        self._device = 0
        self._name: str | None = None
        self._styles: dict[str, Style] = {}
        self._drawn: list[object] = []
        """What the lines in view were made of."""

    # ── content ──

    @property
    def under(self) -> tuple[NodeDoc, GpuDoc | None] | None:
        """The node and the device under the cursor."""
        if not self._lines:
            return None
        line = self._lines[self._at]
        gpus = line.node["gpus"]
        return line.node, gpus[self._device] if self._device < len(gpus) else None

    @property
    def cursor_key(self) -> str | None:
        """The node under the cursor."""
        return self._name

    @property
    def needs(self) -> int:
        """Lines that show all of it."""
        return max(1, len(self._lines))

    def show(self, nodes: Sequence[NodeDoc], scene: Scene) -> None:
        """Another picture; the cursor stays on its device."""
        self._docs, self._scene = list(nodes), scene
        self._arrange()

    def select(self, name: str, device: int = 0) -> None:
        """Put the cursor on a node's device, and bring it into view."""
        for at, line in enumerate(self._lines):
            if line.node["name"] == name and line.first <= device < line.first + max(1, line.size):
                self._go(at, device)
                return
        self._name = name

    def reveal(self, names: Collection[str]) -> None:
        """Bring one of these nodes into view, if none is."""
        found = [at for at, line in enumerate(self._lines) if line.node["name"] in names]
        top = int(self.scroll_offset.y)
        if found and not any(top <= at < top + self.size.height for at in found):
            self.scroll_to(y=max(0, found[0] - 1), animate=False)

    def _arrange(self) -> None:
        self._lines = picture.lines(self._docs, self.size.width, self._scene.codes.wide)
        mine = [at for at, line in enumerate(self._lines) if line.node["name"] == self._name]
        holds = [at for at in mine if self._lines[at].first <= self._device]
        self._at = holds[-1] if holds else max(0, min(self._at, len(self._lines) - 1))
        if self._lines:
            line = self._lines[self._at]
            self._name = line.node["name"]
            self._device = max(0, min(self._device, line.first + line.size - 1))
        self.virtual_size = Size(self.size.width, len(self._lines))
        self._redraw()

    # ── drawing ──

    def _redraw(self) -> None:
        """Draw the lines that aren't as they were drawn."""
        before = self._drawn
        self._drawn = [self._parts(y) for y in range(self.size.height)]
        if len(before) != len(self._drawn):
            self.refresh()
            return
        changed = [y for y, parts in enumerate(self._drawn) if parts != before[y]]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _parts(self, y: int) -> tuple[int, list[Piece]] | None:
        """What a line is made of: the cursor's device, or -1, and the pieces."""
        at = int(self.scroll_offset.y) + y
        if at >= len(self._lines):
            return None
        here = self._device if at == self._at else -1
        return here, picture.pieces(self._lines[at], self._scene)

    def on_resize(self, _event: events.Resize) -> None:
        self._arrange()

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: str) -> Style:
        if role not in self._styles:
            self._styles[role] = role_style(self, f"picture--{role}") if role else Style()
        return self._styles[role]

    def render_line(self, y: int) -> Strip:
        width, base, parts = self.size.width, self.rich_style, self._parts(y)
        if parts is None:
            return Strip.blank(width, base)
        device, pieces = parts
        segments = [Segment("▸" if device >= 0 else " ", self._style("accent"))]
        for piece in pieces:
            on = device >= 0 and piece.at == device
            plain = on and self.app.native_ansi_color
            style = Style() if plain else self._style(piece.span.role)
            style += self._style("cursor") if on else Style()
            segments.append(Segment(safe(piece.span.text), style))
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    # ── movement ──

    def _go(self, at: int, device: int) -> None:
        if not self._lines:
            return
        self._at = max(0, min(at, len(self._lines) - 1))
        line = self._lines[self._at]
        self._name = line.node["name"]
        self._device = max(line.first, min(device, line.first + line.size - 1))
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False)
        self._redraw()
        self.post_message(self.Moved())

    def action_step(self, by: int) -> None:
        line = self._lines[self._at] if self._lines else None
        if line is None:
            return
        device = self._device + by
        if line.first <= device < line.first + line.size:
            self._go(self._at, device)
        elif by > 0 and self._at + 1 < len(self._lines):
            self._go(self._at + 1, 0)
        elif by < 0 and self._at > 0:
            self._go(self._at - 1, 100_000)

    def action_move(self, by: int) -> None:
        if self._lines:
            column = self._device - self._lines[self._at].first
            at = max(0, min(self._at + by, len(self._lines) - 1))
            self._go(at, self._lines[at].first + column)

    def action_half(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height // 2))

    def action_open(self) -> None:
        if (under := self.under) is not None:
            self.post_message(self.Opened(under[0]["name"], under[1]))

    def on_click(self, event: events.Click) -> None:
        at = int(self.scroll_offset.y) + event.y
        if at >= len(self._lines):
            return
        column, device = 1, self._lines[at].first
        for piece in picture.pieces(self._lines[at], self._scene):
            if piece.at is not None and column <= event.x:
                device = piece.at
            column += cell_len(piece.span.text)
        self._go(at, device)
        if event.chain == 2:
            self.action_open()
