"""The line on top and the line at the bottom, the same on every screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from flextui.screens import format as fmt
from flextui.screens.format import Span

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


class _Line(Widget):
    """One line of spans; roles are the grid's."""

    COMPONENT_CLASSES = {f"line--{r}" for r in ("ok", "warn", "bad", "dim", "accent", "bold")}
    DEFAULT_CSS = """
    _Line {
        height: 1; background: $surface; color: $foreground;
        & .line--ok { color: $text-success; }
        & .line--warn { color: $text-warning; }
        & .line--bad { color: $text-error; text-style: bold; }
        & .line--dim { color: $foreground-muted; }
        & .line--accent { color: $text-primary; text-style: bold; }
        & .line--bold { text-style: bold; }
    }
    """
    app: FlextuiApp

    def spans(self, width: int) -> list[Span]:
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        segments = [
            Segment(fmt.to_ascii(s.text) if self.app.ascii_only else s.text, self._style(s.role))
            for s in self.spans(width)
        ]
        return (
            Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
        )

    def _style(self, role: str) -> Style:
        return self.get_component_rich_style(f"line--{role}", partial=True) if role else Style()


class TopLine(_Line):
    """Fleet and place, where the core runs and since when it is in touch, who you are, counts."""

    DEFAULT_CSS = "TopLine { dock: top; }"

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def spans(self, width: int) -> list[Span]:
        view = self.app.view
        fleet = view.fleet
        left = [
            Span(f" {fleet['fleet'] if fleet else 'flextui'}", "accent"),
            Span(f" ▸ {self.place}"),
        ]
        if fleet is None:
            return [*left, Span(f"   {view.trouble or 'connecting …'}", "warn")]
        if view.live:
            up = fmt.span_of(self.app.clock() - (fmt.parse_time(fleet["started_at"]) or 0))
            middle = [Span(f"   {fleet['core']} ", "dim"), Span("●", "ok"), Span(f" {up}", "dim")]
        else:
            middle = [Span(f"   {fleet['core']} ✗ {view.trouble}", "bad")]
        info = self.app.info
        if info is not None:
            middle.append(Span(f"   {info.user}{' (admin)' if info.admin else ''}", "dim"))
        right = [Span(f"{fleet['gpus_used']}/{fleet['gpus_total']} GPUs"), Span(" · ", "dim"),
                 Span(f"{fleet['running']} running"), Span(" · ", "dim"),
                 Span(f"{fleet['pending']} pending ")]  # fmt: skip
        if fleet["problems"]:
            word = "problem" if fleet["problems"] == 1 else "problems"
            right += [Span("· ", "dim"), Span(f"{fleet['problems']} {word} ", "bad")]
        if fleet["read_only"]:
            right = [Span(f"read-only: {fleet['read_only']} ", "bad")]
        elif fleet["replacement_paused"]:
            right = [Span(f"{fleet['replacement_paused']} ", "warn"), *right]
        return _spread(left, middle, right, width)


def _spread(left: list[Span], middle: list[Span], right: list[Span], width: int) -> list[Span]:
    def length(spans: list[Span]) -> int:
        return sum(cell_len(s.text) for s in spans)

    if length(left) + length(middle) + length(right) + 1 > width:
        middle = []
    gap = width - length(left) - length(middle) - length(right)
    return [*left, *middle, Span(" " * max(1, gap)), *right]


class KeyLine(_Line):
    """The keys of this place."""

    DEFAULT_CSS = "KeyLine { dock: bottom; }"

    def __init__(self, keys: str) -> None:
        super().__init__()
        self.keys = keys

    def spans(self, width: int) -> list[Span]:
        out: list[Span] = [Span(" ")]
        used = 1
        for pair in self.keys.split("  "):
            key, _, word = pair.partition(" ")
            need = cell_len(key) + cell_len(word) + 3
            if used + need > width:
                break
            used += need
            out += [Span(key, "accent"), Span(f" {word}  ", "dim")]
        return out
