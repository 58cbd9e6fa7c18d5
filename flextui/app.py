"""The terminal: screens over one client, which may hold the core itself or be attached to one.

The app starts with an empty picture, paints, and then connects; a core that goes away leaves the
picture standing, says so on the top line and is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from textual import work

from flextui.core.client import Client
from flextui.core.model.docs import Delta
from flextui.core.refusal import CommandError
from flextui.screens.format import span_of
from flextui.screens.keyed import Keyed
from flextui.screens.look import Look
from flextui.screens.pace import Pace
from flextui.screens.painted import CLOCK_S
from flextui.screens.setup import Setup
from flextui.screens.trail import TOP
from flextui.screens.typed import Typed

RETRY_S = (0.2, 0.5, 1.0, 2.0)
ENDED_S = 5.0
"""What is being done when the terminal ends is waited for that long: a core may never answer."""
PAINTED_S = 1.0
"""A terminal that can't be painted by then isn't waited for: the core is opened."""
Foresee = Callable[[Delta], Awaitable[None]]
"""Shows what is known of a fleet while its core isn't open yet; returns once that is painted."""


class LinkRefused(Exception):
    """There is no way to a core, and trying again won't mend it; the text says why."""


class Link(Protocol):
    """The way to a core. `open` may be called again after the core went away."""

    @property
    def holds_core(self) -> bool:
        """Whether the core lives in this process."""
        ...

    @property
    def words(self) -> tuple[str, ...]:
        """Options that lead a command line to the same core."""
        ...

    async def setup(self) -> Setup | None:
        """The first run, where nothing was set up yet."""
        ...

    async def open(self, foresee: Foresee) -> Client:
        """Raises ConnectionError (worth another try) and LinkRefused (not)."""
        ...

    async def close(self, *, hand_over: bool) -> None:
        """End the link. With `hand_over`, a core held here goes on in a headless twin."""
        ...


