"""The last question of the first run: what the fleet is called, over the file as it will be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from flextui.screens.format import safe_lines
from flextui.screens.keys import Key
from flextui.screens.prompt import Prompt
from flextui.screens.setup import good_name


class Naming(Prompt[str]):
    """Enter takes the name; None for Esc."""

    NAME = "naming"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("take", "enter", "write the inventory and begin", "take", typing=True),
        Key("cancel", "escape", "back to the machines", "cancel", typing=True),
    )
    DEFAULT_CSS = """
    Naming > Vertical {
        width: 78; max-width: 98%; height: auto; max-height: 96%; padding: 1 2; background: $panel;
        border-left: thick $primary;
    }
    Naming:ansi > Vertical { border: solid $primary; }
    Naming .question { text-style: bold; }
    Naming Input, Naming Input:focus {
        border: none; height: 1; padding: 0; margin-top: 1; background: $surface;
    }
    Naming VerticalScroll { height: auto; max-height: 14; margin-top: 1; }
    Naming .file { color: $foreground-muted; height: auto; }
    Naming .keys { margin-top: 1; }
    Naming .unfit { margin-top: 1; color: $text-warning; }
    """

    def __init__(
        self, name: str, path: Path, text: Callable[[str], str], unfit: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self._unfit = unfit
        self._path = path
        self._text = text
        self._box = Input(name, id="fleet", select_on_focus=False)
        self._box.cursor_blink = False

    def home_focus(self) -> Input:
        return self._box

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("What is the fleet called?", classes="question", markup=False)
            yield self._box
            with VerticalScroll(can_focus=False):
                yield Static(self._file(), classes="file", markup=False, id="file")
            if self._unfit:
                said = f"{', '.join(self._unfit)}: unfit now, tried again all the time"
                yield Static(safe_lines(said), classes="unfit", markup=False)
            yield Static("Enter writes it and begins    Esc back", classes="keys", markup=False)

    def _file(self) -> str:
        return safe_lines(f"{self._path}\n\n{self._text(self._box.value.strip())}")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        name = event.value.strip()
        said = self._file() if good_name(name) else "1 to 63 of a-z, 0-9 and '-'"
        self.query_one("#file", Static).update(said)

    def action_take(self) -> None:
        name = self._box.value.strip()
        if good_name(name):
            self.dismiss(name)

    def action_cancel(self) -> None:
        self.dismiss(None)
