"""The terminal: screens over one client, which may hold the core itself or be attached to one.

The app starts with an empty picture, paints, and then connects; a core that goes away leaves the
picture standing, says so on the top line and is tried again.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType

from flextui.core.client import Client, CoreInfo
from flextui.core.commands import CommandError, Show
from flextui.core.model.spec import read_specs
from flextui.core.model.yamlout import spec_as_yaml
from flextui.screens.act import Actions
from flextui.screens.confirm import Confirm
from flextui.screens.editor import EXAMPLE, Editor
from flextui.screens.events import Events
from flextui.screens.fleet import Fleet
from flextui.screens.goto import GoTo
from flextui.screens.help import Help
from flextui.screens.job import Job
from flextui.screens.jobs import Jobs
from flextui.screens.logs import Logs
from flextui.screens.node import Node
from flextui.screens.place import Place
from flextui.screens.view import View

RETRY_S = (0.2, 0.5, 1.0, 2.0)


class LinkRefused(Exception):
    """There is no way to a core, and trying again won't mend it; the text says why."""


class Link(Protocol):
    """The way to a core. `open` may be called again after the core went away."""

    @property
    def holds_core(self) -> bool:
        """Whether the core lives in this process."""
        ...

    async def open(self) -> Client:
        """Raises ConnectionError (worth another try) and LinkRefused (not)."""
        ...

    async def close(self, *, hand_over: bool) -> None:
        """End the link. With `hand_over`, a core held here goes on in a headless twin."""
        ...


