"""The look before a job is changed: what of the text, and what becomes of what runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from flextui.screens.format import Span, safe
from flextui.screens.keys import Key, shown
from flextui.screens.prompt import Prompt
from flextui.screens.widgets.roles import role_style

DIFF_ROLES = ("add", "del", "dim", "accent", "warn", "ok", "bad", "bold")
DIFF_CSS = """
        & .diff--add { color: $text-success; }
        & .diff--del { color: $text-error; }
        & .diff--dim { color: $foreground-muted; }
        & .diff--accent { color: $text-primary; }
        & .diff--warn { color: $text-warning; }
        & .diff--ok { color: $text-success; }
        & .diff--bad { color: $text-error; text-style: bold; }
        & .diff--bold { text-style: bold; }
"""


def painted(widget: Widget, lines: Sequence[Sequence[Span]]) -> Text:
    """Lines of spans in the colours of a widget that has the `diff--` classes."""
    text = Text(no_wrap=False)
    for index, line in enumerate(lines):
        if index:
            text.append("\n")
        for span in line:
            style = role_style(widget, f"diff--{span.role}") if span.role else Style()
            text.append(safe(span.text), style)
    return text


class Painted(Static):
    """Lines of spans."""

    COMPONENT_CLASSES = {f"diff--{it}" for it in DIFF_ROLES}
    DEFAULT_CSS = f"Painted {{ height: auto; {DIFF_CSS} }}"
    _lines: Sequence[Sequence[Span]] = ()

    def show(self, lines: Sequence[Sequence[Span]]) -> None:
        """Draw these lines."""
        if lines != self._lines:
            self._lines = lines
            if self.is_attached:
                self._draw()

    def on_mount(self) -> None:
        self._draw()
        self.watch(self.app, "theme", self._draw, init=False)

    def _draw(self) -> None:
        self.update(painted(self, self._lines))


class Apply(Prompt[bool]):
    """Answers True for y. What was written is kept either way."""

    NAME = "apply"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("yes", "y, Y", "apply", "answer(True)"),
        Key("no", "n, N, q, escape", "back to the text", "answer(False)"),
        Key("down", "j, down", "down", "scroll(1)"),
        Key("up", "k, up", "up", "scroll(-1)"),
        Key("half-down", "ctrl+d, pagedown, space", "half a page down", "scroll(10)"),
        Key("half-up", "ctrl+u, pageup", "half a page up", "scroll(-10)"),
    )
    DEFAULT_CSS = """
    Apply > Vertical {
        width: 90; max-width: 96%; height: auto; max-height: 90%; padding: 0 2;
        background: $background; border: tall $warning;
    }
    Apply:ansi > Vertical { border: solid $warning; }
    Apply .question { text-style: bold; }
    Apply VerticalScroll { height: auto; max-height: 1fr; margin-top: 1; }
    Apply .keys { margin-top: 1; height: 1; }
    """

    def __init__(
        self, question: str, effects: Sequence[Sequence[Span]], diff: Sequence[Span]
    ) -> None:
        super().__init__()
        self._question = question
        self._effects = effects
        self._diff = diff
        self._scroll = VerticalScroll(can_focus=False)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, classes="question", markup=False)
            effects = Painted()
            effects.show(self._effects)
            yield effects
            with self._scroll:
                diff = Painted()
                diff.show([[it] for it in self._diff])
                yield diff
            yield Static(f"{self._key('yes')} apply    {self._key('no')} back", classes="keys",
                         markup=False)  # fmt: skip

    def _key(self, name: str) -> str:
        bound = next(it for it in self.app.keymap.of(self.NAME) if it.key.name == name)
        return shown(bound.chords[0]) if bound.chords else "–"

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_scroll(self, lines: int) -> None:
        self._scroll.scroll_relative(y=lines, animate=False)
