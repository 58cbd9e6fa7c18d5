"""A place with several parts, one of which shows: a list, or a page to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.widget import Widget

from flextui.screens.format import Cell, plain
from flextui.screens.listing import Filter
from flextui.screens.place import Place
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.sheet import Sheet
from flextui.screens.widgets.tabs import Tabs

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


class Sectioned(Place):
    """`SECTIONS` names the parts, each also the name of the key that shows it; the first are
    lists (`LISTS` of them), the others pages. Subclasses draw a page in `draw_page`."""

    SECTIONS: ClassVar[tuple[str, ...]] = ()
    LISTS: ClassVar[int] = 1

    def __init__(self, location: Location, title: str, app: FlextuiApp, section: str = "") -> None:
        super().__init__(location, title)
        remembered = app.memory.get(location, {}).get("section", "")
        self.section = section or remembered or self.SECTIONS[0]
        self._told = ""
        """What the filter has found on a page."""
        self._tabs = Tabs()
        self._sheet = Sheet(id="sheet")

    @classmethod
    def chains(cls) -> list[tuple[str, ...]]:
        lists = [(cls.NAME, kind, *cls.USES, "everywhere") for kind in cls.KINDS]
        return [*lists, (cls.NAME, "sheet", "everywhere")]

    @property
    def chain(self) -> tuple[str, ...]:
        if self._filter.typing or self.listed:
            return super().chain
        return (self.NAME, "sheet", "everywhere")

    @property
    def listed(self) -> bool:
        """Whether the part that shows is a list."""
        return self.section in self.SECTIONS[: self.LISTS]

    def first_list(self) -> Widget:
        """The list that has the keys where a list shows."""
        raise NotImplementedError

    def home_focus(self) -> Widget:
        return self.first_list() if self.listed else self._sheet

    def list_widgets(self) -> list[Widget]:
        """What shows with a list."""
        return [self.first_list()]

    def on_mount(self) -> None:
        self._arrange()
        super().on_mount()

    def remember(self) -> None:
        super().remember()
        self.app.memory[self.location]["section"] = self.section

    def action_section(self, name: str) -> None:
        """Show this part; the first one instead where it shows already."""
        self.section = self.SECTIONS[0] if name == self.section else name
        self._arrange()
        self.refresh_view()
        self.take_focus()

    @on(Tabs.Chosen)
    def _clicked(self, event: Tabs.Chosen) -> None:
        if event.name != self.section:
            self.action_section(event.name)

    def _arrange(self) -> None:
        for widget in self.list_widgets():
            widget.display = self.listed
        self._sheet.display = not self.listed
        self._sheet.scroll_home(animate=False)

    def draw_sections(self, view: View) -> None:
        """The line of the parts, and the page if one shows."""
        parts = [(name, self.app.chord(self.NAME, name)) for name in self.SECTIONS]
        self._tabs.show(parts, self.section)
        if not self.listed:
            self.draw_page(view)

    def draw_page(self, view: View) -> None:
        """Fill the sheet for the part that shows."""
        raise NotImplementedError

    def show_lines(self, lines: Sequence[Cell]) -> None:
        """The page, or those of its lines that the filter lets through."""
        fits = Filter(self.pattern)
        found = lines if fits.empty else [it for it in lines if fits.fits(plain(it))]
        self._told = f"{len(found):,} of {len(lines):,} lines"
        self._sheet.show(len(found), lambda at: found[at])

    def found(self) -> str:
        if self.listed or not self.pattern:
            return super().found()
        return self._told

    @property
    def page_width(self) -> int:
        """Columns that a line of the sheet has."""
        return max(20, self.app.size.width - 3)
