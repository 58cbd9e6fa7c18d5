"""Write a job, or change one that lives: mistakes as you type, where it would go now, what an edit
would restart. Nothing is lost: a text stays a draft until it has been handed in."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.timer import Timer
from textual.widgets import TextArea
from textual.worker import Worker

from flextui.core.commands import CommandError, Plan, Source
from flextui.screens.apply import Painted
from flextui.screens.atcursor import AtCursor
from flextui.screens.editing.drafts import Draft
from flextui.screens.editing.external import NoEditor, Scratch, editor_command
from flextui.screens.editing.preview import offered, plan_lines, refusals
from flextui.screens.editing.problems import Mistake, mistakes, mistakes_of, problem_lines
from flextui.screens.editing.review import unified
from flextui.screens.editing.take import take
from flextui.screens.editing.templates import EXAMPLE
from flextui.screens.format import Span
from flextui.screens.handin import HandIn
from flextui.screens.keys import Bound, Key
from flextui.screens.place import Place
from flextui.screens.templates import Templates
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.choices import Choices
from flextui.screens.widgets.yamlarea import YamlArea

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

CHECK_S = 0.15
"""After the last letter, before the text is looked at."""
ANEW_S = 5.0
"""After a plan, before the same text is tried again in a fleet that has changed."""
KEEP_S = 1.0
"""After the last letter, before a draft is written down."""
IN_THREAD = 20_000
"""Characters above which reading a text would be felt."""
LIVE_PLAN = 200_000
"""Characters above which no plan is made while one types."""


class Editor(Place):
    """The text on the left; on the right what is wrong with it, or what it would do."""

    NAME = "editor"
    USES = ()
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("submit", "ctrl+s", "submit, or look at what an edit changes and apply it",
            short="submit", command="submit FILE", acts=True, typing=True),
        Key("complete", "ctrl+n", "what may be written here", "offer(1)", short="complete",
            typing=True),
        Key("next-mistake", "f8, alt+e", "to the next mistake", short="next mistake", typing=True),
        Key("take-offer", "f6, alt+t", "take the smallest change with which it would start",
            short="what fits", typing=True),
        Key("template", "ctrl+t", "begin with a template", short="templates", typing=True),
        Key("external", "ctrl+g, f4", "in your own editor ($VISUAL, $EDITOR)", short="$EDITOR",
            command="edit JOB", typing=True),
        Key("side", "ctrl+o", "to the plan and back", short="to the plan", typing=True),
        Key("revert", "f5", "throw the draft away: what runs, or the example", short="revert",
            typing=True),
        Key("undo-text", "ctrl+z", "undo", "text_undo", typing=True),
        Key("redo-text", "ctrl+y", "redo", "text_redo", typing=True),
    )  # fmt: skip
    HELP = (
        "A job spec in YAML. What is wrong is marked at its line as you type; beside it stands "
        "where the job would go now, or why it would wait. What is written here is kept until it "
        "is handed in, also when the terminal is lost."
    )
    DEFAULT_CSS = """
    Editor { layers: base popup; }
    Editor #left { width: 3fr; }
    Editor #text { height: 1fr; border: none; padding: 0; }
    Editor #hint { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
    Editor #side { width: 2fr; padding: 0 1; border-left: tall $surface-lighten-2; }
    Editor.narrow #row { layout: vertical; }
    Editor.narrow #left { width: 1fr; height: 2fr; }
    Editor.narrow #side { width: 1fr; height: 1fr; border: none; }
    """

    @classmethod
    def chains(cls) -> list[tuple[str, ...]]:
        """The keys of an open list go before those of the text."""
        return [("editor", "everywhere"), ("offered",), ("choosing",)]

    @property
    def chain(self) -> tuple[str, ...]:
        kind = "choosing" if self._choices.entered else "offered"
        return (kind, *super().chain) if self._choices.open and self.writing else super().chain

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        self._job = location[1]
        job = app.view.jobs.get(self._job)
        super().__init__(location, f"edit ▸ {job['name'] if job else self._job or 'new job'}")
        self._draft = app.drafts.get(self._job) or Draft(EXAMPLE, EXAMPLE)
        self._valid = False
        self._mistakes: list[Mistake] = []
        self._theirs: list[list[Span]] = []
        """What somebody else has changed in the job meanwhile."""
        self._plan: dict[str, Any] = {}
        self._planned = 0.0, -1
        """When, on the monotonic clock, and at which revision of the fleet."""
        self.thinking = True
        """What stands beside the text isn't of the text as it is now."""
        self._checking: Timer | None = None
        self._keeping: Timer | None = None
        self._text = YamlArea(self._draft.text)
        self._side = Painted(id="plan")
        self._at = AtCursor(app, self._text)
        self._choices = self._at.choices
        self._hand_in = HandIn(app, self._job)
        self._going: Worker[None] | None = None
        """What hands the text in."""

    def content(self) -> ComposeResult:
        with Horizontal(id="row"):
            with Vertical(id="left"):
                yield self._text
                yield self._at.hint
            with VerticalScroll(id="side"):
                yield self._side
        yield self._choices

    def home_focus(self) -> YamlArea:
        return self._text

    def on_mount(self) -> None:
        super().on_mount()
        self.set_class(self.app.size.width < 100, "narrow")
        self._check()
        self._ask_names()

    def on_resize(self) -> None:
        self.set_class(self.app.size.width < 100, "narrow")
        self._choices.close()

    def on_unmount(self) -> None:
        self.app.drafts.flush()

    # ── the text changes ──

    @on(TextArea.Changed, "#text")
    def _changed(self) -> None:
        text = self._text.text
        if text != self._draft.text:
            self._keep(text)
        self.thinking = True
        if self._checking is not None:
            self._checking.stop()
        self._checking = self.set_timer(CHECK_S, self._check)
        self._at.typed(writing=self.writing)

    @on(TextArea.SelectionChanged, "#text")
    def _moved(self) -> None:
        self._at.moved()
        self._at.tell(self._mistakes)

    def _keep(self, text: str) -> None:
        self._draft = Draft(text, self._draft.origin, self._draft.base)
        self.app.drafts.put(self._job, self._draft)
        if self._keeping is None:
            self._keeping = self.set_timer(KEEP_S, self._write_down)

    def _write_down(self) -> None:
        self._keeping = None
        before = self.app.drafts.trouble
        self.app.drafts.flush()
        if (trouble := self.app.drafts.trouble) and trouble != before:
            self.app.tell(trouble, bad=True)

    # ── looking at it ──

    @work(exclusive=True, group="check")
    async def _check(self) -> None:
        text = self._text.text
        found = await self._read(text)
        self._show_mistakes(found)
        if found:
            self._plan = {}
        elif len(text) > LIVE_PLAN:
            self._plan = {}
            self._side_shows([[Span("too long for a plan while you type", "dim")]])
        else:
            await self._ask_plan(text)
        self.thinking = text != self._text.text

    async def _read(self, text: str) -> list[Mistake]:
        """What is wrong with the text in itself."""
        return await asyncio.to_thread(mistakes, text) if len(text) > IN_THREAD else mistakes(text)

    def show_view(self, view: View) -> None:
        """The fleet has changed: what it would do now may be something else, after a while."""
        at, revision = self._planned
        if self.thinking or self._mistakes or not view.live or revision == view.revision:
            return
        if time.monotonic() >= at + ANEW_S:
            self._planned = time.monotonic(), view.revision
            self._check()

    async def _ask_plan(self, text: str) -> None:
        """Have the core tell what it would do."""
        self._plan = {}
        client = self.app.client
        if client is None:
            self._side_shows([[Span("the core is out of reach: your text is kept", "warn")]])
            return
        command = Plan((Source("editor", text),), self._job if self._live else None)
        try:
            answer = await client.call(command)
        except CommandError as error:
            if self.is_attached:
                self._show_mistakes(mistakes_of(error), said=error.text)
            return
        except ConnectionError as error:
            self._side_shows([[Span(f"the core went away ({error}): your text is kept", "warn")]])
            return
        if not self.is_attached:
            return
        self._plan = answer
        self._planned = time.monotonic(), self.app.view.revision
        self._show_plan()
        self.key_done()

    @property
    def _live(self) -> bool:
        """Whether this is an edit of a job that lives."""
        job = self.app.view.jobs.get(self._job)
        return job is not None and job["ended_at"] is None

    def _show_mistakes(self, found: list[Mistake], said: str = "") -> None:
        self._mistakes = found
        self._valid = not found and not said
        self._text.mark((it.row, it.column) for it in found)
        self._at.tell(self._mistakes)
        self.key_done()
        if found or said:
            self._side_shows(problem_lines(found) or [[Span(said, "bad")]])

    def _show_plan(self) -> None:
        """What it would do, and for an edit what it changes in the text."""
        now = self.app.now()
        lines = plan_lines(self._plan, self.app.view.nodes, now)
        if self._job and self._draft.changed:
            lines += [[], *([it] for it in unified(self._draft.origin, self._draft.text))]
        self._side_shows(lines)

    def _side_shows(self, lines: list[list[Span]]) -> None:
        self._side.show([self._verdict(), *self._theirs, [], *lines])

    def _verdict(self) -> list[Span]:
        if self._mistakes:
            count = len(self._mistakes)
            head = Span(f"✗ {count} mistake{'s' if count > 1 else ''}", "bad")
        elif any(refusals(job) for job in self._plan.get("jobs") or ()):
            head = Span("✗ would be refused", "bad")
        else:
            head = Span("● valid" if self._valid else "◌ reading …", "ok" if self._valid else "dim")
        if not self._draft.base or not self._live:
            return [head]
        to = self._draft.base + 1 if self._draft.changed else self._draft.base
        arrow = f" → {to}" if to != self._draft.base else ""
        return [head, Span(f"  rev {self._draft.base}{arrow}", "bold")]

    # ── at the cursor ──

    @work(exclusive=True, group="names")
    async def _ask_names(self) -> None:
        await self._at.ask_names()

    def action_offer(self, by: int) -> None:
        """Open the list, or go through it."""
        if not self._at.step(by):
            self.app.tell("nothing in particular belongs here")

    @on(Choices.Picked)
    def action_take(self) -> None:
        self._at.take()

    def action_put_away(self) -> None:
        self._choices.close()

    # ── other keys ──

    def action_side(self) -> None:
        side = self.query_one("#side")
        self.set_focus(self.home_focus() if side.has_focus else side)

    def action_filter(self) -> None:
        """There is no list here."""

    def offers(self, bound: Bound) -> bool:
        if bound.key.name == "next-mistake" and not self._mistakes:
            return False
        if bound.key.name == "revert" and not self._draft.changed:
            return False
        if bound.key.name == "take-offer" and not any(self._takes()):
            return False
        return super().offers(bound) and bound.key.name != "filter"

    def action_next_mistake(self) -> None:
        places = sorted((it.row, it.column) for it in self._mistakes)
        if not places:
            self.app.tell("nothing is wrong with the text")
            return
        here = self._text.cursor_location
        to = next((it for it in places if it > here), places[0])
        self._text.move_cursor(to)
        self.set_focus(self._text)

    def _takes(self) -> list[list[dict[str, Any]]]:
        """By job of the plan: the smallest change with which it would start; nothing where there
        is none, or none is needed."""
        if self.thinking:
            return []
        return [offered(job) for job in self._plan.get("jobs") or ()]

    def action_take_offer(self) -> None:
        """Write what would let it start into the text. It can be undone."""
        takes = self._takes()
        if not any(takes):
            self.app.tell("nothing smaller is known with which it would start")
            return
        text: str | None = self._text.text
        for number, changes in enumerate(takes):
            text = take(text, number, changes) if text is not None else None
        if text is None:
            self.app.tell("that can't be written into this text by a key", bad=True)
        else:
            self._text.replace_all(text, stay=True)

    def action_text_undo(self) -> None:
        self._text.undo()

    def action_text_redo(self) -> None:
        self._text.redo()

    def action_template(self) -> None:
        def chosen(text: str | None) -> None:
            if text is not None:
                self._text.replace_all(text)

        self.app.push_screen(Templates(), chosen)

    def action_revert(self) -> None:
        """What the draft was made from. It can be undone."""
        self._text.replace_all(self._draft.origin)
        self._theirs = []

    @work(exclusive=True, group="external")
    async def action_external(self) -> None:
        """The user's own editor in this terminal, and back with what it wrote."""
        scratch = Scratch(self._text.text, self._job or "job")
        kept = False
        try:
            command = editor_command(os.environ)
            try:
                status = await self.app.hand_over([*command, str(scratch.path)])
            except OSError as error:
                what = f"{command[0]} can't be run: {error.strerror}; set EDITOR"
                raise NoEditor(what) from error
            if status is None:
                raise NoEditor("this terminal can't be handed over")
            text = scratch.read()
            if status != 0:
                self.app.tell(f"{command[0]} ended with {status}", bad=True)
        except NoEditor as error:
            kept = error.kept is not None
            self.app.tell(str(error), bad=True)
        else:
            if text != self._text.text:
                self._text.replace_all(text)
        finally:
            if not kept:
                scratch.done()

    # ── handing in ──

    def action_submit(self) -> None:
        """Hand it in. It goes on when one leaves the editor meanwhile, as the core does it."""
        if self._going is not None and not self._going.is_finished:
            self.app.tell("it is on its way to the core already")
        else:
            self._going = self.app.run_worker(self._submit(), group="act")

    async def _submit(self) -> None:
        text = self._text.text
        wrong = await self._read(text)
        if not self.is_attached:
            return
        self._show_mistakes(wrong)
        if wrong:
            self.action_next_mistake()
            self.app.tell("mend what is wrong first; nothing was submitted", bad=True)
            return
        await self._ask_plan(text)
        if not self.is_attached:
            return  # who leaves before it is sent keeps the draft
        if not self._valid or not self._plan:
            self.app.tell("nothing was submitted; your text is kept", bad=True)
            return
        draft = Draft(text, self._draft.origin, self._draft.base)
        jobs = await self._hand_in.hand_in(draft, self._plan.get("jobs") or (), live=self._live)
        if jobs is not None:
            self._handed_in(draft, jobs, "changed" if self._live else "submitted")
        elif not self.is_attached:
            return
        elif self._hand_in.mistakes:
            self._show_mistakes(self._hand_in.mistakes)
            self._text.move_cursor((self._mistakes[0].row, self._mistakes[0].column))
        elif self._live and (found := await self._hand_in.theirs(draft)) is not None:
            self._draft, self._theirs = found
            self.app.drafts.put(self._job, self._draft)
            self._show_plan()

    def _handed_in(self, draft: Draft, jobs: list[Any], word: str) -> None:
        known = self.app.drafts.get(self._job)
        if known is None or known.text == draft.text:  # else it was written on meanwhile
            self.app.drafts.drop(self._job)
        self.app.tell(f"{word} " + ", ".join(f"{it['name']} ({it['id']})" for it in jobs))
        if self.app.screen is not self:
            return
        self.app.go_up()
        if len(jobs) == 1:
            self.app.open_job(jobs[0]["id"])