class FlextuiApp(Typed):
    """Over one link, from the first paint to leaving."""

    TITLE = "flextui"

    def __init__(self, link: Link, look: Look | None = None, pace: Pace | None = None) -> None:
        """`pace` is the time of a simulated fleet; the screens go by it."""
        super().__init__(look or Look())
        self.link = link
        self.pace = pace
        if pace is not None:
            self.clock = pace.now
        self.refusal = ""
        """Why there is no way to a core; the app ends with it."""
        self.setup: Setup | None = None
        """The first run, while it goes on."""
        self.set_up = asyncio.Event()
        """It was left, whichever way."""
        self._example = False
        """The editor opens with an example once the fleet is there."""

    @property
    def link_words(self) -> tuple[str, ...]:
        return self.link.words

    def on_mount(self) -> None:
        self._show(TOP)
        self._follow()
        self.set_interval(CLOCK_S, self._tick)
        self.tell_mistakes()

    def _tick(self) -> None:
        self.changed()
        self.collector.moment(time.monotonic())

    # ── the core ──

    @work(exclusive=True, group="follow")
    async def _follow(self) -> None:
        tries = 0
        if self.view.fleet is None:
            await self._guide()
        while True:
            try:
                self.client = await self.link.open(self._foresee)
                self.info = self.client.info
                if "drafts" in self.__dict__:
                    self.drafts.of_fleet(f"{self.info.fleet} {self.info.core}")
                if "history" in self.__dict__:
                    self.history.forget()
                tries = 0
                async for delta in self.client.watch():
                    self.view.apply(delta)
                    self.changed()
                    self._tell_back()
                    if "act" in self.__dict__:
                        self.act.look()
                    if delta["full"]:
                        self.collector.start(time.monotonic())
                        self.call_after_refresh(self._get_ready)
                    if self._example:
                        self._example = False
                        self.action_new_job()
                why = "the core ended"
            except LinkRefused as error:
                self.refusal = str(error)
                self.exit()
                return
            except CommandError as error:
                why = error.text
            except (ConnectionError, OSError) as error:
                why = str(error) or "the core is out of reach"
            self.client = None
            self.view.lose(why, self.clock())
            self.draw()
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def _tell_back(self) -> None:
        """Once, where the core was out of reach."""
        since, self.view.lost_at = self.view.lost_at, None
        if since is not None:
            mine = "; this terminal holds it now" if self.link.holds_core else ""
            self.tell(f"the core is back after {span_of(self.clock() - since)}{mine}")

    async def _foresee(self, delta: Delta) -> None:
        """Before the first picture of a core, and only then: later ones tell less than is shown."""
        if self.view.fleet is not None:
            return
        self.view.foresee(delta)
        self.draw()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAINTED_S):
                await self._painted()

    async def _painted(self) -> None:
        """Until what was drawn is on the screen: once it is laid out, and again with its rows."""
        if isinstance(screen := self.screen, Keyed):
            await screen.ready.wait()
            for widget in (screen, screen.home_focus()):
                painted = asyncio.Event()
                if widget is not None and widget.call_after_refresh(painted.set):
                    await painted.wait()

    @work(exclusive=True, group="ready")
    async def _get_ready(self) -> None:
        """The fleet is on the screen: import what the next key may lead to, beside the loop."""
        await self.learn_all_places()

    # ── the first run ──

    async def _guide(self) -> None:
        """Where nothing was set up yet, ask what the fleet is before its core is opened."""
        self.setup = await self.link.setup()
        if self.setup is not None:
            self.view.trouble = "nothing is set up yet"
            await self.learn_all_places()
            self.open("first-run")
            await self.set_up.wait()
            self.setup, self.view.trouble = None, ""

    def begun(self, path: str) -> None:
        """The inventory is written: on to the fleet, with an example job ready to submit."""
        self.tell(f"written: {path}")
        self._example = True
        self.visit(TOP)

    # ── leaving ──

    def action_interrupt(self) -> None:
        """What the mouse selected goes to the clipboard; else say how one quits."""
        written = self.focused
        typed = str(getattr(written, "selected_text", ""))
        if text := typed or self.screen.get_selected_text() or "":
            self.yank(text, "the selection")
        else:
            self.tell("q quits (from the top)")

    def action_leave(self) -> None:
        """Up, and from the top out."""
        if len(self.path) > 1:
            self.go_up()
        else:
            self.action_leave_now()

    def action_leave_now(self) -> None:
        """Quit; where this process holds the core and work is live, ask what becomes of it."""
        live = sum(1 for job in self.view.jobs.values() if not job["ended_at"])
        if self.link.holds_core and live:
            from flextui.screens.leave import Leave

            self.push_screen(Leave(live), self._left)
        else:
            self._end(False)

    def leave_at_once(self) -> None:
        """The terminal is lost or the system ends us: nobody can be asked, so hand over. Both are
        often told at once; what ends already isn't begun again."""
        if self.ending:
            return
        self.ending = True
        self._end(self.link.holds_core and any(not j["ended_at"] for j in self.view.jobs.values()))

    async def _leave_questions(self) -> None:
        """What is asked when the terminal ends stays unanswered, which is a no."""
        from flextui.screens.prompt import Prompt

        while isinstance(self.screen, Prompt):
            await self.screen.dismiss(None)

    def _left(self, answer: bool | None) -> None:
        if answer is not None:
            self._end(answer)

    @work(exclusive=True, group="end")
    async def _end(self, hand_over: bool) -> None:
        self.ending = True
        if self.link.holds_core and not hand_over:
            self.act.hurry()
        await self._leave_questions()
        if acting := [worker for worker in self.workers if worker.group == "act"]:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDED_S):
                    await self.workers.wait_for_complete(acting)
        self.workers.cancel_group(self, "follow")
        await self.link.close(hand_over=hand_over)
        self.exit()
