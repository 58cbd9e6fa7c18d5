"""A node of the simulated fleet: takes the core's orders and tells what a real one would tell."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from random import Random
from typing import TYPE_CHECKING

from flextui.core.demo import boxes, logs, telemetry
from flextui.core.demo.boxes import GIB
from flextui.core.demo.machine import Machine, Run
from flextui.core.demo.telemetry import Tenant
from flextui.core.events import (
    AttemptReported,
    AttemptUnknown,
    Exit,
    NodeDown,
    NodeEvent,
    NodeReady,
    Record,
    Sampled,
    XidSeen,
)
from flextui.core.model.docs import CheckDoc, LogEvent
from flextui.core.model.state import NodeStatus
from flextui.core.ports import (
    AbandonAttempt,
    AckAttempts,
    Effect,
    LogAsk,
    Program,
    RunningProgram,
    SearchRequest,
    SpotsRequest,
    StartAttempt,
    StopAttempt,
)

if TYPE_CHECKING:
    from flextui.core.demo.world import World

SIGTERM = 15
LAST_LINES = 12


class DemoNode:
    """A `NodeSession` to a machine of the world; nobody hears of it once it is closed."""

    def __init__(self, world: World, machine: Machine, tell: Callable[[NodeEvent], None]) -> None:
        self._world = world
        self._tell = tell
        self.machine = machine

    @property
    def name(self) -> str:
        return self.machine.box.name

    # ── the link ───────────────────────────────────────────────────────────────────────────────

    def connect(self) -> None:
        """Join as a real node does, or say why not."""
        now, machine = self._world.now, self.machine
        if machine.down is not None:
            self._tell(machine.down)
            return
        records = tuple(run.record(now) for run in machine.runs.values())
        self._tell(NodeReady(self.name, boxes.facts(machine.box), records, granted=True))
        self.sample()

    def lose(self, status: NodeStatus, code: str, text: str) -> None:
        """The link is gone; what runs there runs on."""
        self.machine.down = NodeDown(self.name, status, code, text)
        self._tell(self.machine.down)

    def find(self) -> None:
        """It is back."""
        self.machine.down = None
        self.connect()

    def sample(self) -> None:
        """Tell its telemetry."""
        machine, now = self.machine, self._world.now
        if machine.down is not None:
            return
        here = [*(r.tenant for r in machine.runs.values() if r.exit is None), *machine.others]
        gpus = []
        for gpu in boxes.devices(machine.box):
            if text := machine.broken.get(gpu.uuid):
                gpu = replace(gpu, state="lost", text=text, memory_used_bytes=None)
            gpus.append(telemetry.device(machine.box, gpu, here, now))
        told = telemetry.sample(machine.box, here, now, machine.disk_free)
        self._tell(Sampled(self.name, told, tuple(gpus)))

    def break_device(self, index: int, xid: int, text: str) -> None:
        """A device fails, and whoever is on it fails with it."""
        uuid = next(it.uuid for it in boxes.devices(self.machine.box) if it.index == index)
        self.machine.broken[uuid] = f"XID {xid}: {text}"
        self._tell(XidSeen(self.name, uuid, xid, text))
        for run in list(self.machine.runs.values()):
            if uuid in run.tenant.devices and run.exit is None:
                said = f"RuntimeError: CUDA error: unknown error (device {index})"
                self._end(run, self._world.now, Exit(1, None, "exit"), (said,))

    # ── orders ─────────────────────────────────────────────────────────────────────────────────

    def send(self, effect: Effect) -> None:
        if self.machine.down is not None:
            return
        match effect:
            case StartAttempt():
                self._start(effect)
            case StopAttempt():
                self._stop(effect)
            case AbandonAttempt():
                self._abandon(effect)
            case AckAttempts():
                self._world.keep(self.machine.runs.pop(key, None) for key in effect.attempts)

    def _start(self, start: StartAttempt) -> None:
        runs, world = self.machine.runs, self._world
        if start.attempt in runs:
            self._report(runs[start.attempt])
            return
        now = world.now
        work = world.work_of(start)
        random_ = Random(f"{world.seed} {start.job} {start.attempt}")
        user = start.job.partition("/")[0]
        command = start.argv[-1] if start.argv[:2] == ("/bin/sh", "-c") else " ".join(start.argv)
        tenant = Tenant(
            start.attempt, user, command, work, now, tuple(name for name, _ in start.devices),
            random_.randrange(3_000, 4_000_000), part=min((n for _, n in start.devices), default=1),
            cpus=max(1.0, len(start.devices) * 3.0), memory=start.memory_bytes or 4 * GIB,
        )  # fmt: skip
        said = logs.lines(work, start.job.partition("/")[2], now, f"{start.job} {start.attempt}")
        run = Run(start, tenant, logs.Output(self.name, start.attempt, said), now)
        runs[start.attempt] = run
        self._report(run)
        world.at(now + random_.uniform(0.5, 4), lambda: self._runs(run))
        run_s = max(1.0, work.run_s - world.done(start))
        limit = inf if start.time_limit_s is None else start.time_limit_s
        if run_s <= limit:
            how = Exit(work.code, None, "exit", ran_s=run_s)
            world.at(now + run_s, lambda: self._end(run, now + run_s, how, work.last))
        else:
            how = Exit(None, SIGTERM, "time_limit", ran_s=limit)
            world.at(now + limit, lambda: self._end(run, now + limit, how, ()))

    def _runs(self, run: Run) -> None:
        if run.exit is None:
            run.state = "running"
            self._report(run)

    def _stop(self, stop: StopAttempt) -> None:
        run = self.machine.runs.get(stop.attempt)
        if run is None:
            self._tell(AttemptUnknown(self.name, stop.attempt))
            return
        if run.stops or run.exit is not None:
            return
        run.stops = True
        world, how = self._world, Exit(None, SIGTERM, "stopped")
        after = min(stop.grace_s, 2.0 + 4.0 * telemetry.noise(stop.attempt, 0.0))
        at = world.now + after
        world.at(at, lambda: self._end(run, at, how, ("got SIGTERM, bye",)))

    def _abandon(self, effect: AbandonAttempt) -> None:
        run = self.machine.runs.get(effect.attempt)
        if run is not None:
            self._report(run)
        else:
            never = Record(effect.attempt, "never", nonce=effect.nonce)
            self._tell(AttemptReported(self.name, never))

    def _end(self, run: Run, at: float, how: Exit, said: Sequence[str]) -> None:
        if run.exit is not None:
            return
        for line in said:
            run.output.say(at, "err", line)
        run.output.grow(at)
        failed = how.code != 0
        run.exit = replace(
            how, ran_s=at - run.began, last_lines=run.output.last(LAST_LINES) if failed else ""
        )
        run.state, run.ended = "ended", at
        self._world.did(run.start, at - run.began)
        if self.machine.down is None:
            self._report(run)

    def _report(self, run: Run) -> None:
        if self.machine.down is None:
            self._tell(AttemptReported(self.name, run.record(self._world.now)))

    # ── questions ──────────────────────────────────────────────────────────────────────────────

    async def run(self, program: Program) -> RunningProgram:
        raise ConnectionError("it is simulated: there is nothing to log in to")

    async def tail(self, request: LogAsk) -> AsyncGenerator[LogEvent, None]:
        if self.machine.down is not None:
            raise ConnectionError(f"{self.name} isn't connected: {self.machine.down.text}")
        if isinstance(request, SearchRequest):
            for event in self._hits(request):
                yield event
            return
        run = self._run(request.attempt)
        if run is None:
            output = logs.Output(self.name, request.attempt, iter(()))
            yield output.event("notice", text="its log is gone from the node")
            yield output.event("eof")
            return
        if isinstance(request, SpotsRequest):
            places = [(spot, 1 + request.context) for spot in request.spots]
            places += [
                (run.output.at(request.stream, it / 1000), request.context) for it in request.times
            ]
            for place, after in places:
                begin, end = run.output.around(request.stream, place, request.context, after)
                for event in run.output.pieces(request.stream, begin, end):
                    yield event
            yield run.output.event("eof")
            return
        parts = {stream: run.output.part(stream, request) for stream in request.streams}
        told = {stream: begin for stream, (begin, _) in parts.items()}
        while True:
            for stream, (_, stop) in parts.items():
                for event in run.output.pieces(stream, told[stream], stop):
                    yield event
                    told[stream] = event["to"]
            if not request.follow or run.exit is not None:
                break
            await self._world.ticked()
            if self.machine.down is not None:
                raise ConnectionError(f"the link to {self.name} broke")
            run.output.grow(min(run.ended, self._world.now))
        over = run.output.event("eof")
        over["told"] = {stream: [begin, told[stream]] for stream, (begin, _) in parts.items()}
        yield over

    def _run(self, attempt: str) -> Run | None:
        """A run whose log can still be read, up to now."""
        run = self.machine.runs.get(attempt) or self._world.kept.get(attempt)
        if run is not None:
            run.output.grow(min(run.ended, self._world.now))
        return run

    def _hits(self, request: SearchRequest) -> Iterator[LogEvent]:
        over = logs.Output(self.name, "", iter(()))
        try:
            for run in filter(None, map(self._run, request.attempts)):
                for stream in request.streams:
                    yield run.output.hits(stream, request)
        except re.error as error:
            yield over.event("notice", text=f"no regular expression: {error}")
        yield over.event("eof")

    async def check(self) -> list[CheckDoc]:
        await asyncio.sleep(0)
        down, box = self.machine.down, self.machine.box
        if down is not None:
            return [{"node": self.name, "name": "reach", "ok": False, "text": down.text}]
        free = self.machine.disk_free
        rows: list[tuple[str, bool | None, str]] = [
            ("reach", True, "simulated, round trip 0.4 ms"),
            ("python", True, "Python 3.12.3, agent kept in /var/lib/flextui"),
            ("driver", True, f"570.124.06, {len(box.gpus)} GPUs" if box.gpus else "no GPUs"),
            ("disk", True if free > 0.05 else None, f"{free:.0%} free in /var/lib/flextui"),
        ]
        return [{"node": self.name, "name": n, "ok": ok, "text": t} for n, ok, t in rows]

    def retry_now(self) -> None:
        self.connect()

    def take_over(self) -> None:
        self.connect()

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        self._tell = _nobody


def _nobody(event: NodeEvent) -> None:
    """The link is closed: nobody listens."""
