"""Copies of logs on the core's own disk, so that they are read when their node is gone.

An attempt that ended is copied at once; of one that runs the newest bytes are copied once in a
while, since its node may be lost without a word. Bounded for each attempt and for all together.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from weakref import WeakValueDictionary

from flextui.core.adapters.copyfile import STREAMS, CopyFile
from flextui.core.adapters.shelf import Shelf
from flextui.core.engine import Engine
from flextui.core.forget import KEPT_ATTEMPTS
from flextui.core.logbook.lines import raw
from flextui.core.model.docs import LogEvent
from flextui.core.model.ids import attempt_id
from flextui.core.model.state import Attempt, NodeStatus
from flextui.core.ports import LogAsk, NodeSession, TailRequest

log = logging.getLogger(__name__)

EVERY_S = 60.0
"""How often what runs is copied, and of each attempt `RUNNING` bytes at most."""
RUNNING = 256 << 10
AT_ONCE = 2
PAUSE_S = 0.1
GATHER_S = 0.2
MOST_DUE = 10_000
"""Ended attempts that wait to be copied; the first of more are left to their nodes."""
WITHIN_S = 120.0
MOST = 20_000
"""Copies that are kept, whatever their size."""
LOOK_S = 3600.0
"""How often those are looked for that are too old."""
LEAST_PAUSE_S = 0.02


class Copies:
    """Keeps and reads the copies of one engine; belongs to its event loop."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._policy = engine.inventory.policy
        self._shelf = Shelf(folder)
        self._due: dict[str, Attempt] = {}
        """Ended attempts to be copied, the first that ended first."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One copies an attempt's log at a time."""
        self._more = asyncio.Event()
        self._whole: set[str] = set()
        """Attempts of which no more is to be had."""
        self._sizes: dict[str, int] = {}
        self._looked = time.monotonic()
        self.trouble = ""
        """Why the last copy couldn't be written; empty when it could."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: set[str] = set()
        """Nodes in reach."""

    async def start(self) -> None:
        """Begin to keep copies. Raises OSError."""
        if not self._policy.log_copy:
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._sizes, self._whole = await asyncio.to_thread(self._look)
        self._begin(self._follow_ends())
        for _ in range(AT_ONCE):
            self._begin(self._copy_ended())
        self._begin(self._copy_what_runs())

    async def close(self) -> None:
        """Stop; what is copied stays."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._shelf.close()

    def has(self, attempt: str) -> bool:
        """Whether there is a copy."""
        return attempt in self._sizes

    async def read(self, request: LogAsk) -> AsyncGenerator[LogEvent, None]:
        """From the copies, until eof. Raises ConnectionError."""
        async with contextlib.aclosing(self._shelf.read(request)) as events:
            async for event in events:
                yield event

    # ── when ───────────────────────────────────────────────────────────────────────────────────

    def _begin(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow_ends(self) -> None:
        watcher = self._engine.feed.join()
        try:
            while True:
                await watcher.changed()
                await asyncio.sleep(GATHER_S)
                for attempt in self._ended(*watcher.take()):
                    self._due[attempt.id] = attempt
                while len(self._due) > MOST_DUE:
                    self._due.pop(next(iter(self._due)))
                if self._due:
                    self._more.set()
        except ConnectionError:
            return  # the core ends
        finally:
            self._engine.feed.leave(watcher)

    def _ended(self, jobs: set[str], nodes: set[str]) -> Iterator[Attempt]:
        """Attempts of what changed that ended and are to be copied; all of a node's when it comes
        into reach."""
        snapshot = self._engine.snapshot
        for job in jobs:
            for key in snapshot.by_job.get(job, ()):
                task = snapshot.tasks.get(key)
                last = task.attempts if task is not None else 0
                for number in range(max(1, last - KEPT_ATTEMPTS), last + 1):
                    attempt = snapshot.attempts.get(attempt_id(key, number))
                    if attempt is not None and self._is_due(attempt):
                        yield attempt
        ready = {it for it in nodes if self._is_ready(it)}
        fresh, self._ready = ready - self._ready, (self._ready - nodes) | ready
        if fresh:
            yield from (
                it for it in snapshot.attempts.values() if it.node in fresh and self._is_due(it)
            )

    def _is_ready(self, name: str) -> bool:
        node = self._engine.snapshot.nodes.get(name)
        return node is not None and node.status is NodeStatus.READY

    def _is_due(self, attempt: Attempt) -> bool:
        if attempt.state.live or attempt.why in ("never", "refused"):
            return False
        known = attempt.id in self._whole or attempt.id in self._due
        return not known and self._session(attempt) is not None

    def _session(self, attempt: Attempt) -> NodeSession | None:
        ready = self._is_ready(attempt.node)
        return self._engine.sessions.get(attempt.node) if ready else None

    async def _copy_ended(self) -> None:
        """One after the other, with a pause: thousands of short jobs have it done by and by."""
        while True:
            while not self._due:
                self._more.clear()
                await self._more.wait()
            attempt = self._due.pop(next(iter(self._due)))
            if attempt.id not in self._whole:
                await self._copy(attempt, self._policy.log_copy, ended=True)
                await asyncio.sleep(PAUSE_S)

    async def _copy_what_runs(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            snapshot = self._engine.snapshot
            running = [key for of in snapshot.by_node.values() for key in of]
            for key in running:
                attempt = self._engine.snapshot.attempts.get(key)
                if attempt is not None and attempt.state.live and self._session(attempt):
                    await self._copy(attempt, min(RUNNING, self._policy.log_copy), ended=False)
                await asyncio.sleep(max(LEAST_PAUSE_S, EVERY_S / (2 * len(running))))

    # ── what ───────────────────────────────────────────────────────────────────────────────────

    async def _copy(self, attempt: Attempt, most: int, *, ended: bool) -> None:
        lock = self._locks.setdefault(attempt.id, asyncio.Lock())
        try:
            async with lock, asyncio.timeout(WITHIN_S):
                session = self._session(attempt)
                if session is not None and attempt.id not in self._whole:
                    await self._take(session, attempt, most, ended=ended)
        except (ConnectionError, TimeoutError):
            return  # what runs is tried again; of what ended the node still has it all
        except OSError as error:
            why = error.strerror or str(error)
            if why != self.trouble:  # a full disk is told once, not with every log
                log.warning("no copy of the log of %s, nor of others: %s", attempt.id, why)
            self.trouble = why
        except Exception:  # one log that can't be copied doesn't end the copying of the others
            log.exception("copying the log of %s", attempt.id)

    async def _take(
        self, session: NodeSession, attempt: Attempt, most: int, *, ended: bool
    ) -> None:
        """Copy what is new, the newest `most` bytes of it."""
        ask = TailRequest(attempt.id, last_lines=0)
        ends: dict[str, int] = {}
        async for event in session.tail(ask):
            ends.update({name: span[1] for name, span in event.get("told", {}).items()})
        if not ends:
            return
        copy = CopyFile(self._folder / attempt.id)
        have = await asyncio.to_thread(copy.prepare, attempt.nonce)
        share = max(1, most // len(STREAMS))
        start = {name: max(have[name], ends.get(name, 0) - share) for name in STREAMS}
        if any(start[name] < ends.get(name, 0) for name in STREAMS):
            events = [
                event
                async for event in session.tail(TailRequest(attempt.id, start=start, until=ends))
                if event["kind"] == "data"
            ]
            data = [raw(event) for event in events]
            bound = self._policy.log_copy
            await asyncio.to_thread(copy.append, events, data, bound=bound)
        if ended:
            await asyncio.to_thread(copy.finish)
            self._whole.add(attempt.id)
        if self.trouble:
            await asyncio.to_thread(self._try)
            if self.trouble:  # two logs may have come here
                log.info("logs are copied again")
            self.trouble = ""
        self._sizes[attempt.id] = await asyncio.to_thread(copy.size)
        await self._keep_bound()

    def _try(self) -> None:
        """Whether the disk takes anything. Raises OSError."""
        path = self._folder / ".try"
        path.write_bytes(bytes(8192))
        path.unlink()

    async def _keep_bound(self) -> None:
        """Drop the oldest copies over the bounds, and now and then those that are too old."""
        now = time.monotonic()
        over = sum(self._sizes.values()) > self._policy.log_copies or len(self._sizes) > MOST
        if over or now > self._looked + LOOK_S:
            self._looked = now
            for name in await asyncio.to_thread(self._drop):
                self._sizes.pop(name, None)
                self._whole.discard(name)

    def _drop(self) -> list[str]:
        found = sorted(self._listed())
        surplus = sum(size for _, _, size in found) - self._policy.log_copies
        oldest = time.time() - self._policy.log_keep
        gone: list[str] = []
        for written, name, size in found:
            if surplus <= 0 and len(found) - len(gone) <= MOST and written >= oldest:
                break
            shutil.rmtree(self._folder / name, ignore_errors=True)
            gone.append(name)
            surplus -= size
        return gone

    def _listed(self) -> Iterator[tuple[float, str, int]]:
        """(when it was last written, attempt, bytes) of each copy."""
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                yield path.stat().st_mtime, path.name, CopyFile(path).size()

    def _look(self) -> tuple[dict[str, int], set[str]]:
        """What is there, without what is older than logs are kept."""
        oldest = time.time() - self._policy.log_keep
        sizes: dict[str, int] = {}
        for written, name, size in list(self._listed()):
            if written < oldest:
                shutil.rmtree(self._folder / name, ignore_errors=True)
            else:
                sizes[name] = size
        return sizes, {name for name in sizes if CopyFile(self._folder / name).whole}
