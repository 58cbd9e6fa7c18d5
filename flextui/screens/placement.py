"""Which job holds which device, as a picture; and what a waiting job waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Resize

from flextui.core.commands import ListPlacement
from flextui.core.model.docs import EndDoc, JobDoc, PlacementDoc
from flextui.screens import format as fmt
from flextui.screens.fields import picture, placing
from flextui.screens.fields.picture import Codes, Scene
from flextui.screens.inquiry import Inquiry
from flextui.screens.keys import Key
from flextui.screens.listing import Filter
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.picture import Picture
from flextui.screens.widgets.words import Words

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

ASK_S = 2.0
"""How often the core is asked when things end, and what the chosen job waits for."""
WIDE = 150
"""From so many columns on the list stands beside the picture."""


class Holders(Grid):
    """The list, in which letters have the colours that they have in the picture."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"grid--job{number}" for number in range(picture.COLOURS)
    }
    DEFAULT_CSS = """
    Holders {
        & .grid--job0 { color: $text-primary; }
        & .grid--job1 { color: $text-success; }
        & .grid--job2 { color: $text-accent; }
        & .grid--job3 { color: $text-secondary; }
        & .grid--job4 { color: $foreground; }
        & .grid--job5 { color: $text-primary; text-style: bold; }
    }
    """


