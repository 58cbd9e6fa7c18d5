"""The line on top and the line at the bottom, the same on every screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from flextui.screens import format as fmt
from flextui.screens import keys, pace
from flextui.screens.format import Span
from flextui.screens.widgets.roles import role_style

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


_ROLES = ("ok", "warn", "bad", "dim", "accent", "bold", "label")


class _Line(Widget):
    """One line of spans; roles are the grid's. It is painted only when its words change."""

    COMPONENT_CLASSES = {f"line--{r}" for r in _ROLES}
    DEFAULT_CSS = """
    _Line {
        height: 1; background: $surface; color: $foreground;
        & .line--ok { color: $text-success; }
        & .line--warn { color: $text-warning; }
        & .line--bad { color: $text-error; text-style: bold; }
        & .line--dim { color: $foreground-muted; }
        & .line--accent { color: $text-primary; text-style: bold; }
        & .line--bold { text-style: bold; }
        & .line--label { color: $text-warning; text-style: bold reverse; }
    }
    """
    app: FlextuiApp
    _drawn: list[Span] | None = None

    def spans(self, width: int) -> list[Span]:
        raise NotImplementedError

    def redraw(self) -> None:
        """Something that it tells of may have changed."""
        if self.is_attached and self.spans(self.size.width) != self._drawn:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        self._drawn = self.spans(width)
        segments = [Segment(fmt.safe(s.text), self._style(s.role)) for s in self._drawn]
        base = self.rich_style
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _style(self, role: str) -> Style:
        return role_style(self, f"line--{role}") if role else Style()


LEAST = 40
"""Cells in which it is told why the core is out of reach."""


class TopLine(_Line):
    """Fleet and place, where the core runs and since when it is in touch, who you are, counts."""

    DEFAULT_CSS = "TopLine { dock: top; }"

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def spans(self, width: int) -> list[Span]:
        """The fullest way to say it that fits; fleet, core and user never leave."""
        trouble = self._trouble()
        for least in sorted({min(cell_len(trouble), LEAST), 0}, reverse=True):
            for places, counts in ((3, 3), (2, 2), (1, 1), (1, 0), (0, 0)):
                left, right = self._left(places), self._right(counts)
                room = width - _length(left) - _length(right)
                if room > least:
                    said = fmt.shortened(trouble, room - 1) if least else ""
                    gap = " " * (room - cell_len(said))
                    return [*left, Span(said, "bad"), Span(gap), *right]
        room = width - _length(right)
        return [*_cut(left, room - 1), Span(" "), *right] if room > 8 else _cut(left, width)

    def _trouble(self) -> str:
        """Why the core is out of reach, and since when."""
        view = self.app.view
        if view.fleet is None or view.live or view.opening:
            return ""
        since = "" if view.lost_at is None else fmt.span_of(self.app.now() - view.lost_at)
        return f"  gone {since}: {view.trouble}" if since else f"  {view.trouble}"

    async def on_click(self, event: events.Click) -> None:
        """On the count of what is wrong: what that is."""
        at = 0
        for span in self.spans(self.size.width):
            at += cell_len(span.text)
            if event.x < at:
                if span.role == "bad" and ("problem" in span.text or span.text.startswith("!")):
                    await self.run_action("app.go('problems')")
                return

    def _left(self, fullness: int) -> list[Span]:
        view = self.app.view
        fleet = view.fleet
        place = self.place if fullness else self.place.rpartition(" ▸ ")[2]
        spans = []
        if self.app.pace is not None or (fleet is not None and fleet.get("simulated")):
            spans.append(Span(pace.label(self.app.pace, fullness), "label"))
        spans += [Span(f" {fleet['fleet'] if fleet else 'flextui'}", "accent"), Span(f" ▸ {place}")]
        gap = "   " if fullness > 1 else "  "
        if fleet is None:
            return [*spans, Span(f"{gap}{view.trouble or 'connecting …'}", "warn")]
        if view.live:
            spans += [Span(f"{gap}{fleet['core']} ", "dim"), Span("●", "ok")]
            if fullness > 2:
                started = fmt.parse_time(fleet["started_at"]) or 0.0
                spans.append(Span(f" {fmt.span_of(self.app.now() - started)}", "dim"))
        elif view.opening:
            spans.append(Span(f"{gap}◌ opening the core …" if fullness else f"{gap}◌", "warn"))
        else:
            spans.append(Span(f"{gap}{fleet['core']} ✗", "bad"))
        if (info := self.app.info) is not None:
            admin = " (admin)" if info.admin and fullness > 1 else ""
            spans.append(Span(f"{gap}{info.user}{admin}", "dim"))
        return spans

    def _right(self, fullness: int) -> list[Span]:
        view = self.app.view
        fleet = view.fleet
        mine = [Span("read-only ", "warn")] if self.app.read_only else []
        if self.app.look.slow:
            mine.append(Span("slow line ", "dim"))
        if waits := self.app.put_off:
            undo = self.app.chord("everywhere", "undo")
            mine.append(Span(f"{waits}{f', {undo} undoes' if undo else ''}  ", "warn"))
        if fleet is None:
            return mine
        if fleet["read_only"]:
            return [*mine, Span(f"read-only core: {fleet['read_only']} ", "bad")]
        paused = fleet["replacement_paused"]
        spans = [*mine, *([Span(f"{paused} ", "warn")] if paused and fullness > 2 else [])]
        dot = Span(" · " if fullness > 1 else " ", "dim")
        if fullness and view.seen:
            spans += [Span(f"{fleet['gpus_used']}/{fleet['gpus_total']} GPUs"), dot]
        if fullness > 1:
            spans += [Span(f"{fleet['running']} running"), dot, Span(f"{fleet['pending']} pending")]
        else:
            spans += [Span(f"●{fleet['running']}"), dot, Span(f"◌{fleet['pending']}")]
        if count := fleet["problems"]:
            word = ("problem" if count == 1 else "problems") if fullness else ""
            spans += [dot, Span(f"{count} {word}".strip() if word else f"!{count}", "bad")]
        return [*spans, Span(" ")]


