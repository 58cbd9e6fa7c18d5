"""What every screen shares: top line, content, filter, bottom line, Esc one level up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from flextui.screens.widgets.lines import KeyLine, TopLine

if TYPE_CHECKING:
    from flextui.app import FlextuiApp
    from flextui.screens.view import View


class Place(Screen[None]):
    """A screen one can be in. Subclasses give `content`, `KEYS` and `show_view`."""

    app: FlextuiApp
    KEYS: ClassVar[str] = ""
    """The bottom line: 'key word' pairs, two spaces between."""
    HELP: ClassVar[str] = ""
    """A paragraph for the help screen: what this place is for."""
    DEFAULT_CSS = """
    Place { background: $background; layout: vertical; }
    Place #filter, Place #filter:focus {
        dock: bottom; height: 1; border: none; padding: 0 1; background: $surface; display: none;
    }
    Place #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "one level up", show=False),
        Binding("slash", "filter", "filter", show=False),
    ]

    def __init__(self, title: str) -> None:
        super().__init__()
        self.place_title = title
        self.pattern = ""
        self._top = TopLine(title)

    def compose(self) -> ComposeResult:
        yield self._top
        yield from self.content()
        yield Input(placeholder="filter: a regex, !regex for all but these", id="filter")
        yield KeyLine(self.KEYS)

    def content(self) -> ComposeResult:
        """The widgets between the two lines."""
        raise NotImplementedError

    def show_view(self, view: View) -> None:
        """Draw from the newest picture; called at each change and when the screen returns."""

    def home_focus(self) -> Widget | None:
        """The widget that takes the keys."""
        return None

    def on_mount(self) -> None:
        self.refresh_view()
        if (widget := self.home_focus()) is not None:
            widget.focus()

    def on_screen_resume(self) -> None:
        self.refresh_view()

    def refresh_view(self) -> None:
        """Draw this place from the app's picture now."""
        if not self._top.is_attached:
            return  # not composed yet, or going away
        self.show_view(self.app.view)
        self._top.refresh()

    # ── filter ──

    def action_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.add_class("open")
        box.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.pattern = event.value
        self.filter_changed()

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self._leave_filter()

    def filter_changed(self) -> None:
        """The filter has another text."""
        self.refresh_view()

    def _leave_filter(self) -> None:
        box = self.query_one("#filter", Input)
        if not box.value:
            box.remove_class("open")
        if (widget := self.home_focus()) is not None:
            widget.focus()

    def action_back(self) -> None:
        """Esc: first out of the filter, then up; at the top nothing happens."""
        box = self.query_one("#filter", Input)
        if box.has_class("open"):
            box.value = ""
            self._leave_filter()
        elif len(self.app.screen_stack) > 2:
            self.app.pop_screen()
