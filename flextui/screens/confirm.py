"""A question before something is stopped or changed: what will happen, then y or n."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static


class Confirm(ModalScreen[bool]):
    """Answers True for y, False for n or Esc; Enter alone never destroys."""

    DEFAULT_CSS = """
    Confirm { align: center middle; background: $background 60%; }
    Confirm > Vertical {
        width: 72; max-width: 92%; height: auto; max-height: 80%; padding: 1 2; background: $panel;
        border-left: thick $warning;
    }
    Confirm .question { text-style: bold; }
    Confirm .detail { color: $foreground-muted; margin-top: 1; }
    Confirm .keys { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "answer(True)", "yes"),
        Binding("n,N,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str, detail: str, *, yes: str = "yes", no: str = "no") -> None:
        super().__init__()
        self._question = question
        self._detail = detail
        self._words = (yes, no)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, classes="question", markup=False)
            if self._detail:
                yield Static(self._detail, classes="detail", markup=False)
            yield Static(f"[b]y[/b] {self._words[0]}    [b]n[/b] {self._words[1]}", classes="keys")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
