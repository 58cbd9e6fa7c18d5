"""A question before something is stopped or changed: what will happen, then y or n."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static

from flextui.screens.format import safe_lines
from flextui.screens.keys import Key, shown
from flextui.screens.prompt import Prompt
from flextui.screens.widgets.press import Press


class Confirm(Prompt[bool]):
    """Answers True for y, False for n or Esc; Enter alone never destroys.

    With `typed`, y is not enough: that word has to be typed, then Enter.
    """

    NAME = "question"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("yes", "y, Y", "yes", "answer(True)"),
        Key("no", "n, N, q", "no", "answer(False)"),
        Key("cancel", "escape", "no", "answer(False)", typing=True),
        Key("take", "enter", "yes, where a word has to be typed", "take", typing=True),
        Key("down", "down, pagedown", "down", "scroll(1)", typing=True),
        Key("up", "up, pageup", "up", "scroll(-1)", typing=True),
    )
    DEFAULT_CSS = """
    Confirm > Vertical {
        width: 72; max-width: 96%; height: auto; max-height: 90%; padding: 1 2; background: $panel;
        border-left: thick $warning;
    }
    Confirm:ansi > Vertical { border: solid $warning; }
    Confirm .question { text-style: bold; }
    Confirm .warning { color: $text-error; text-style: bold; margin-top: 1; }
    Confirm VerticalScroll { height: auto; max-height: 16; margin-top: 1; }
    Confirm .detail { color: $foreground-muted; height: auto; }
    Confirm .keys { margin-top: 1; height: 1; }
    Confirm Input, Confirm Input:focus {
        border: none; height: 1; padding: 0; margin-top: 1; background: $surface;
    }
    Confirm Input > .input--placeholder { color: $foreground-muted; }
    """

    def __init__(
        self,
        question: str,
        detail: str,
        *,
        yes: str = "yes",
        no: str = "no",
        typed: str = "",
        warning: str = "",
    ) -> None:
        super().__init__()
        self._question = question
        self._detail = detail
        self._words = (yes, no)
        self._typed = typed
        self._warning = warning
        self._box = Input(placeholder=typed, id="typed")
        self._box.cursor_blink = False

    def home_focus(self) -> Input | None:
        return self._box if self._typed else None

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, classes="question", markup=False)
            if self._warning:
                yield Static(safe_lines(self._warning), classes="warning", markup=False)
            if self._detail:
                with VerticalScroll(can_focus=False):
                    yield Static(safe_lines(self._detail), classes="detail", markup=False)
            if self._typed:
                yield self._box
            with Horizontal(classes="keys"):
                yield from self._keys()

    def _keys(self) -> Iterable[Static]:
        """What may be answered, and how."""
        if self._typed:
            yield Press(f"type {self._typed} and Enter to go on", "")
            yield self._key("cancel", "no")
        else:
            yield self._key("yes", self._words[0])
            yield self._key("no", self._words[1])

    def _key(self, name: str, word: str) -> Press:
        bound = next(it for it in self.app.keymap.of(self.NAME) if it.key.name == name)
        chord = bound.chords[0] if bound.chords else ""
        return Press(f"{shown(chord) if chord else '–'} {word}", chord)

    def action_take(self) -> None:
        """Enter is a yes only after the word."""
        if self._typed and self._box.value.strip() == self._typed:
            self.dismiss(True)

    def action_scroll(self, pages: int) -> None:
        """Half a page further, where what will happen is longer than there is room."""
        for box in self.query(VerticalScroll):
            half = max(1, box.scrollable_content_region.height // 2)
            box.scroll_relative(y=pages * half, animate=False)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
