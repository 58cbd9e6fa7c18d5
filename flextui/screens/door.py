"""The one door through which the terminal changes the fleet: a question that says what will
happen, read-only mode, the command, its outcome, and its line in the command log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flextui.core.commands import Command, CommandError, Drain, Unstop
from flextui.screens.commandline import line
from flextui.screens.confirm import Confirm
from flextui.screens.grace import Grace, Pending

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


@dataclass(frozen=True, slots=True)
class Deed:
    """Something to do, as it is asked for and told."""

    word: str
    """`stop bob/train`."""
    commands: Sequence[Command]
    undo: Sequence[Command] = ()
    """What takes it back while the core still waits; nothing: it is done at once."""
    now: Sequence[Command] = ()
    """What does it though the core would still wait."""
    done: str = ""
    """What is told once it is done; empty: the word, and that it is."""


class Door:
    """Bound to one app; every method returns at once and tells the outcome in the app."""

    def __init__(self, app: FlextuiApp) -> None:
        self._app = app
        self.grace = Grace()
        """What was said yes to and can still be taken back."""

    def undo(self) -> None:
        """Take the newest thing back that isn't done yet."""
        it = None if self._app.refuses("undoing") else self.grace.take()
        if it is None:
            self._app.tell("nothing waits to be done")
        else:
            self._start(Deed(f"undoing {it.word}", it.undo, done=f"{it.word}: taken back"))
        self._app.draw()

    def look(self) -> None:
        """Tell of what somebody else has taken back, or done."""
        for it in self.grace.settled(self._waits):
            self._app.tell(f"{it.word}: somebody else has taken it back, or done it", bad=True)
            self._app.draw()

    def _waits(self, it: Pending) -> bool:
        """Whether the core tells that it still waits with any of it."""
        jobs, nodes = self._app.view.jobs, self._app.view.nodes
        for command in it.undo:
            match command:
                case Unstop(keys) if any(k in jobs and jobs[k].get("stops_at") for k in keys):
                    return True
                case Drain(name) if name in nodes and nodes[name].get("drains_at"):
                    return True
        return False

    def hurry(self) -> None:
        """Do at once what the core still waits with: nobody will be here to take it back."""
        for it in self.grace.waiting:
            self._start(Deed(it.word, it.now))

    def run(self, command: Command, word: str) -> None:
        """Do it without a question."""
        self._do(Deed(word, [command]))

    def _ask(
        self, question: str, detail: str, deed: Deed, typed: str = "", warning: str = ""
    ) -> None:
        if self._app.refuses(question.rstrip("?")):
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._start(deed)

        self._app.push_screen(Confirm(question, detail, typed=typed, warning=warning), answered)

    def _do(self, deed: Deed) -> None:
        if not self._app.refuses(deed.word):
            self._start(deed)

    def _start(self, deed: Deed) -> None:
        self._app.run_worker(self._call(deed), group="act")

    async def _call(self, deed: Deed) -> None:
        for command in deed.commands:
            if await self.call(command, deed.word) is None:
                return
        if deed.undo:
            self.grace.add(deed.word, self._app.look.undo_s, deed.undo, deed.now)
            self._app.draw()
        else:
            self._app.tell(deed.done or f"{deed.word}: done")

    async def call(
        self, command: Command, word: str, failed: Callable[[CommandError], None] | None = None
    ) -> dict[str, Any] | None:
        """Do one thing and log it; its answer, None when it wasn't done (that is told)."""
        app = self._app
        if app.refuses(word):
            return None
        said = line(command)
        number = app.journal.begin(app.clock(), said) if said else 0
        client = app.client
        outcome = "no core is in reach; nothing was done"
        try:
            if client is not None:
                answer = await client.call(command)
                app.journal.end(number, "done")
                return answer
        except CommandError as error:
            outcome = error.text
            if failed is not None:
                failed(error)
        except ConnectionError as error:
            outcome = f"the core went away, it may or may not be done: {error}"
        app.journal.end(number, outcome, bad=True)
        app.tell(f"{word}: {outcome}", bad=True)
        return None
