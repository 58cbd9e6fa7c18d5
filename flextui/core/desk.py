"""Where a caller's command is taken: checked, parsed, authorised, then asked of the engine.

Queries are answered here from the last published snapshot, which is always durable, or from the
store. Commands that change something go through a turn of the engine.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from flextui.core import explain_view, placement_view, queue_view, view
from flextui.core.authorize import admins_only, is_admin
from flextui.core.calendar_view import calendar_view
from flextui.core.commands import (
    Check,
    Command,
    CommandError,
    History,
    ListEvents,
    ListJobs,
    ListNodes,
    ListPlacement,
    ListProblems,
    ListQueue,
    ListReservations,
    Plan,
    Revise,
    Revisions,
    Show,
    Shutdown,
    Silence,
    Source,
    Submit,
    Usage,
    WhoAmI,
    Why,
)
from flextui.core.copies import Copies
from flextui.core.draft import Draft
from flextui.core.engine import Engine
from flextui.core.intake import parse, placed, placing
from flextui.core.leisure import Leisure
from flextui.core.mailbox import Folding
from flextui.core.model.docs import CheckDoc, FleetDoc, JobDoc
from flextui.core.model.problems import BadInput
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity, Job
from flextui.core.ports import EventQuery, StoreError
from flextui.core.preview import preview, refusals
from flextui.core.problems.board import Board
from flextui.core.problems.problem import Scene
from flextui.core.reduce import admission, silences
from flextui.core.reduce.admission import SpecRefused
from flextui.core.reduce.commands import apply_command, changes_state
from flextui.core.reduce.fleet import no_such_node
from flextui.core.reduce.select import find_job, not_found
from flextui.core.usage_view import query_of, usage_view
from flextui.core.view import CoreFacts


class Desk:
    """Answers commands for identified callers. `ended` is called by a permitted shutdown."""

    def __init__(self, engine: Engine, facts: CoreFacts, core_uid: int) -> None:
        self.engine = engine
        self.facts = facts
        self.core_uid = core_uid
        self.ended: Callable[[], None] = lambda: None
        self.copies: Copies | None = None
        """Of logs; None: this core keeps none."""
        self._leisure = Leisure()
        self.board = Board(self._scene)
        """What is wrong now."""
        self._queries: dict[type, Callable[[Any, Identity], Awaitable[dict[str, Any]]]] = {
            Plan: self._plan,
            Why: self._why,
            Show: self._show,
            ListJobs: self._list_jobs,
            ListNodes: self._list_nodes,
            ListQueue: self._list_queue,
            ListPlacement: self._list_placement,
            ListProblems: self._list_problems,
            ListEvents: self._list_events,
            Revisions: self._revisions,
            History: self._history,
            ListReservations: self._list_reservations,
            Check: self._check,
            Usage: self._usage,
            WhoAmI: self._whoami,
            Shutdown: self._shutdown,
        }

    def _scene(self) -> Scene:
        """The state as problems are looked for in it."""
        copies = self.copies.trouble if self.copies is not None else ""
        engine = self.engine
        return Scene(engine.snapshot, engine.now().wall, engine.read_only, copies)

    def admin(self, who: Identity) -> bool:
        """Whether this caller may act on everything."""
        return is_admin(self.engine.inventory, self.core_uid, who)

    async def call(self, command: Command, who: Identity) -> dict[str, Any]:
        """The answer to a command. Raises `CommandError`."""
        try:
            if changes_state(command):
                return await self._change(command, who)
            return await self._queries[type(command)](command, who)
        except BadInput as error:
            problems = tuple(dataclasses.asdict(problem) for problem in error.problems)
            raise CommandError("input", str(error), problems=problems) from error
        except StoreError as error:
            raise CommandError("failed", str(error)) from error

    async def _change(self, command: Command, who: Identity) -> dict[str, Any]:
        if isinstance(command, Silence):
            return await self._silence(command, who)
        sources = _sources(command)
        written = await parse(sources) if sources is not None else ()
        specs = tuple(it.spec for it in written)
        admin = self.admin(who)

        def apply(draft: Draft) -> Folding:
            return apply_command(draft, command, who, admin, specs)

        try:
            for index, spec in enumerate(specs):
                try:
                    admission.check_ever(self.engine.snapshot, spec)
                except SpecRefused as refused:
                    refused.at = index
                    raise
                if index % 50 == 49:
                    await asyncio.sleep(0)
            return await self.engine.ask(apply)
        except SpecRefused as refused:
            if not written:
                raise
            others = await self._refusals(specs, who) if isinstance(command, Submit) else []
            raise placed(written, others or [refused]) from refused

    async def _refusals(self, specs: Sequence[JobSpec], who: Identity) -> list[SpecRefused]:
        """Everything that speaks against these jobs as the state is now."""
        steps = refusals(self.engine.snapshot, self.engine.now(), who, self.admin(who), specs)
        found: list[SpecRefused] = (await self._leisure.beside(steps))["refused"]
        return found

    # ── jobs ───────────────────────────────────────────────────────────────────────────────────

    def find(self, selector: str, who: Identity) -> Job:
        """A live or recent job. Raises `CommandError`."""
        snapshot = self.engine.snapshot
        return find_job(snapshot.jobs, snapshot.recent, who, selector)

    async def find_doc(self, selector: str, who: Identity) -> JobDoc:
        """Any job that the store still has, as its document with spec. Raises `CommandError`."""
        snapshot = self.engine.snapshot
        try:
            job = self.find(selector, who)
        except CommandError:
            return await self._find_old(selector, who)
        doc = view.job_view(snapshot, job, spec=True)
        if all(
            len(task["attempts"]) == snapshot.tasks[key].attempts
            for key, task in zip(snapshot.by_job.get(job.id, ()), doc["tasks"], strict=True)
        ):
            return doc
        return await self.engine.store.job(job.id) or doc

    async def _find_old(self, selector: str, who: Identity) -> JobDoc:
        doc = await self.engine.store.job(selector)
        if doc is not None:
            return doc
        owner, slash, name = selector.rpartition("/")
        named = await self.engine.store.named(name)
        for job_id, its_owner in named:
            if its_owner == (owner if slash else who.user):
                doc = await self.engine.store.job(job_id)
                if doc is not None:
                    return doc
        known = [*self.engine.snapshot.jobs.values(), *self.engine.snapshot.recent.values()]
        others = [f"{its_owner}/{name}" for _, its_owner in named]
        raise not_found(selector, others, (job.name for job in known))

    async def _show(self, command: Show, who: Identity) -> dict[str, Any]:
        return dict(await self.find_doc(command.job, who))

    async def _list_jobs(self, command: ListJobs, who: Identity) -> dict[str, Any]:
        snapshot = self.engine.snapshot
        jobs = []
        for index, job in enumerate(list(snapshot.jobs.values())):
            jobs.append(view.job_view(snapshot, job, spec=command.spec))
            if index % 200 == 199:
                await asyncio.sleep(0)
        if command.ended:
            jobs += await self.engine.store.ended_jobs(limit=command.limit, spec=command.spec)
        return {"jobs": jobs}

    async def _why(self, command: Why, who: Identity) -> dict[str, Any]:
        job = self.find(command.job, who)
        snapshot, now = self.engine.snapshot, self.engine.now()
        return await self._leisure.answer(
            ("why", job.id), lambda: explain_view.why_view(snapshot, job, now)
        )

    async def _list_queue(self, command: ListQueue, who: Identity) -> dict[str, Any]:
        snapshot, now = self.engine.snapshot, self.engine.now()
        limit = min(max(command.limit, 1), 10_000)
        if not command.forecast:
            return await self._leisure.beside(queue_view.line_view(snapshot, now, limit))
        return await self._leisure.answer(
            ("queue", limit), lambda: queue_view.queue_view(snapshot, now, limit)
        )

    async def _list_placement(self, command: ListPlacement, who: Identity) -> dict[str, Any]:
        job = self.find(command.job, who) if command.job else None
        snapshot, now = self.engine.snapshot, self.engine.now()
        if job is None:
            return await self._leisure.beside(placement_view.placement_view(snapshot, None, now))
        return await self._leisure.answer(
            ("placement", job.id), lambda: placement_view.placement_view(snapshot, job, now)
        )

    async def _plan(self, command: Plan, who: Identity) -> dict[str, Any]:
        snapshot, now = self.engine.snapshot, self.engine.now()
        job = self.find(command.job, who) if command.job is not None else None
        written = await parse(command.sources)
        with placing(written):
            specs = [it.spec for it in written]
            steps = preview(snapshot, now, who, self.admin(who), specs, job)
            return await self._leisure.fresh(steps)

    # ── fleet ──────────────────────────────────────────────────────────────────────────────────

    def fleet(self) -> FleetDoc:
        """The top line."""
        engine = self.engine
        return view.fleet_view(engine.snapshot, self.facts, engine.read_only, self.board.wrong)

    async def _list_problems(self, command: ListProblems, who: Identity) -> dict[str, Any]:
        return {"problems": self.board.fresh()}

    async def _silence(self, command: Silence, who: Identity) -> dict[str, Any]:
        found, admin = self.board.fresh(), self.admin(who)
        return await self.engine.ask(
            lambda draft: silences.silence(draft, who, admin, command, found)
        )

    async def _list_nodes(self, command: ListNodes, who: Identity) -> dict[str, Any]:
        snapshot = self.engine.snapshot
        nodes = []
        for index, node in enumerate(snapshot.nodes.values()):
            nodes.append(view.node_view(snapshot, node))
            if index % 50 == 49:
                await asyncio.sleep(0)
        return {"nodes": nodes, "fleet": self.fleet()}

    async def _list_reservations(self, command: ListReservations, who: Identity) -> dict[str, Any]:
        wall = self.engine.now().wall
        return {"reservations": calendar_view(self.engine.snapshot, wall)}

    async def _check(self, command: Check, who: Identity) -> dict[str, Any]:
        snapshot, sessions = self.engine.snapshot, self.engine.sessions
        for name in command.nodes:
            if name not in snapshot.nodes:
                raise no_such_node(name, list(snapshot.nodes))
        names = command.nodes or tuple(snapshot.nodes)
        found = await asyncio.gather(
            *(sessions[name].check() for name in names if name in sessions)
        )
        checks: list[CheckDoc] = [row for rows in found for row in rows]
        after = self.engine.snapshot
        for name in names:
            if name not in self.engine.sessions and name in after.nodes:
                reason = after.nodes[name].reason
                checks.append({"node": name, "name": "session", "ok": False, "text": reason})
        return {"checks": checks}

    async def _list_events(self, command: ListEvents, who: Identity) -> dict[str, Any]:
        job = None
        if command.job is not None:
            job = (await self.find_doc(command.job, who))["id"]
        limit = min(max(command.limit, 1), 100_000)
        query = EventQuery(command.after, job, command.node, command.actor, command.audit, limit)
        return {"events": await self.engine.store.events(query)}

    async def _revisions(self, command: Revisions, who: Identity) -> dict[str, Any]:
        doc = await self.find_doc(command.job, who)
        found = await self.engine.store.revisions(doc["id"])
        return {
            "job": doc["id"], "name": doc["name"], "owner": doc["owner"], "revisions": found
        }  # fmt: skip

    async def _history(self, command: History, who: Identity) -> dict[str, Any]:
        past = self.engine.past
        if command.job:
            doc = await self.find_doc(command.job, who)
            return dict(past.of_job(doc))
        if command.node not in self.engine.snapshot.nodes:
            raise no_such_node(command.node, list(self.engine.snapshot.nodes))
        return dict(past.of_node(command.node, command.after))

    async def _usage(self, command: Usage, who: Identity) -> dict[str, Any]:
        now = self.engine.now().wall
        query = query_of(command, now)
        return dict(usage_view(query, await self.engine.store.usage(query, now)))

    # ── core ───────────────────────────────────────────────────────────────────────────────────

    async def _whoami(self, command: WhoAmI, who: Identity) -> dict[str, Any]:
        inventory = self.engine.inventory
        return {
            "user": who.user,
            "uid": who.uid,
            "groups": list(who.groups),
            "admin": self.admin(who),
            "core": self.facts.core,
            "projects": list(inventory.projects_of(who.user, who.groups)),
            "volumes": list(inventory.volumes),
        }

    async def _shutdown(self, command: Shutdown, who: Identity) -> dict[str, Any]:
        admins_only("end the core", self.admin(who))
        self.ended()
        return {}


def _sources(command: Command) -> tuple[Source, ...] | None:
    """The specs that a command carries; None: it carries none."""
    if isinstance(command, Submit):
        return command.sources
    return (command.source,) if isinstance(command, Revise) else None
