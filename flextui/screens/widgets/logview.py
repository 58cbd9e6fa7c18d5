"""A log as it is read: opens at its tail, follows, and never moves under one who scrolls up.

Lines are kept raw up to a bound and styled only when they come into view.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from flextui.core.model.terminal import neutralise
from flextui.screens.keys import Key
from flextui.screens.widgets.roles import role_style

PAGER_KEYS = (
    Key("follow", "G, end", "to the end, and follow", "focused.tail", short="follow"),
    Key("down", "j, down", "down", "focused.by(1)"),
    Key("up-line", "k, up", "up; stops following", "focused.by(-1)", short="scroll up"),
    Key("top", "g, home", "top", "focused.top"),
    Key("half-down", "ctrl+d", "half a page down", "focused.half(1)"),
    Key("half-up", "ctrl+u", "half a page up", "focused.half(-1)"),
    Key("page-down", "pagedown, space, ctrl+f", "a page down", "focused.half(2)"),
    Key("page-up", "pageup, b", "a page up", "focused.half(-2)"),
)

KEPT_LINES = 50_000
LONGEST = 4_096
"""Characters of a line that are kept; a 10 MB line shows its beginning."""


class LogLine(NamedTuple):
    """`origin` is the task or attempt; `stream` out, err, or note for the viewer's own words."""

    origin: str
    stream: str
    text: str


@lru_cache(maxsize=4096)
def styled(text: str) -> Text:
    """The line with its own SGR colours."""
    return Text.from_ansi(text) if "\x1b" in text else Text(text)


class LogView(ScrollView, can_focus=True):
    """Movement as in less; G follows again."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--err", "log--note", "log--origin", "log--hit", "log--alarm", "log--warning",
    }  # fmt: skip
    DEFAULT_CSS = """
    LogView {
        height: 1fr; scrollbar-size-vertical: 1; background: transparent;
        & .log--err { color: $text-warning; }
        & .log--note { color: $foreground-muted; text-style: italic; }
        & .log--origin { color: $text-primary; }
        & .log--hit { background: $warning; color: $background; }
        & .log--alarm { color: $text-error; }
        & .log--warning { color: $text-warning; }
    }
    """
    _ALARM = re.compile(r"\b(error|fatal|critical|exception|traceback|panic)\b", re.IGNORECASE)
    _WARNING = re.compile(r"\bwarn(ing)?\b", re.IGNORECASE)

    class FollowChanged(Message):
        """Following began or stopped."""

        def __init__(self, following: bool) -> None:
            super().__init__()
            self.following = following

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._shown: list[int] | None = None
        self._dropped = 0
        self._pattern: re.Pattern[str] | None = None
        self._inverse = False
        self._styles: dict[str, Style] = {}
        self.following = True
        self.origins = False
        """Whether each line says where it is from."""

    # ── content ──

    @property
    def count(self) -> int:
        """Lines that can be scrolled to."""
        return len(self._lines) if self._shown is None else len(self._shown)

    @property
    def total(self) -> int:
        """Lines that are kept, those that the filter hides too."""
        return len(self._lines)

    def add(self, lines: list[LogLine]) -> None:
        """Append lines; those over the bound leave at the top without moving what is read."""
        before = len(self._lines)
        self._lines.extend(lines)
        dropped = before + len(lines) - len(self._lines)
        self._dropped += dropped
        gone = dropped
        if self._shown is not None:
            first = self._dropped
            kept = [n for n in self._shown if n >= first]
            gone = len(self._shown) - len(kept)
            start = first + len(self._lines) - len(lines)
            kept += [start + i for i, line in enumerate(lines) if self._fits(line)]
            self._shown = kept
        self._resized(gone)

    def clear(self) -> None:
        """Forget every line and follow."""
        self._lines.clear()
        self._dropped = 0
        self._shown = None if self._pattern is None else []
        self.following = True
        self._resized()

    def _resized(self, gone: int = 0) -> None:
        self.virtual_size = Size(self.size.width, self.count)
        if self.following:
            self._to_tail()
        elif gone:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True)
        self.refresh()

    def _to_tail(self) -> None:
        # Now, so that a burst of lines never shows another place; and again when the layout
        # knows the new height, without which the first lines of all would stay at their top.
        self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        self.scroll_end(animate=False, immediate=False, x_axis=False)

    def on_resize(self) -> None:
        """A follower stays at the tail whatever the size."""
        self._resized()

    def search(self, pattern: re.Pattern[str] | None, *, inverse: bool = False) -> None:
        """Show only lines that match (or don't); None shows all."""
        self._pattern, self._inverse = pattern, inverse
        if pattern is None:
            self._shown = None
        else:
            first = self._dropped
            self._shown = [first + i for i, line in enumerate(self._lines) if self._fits(line)]
        self._resized()

    def _fits(self, line: LogLine) -> bool:
        assert self._pattern is not None
        return bool(self._pattern.search(line.text)) != self._inverse

    def text(self) -> str:
        """Everything shown, for the clipboard or a file."""
        return "\n".join(self._line_at(y).text for y in range(self.count))

    def _line_at(self, y: int) -> LogLine:
        return self._lines[y if self._shown is None else self._shown[y] - self._dropped]

    # ── drawing ──

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        index = int(self.scroll_offset.y) + y
        if index >= self.count:
            return Strip.blank(width, self.rich_style)
        line = self._line_at(index)
        segments: list[Segment] = []
        if self.origins and line.origin:
            segments.append(Segment(f"{line.origin:<8} ", self._role("origin")))
        segments += self._body(line)
        strip = Strip(segments).crop(int(self.scroll_offset.x)).adjust_cell_length(width)
        return strip.apply_style(self.rich_style)

    def _body(self, line: LogLine) -> list[Segment]:
        if line.stream == "note":
            return [Segment(line.text, self._role("note"))]
        text = styled(neutralise(line.text.expandtabs(8))).copy()
        if self._ALARM.search(line.text):
            text.stylize_before(self._role("alarm"))
        elif self._WARNING.search(line.text):
            text.stylize_before(self._role("warning"))
        elif line.stream == "err":
            text.stylize_before(self._role("err"))
        if self._pattern is not None and not self._inverse:
            text.highlight_regex(self._pattern, self._role("hit"))
        return [s for s in text.render(self.app.console) if s.text != "\n"]

    def _role(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = role_style(self, f"log--{name}")
        return self._styles[name]

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    # ── movement ──

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        if new < old and new < self.max_scroll_y:
            self._set_following(False)

    def _set_following(self, following: bool) -> None:
        if following != self.following:
            self.following = following
            self.post_message(self.FollowChanged(following))

    def action_by(self, lines: int) -> None:
        if lines < 0:
            self._set_following(False)
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, immediate=True)

    def action_half(self, halves: int) -> None:
        self.action_by(halves * max(1, self.size.height // 2))

    def action_top(self) -> None:
        self._set_following(False)
        self.scroll_to(y=0, animate=False, immediate=True)

    def action_tail(self) -> None:
        self._set_following(True)
        self._to_tail()
