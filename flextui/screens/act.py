"""What keys do to the fleet: a question that says what will happen, the command, the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flextui.core.commands import Command, CommandError, Cordon, Drain, Restart, Stop
from flextui.core.model.docs import JobDoc
from flextui.screens import format as fmt
from flextui.screens.confirm import Confirm

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


class Actions:
    """Bound to one app; every method returns at once and tells the outcome in the app."""

    def __init__(self, app: FlextuiApp) -> None:
        self._app = app

    def stop(self, job_id: str) -> None:
        """Ask, then stop a job."""
        job = self._app.view.jobs.get(job_id)
        if job is None or job["ended_at"]:
            self._app.tell("it has ended already")
            return
        self._ask(
            f"Stop {full(job)}?", consequences(job, "is stopped"), Stop((job_id,)), "stopping"
        )

    def restart(self, job_id: str) -> None:
        """Ask, then restart a job's tasks."""
        job = self._app.view.jobs.get(job_id)
        if job is not None:
            detail = consequences(job, "is stopped and starts anew")
            self._ask(f"Restart {full(job)}?", detail, Restart((job_id,)), "restarting")

    def drain(self, node: str) -> None:
        """Ask, then drain; a drained node is undrained."""
        doc = self._app.view.nodes.get(node)
        if doc is None:
            return
        if doc["drained"]:
            self._ask(
                f"Undrain {node}?", "New work may go there again.", Drain(node, False), "undrain"
            )
            return
        jobs = ", ".join(doc["jobs"]) or "nothing runs there"
        detail = f"No new work goes there. Batch jobs finish, services move.\nRunning: {jobs}"
        self._ask(f"Drain {node}?", detail, Drain(node), "drain")

    def cordon(self, node: str, gpu: str | None) -> None:
        """Cordon or uncordon a node or one of its GPUs; what runs goes on, so no question."""
        doc = self._app.view.nodes.get(node)
        if doc is None:
            return
        if gpu is None:
            on = not doc["cordoned"]
        else:
            on = not any(str(g["index"]) == gpu and g["state"] == "cordoned" for g in doc["gpus"])
        word = "cordon" if on else "uncordon"
        self._do(Cordon(node, gpu, on), f"{word} {node}{f':{gpu}' if gpu else ''}")

    def _ask(self, question: str, detail: str, command: Command, word: str) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._do(command, word)

        self._app.push_screen(Confirm(question, detail), answered)

    def _do(self, command: Command, word: str) -> None:
        self._app.run_worker(self._call(command, word), group="act")

    async def _call(self, command: Command, word: str) -> None:
        client = self._app.client
        if client is None:
            self._app.tell("no core is in reach; nothing was done", bad=True)
            return
        try:
            await client.call(command)
        except (CommandError, ConnectionError) as error:
            self._app.tell(f"{word}: {error}", bad=True)
        else:
            self._app.tell(f"{word}: done")


def full(job: JobDoc) -> str:
    """owner/name (id)."""
    return f"{job['owner']}/{job['name']} ({job['id']})"


def consequences(job: JobDoc, verb: str) -> str:
    """What will happen to which attempts."""
    live = [a for t in job["tasks"] for a in t["attempts"] if fmt.is_live(a["state"])]
    if not live:
        return "Nothing of it runs now."
    places = ", ".join(sorted({a["node"] for a in live}))
    count = f"{len(live)} attempt{'s' if len(live) > 1 else ''}"
    return f"{count} on {places} {verb}: SIGTERM, then SIGKILL after its grace."
