"""The one door through which the terminal changes the fleet: a question that says what will
happen, read-only mode, the command, its outcome, and its line in the command log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flextui.core.commands import Command, CommandError, Cordon, Drain, Restart, Stop
from flextui.core.model.docs import JobDoc
from flextui.screens import format as fmt
from flextui.screens.commandline import line
from flextui.screens.confirm import Confirm
from flextui.screens.grace import Grace

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

MANY = 10
"""From more than so many on, y isn't enough: their number has to be typed."""
LISTED = 200
END = "Their processes get SIGTERM, and after the grace time SIGKILL."


class Actions:
    """Bound to one app; every method returns at once and tells the outcome in the app."""

    def __init__(self, app: FlextuiApp) -> None:
        self._app = app
        self.grace = Grace(app.set_timer, self._start)
        """What was said yes to and can still be taken back."""

    def undo(self) -> None:
        """Take the newest thing back that isn't done yet."""
        word = self.grace.undo()
        self._app.tell(f"{word}: taken back" if word else "nothing waits to be done")
        self._app.draw()

    # ── jobs ──

    def stop(self, ids: Sequence[str]) -> None:
        """Ask, then stop the jobs of these that haven't ended."""
        live = [job for job in self._jobs(ids) if not job["ended_at"]]
        if not live:
            self._app.tell("it has ended already" if len(ids) == 1 else "they have all ended")
            return
        command = Stop(tuple(job["id"] for job in live))
        self._ask_jobs("Stop", live, END, command, "stop", wait=True)

    def restart(self, ids: Sequence[str]) -> None:
        """Ask, then restart the tasks of jobs."""
        jobs = self._jobs(ids)
        if jobs:
            command = Restart(tuple(job["id"] for job in jobs))
            effect = f"{END} Then they start anew."
            self._ask_jobs("Restart", jobs, effect, command, "restart")

    def _jobs(self, ids: Sequence[str]) -> list[JobDoc]:
        known = self._app.view.jobs
        return [known[key] for key in ids if key in known]

    def _ask_jobs(
        self,
        verb: str,
        jobs: list[JobDoc],
        effect: str,
        command: Command,
        word: str,
        *,
        wait: bool = False,
    ) -> None:
        which = f"{jobs[0]['owner']}/{jobs[0]['name']}" if len(jobs) == 1 else f"{len(jobs)} jobs"
        word = f"{word} {which}"
        if len(jobs) == 1:
            detail = f"{running(jobs[0])}\n{effect}"
            self._ask(f"{verb} {full(jobs[0])}?", detail, [command], word, wait=wait)
            return
        lines = [effect, *(f"{full(job)}: {running(job)}" for job in jobs[:LISTED])]
        if len(jobs) > LISTED:
            lines.append(f"and {len(jobs) - LISTED} more")
        typed = str(len(jobs)) if len(jobs) > MANY else ""
        self._ask(f"{verb} {which}?", "\n".join(lines), [command], word, typed, wait=wait)

    # ── nodes ──

    def drain(self, names: Sequence[str]) -> None:
        """Ask, then drain; when all of them are drained already, undrain."""
        docs = [doc for name in names if (doc := self._app.view.nodes.get(name))]
        if not docs:
            return
        on = not all(doc["drained"] for doc in docs)
        which = docs[0]["name"] if len(docs) == 1 else f"{len(docs)} nodes"
        commands: list[Command] = [
            Drain(doc["name"], on) for doc in docs if doc["drained"] is not on
        ]
        if not on:
            detail = "New work may go there again."
            self._ask(f"Undrain {which}?", detail, commands, f"undrain {which}")
            return
        lines = ["No new work goes there. Batch jobs finish, services move.", "Running:"]
        lines += [f"{it['name']}: {', '.join(it['jobs']) or 'nothing'}" for it in docs[:LISTED]]
        busy = any(doc["jobs"] for doc in docs)
        typed = which if busy else ""
        self._ask(f"Drain {which}?", "\n".join(lines), commands, f"drain {which}", typed, wait=True)

    def cordon(self, devices: Sequence[str]) -> None:
        """Cordon nodes (`gpu1`) or GPUs (`gpu1:3`); if all are, uncordon. What runs goes on, so
        no question."""
        out = {device: self._cordoned(device) for device in devices}
        known = [device for device, it in out.items() if it is not None]
        if not known:
            return
        on = not all(out[device] for device in known)
        commands: list[Command] = []
        for device in known:
            if out[device] is not on:
                node, _, gpu = device.partition(":")
                commands.append(Cordon(node, gpu or None, on))
        which = known[0] if len(known) == 1 else f"{len(known)}"
        self._do(commands, f"{'cordon' if on else 'uncordon'} {which}")

    def _cordoned(self, device: str) -> bool | None:
        name, _, index = device.partition(":")
        node = self._app.view.nodes.get(name)
        if node is None:
            return None
        if not index:
            return node["cordoned"]
        return any(str(g["index"]) == index and g["state"] == "cordoned" for g in node["gpus"])

    # ── doing ──

    def run(self, command: Command, word: str) -> None:
        """Do it without a question."""
        self._do([command], word)

    def _ask(
        self,
        question: str,
        detail: str,
        commands: Sequence[Command],
        word: str,
        typed: str = "",
        *,
        wait: bool = False,
    ) -> None:
        if self._app.refuses(question.rstrip("?")):
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.grace.add(commands, word, self._app.look.undo_s if wait else 0.0)
                self._app.draw()

        self._app.push_screen(Confirm(question, detail, typed=typed), answered)

    def _do(self, commands: Sequence[Command], word: str) -> None:
        if not self._app.refuses(word):
            self._start(commands, word)

    def _start(self, commands: Sequence[Command], word: str) -> None:
        self._app.run_worker(self._call(commands, word), group="act")

    async def _call(self, commands: Sequence[Command], word: str) -> None:
        for command in commands:
            if await self.call(command, word) is None:
                return
        self._app.tell(f"{word}: done")

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


def full(job: JobDoc) -> str:
    """owner/name (id)."""
    return f"{job['owner']}/{job['name']} ({job['id']})"


def running(job: JobDoc) -> str:
    """What of a job may run now, and where."""
    live = [a for t in job["tasks"] for a in t["attempts"] if fmt.is_live(a["state"])]
    if not live:
        return "nothing of it runs now"
    places = ", ".join(sorted({a["node"] for a in live}))
    return f"{len(live)} attempt{'s' if len(live) > 1 else ''} on {places}"
