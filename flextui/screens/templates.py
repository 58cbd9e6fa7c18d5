"""Which spec to begin with."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from flextui.screens.editing.templates import TEMPLATES
from flextui.screens.keys import Key
from flextui.screens.prompt import Prompt
from flextui.screens.widgets.press import Rows


class Templates(Prompt[str | None]):
    """Answers the text of the chosen template, None on Esc."""

    NAME = "templates"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("down", "j, down, ctrl+n, ctrl+t", "the one below", "pick(1)"),
        Key("up", "k, up, ctrl+p", "the one above", "pick(-1)"),
        Key("take", "enter", "begin with it", "take"),
        Key("cancel", "escape, q", "back to the text", "cancel"),
    )
    DEFAULT_CSS = """
    Templates > VerticalScroll {
        width: 64; max-width: 96%; height: auto; max-height: 90%; padding: 1 2; background: $panel;
        border-left: thick $primary;
    }
    Templates:ansi > VerticalScroll { border: solid $foreground-muted; }
    Templates .title { text-style: bold; margin-bottom: 1; }
    Templates #list { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._at = 1
        self._list = Rows(id="list")

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static("Begin with", classes="title", markup=False)
            yield self._list

    def on_mount(self) -> None:
        self._draw()
        super().on_mount()

    def _draw(self) -> None:
        text = Text()
        for index, it in enumerate(TEMPLATES):
            style = "bold reverse" if index == self._at else ""
            text.append(f" {it.name:<12} {it.word:<44} ", style)
            text.append("\n" if index + 1 < len(TEMPLATES) else "")
        self._list.update(text)
        self.call_after_refresh(self.reveal, 2 + self._at)

    def action_pick(self, by: int) -> None:
        self._at = (self._at + by) % len(TEMPLATES)
        self._draw()

    @on(Rows.Picked)
    def _picked(self, event: Rows.Picked) -> None:
        if event.row < len(TEMPLATES):
            self._at = event.row
            self.action_take()

    def action_take(self) -> None:
        self.dismiss(TEMPLATES[self._at].text)

    def action_cancel(self) -> None:
        self.dismiss(None)