def press(chord: str) -> list[events.Key]:
    """The keys of a chord as if they were pressed."""
    return [events.Key(it, it if len(it) == 1 else None) for it in chord.split()]


def _length(spans: list[Span]) -> int:
    return sum(cell_len(s.text) for s in spans)


def _cut(spans: list[Span], room: int) -> list[Span]:
    kept: list[Span] = []
    for span in spans:
        length = cell_len(span.text)
        if length > room:
            return [*kept, Span(span.text[: max(0, room)], span.role)]
        kept.append(span)
        room -= length
    return kept


class KeyLine(_Line):
    """The keys of this place, as they are bound; the last of them, help, even where others don't
    fit. A click on one is that key."""

    DEFAULT_CSS = "KeyLine { dock: bottom; }"

    def spans(self, width: int) -> list[Span]:
        return [Span(" "), *(span for _, told in self._kept(width) for span in told)]

    def _kept(self, width: int) -> list[tuple[str, list[Span]]]:
        """Chords and what is told of them, as many as there is room for."""
        from flextui.screens.place import Place

        screen = self.screen
        hints = screen.hints() if isinstance(screen, Place) else []
        told = [(chord, self._told(chord, word)) for chord, word in hints]
        last = [told.pop()] if len(told) > 1 and hints[-1][1] == "help" else []
        room = width - 1 - sum(_length(it) for _, it in last)
        kept: list[tuple[str, list[Span]]] = []
        for chord, it in told:
            room -= _length(it)
            if room < 0:
                break
            kept.append((chord, it))
        return kept + last

    def _told(self, chord: str, word: str) -> list[Span]:
        if not chord:
            return [Span(f"{word}  ", "bold")]
        key = keys.shown(chord, brief=True, ascii_only=self.app.ascii_only)
        return [Span(key, "accent"), Span(f" {word}  ", "dim")]

    def on_click(self, event: events.Click) -> None:
        at = 1
        for chord, told in self._kept(self.size.width):
            if at <= event.x < at + _length(told) - 2:
                for key in press(chord):
                    self.app.post_message(key)
            at += _length(told)
