"""Logs of a job: the tails of its attempts, merged. Parts and searches are in `log_parts`.

Without `follow` the attempts are told one after another. With it every task is told at once, each
goes on to its next attempt after a restart, and picks up at the same byte when its node is back.
A node that is away is said, not waited for in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace

from flextui.core.commands import CommandError, LogRequest
from flextui.core.desk import Desk
from flextui.core.engine import Engine
from flextui.core.feed import Watcher
from flextui.core.log_parts import Reader, Tell, notice, part_events, together
from flextui.core.model.docs import AttemptDoc, JobDoc, LogEvent
from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Attempt, Identity, NodeStatus
from flextui.core.ports import TailRequest

_IN_TOUCH = (NodeStatus.READY, NodeStatus.OBSERVED)


async def log_events(
    desk: Desk, request: LogRequest, who: Identity
) -> AsyncGenerator[LogEvent, None]:
    """The log events of a request. Raises `CommandError`."""
    reader = Reader(desk.engine, desk.copies)
    if request.search is not None or (request.pieces and not request.follow):
        parts = part_events(desk, reader, request, who)
        async with contextlib.aclosing(parts) as events:
            async for event in events:
                yield event
        return
    doc = await desk.find_doc(request.job, who)
    chosen = _chosen(doc, request)
    if request.follow and request.attempt is None and doc["ended_at"] is None:
        keys = [TaskKey(doc["id"], index) for index in chosen]
        async with contextlib.aclosing(_follow_all(desk.engine, keys, request)) as events:
            async for event in events:
                yield event
        return
    for attempts in chosen.values():
        for attempt in attempts:
            if request.node not in ("", attempt["node"]):
                continue
            tail = _tail_request(attempt["id"], request)
            if begun := _begun(request, attempt["id"]):
                tail = replace(tail, start=begun, last_lines=None)
            piece = reader.read(attempt["node"], tail)
            async with contextlib.aclosing(piece) as events:
                async for event in events:
                    yield event


def _chosen(doc: JobDoc, request: LogRequest) -> dict[int, list[AttemptDoc]]:
    """Task index → attempts to tell: the one asked for, else the newest that ran."""
    known = {task["index"]: task for task in doc["tasks"]}
    for index in request.tasks:
        if index not in known:
            raise CommandError("input", f"{doc['name']} has no task {index}")
    wanted = request.tasks or tuple(known)
    chosen: dict[int, list[AttemptDoc]] = {}
    for index in wanted:
        attempts = known[index]["attempts"]
        if request.attempt is not None:
            attempts = [it for it in attempts if it["id"] == request.attempt]
            if attempts:
                chosen[index] = attempts
        else:
            ran = [it for it in attempts if it["why"] not in ("never", "refused")]
            chosen[index] = ran[-1:]
    if request.attempt is not None and not chosen:
        raise CommandError("input", f"{doc['name']} has no attempt {request.attempt}")
    return chosen


def _tail_request(attempt: str, request: LogRequest) -> TailRequest:
    return TailRequest(
        attempt, streams=request.streams, last_lines=request.last_lines, follow=request.follow
    )


def _begun(request: LogRequest, attempt: str) -> dict[str, int]:
    """Where a reader of this attempt is already, by stream."""
    return {
        it.stream: it.begin
        for it in request.pieces
        if it.attempt == attempt and it.begin is not None
    }


# ── following ──────────────────────────────────────────────────────────────────────────────────


async def _follow_all(
    engine: Engine, keys: list[TaskKey], request: LogRequest
) -> AsyncGenerator[LogEvent, None]:
    watcher = engine.feed.join()
    followers = [_Follower(engine, key, request) for key in keys]
    waking = asyncio.get_running_loop().create_task(_wake(watcher, followers))
    try:
        async with contextlib.aclosing(together([it.run for it in followers])) as events:
            async for event in events:
                yield event
    finally:
        waking.cancel()
        engine.feed.leave(watcher)


async def _wake(watcher: Watcher, followers: list[_Follower]) -> None:
    """One watches for all: of thousands of tasks, only those that changed are woken."""
    try:
        while True:
            await watcher.changed()
            jobs, nodes = watcher.take()
            for it in followers:
                if it.job in jobs or it.node in nodes:
                    it.look(nodes)
    except ConnectionError:
        for it in followers:
            it.end()


class _Follower:
    """Follows one task from attempt to attempt, until it has ended."""

    def __init__(self, engine: Engine, key: TaskKey, request: LogRequest) -> None:
        self._engine = engine
        self._key = key
        self._request = request
        self.job = key.job
        self.node = ""
        """Where its attempt is."""
        self._seen: tuple[object, ...] = ()
        self._changed = asyncio.Event()
        self._core_ended = False
        self._said = ""
        self._told = ""
        """The attempt that `_offsets` are of."""
        self._offsets: dict[str, int] = {}

    async def run(self, tell: Tell) -> None:
        """Tell all of it."""
        with contextlib.suppress(ConnectionError):  # the core ends
            await self._run(tell)

    def look(self, nodes: set[str]) -> None:
        """Go on if the task, its attempt, the job or the attempt's node has changed."""
        snapshot = self._engine.snapshot
        task = snapshot.tasks.get(self._key)
        attempt = snapshot.attempts.get(task.active or "") if task is not None else None
        seen = (task, attempt, self.job in snapshot.jobs)
        if seen != self._seen or self.node in nodes:
            self._seen = seen
            self._changed.set()

    def end(self) -> None:
        """The core ends."""
        self._core_ended = True
        self._changed.set()

    async def _run(self, tell: Tell) -> None:
        done = ""
        while True:
            attempt = self._attempt()
            self.node = attempt.node if attempt is not None else ""
            if attempt is not None and attempt.id != done and self._in_touch(attempt):
                if await self._tail_to_end(attempt, tell):
                    done = attempt.id
                continue
            if attempt is not None and attempt.id != done:
                await self._say(attempt, tell)
            if self._over(done):
                return
            await self._change()

    async def _change(self) -> None:
        """Wait for one. Raises ConnectionError when the core has ended."""
        await self._changed.wait()
        if self._core_ended:
            raise ConnectionError("the core has ended")
        self._changed.clear()

    def _attempt(self) -> Attempt | None:
        """The newest attempt that runs or ran."""
        task = self._engine.snapshot.tasks.get(self._key)
        attempt = self._engine.snapshot.attempts.get(task.active) if task and task.active else None
        if attempt is None or attempt.why in ("never", "refused"):
            return None
        started = attempt.started_at is not None or not attempt.state.live
        here = self._request.node in ("", attempt.node)
        return attempt if started and here else None

    def _in_touch(self, attempt: Attempt) -> bool:
        node = self._engine.snapshot.nodes.get(attempt.node)
        return node is not None and node.status in _IN_TOUCH

    async def _say(self, attempt: Attempt, tell: Tell) -> None:
        node = self._engine.snapshot.nodes.get(attempt.node)
        text = f"{attempt.node} doesn't answer; the log goes on when it is back"
        if node is not None and node.reason:
            text = f"{node.reason}; the log goes on when {attempt.node} is back"
        if text != self._said:
            self._said = text
            await tell(notice(attempt.node, attempt.id, text))

    def _over(self, done: str) -> bool:
        """Whether no more will come: the task has ended, and its last attempt is told."""
        snapshot = self._engine.snapshot
        task = snapshot.tasks.get(self._key)
        if task is None:
            return True
        if not (task.state.ended or task.retired or self._key.job not in snapshot.jobs):
            return False
        attempt = self._attempt()
        return attempt is None or attempt.id == done or not self._in_touch(attempt)

    async def _tail_to_end(self, attempt: Attempt, tell: Tell) -> bool:
        """Tell this attempt's log; True when it was told to its end."""
        session = self._engine.sessions.get(attempt.node)
        if session is None:
            await self._change()
            return False
        self._said = ""
        request = _tail_request(attempt.id, self._request)
        if self._told != attempt.id:
            self._told, self._offsets = attempt.id, _begun(self._request, attempt.id)
        if self._offsets:
            start = {stream: self._offsets.get(stream, 0) for stream in request.streams}
            request = replace(request, start=start, last_lines=None)
        try:
            async for event in session.tail(request):
                if event["kind"] in ("data", "gap"):
                    self._offsets[event["stream"]] = event["to"]
                await tell(event)
        except ConnectionError:
            await self._change()
            return False
        return True
