"""A number, asked for with what it is about: a priority, how many replicas."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from flextui.screens.format import safe_lines
from flextui.screens.keys import Key
from flextui.screens.prompt import Prompt


class Number(Prompt[int | None]):
    """Answers a number from `least` to `most`, None on Esc."""

    NAME = "number"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("take", "enter", "take this number", typing=True),
        Key("cancel", "escape", "leave it as it is", typing=True),
    )
    DEFAULT_CSS = """
    Number > Vertical {
        width: 60; max-width: 96%; height: auto; padding: 1 2; background: $panel;
        border-left: thick $primary;
    }
    Number:ansi > Vertical { border: solid $foreground-muted; }
    Number .question { text-style: bold; }
    Number .detail { color: $foreground-muted; }
    Number Input, Number Input:focus {
        border: none; height: 1; padding: 0; margin-top: 1; background: $surface;
    }
    """

    def __init__(self, question: str, detail: str, now: int, least: int, most: int) -> None:
        super().__init__()
        self._question = question
        self._detail = detail
        self._bounds = (least, most)
        self._box = Input(str(now), id="number", type="integer", select_on_focus=True)
        self._box.cursor_blink = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(safe_lines(self._question), classes="question", markup=False)
            yield Static(safe_lines(self._detail), classes="detail", markup=False)
            yield self._box

    def home_focus(self) -> Input:
        return self._box

    def action_take(self) -> None:
        """Only a number within the bounds is taken; else it says what was expected."""
        least, most = self._bounds
        text = self._box.value.strip()
        if text.isdigit() and least <= int(text) <= most:
            self.dismiss(int(text))
        else:
            self.app.tell(f"expected a number from {least} to {most}", bad=True)

    def action_cancel(self) -> None:
        self.dismiss(None)
