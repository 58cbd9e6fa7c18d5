"""Keys in the order in which they were pressed, each where the ones before it led.

Textual hands a key to the screen that is there when the key arrives, and screens work through
theirs at their own pace: who types `2 s` quickly would have the `s` done in the place that `2`
leaves. Here the app takes one key at a time, does what it means, and lets the widget that it goes
to deal with it before the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from rich.console import RenderableType
from textual import events
from textual.actions import parse
from textual.widget import Widget
from textual.worker import WorkerError

from flextui.screens.keyed import Keyed
from flextui.screens.keys import Bound, pressed
from flextui.screens.roaming import Roaming

PATIENCE_S = 2.0
"""A screen or widget that takes longer than this is not waited for."""


class Typed(Roaming):
    """The app over its keymap."""

    ending: bool = False
    """It has been told to end: nothing that is typed means anything."""

    def exit(
        self, result: None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """End. What was typed before isn't worked through: a screen that it would open never
        gets ready any more."""
        self.ending = True
        super().exit(result, return_code, message)

    async def on_event(self, event: events.Event) -> None:
        """Keys are taken here; everything else goes Textual's way."""
        if (self.away or self.ending) and isinstance(event, events.Key | events.Paste):
            return  # it was typed for the program that has the terminal, or comes too late
        screen = self.screen if isinstance(event, events.Key) and self.screen_stack else None
        if not isinstance(event, events.Key) or not isinstance(screen, Keyed):
            await super().on_event(event)
            return
        if event.is_forwarded:  # it was dealt with, and has come back up
            await super().on_event(event)
            return
        self.app_focus = True
        self.collector.typed(time.monotonic())
        await _within(screen.ready.wait())
        if screen.focused is None:
            screen.take_focus()
        before = screen.begun
        bound = screen.meaning(pressed(event.key, event.character))
        if bound is None or not _moves(bound):
            await self.learn_all_places()
        asked = screen.focused
        if bound is not None:
            await self._do(screen, bound)
        elif not screen.begun and not before and not await self._by_widget(asked, event):
            await super().on_event(event)
        for widget in (asked, *asked.ancestors) if asked is not None else ():
            if isinstance(widget, Widget):
                await _dealt_with(widget)
        if isinstance(self.screen, Keyed) and self.screen.ready.is_set():
            self.screen.key_done()

    async def _by_widget(self, widget: Widget | None, event: events.Key) -> bool:
        """Do what a widget itself binds to a key, such as an arrow in a text. Textual would look
        once the key has come back up to the app, after all that was typed meanwhile."""
        if widget is None or event.is_printable:
            return False
        for binding in widget._bindings.key_to_bindings.get(event.key, ()):
            if await self.run_action(binding.action, widget):
                return True
        return False

    async def _do(self, screen: Keyed, bound: Bound) -> None:
        if bound.key.acts and self.refuses(bound.key.word):
            return
        action = parse(bound.key.run())
        if action[0] != "focused" or screen.focused is not None:
            await self.run_action(action, screen)
        if (coming := self.coming) is not None:  # what is typed next is for the place that it opens
            self.coming = None
            with contextlib.suppress(WorkerError):
                await _within(coming.wait())


def _moves(bound: Bound) -> bool:
    """Whether it only moves in the list or map that one sees: other places needn't be known."""
    return (
        bound.place in ("list", "map")
        and bound.key.action.startswith("focused.")
        and (bound.key.name != "open")
    )


async def _dealt_with(widget: Widget) -> None:
    """Until the widget has dealt with what was sent to it before, and passed on what it said."""
    done = asyncio.Event()
    if widget.call_later(done.set):
        await _within(done.wait())


async def _within(waiting: object) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await waiting  # type: ignore[misc]