class FlextuiApp(App[None]):
    """Keys that work everywhere, and the one place where screens are opened."""

    TITLE = "flextui"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Toast { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "back, or quit from the top", show=False),
        Binding("colon", "goto", "go to", show=False),
        Binding("question_mark", "help", "keys", show=False),
        Binding("n", "new_job", "new job", show=False),
        Binding("1", "go('fleet')", "fleet", show=False),
        Binding("2", "go('jobs')", "jobs", show=False),
        Binding("3", "go('events')", "events", show=False),
        Binding("ctrl+q", "leave", "quit", show=False, priority=True),
        Binding("ctrl+c", "hint", "how to quit", show=False, priority=True),
    ]

    def __init__(self, link: Link, *, light: bool = False) -> None:
        super().__init__()
        self.link = link
        self.client: Client | None = None
        self.info: CoreInfo | None = None
        self.view = View()
        self.refusal = ""
        """Why there is no way to a core; the app ends with it."""
        self.clock: Callable[[], float] = time.time
        self.draft = EXAMPLE
        self.act = Actions(self)
        encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        self.ascii_only = "utf" not in encoding or os.environ.get("FLEXTUI_ASCII", "") == "1"
        self.theme = "textual-light" if light else "textual-dark"

    def on_mount(self) -> None:
        self.push_screen(Fleet())
        self._follow()
        self.set_interval(1.0, self._tick)

    # ── the core ──

    @work(exclusive=True, group="follow")
    async def _follow(self) -> None:
        tries = 0
        while True:
            try:
                self.client = await self.link.open()
                self.info = self.client.info
                tries = 0
                async for delta in self.client.watch():
                    self.view.apply(delta)
                    self._draw()
                self.view.trouble = "the core ended"
            except LinkRefused as error:
                self.refusal = str(error)
                self.exit()
                return
            except CommandError as error:
                self.view.trouble = error.text
            except (ConnectionError, OSError) as error:
                self.view.trouble = str(error) or "the core is out of reach"
            self.client = None
            self.view.live = False
            self._draw()
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def _draw(self) -> None:
        if isinstance(self.screen, Place):
            self.screen.refresh_view()

    def _tick(self) -> None:
        self._draw()

    # ── places ──

    def names(self) -> dict[str, Callable[[], None]]:
        """Everything `:` can reach, by name."""
        places: dict[str, Callable[[], None]] = {
            "fleet": lambda: self.action_go("fleet"),
            "jobs": lambda: self.action_go("jobs"),
            "events": lambda: self.action_go("events"),
            "new job": self.action_new_job,
            "help": self.action_help,
            "light theme": lambda: setattr(self, "theme", "textual-light"),
            "dark theme": lambda: setattr(self, "theme", "textual-dark"),
            "quit": self.action_leave_now,
        }
        for job in sorted(self.view.jobs.values(), key=lambda j: j["submitted_at"], reverse=True):
            label = f"{job['owner']}/{job['name']}"
            places.setdefault(f"job {label} {job['id']}", lambda j=job: self.open_job(j["id"]))  # type: ignore[misc]
            places.setdefault(f"logs {label} {job['id']}", lambda j=job: self.open_logs(j["id"]))  # type: ignore[misc]
        for name in self.view.nodes:
            places[f"node {name}"] = lambda n=name: self.open_node(n)  # type: ignore[misc]
        return places

    def action_goto(self) -> None:
        names = self.names()

        def chosen(name: str | None) -> None:
            if name is not None:
                names[name]()

        self.push_screen(GoTo(list(names)), chosen)

    def action_go(self, place: str) -> None:
        """A top-level place: the stack above the fleet is left behind."""
        while len(self.screen_stack) > 2:
            self.pop_screen()
        if place == "jobs":
            self.push_screen(Jobs())
        elif place == "events":
            self.push_screen(Events())

    def open_node(self, name: str) -> None:
        self.push_screen(Node(name))

    def open_job(self, job_id: str) -> None:
        self.push_screen(Job(job_id))

    def open_logs(self, job_id: str, attempt: str | None = None) -> None:
        job = self.view.jobs.get(job_id)
        self.push_screen(Logs(job_id, job["name"] if job else job_id, attempt))

    def action_new_job(self) -> None:
        if not isinstance(self.screen, Editor):
            self.push_screen(Editor())

    @work(exclusive=True, group="edit")
    async def edit_job(self, job_id: str) -> None:
        """Open the spec of a job, to submit it again."""
        if self.client is None:
            return
        try:
            doc = await self.client.call(Show(job_id))
        except (CommandError, ConnectionError) as error:
            self.tell(str(error), bad=True)
            return
        self.push_screen(Editor(spec_text(doc["spec"]), doc["name"]))

    def action_help(self) -> None:
        place = self.screen
        if isinstance(place, Place):
            self.push_screen(Help(place.place_title, place.HELP, place.KEYS))

    # ── small things ──

    def tell(self, text: str, *, bad: bool = False) -> None:
        """A line that goes by itself; what failed stays longer."""
        self.notify(
            text, severity="error" if bad else "information", timeout=8 if bad else 3, markup=False
        )

    def yank(self, text: str | None, what: str = "") -> None:
        """To the operator's clipboard through OSC 52, so that it works over SSH."""
        if text:
            self.copy_to_clipboard(text)
            self.tell(f"yanked {what or text}")

    def action_hint(self) -> None:
        self.tell("q quits (from the top)")

    # ── leaving ──

    def action_leave(self) -> None:
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.action_leave_now()

    def action_leave_now(self) -> None:
        """Quit; where this process holds the core and work is live, ask what becomes of it."""
        live = [j for j in self.view.jobs.values() if not j["ended_at"]]
        if not (self.link.holds_core and live):
            self._end(False)
            return
        count = f"{len(live)} job{'s' if len(live) > 1 else ''}"
        question = f"Quit, and let a headless twin look after {count}?"
        detail = (
            "y: a twin goes on in the background; it restarts what fails and starts what waits.\n"
            "n: nobody does. What runs goes on running; results are collected at the next start.\n"
            "Esc: stay."
        )
        self.push_screen(Leave(question, detail), self._left)

    def leave_at_once(self) -> None:
        """The terminal is lost or the system ends us: nobody can be asked, so hand over."""
        self._end(self.link.holds_core and any(not j["ended_at"] for j in self.view.jobs.values()))

    def _left(self, answer: bool | None) -> None:
        if answer is not None:
            self._end(answer)

    @work(exclusive=True, group="end")
    async def _end(self, hand_over: bool) -> None:
        self.workers.cancel_group(self, "follow")
        await self.link.close(hand_over=hand_over)
        self.exit()


def spec_text(spec: Mapping[str, Any]) -> str:
    """The spec as an editor shows it: without what its type gives by itself."""
    plain = f"name: {spec['name']}\ntype: {spec.get('type', 'batch')}\nrun: 'true'\n"
    return spec_as_yaml(spec, read_specs(plain, "defaults")[0].to_json())


class Leave(Confirm):
    """y or Enter hands over, n just quits, Esc stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer(True)", "hand over"),
        Binding("escape,q", "stay", "stay", priority=True),
    ]

    def __init__(self, question: str, detail: str) -> None:
        super().__init__(question, detail, yes="hand over (Enter)", no="just quit")

    def action_stay(self) -> None:
        self.dismiss()