class Placement(Place):
    """The picture, the jobs in it and those that wait, and what is to tell of the one chosen."""

    NAME = "placement"
    USES = ()
    KINDS = ("placed", "picture")
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("why", "w", "the job under the cursor: why it waits, all of it", short="why",
            command="why JOB"),
        Key("find", "x", "to the chosen job's next device in the picture", short="find"),
        Key("yank", "y", "yank the job's name, or the GPU's"),
    )  # fmt: skip
    HELP = (
        "Every device of the fleet with the letter of the job that holds it. The job under the "
        "cursor is marked in the picture. Of one that waits it is shown where it is expected to "
        "go, who has to end first, and on each node what is in its way."
    )
    LEGEND = (
        "a b c  the job with that letter holds it   + several jobs share it   · free",
        "▒ held by a process that is no job of flextui   ⊘ cordoned   ✗ lost   │ between GPUs "
        "that are cut into slices",
        "beside a device: * the chosen job holds it   ! who holds it has to end first   < it goes "
        "there",
    )
    DEFAULT_CSS = """
    Placement #both { layout: vertical; height: 1fr; }
    Placement #both.wide { layout: horizontal; }
    Placement #picture { height: auto; }
    Placement #beside { height: 1fr; border-top: solid $foreground-muted; }
    Placement .wide #picture { height: 1fr; width: 3fr; }
    Placement .wide #beside {
        height: 1fr; width: 2fr; border-top: none; border-left: solid $foreground-muted;
    }
    Placement #placed { height: 1fr; min-height: 3; }
    Placement #wants { height: auto; max-height: 60%; padding: 0 1; background: $surface; }
    Placement #wants.empty { display: none; }
    Placement #about { height: 1; padding: 0 1; color: $foreground-muted; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "placement")
        self._codes = Codes()
        self._holders = placing.Holders()
        self._rows: dict[str, placing.Placed] = {}
        self._drawn_of: tuple[int, PlacementDoc | None] = (-1, None)
        """The picture of the fleet and the answer that the rows were made of."""
        self._doc: PlacementDoc | None = None
        self._asking = Inquiry(app, self)
        self._found = 0
        self._revealed = ""
        self._table = Table(placing.FIELDS, order=placing.order, layout=app.layout("placement"))
        self._grid = Holders(self._table, kind="placed", empty="no job holds a GPU", id="placed")
        self._picture = Picture(id="picture")
        self._wants = Words(id="wants", classes="empty")
        self._about = Words(id="about")
        self._both = Container(
            self._picture, Vertical(self._grid, self._wants, id="beside"), id="both"
        )

    def content(self) -> ComposeResult:
        yield self._both
        yield self._about

    @property
    def chain(self) -> tuple[str, ...]:
        if self._filter.typing:
            return ("filter", "everywhere")
        if self.focused is self._picture:
            return (self.NAME, "picture", "everywhere")
        return (self.NAME, "placed", "list", "everywhere")

    @classmethod
    def chains(cls) -> list[tuple[str, ...]]:
        return [(cls.NAME, "placed", "list", "everywhere"), (cls.NAME, "picture", "everywhere")]

    def home_focus(self) -> Grid:
        return self._grid

    def on_resize(self, event: Resize) -> None:
        self._both.set_class(event.size.width >= WIDE, "wide")

    # ── drawing ──

    @property
    def chosen(self) -> JobDoc | None:
        """The job under the cursor of the list."""
        it = self._table.doc(self._grid.cursor_key or "")
        return it.job if it is not None else None

    @property
    def _ends(self) -> dict[str, EndDoc]:
        return self._doc["ends"] if self._doc is not None else {}

    def show_view(self, view: View) -> None:
        if self._drawn_of[0] != view.revision or self._drawn_of[1] is not self._doc:
            self._drawn_of = view.revision, self._doc
            self._holders.take(view.jobs)
            self._rows = self._holders.rows(self._codes, self._ends)
        self._table.sync(self._rows, self.app.now(), self.pattern)
        empty = "nothing matches the filter" if self._rows else "no job holds or wants a GPU"
        self._grid.show(empty)
        self._draw()
        self._ask()

    def _draw(self) -> None:
        view, chosen, held = self.app.view, self.chosen, self._holders.held
        marks = placing.marks(self._doc, chosen, held)
        scene = Scene(held, self._codes, marks, picture.named(view.nodes.values()))
        fits = Filter(self.pattern)
        nodes = [it for it in view.nodes.values()
                 if fits.empty or fits.fits(picture.said(it, scene))]  # fmt: skip
        self._picture.show(nodes or list(view.nodes.values()), scene)
        self._reveal(scene.marks)
        wide = self._both.has_class("wide")
        most = max(5, (self.app.size.height - 4) * 11 // 20)
        self._picture.styles.height = "1fr" if wide else min(most, self._picture.needs)
        self._tell_wants(chosen)
        self._tell_about()

    def _tell_wants(self, chosen: JobDoc | None) -> None:
        wants = self._doc["wants"] if self._doc is not None else None
        text = ""
        if (
            chosen is not None
            and placing.waits_for_gpus(chosen)
            and (wants is None or wants["id"] != chosen["id"])
        ):
            text = "asking what it waits for …"
        elif wants is not None and chosen is not None and wants["id"] == chosen["id"]:
            lines = placing.wants_lines(wants, self._holders.held, self._ends, self.app.now())
            text = fmt.safe_lines("\n".join(lines))
        self._wants.set_class(not text, "empty")
        if text != self._wants.content:
            self._wants.say(text)
            self.call_after_refresh(self._keep_cursor)

    def _keep_cursor(self) -> None:
        """The list has more or less room now: its cursor stays in view."""
        if (key := self._grid.cursor_key) is not None:
            self._grid.select(key)

    def _tell_about(self) -> None:
        under = self._picture.under
        if under is None:
            self._about.say("")
            return
        node, gpu = under
        now, held = self.app.now(), self._holders.held
        attempts = [it.attempt["id"] for it in held.get(gpu["uuid"] if gpu else "", ())]
        left = {key: placing.left_text(self._ends[key], now) for key in attempts
                if key in self._ends}  # fmt: skip
        self._about.say(fmt.safe(picture.about(node, gpu, Scene(held, self._codes), left)))

    def _ask(self) -> None:
        """When things end, at once; and what the chosen job waits for, once that is worked out."""
        chosen = self.chosen
        job = chosen["id"] if chosen is not None and placing.waits_for_gpus(chosen) else ""
        self._asking.ask("ends", ListPlacement(), self._take, every=ASK_S)
        if job:
            self._asking.ask("wants", ListPlacement(job), self._take, every=ASK_S)

    def _take(self, answer: dict[str, Any]) -> None:
        doc = cast(PlacementDoc, answer)
        if doc["wants"] is None and self._doc is not None:
            doc = {**doc, "wants": self._doc["wants"]}
        self._doc = doc

    # ── what is under the cursors ──

    @on(Grid.Moved, "#placed")
    def _chosen_another(self) -> None:
        self._found, self._revealed = 0, ""
        self._draw()
        self._ask()

    def _reveal(self, marks: picture.Marks) -> None:
        """Once for each job that is chosen: bring what is marked for it into view."""
        wanted = marks.here or marks.goes | marks.ends
        chosen = self.chosen
        if chosen is not None and wanted and self._revealed != chosen["id"]:
            self._revealed = chosen["id"]
            self._picture.reveal([
                node["name"] for node in self.app.view.nodes.values()
                if any(gpu["uuid"] in wanted for gpu in node["gpus"])
            ])  # fmt: skip

    @on(Picture.Moved)
    def _pointed(self) -> None:
        self._tell_about()

    @on(Grid.Opened, "#placed")
    def _open_job(self, event: Grid.Opened) -> None:
        self.app.open_job(event.key)

    @on(Picture.Opened)
    def _open_device(self, event: Picture.Opened) -> None:
        if event.gpu is None:
            self.app.open_node(event.node)
        else:
            self.app.open_gpu(event.node, str(event.gpu["index"]))

    def action_find(self) -> None:
        """Put the picture's cursor on the chosen job's devices, one after the other."""
        chosen = self.chosen
        marks = placing.marks(self._doc, chosen, self._holders.held)
        wanted = marks.here or marks.goes | marks.ends
        spots = [
            (node["name"], at) for node in self.app.view.nodes.values()
            for at, gpu in enumerate(node["gpus"]) if gpu["uuid"] in wanted
        ]  # fmt: skip
        if not spots:
            self.app.tell("it has no device in the picture")
            return
        self._picture.select(*spots[self._found % len(spots)])
        self._found += 1
        self._tell_about()

    def action_why(self) -> None:
        if (job := self.chosen) is not None:
            self.app.open_job(job["id"], "why")

    def action_yank(self) -> None:
        if self.focused is self._picture:
            under = self._picture.under
            if under is not None:
                node, gpu = under
                self.app.yank(f"{node['name']}:{gpu['index']}" if gpu else node["name"])
        elif (job := self.chosen) is not None:
            self.app.yank(f"{job['owner']}/{job['name']}")


PLACED_KEYS = sort_keys(placing.FIELDS)
