"""Screens over a place that take its keys: questions, help, choices."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from flextui.screens.keyed import Keyed
from flextui.screens.keys import Key

R = TypeVar("R")


class Prompt(Keyed, ModalScreen[R], Generic[R]):
    """A modal screen whose keys are those of one place of the keymap."""

    NAME: ClassVar[str] = ""
    KEYS: ClassVar[tuple[Key, ...]] = ()
    DEFAULT_CSS = """
    Prompt { align: center middle; background: $background 60%; }
    Prompt:ansi { background: transparent; }
    Prompt.-low > * { width: 100%; max-width: 100%; max-height: 100%; padding: 0 1; border: none; }
    Prompt.-low > Vertical { height: 100%; }
    Prompt.-low .question { height: auto; max-height: 2; }
    Prompt.-low .detail, Prompt.-low VerticalScroll { margin: 0; height: 1fr; min-height: 0; }
    Prompt.-low VerticalScroll .detail { height: auto; }
    Prompt.-low .keys, Prompt.-low Input { margin: 0; height: 1; }
    Prompt.-low .warning { margin: 0; max-height: 1; }
    Prompt.-low .title { display: none; }
    Prompt.-low #matches { height: 1fr; }
    """

    def on_mount(self) -> None:
        """Keys are taken from now on."""
        self.take_focus()
        self.ready.set()

    def reveal(self, row: int) -> None:
        """Bring a row of a list of choices into view, where not all of them are."""
        for box in self.query(VerticalScroll):
            top, height = box.scroll_offset.y, max(1, box.scrollable_content_region.height)
            if not top <= row < top + height:
                box.scroll_to(y=row - height // 2, animate=False)

    @property
    def chain(self) -> tuple[str, ...]:
        return (self.NAME,)
