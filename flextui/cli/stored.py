"""What commands see where no core runs: the store as it was left, for reading only.

It keeps the client's contract as far as a store can; all else is refused with what to do.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from flextui import __version__
from flextui.cli import output
from flextui.cli.connect import no_core
from flextui.core.adapters.store_open import DB_NAME
from flextui.core.adapters.store_read import StoreReader
from flextui.core.client import CoreInfo
from flextui.core.commands import (
    Command,
    CommandError,
    ListEvents,
    ListJobs,
    LogRequest,
    Revisions,
    ShellRequest,
    Show,
    Usage,
)
from flextui.core.model.docs import (
    Delta,
    EventDoc,
    JobDoc,
    LogEvent,
    ShellEvent,
    ShellInput,
)
from flextui.core.ports import EventQuery, StoreError
from flextui.core.usage_view import query_of, usage_view


class StoredClient:
    """Answers from the store of a state directory. The constructor says so on stderr."""

    def __init__(self, folder: Path) -> None:
        """Raises CommandError (unreachable) where there is no store that can be read."""
        try:
            self._reader = StoreReader.open(folder)
        except StoreError as error:
            raise no_core(str(error)) from error
        user = getpass.getuser()
        self._info = CoreInfo(__version__, 0, "", 0, "", "", False, user, False)
        output.say(f"flextui: no core runs; this is what the store says as of {_as_of(folder)}")

    @property
    def info(self) -> CoreInfo:
        return self._info

    async def call(self, command: Command) -> dict[str, Any]:
        try:
            match command:
                case ListJobs(ended, limit, spec):
                    return {"jobs": self._reader.jobs(ended=ended, limit=limit, spec=spec)}
                case Show(job):
                    return cast(dict[str, Any], self._reader.job(self._resolve(job)))
                case ListEvents(after, job, limit, node, actor, audit):
                    asked = EventQuery(after, job, node, actor, audit, limit)
                    return {"events": self._reader.events(asked)}
                case Revisions(job):
                    doc = cast(JobDoc, self._reader.job(self._resolve(job)))
                    found = self._reader.revisions(doc["id"])
                    return {"job": doc["id"], "name": doc["name"], "owner": doc["owner"],
                            "revisions": found}  # fmt: skip
                case Usage():
                    now = time.time()
                    query = query_of(command, now)
                    return cast(dict[str, Any], usage_view(query, self._reader.usage(query, now)))
        except StoreError as error:
            raise CommandError("failed", str(error)) from error
        raise no_core()

    def _resolve(self, job: str) -> str:
        """The id of the job that the caller means, as a core resolves it."""
        owner, slash, name = job.rpartition("/")
        if not slash and self._reader.job(job) is not None:
            return job
        found = self._reader.named(name)
        whose = owner if slash else self._info.user
        mine = [job_id for job_id, by in found if by == whose]
        if mine:
            return mine[0]
        others = tuple(dict.fromkeys(f"{by}/{name}" for _, by in found))
        there = f"; there is {', '.join(others)}" if others else ""
        raise CommandError("input", f"there is no job '{job}' of {whose}{there}", candidates=others)

    async def watch(self) -> AsyncIterator[Delta]:
        raise no_core("the job hasn't ended")
        yield

    async def logs(self, request: LogRequest) -> AsyncIterator[LogEvent]:
        raise no_core("logs lie on the nodes")
        yield

    async def events(self, *, after: int | None = None) -> AsyncIterator[EventDoc]:
        raise no_core()
        yield

    async def shell(
        self, request: ShellRequest, inputs: AsyncIterator[ShellInput]
    ) -> AsyncIterator[ShellEvent]:
        raise no_core()
        yield

    async def close(self) -> None:
        self._reader.close()


def _as_of(folder: Path) -> str:
    """When the store was last written: local time, to the second."""
    written = 0.0
    for name in (DB_NAME, f"{DB_NAME}-wal"):
        if (folder / name).exists():
            written = max(written, os.stat(folder / name).st_mtime)
    return datetime.fromtimestamp(written).strftime("%Y-%m-%d %H:%M:%S")
