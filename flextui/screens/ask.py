"""A line of text, asked for with what it may be: a time, a file, how much of a log."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from flextui.screens.format import safe_lines
from flextui.screens.keys import Key
from flextui.screens.prompt import Prompt


class Ask(Prompt[str]):
    """Answers the text, None on Esc. `wrong` says what is the matter with a text, "" if nothing."""

    NAME = "ask"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("take", "enter", "take this", typing=True),
        Key("cancel", "escape", "leave it as it is", typing=True),
    )
    DEFAULT_CSS = """
    Ask > Vertical {
        width: 72; max-width: 96%; height: auto; padding: 1 2; background: $panel;
        border-left: thick $primary;
    }
    Ask:ansi > Vertical { border: solid $foreground-muted; }
    Ask .question { text-style: bold; }
    Ask .detail { color: $foreground-muted; }
    Ask .wrong { color: $text-error; height: auto; }
    Ask Input, Ask Input:focus {
        border: none; height: 1; padding: 0; margin-top: 1; background: $surface;
    }
    """

    def __init__(
        self, question: str, detail: str, text: str = "", wrong: Callable[[str], str] | None = None
    ) -> None:
        super().__init__()
        self._question = question
        self._detail = detail
        self._wrong = wrong
        self._box = Input(text, id="answer", select_on_focus=True)
        self._box.cursor_blink = False
        self._complaint = Static("", classes="wrong", markup=False)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(safe_lines(self._question), classes="question", markup=False)
            yield Static(safe_lines(self._detail), classes="detail", markup=False)
            yield self._box
            yield self._complaint

    def home_focus(self) -> Input:
        return self._box

    def action_take(self) -> None:
        """A text in which something is wrong isn't taken; it says what."""
        text = self._box.value.strip()
        complaint = self._wrong(text) if self._wrong is not None else ""
        if complaint:
            self._complaint.update(safe_lines(complaint))
        else:
            self.dismiss(text)

    def action_cancel(self) -> None:
        self.dismiss(None)
