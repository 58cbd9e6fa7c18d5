"""Screens over a place that take its keys: questions, help, choices."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

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
    """

    def on_mount(self) -> None:
        """Keys are taken from now on."""
        self.take_focus()
        self.ready.set()

    @property
    def chain(self) -> tuple[str, ...]:
        return (self.NAME,)
