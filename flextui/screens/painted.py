"""The app as the terminal sees it: its colours and glyphs, and how little is sent.

What changes by itself is painted a few times a second at most, keys are answered at once, and
only cells that changed are sent (`frame.py`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.timer import Timer

from flextui.screens.collector import Collector
from flextui.screens.driver import TerminalDriver
from flextui.screens.frame import CompositorUpdate, Frame
from flextui.screens.glyphs import AsciiFilter
from flextui.screens.look import Look
from flextui.screens.trail import NotReached

CLOCK_S = 1.0
SLOW_CLOCK_S = 30.0


class Painted(App[None], inherit_bindings=False):
    """Draws through `draw`; `changed` asks for it when data came in."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Toast { padding: 0 1; margin-top: 0; width: auto; max-width: 75%; }
    ToastRack { margin-bottom: 0; }
    .-low Toast { width: 100%; max-width: 100%; max-height: 2; }
    TextArea .text-area--gutter { color: $foreground 65%; }
    * { scrollbar-size-vertical: 1; }
    """

    def __init__(self, look: Look) -> None:
        colourless = look.colours == "none"
        super().__init__(ansi_color=True if colourless else None)
        self.look = look
        self.clock: Callable[[], float] = time.time
        self.frame = Frame()
        self.collector = Collector()
        self.animation_level = "none"
        self.read_only = look.read_only
        self.heard = b""
        """What the terminal sent before it was taken: keys, and answers to what was asked."""
        self.away = False
        """Another program has the terminal: nothing is painted."""
        self._ascii: LineFilter = AsciiFilter(enabled=look.ascii_only)
        self._filters.append(self._ascii)
        self._next_paint = 0.0
        self._paint_timer: Timer | None = None
        self._set_colours(look.colours)
        self.theme = look.theme if look.theme in self.available_themes else "textual-dark"

    def _set_colours(self, colours: str) -> None:
        system = {"truecolor": "truecolor", "256": "256", "16": "standard"}.get(colours)
        if system is not None:
            self.console = Console(
                color_system=system,  # type: ignore[arg-type]
                file=self.console.file, markup=True, highlight=False, emoji=False,
                legacy_windows=False, force_terminal=True, safe_box=False, soft_wrap=False,
                _environ={},
            )  # fmt: skip

    def get_driver_class(self) -> type[Driver]:
        """Ours in place of Textual's for terminals; web and headless ones as they are."""
        driver = super().get_driver_class()
        return TerminalDriver if driver is LinuxDriver else driver

    @property
    def ascii_only(self) -> bool:
        """Whether nothing but ASCII is drawn."""
        return self._ascii.enabled

    # ── time ──

    def now(self) -> float:
        """Unix seconds as the screens show them: on a slow line they stand still for a while."""
        now = self.clock()
        return now - now % SLOW_CLOCK_S if self.look.slow else now

    def draw(self) -> None:
        """Draw the screen from the newest picture."""
        raise NotImplementedError

    def changed(self) -> None:
        """Data came in: draw soon, but not more often than the look allows."""
        if self._paint_timer is not None:
            return
        wait = self._next_paint - time.monotonic()
        if wait <= 0:
            self._paint()
        else:
            self._paint_timer = self.set_timer(wait, self._paint)

    def _paint(self) -> None:
        self._paint_timer = None
        self._next_paint = time.monotonic() + self.look.interval
        self.draw()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Textual's one way to the terminal: what it shows already isn't sent again."""
        if self.away:
            return
        if isinstance(renderable, CompositorUpdate) and self._sends():
            renderable = self.frame.changes(renderable, tuple(self.size))
        super()._display(screen, renderable)

    def _sends(self) -> bool:
        """Whether Textual sends what it is given now, as its own fields tell."""
        try:
            shown = self._running and not self._closed and not self.is_headless
            return bool(shown and self._driver and not self._batch_count)
        except AttributeError:
            self.frame.works = False
            return False

    def terminal_taken(self) -> None:
        """The terminal is ours from now on, maybe again, as after Ctrl-Z and `fg`."""
        if self.screen_stack and not self.away:
            self.action_redraw()

    def action_redraw(self) -> None:
        """Something else wrote into the terminal: draw all of it."""
        self.frame.forget()
        self.screen.refresh(layout=True)

    # ── choices that can be made while it runs ──

    def use_theme(self, name: str) -> None:
        """Raises `NotReached`."""
        if name not in self.available_themes:
            raise NotReached(f"no theme is called {name!r}")
        self.theme = name

    def use_ascii(self, word: str) -> None:
        """Draw in plain ASCII (`on`) or with all glyphs."""
        self._ascii.enabled = word == "on"
        self.refresh_css(animate=False)
        self.action_redraw()

    def use_slow(self, word: str) -> None:
        """Send less (`on`), or as much as is good."""
        self.look = dataclasses.replace(self.look, slow=word == "on")
        self.draw()

    def action_slow_line(self) -> None:
        """Send less, or as much as is good."""
        self.use_slow("off" if self.look.slow else "on")

    def use_mouse(self, word: str) -> None:
        """Take the mouse (`on`), or leave it to the terminal's own selection."""
        if isinstance(self._driver, TerminalDriver):
            self._driver.take_mouse(word == "on")
