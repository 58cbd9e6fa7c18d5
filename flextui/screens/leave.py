"""The question on leaving while this terminal holds the core and work is live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widgets import Static

from flextui.screens.confirm import Confirm
from flextui.screens.keys import Key


class Leave(Confirm):
    """Enter or y hands over, n just quits, Esc stays (None)."""

    NAME = "leaving"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("yes", "y, Y, enter", "hand over to a headless twin", "answer(True)"),
        Key("no", "n, N", "just quit", "answer(False)"),
        Key("cancel", "escape, q", "stay", "stay"),
    )

    def __init__(self, jobs: int) -> None:
        count = f"{jobs} job{'s' if jobs > 1 else ''}"
        detail = (
            "yes: a twin goes on in the background; it restarts what fails and starts what waits.\n"
            "no: nobody does. What runs goes on running; results are collected at the next start."
        )
        question = f"Quit, and let a headless twin look after {count}?"
        super().__init__(question, detail, yes="hand over", no="just quit")

    def _keys(self) -> Iterable[Static]:
        yield from super()._keys()
        yield self._key("cancel", "stay")

    def action_stay(self) -> None:
        self.dismiss(None)
