"""`?` — the keys of the place one is in, then those that work everywhere."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

EVERYWHERE = (
    ("j k ↓ ↑", "move"),
    ("g G", "top, bottom"),
    ("Ctrl-d Ctrl-u", "half a page down, up"),
    ("Enter", "open what is under the cursor"),
    ("/", "filter by a regex; !regex shows all but these"),
    (":", "go to a screen, job or node by a few letters"),
    ("1 2 3", "fleet, jobs, events"),
    ("n", "new job: the editor, with an example ready to submit"),
    ("y", "yank the name under the cursor to your clipboard (OSC 52)"),
    ("Esc", "one level up; never quits"),
    ("q", "back, and from the top: quit"),
)


LEGEND = (
    "A device is one cell: its height is memory in use.",
    "▒ held by a process that is no job of flextui, ⊘ cordoned, ✗ lost",
)


class Help(ModalScreen[None]):
    """Any of ?, q, Esc closes it."""

    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 90%; background: $panel; padding: 1 2;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q,escape", "close", "close"),
        Binding("j", "scroll(1)", "down", show=False),
        Binding("k", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, title: str, text: str, keys: str) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._keys = keys

    def compose(self) -> ComposeResult:
        here = [pair.partition(" ")[::2] for pair in self._keys.split("  ") if pair]
        lines = [self._title, "", self._text, "", "Here"]
        lines += [f"  {key:<14} {word}" for key, word in here]
        lines += ["", "Everywhere"]
        lines += [f"  {key:<14} {word}" for key, word in EVERYWHERE]
        lines += ["", *LEGEND]
        with VerticalScroll():
            yield Static("\n".join(lines), markup=False)

    def action_close(self) -> None:
        self.dismiss()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
