"""A core in a few lines, so that commands can be run and their words and statuses looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from flextui.cli.verb import Need, Options, Sound
from flextui.core.client import Client, CoreInfo
from flextui.core.commands import Command, CommandError, ListJobs, ListNodes, LogRequest, Show
from flextui.core.model.docs import Delta, EventDoc, JobDoc, LogEvent, NodeDoc


class FakeCore:
    """Answers from `jobs` and `nodes`, or from `answers` by the command's type."""

    def __init__(
        self,
        *,
        jobs: list[JobDoc] | None = None,
        nodes: list[NodeDoc] | None = None,
        user: str = "alice",
    ) -> None:
        self.jobs = jobs or []
        self.nodes = nodes or []
        self.answers: dict[type, Any] = {}
        self.deltas: list[Delta] = []
        self.log: list[LogEvent] = []
        self.history: list[EventDoc] = []
        self.asked: list[Command] = []
        self.log_requests: list[LogRequest] = []
        self.needs: list[Need] = []
        self.options: list[Options] = []
        self.closed = 0
        self.info = CoreInfo("0.1.0", 1, "lab@head", 7, "lab", "", True, user, False)

    @asynccontextmanager
    async def connect(
        self, options: Options, need: Need, sound: Sound | None = None
    ) -> AsyncIterator[Client]:
        self.options.append(options)
        self.needs.append(need)
        try:
            yield cast(Client, self)
        finally:
            self.closed += 1

    async def call(self, command: Command) -> dict[str, Any]:
        self.asked.append(command)
        given = self.answers.get(type(command))
        if isinstance(given, BaseException):
            raise given
        if isinstance(given, Callable):  # type: ignore[arg-type]
            return cast(dict[str, Any], given(command))
        if given is not None:
            return cast(dict[str, Any], given)
        match command:
            case Show(job):
                return cast(dict[str, Any], self._find(job))
            case ListJobs():
                return {"jobs": self.jobs}
            case ListNodes():
                return {"nodes": self.nodes, "fleet": {}}
        raise AssertionError(f"unexpected {command}")

    def _find(self, name: str) -> JobDoc:
        found = [job for job in self.jobs if name in (job["id"], job["name"])]
        if not found:
            raise CommandError("input", f"no job '{name}'")
        return found[0]

    async def watch(self) -> AsyncIterator[Delta]:
        for delta in self.deltas:
            yield delta

    async def logs(self, request: LogRequest) -> AsyncIterator[LogEvent]:
        self.log_requests.append(request)
        for event in self.log:
            if event["stream"] in (*request.streams, ""):
                yield event

    async def events(self, *, after: int | None = None) -> AsyncIterator[EventDoc]:
        for event in self.history:
            if after is None or event["seq"] > after:
                yield event

    async def close(self) -> None: ...


def view(*jobs: JobDoc, full: bool = False) -> Delta:
    """A change of the view that holds these jobs."""
    return {"revision": 1, "full": full, "jobs": {job["id"]: job for job in jobs}, "nodes": {}}


def piece(text: str, *, stream: str = "out", attempt: str = "j1.0.1", **more: Any) -> LogEvent:
    """A piece of log."""
    event = {
        "kind": "data", "attempt": attempt, "node": "gpu1", "stream": stream, "at": 0,
        "to": len(text), "text": text,
    }  # fmt: skip
    return cast(LogEvent, {**event, **more})
