"""Going from place to place: up and down, back and forward, and straight there by `:`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from textual import work
from textual.worker import Worker

from flextui.core.client import Client, CoreInfo
from flextui.core.later import imported
from flextui.core.refusal import CommandError
from flextui.screens import early
from flextui.screens.fleet import Fleet
from flextui.screens.format import safe_lines
from flextui.screens.journal import Journal
from flextui.screens.keys import Keymap, shown
from flextui.screens.line import Line
from flextui.screens.listing import Layout
from flextui.screens.look import Look
from flextui.screens.outside import Outside
from flextui.screens.pace import Pace, stepped, word
from flextui.screens.place import Place
from flextui.screens.trail import TOP, Location, NotReached, Path, Trail, common
from flextui.screens.view import View

if TYPE_CHECKING:  # slow to import: not before the first paint
    from flextui.core.commands import Command
    from flextui.screens.act import Actions
    from flextui.screens.editing.drafts import Drafts
    from flextui.screens.history import Pasts
    from flextui.screens.reach import Reach

_LISTINGS = {"fleet": "nodes", "jobs": "jobs", "gpus": "gpus", "events": "events",
             "problems": "problems", "placement": "placement", "queue": "queue"}  # fmt: skip


class Roaming(Outside):
    """Knows where one is (`path`), was (`trail`) and what was left there (`memory`)."""

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.keymap = Keymap(early.KEYS, look.keys)
        self._all_places = False
        self.view = View()
        self.client: Client | None = None
        self.pace: Pace | None = None
        """The time of a simulated fleet; None: it is ours."""
        self.info: CoreInfo | None = None
        self.journal = Journal()
        self.trail = Trail()
        self.memory: dict[Location, dict[str, str]] = {}
        self.coming: Worker[None] | None = None
        """Opens the place that was asked for last, where the core is asked for it first."""
        self._typed: list[str] = []
        self._bad_until = 0.0
        """So long what failed stays in view (monotonic)."""
        self._layouts: dict[str, Layout] = dict(look.layouts)

    @cached_property
    def history(self) -> Pasts:
        """What the nodes looked at did in the last hour."""
        from flextui.screens.history import Pasts

        return Pasts(self)  # type: ignore[arg-type]

    @cached_property
    def reach(self) -> Reach:
        """What `:` leads to."""
        from flextui.screens.reach import Reach

        return Reach(self)  # type: ignore[arg-type]

    @cached_property
    def act(self) -> Actions:
        """What changes the fleet."""
        from flextui.screens.act import Actions

        return Actions(self)  # type: ignore[arg-type]

    @cached_property
    def drafts(self) -> Drafts:
        """What was written and not handed in, by the editor's location."""
        from flextui.screens.editing.drafts import Drafts

        drafts = Drafts(self.look.drafts)
        if self.info is not None:
            drafts.of_fleet(f"{self.info.fleet} {self.info.core}")
        return drafts

    @property
    def put_off(self) -> str:
        """What waits to be done and can be undone, for the top line."""
        return self.act.grace.said if "act" in self.__dict__ else ""

    async def learn_all_places(self) -> None:
        """Know all places; where they aren't imported yet, that goes on beside the loop."""
        if not self._all_places:
            await imported(early.REST)
            self.know_all_places()

    def know_all_places(self) -> None:
        """All places with their keys, for what leads away from the fleet."""
        if self._all_places:
            return
        self._all_places = True
        if self.look.whole is not None:
            whole = self.look.whole()
            self.look = replace(
                self.look, keys=whole.keys, layouts=whole.layouts, problems=whole.problems,
                whole=None,
            )  # fmt: skip
            self._layouts = {**whole.layouts, **self._layouts}
            self.tell_mistakes()
        self.keymap = Keymap(import_module(early.REST).keys(), self.look.keys)

    def tell_mistakes(self) -> None:
        """What is wrong in the config, as far as it was read."""
        if problems := self.look.problems:
            what, _, mend = problems[0].partition("; expected")  # which may be a long list
            like = (
                f"; did you mean {mend.rpartition('; did you mean ')[2]}" if "; did" in mend else ""
            )
            more = f"{len(problems) - 1} more, " if len(problems) > 1 else ""
            help_ = self.chord("everywhere", "help") or ":help"
            self.tell(f"{what}{like} ({more}all of it: {help_})", bad=True)

    @property
    def link_words(self) -> tuple[str, ...]:
        """Options that lead a command line to the same core."""
        return ()

    @property
    def asking(self) -> str:
        """What a list says that waits for the core's answer."""
        return "asking the core …" if self.client is not None else "no core is in reach"

    def layout(self, name: str) -> Layout:
        """How a list is laid out: one for all screens that show it."""
        return self._layouts.setdefault(name, Layout())

    def draw(self) -> None:
        if self.screen_stack and isinstance(self.screen, Place):
            self.screen.refresh_view()
        elif places := [it for it in self.screen_stack if isinstance(it, Place)]:
            places[-1].refresh_top()  # it shows beside the question

    # ── where one is ──

    @property
    def path(self) -> Path:
        return tuple(it.location for it in self.screen_stack if isinstance(it, Place))

    def visit(self, path: Path) -> None:
        """Go to a path; it can be walked back from."""
        self.trail.visit(path)
        self._show(path)

    def _show(self, path: Path) -> None:
        here = self.path
        same = common(here, path)
        while len(self.path) > same:
            top = self.screen
            if isinstance(top, Place):
                top.remember()
            self.pop_screen()
        for location in path[same:]:
            self.push_screen(self._made(location))

    def _made(self, location: Location) -> Place:
        if location == TOP[0]:
            return Fleet(location, self)  # type: ignore[arg-type]
        self.know_all_places()
        place: Place = import_module(early.REST).make(location, self)
        return place

    def open(self, *location: str) -> None:
        """A place below the one where one is; one of the same kind is replaced by it."""
        path = self.path
        if path and path[-1][0] == location[0] and len(path) > 1:
            path = path[:-1]
        self.visit((*path, location))

    def go_up(self) -> None:
        """One level up; at the top nothing happens."""
        if len(self.path) > 1:
            self.visit(self.path[:-1])

    def action_walk(self, steps: int) -> None:
        """Back or forward to where one was."""
        path = self.trail.walk(steps)
        if path is not None:
            self._show(path)

    def action_go(self, place: str) -> None:
        """A place of the first level."""
        if self.path[-1:] != ((place,),) and place in _LISTINGS:
            self._shown(Line((_LISTINGS[place],)))
        self.visit(TOP if place == TOP[0][0] else (*TOP, (place,)))

    # ── places by name ──

    def open_node(self, name: str) -> None:
        """Raises `NotReached`."""
        if name not in self.view.nodes:
            raise NotReached(f"no node is called {name!r}")
        self._shown(Line(("gpus", name)))
        self.open("node", name)

    def open_gpu(self, node: str, index: str) -> None:
        """One device of a node."""
        self._shown(Line(("gpus", node)))
        self.open("gpu", node, index)

    def open_job(self, job_id: str, section: str = "") -> None:
        """A job, or a part of it: attempts, timeline, why, spec, use."""
        from flextui.core.commands import Show, Why

        self._looked(Why(job_id) if section == "why" else Show(job_id))
        self.open("job", job_id, *((section,) if section else ()))

    def open_revisions(self, job_id: str) -> None:
        """What was changed in a job."""
        from flextui.core.commands import Revisions

        self._looked(Revisions(job_id))
        self.open("revisions", job_id)

    def open_events(self, *, job: str = "", node: str = "") -> None:
        """The events of a job, or of a node."""
        from flextui.core.commands import ListEvents

        self._looked(ListEvents(job=job or None, node=node or None))
        self.open("events", job, node)

    def open_logs(self, *what: str | None) -> None:
        """Of jobs (`j1`), tasks (`j1.0`), attempts (`j1.0.2`), and all on nodes (`@gpu1`)."""
        words = [it for it in what if it]
        words = [it for it in words if not any(other.startswith(f"{it}.") for other in words)]
        from flextui.screens.commandline import logs_line

        self._shown(logs_line(words))
        self.open("logs", ",".join(words))

    def action_new_job(self) -> None:
        if self.path[-1][0] != "editor":
            self.open("editor", "")

    def edit_job(self, job_id: str) -> None:
        """Open the spec of a job: to change it, or once it has ended to submit it again."""
        self.coming = self._edit_job(job_id)

    @work(exclusive=True, group="edit")
    async def _edit_job(self, job_id: str) -> None:
        if self.client is None:
            self.tell("no core is in reach", bad=True)
            return
        try:
            from flextui.core.commands import Show

            doc = await self.client.call(Show(job_id))
        except (CommandError, ConnectionError) as error:
            self.tell(str(error), bad=True)
            return
        base = doc.get("revision", 0) if not doc.get("ended_at") else 0
        from flextui.screens.editing.drafts import Draft

        draft, text = self.drafts.get(job_id), self.text_of(doc)
        if draft is None or not draft.changed:
            self.drafts.put(job_id, Draft(text, text, base))
        elif draft.base != base and base:
            self.tell(f"your draft is of revision {draft.base}, revision {base} runs by now")
        self.open("editor", job_id)

    @staticmethod
    def text_of(doc: Mapping[str, Any]) -> str:
        """The spec of a job as it holds now, as an editor shows it."""
        return spec_text(doc["spec"], doc)

    def _looked(self, command: Command) -> None:
        from flextui.screens.commandline import line

        if said := line(command):
            self._shown(said)

    def _shown(self, said: Line) -> None:
        self.journal.begin(self.clock(), said, "shown")

    def action_goto(self) -> None:
        from flextui.screens.goto import GoTo

        def chosen(text: str | None) -> None:
            if text is None:
                return
            try:
                self.reach.go(text)
            except NotReached as error:
                self.tell(str(error), bad=True)

        self.push_screen(GoTo(self.reach, self._typed), chosen)

    def action_help(self) -> None:
        from flextui.screens.help import Help

        if isinstance(self.screen, Place):
            self.clear_notifications()
            self.push_screen(Help(self.screen, self.look.problems))

    # ── read-only, small things ──

    def action_undo(self) -> None:
        self.act.undo()

    def action_read_only(self) -> None:
        """Acting keys off or on."""
        self.read_only = not self.read_only
        self.tell("read-only: acting keys do nothing" if self.read_only else "acting keys act")
        self.draw()

    def action_pace(self, by: int) -> None:
        """A simulated fleet's time a step faster or slower."""
        if self.pace is None:
            self.tell("this fleet is real: only the time of `flextui --demo` can be changed")
            return
        self.use_pace(stepped(self.pace.speed, by))

    def use_pace(self, speed: float) -> None:
        """Let a simulated fleet's time go that fast."""
        if self.pace is not None:
            self.pace.set_speed(speed)
            self.tell(f"the simulated fleet's time: {word(speed)}")
            self.draw()

    def refuses(self, what: str) -> bool:
        """Whether read-only mode forbids it; that is told."""
        if self.read_only:
            how = self.chord("everywhere", "read-only") or ":read-only"
            self.tell(f"read-only: {what} was not done ({how} allows it)", bad=True)
        return self.read_only

    def chord(self, place: str, name: str) -> str:
        """How a key is pressed, as people read it; empty if it is disabled."""
        chords = next(it.chords for it in self.keymap.of(place) if it.key.name == name)
        return shown(chords[0], ascii_only=self.ascii_only) if chords else ""

    def tell(self, text: str, *, bad: bool = False) -> None:
        """A line that goes by itself; what failed stays longer."""
        how: Literal["error", "information"] = "error" if bad else "information"
        seconds = 8 if bad else 3
        if monotonic() >= self._bad_until:  # what one presses again and again piles up no lines
            self.clear_notifications()
        if bad:
            self._bad_until = monotonic() + seconds
        self.notify(safe_lines(text), severity=how, timeout=seconds, markup=False)

    def yank(self, text: str | None, what: str = "") -> None:
        """To the operator's clipboard through OSC 52, so that it works over SSH."""
        if text:
            self.copy_to_clipboard(text)
            self.tell(f"yanked {what or text}")


def spec_text(spec: Any, now: Any = None) -> str:
    """The spec as an editor shows it: without what its type gives by itself."""
    from flextui.core.model import yamlout  # slow to import: not before the first paint

    return yamlout.spec_text(spec, now)
