"""A text on its way from the editor to the core: the look at what it changes, the doing, and what
somebody else has changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flextui.core.commands import CommandError, Revise, Show, Source, Submit
from flextui.screens.apply import Apply
from flextui.screens.editing.drafts import Draft
from flextui.screens.editing.preview import job_lines
from flextui.screens.editing.problems import Mistake, mistakes_of
from flextui.screens.editing.review import field_lines, unified
from flextui.screens.format import Span

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

Jobs = Sequence[Mapping[str, Any]]


class HandIn:
    """For one editor; `job` is the id of the job that is edited, "" for a new one."""

    def __init__(self, app: FlextuiApp, job: str) -> None:
        self._app = app
        self._job = job
        self.mistakes: list[Mistake] = []
        """Of what was refused last."""

    async def hand_in(self, draft: Draft, plan: Jobs, *, live: bool) -> list[Any] | None:
        """Ask where it changes what runs, then do it. The jobs, None where nothing was done."""
        self.mistakes = []
        if live or any(it.get("action") == "revise" for it in plan):
            if all(it.get("action") == "unchanged" for it in plan):
                self._app.tell("it says what runs already; nothing was changed")
                return None
            if not await self._agreed(draft, plan):
                return None
        source = Source("editor", draft.text)
        if live:
            command = Revise(self._job, source, draft.base)
            answer = await self._app.act.call(command, "edit", self._refused)
            return None if answer is None else [answer["job"]]
        answer = await self._app.act.call(Submit((source,)), "submit", self._refused)
        return None if answer is None else list(answer["jobs"])

    async def _agreed(self, draft: Draft, plan: Jobs) -> bool:
        revised = [it for it in plan if "to" in it]
        names = ", ".join(f"{it['name']} rev {it['revision']} → {it['to']}" for it in revised)
        effects = [line for job in plan for line in self._effects(job)]
        diff = unified(draft.origin, draft.text) if draft.base else []
        return bool(await self._app.push_screen_wait(Apply(f"Apply {names}?", effects, diff)))

    def _effects(self, job: Mapping[str, Any]) -> list[list[Span]]:
        lines = job_lines(job, self._app.view.nodes, self._app.now())
        return [*lines, [], *([it] for it in field_lines(job.get("diff") or ()))]

    def _refused(self, error: CommandError) -> None:
        self.mistakes = mistakes_of(error)

    async def theirs(self, draft: Draft) -> tuple[Draft, list[list[Span]]] | None:
        """If somebody else has changed the job meanwhile: the draft over their revision, and what
        they changed."""
        client = self._app.client
        if client is None:
            return None
        try:
            doc = await client.call(Show(self._job))
        except (CommandError, ConnectionError):
            return None
        if doc["revision"] == draft.base:
            return None
        text = self._app.text_of(doc)
        head = f"rev {doc['revision']} came meanwhile; submitting again goes over it:"
        lines = [[], [Span(head, "warn")], *([it] for it in unified(draft.origin, text))]
        return Draft(draft.text, text, doc["revision"]), lines
