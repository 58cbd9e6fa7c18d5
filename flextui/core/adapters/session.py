"""The lasting link to one node: connect, boot the agent, hello, serve, and again when it breaks.

States: connecting → serving → down (waits, then connecting). `alias` ends the trying: the box is
served under another name. The engine hears NodeConnecting when an attempt begins that somebody
waits for, NodeReady after each hello, and NodeDown when what is wrong changes; a node that stays
down for the same reason is tried on without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from flextui.core.adapters import decode, effects
from flextui.core.adapters.backoff import Backoff, Pace
from flextui.core.adapters.channel import Channel, Message, MessageTooLong
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.greeting import Greeting, greet
from flextui.core.adapters.logreader import LogReader
from flextui.core.adapters.pacer import Pacer
from flextui.core.adapters.preflight import failed_rows, passed_rows
from flextui.core.adapters.stream import ByteStream
from flextui.core.adapters.transport import Transport
from flextui.core.adapters.watchdog import Watchdog
from flextui.core.adapters.zipapp import AgentZip
from flextui.core.events import (
    NodeConnecting,
    NodeDown,
    NodeEvent,
    NodeFenced,
    NodeReady,
    StartRefused,
)
from flextui.core.model.docs import CheckDoc, LogEvent
from flextui.core.ports import (
    AbandonAttempt,
    CoreIdentity,
    Effect,
    LogAsk,
    Program,
    RunningProgram,
    StartAttempt,
)

log = logging.getLogger(__name__)

BYE_S = 2.0
CHECK_S = 40.0


class Setup:
    """What all sessions of a fleet share."""

    def __init__(
        self,
        agent: Callable[[], Awaitable[AgentZip]],
        *,
        log_keep_s: float,
        log_bytes: int = 256 << 20,
        pace: Pace,
    ) -> None:
        self.agent = agent
        self.log_keep_s = log_keep_s
        self.log_bytes = log_bytes
        self.pace = pace
        self.pacer = Pacer()
        self.hosts: dict[str, str] = {}
        """host_id → the node that is served under it."""


class NodeLink:
    """A NodeSession over any transport; belongs to one event loop."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        identity: CoreIdentity,
        root: tuple[str, str] | None,
        emit: Callable[[NodeEvent], None],
        setup: Setup,
    ) -> None:
        self._name = name
        self._transport = transport
        self._identity = identity
        self._root = root
        self._emit = emit
        self._setup = setup
        self._pace = setup.pace
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(setup.pace)
        self._logs = LogReader(name)
        self._channel: Channel | None = None
        self._greeting: Greeting | None = None
        self._failure: LinkFailure | None = None
        self._takeover = False
        self._fenced = False
        self._recycled = False
        self._closing = False
        self._trying = False
        """An attempt to connect is under way, or what it led to."""
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        """Set at each end of an attempt to connect: ready or failed."""
        self._task = self._loop.create_task(self._run(), name=f"node {name}")

    # ── NodeSession ────────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        return self._name

    @property
    def closed(self) -> bool:
        return self._closing

    def send(self, effect: Effect) -> None:
        channel = self._channel
        if channel is None:
            return
        message = effects.request(effect, self._identity.epoch)
        if isinstance(effect, StartAttempt):
            message["log_bytes"] = self._setup.log_bytes
        try:
            if not effects.answered(effect):
                channel.notify(message)
                return
            future = channel.request(message)
        except MessageTooLong as error:
            if isinstance(effect, StartAttempt):
                self._emit(StartRefused(self._name, effect.attempt, "too_big", str(error)))
            return
        future.add_done_callback(lambda done: self._answered(channel, effect, done))

    async def tail(self, request: LogAsk) -> AsyncIterator[LogEvent]:
        channel = self._channel
        if channel is None:
            raise ConnectionError(f"{self._name} isn't connected{self._because()}")
        async with contextlib.aclosing(self._logs.read(channel, request)) as events:
            async for event in events:
                yield event

    async def check(self) -> list[CheckDoc]:
        if self._channel is None:
            await self._try_once()
        channel, greeting = self._channel, self._greeting
        if channel is None or greeting is None:
            failure = self._failure or LinkFailure("timeout", "still connecting")
            return failed_rows(self._name, failure)
        try:
            async with asyncio.timeout(CHECK_S):
                return await passed_rows(self._name, channel, greeting, self._transport.findings())
        except (TimeoutError, ConnectionError) as error:
            text = str(error) or f"the agent didn't answer within {CHECK_S:.0f} s"
            return failed_rows(self._name, LinkFailure("closed", text))

    async def run(self, program: Program) -> RunningProgram:
        try:
            async with self._setup.pacer.turn() as turn:
                return await self._transport.run(turn, program, self._identity.core_id)
        except LinkFailure as failure:
            raise ConnectionError(failure.text) from failure

    def retry_now(self) -> None:
        self._backoff.reset()
        self._wake.set()

    def take_over(self) -> None:
        self._takeover = True
        self._recycle()
        self.retry_now()

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        if self._closing:
            return
        self._closing = True
        channel = self._channel
        if channel is not None:
            channel.notify({"t": "bye", "release": release, "suspend_leases": suspend_leases})
            await asyncio.wait([self._task], timeout=BYE_S)  # the agent ends, then its stream
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        for host_id, name in list(self._setup.hosts.items()):
            if name == self._name:
                del self._setup.hosts[host_id]
        await self._transport.close()

    # ── the state machine ──────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        self._emit(NodeConnecting(self._name))
        while not self._closing:
            self._wake.clear()
            self._trying = True
            failure = await self._once()
            self._trying = False
            self._channel = None
            if self._closing:
                return
            if failure is not None:
                self._tell(failure)
                await self._wait(failure)

    async def _once(self) -> LinkFailure | None:
        """One link, from connect to its end; None if this side ended it to begin anew."""
        stream: ByteStream | None = None
        self._recycled = False
        try:
            async with self._setup.pacer.turn() as turn:
                stream = await self._transport.open(turn)
                hello = self._hello()
                greeting = await greet(stream, await self._setup.agent(), hello)
            self._claim(greeting)
            return await self._serve(stream, greeting, took_over=hello["takeover"])
        except LinkFailure as failure:
            return failure
        except Exception as error:  # no node may stop the core, whatever its libraries do
            log.exception("the session of %s", self._name)
            return LinkFailure("internal", f"flextui's own failure: {error!r}")
        finally:
            if stream is not None:
                stream.abort()

    def _hello(self) -> Message:
        identity = self._identity
        root = {"path": self._root[0], "id": self._root[1]} if self._root else None
        return {
            "t": "hello",
            "v": [1, 1],
            "core_id": identity.core_id,
            "epoch": identity.epoch,
            "owner": identity.owner,
            "node": self._name,
            "takeover": self._takeover,
            "adopt": list(identity.adopt),
            "core_boot": self._transport.core_boot(),
            "root": root,
            "sample_s": 1.0,
            "log_keep_s": self._setup.log_keep_s,
        }

    def _claim(self, greeting: Greeting) -> None:
        """One box, one session: a second name for it is refused. Raises LinkFailure."""
        holder = self._setup.hosts.setdefault(greeting.facts.host_id, self._name)
        if holder != self._name:
            raise LinkFailure(
                "alias",
                f"this is the same host and account as {holder}: "
                "remove one of the two from the inventory",
                "state",
            )

    async def _serve(
        self, stream: ByteStream, greeting: Greeting, *, took_over: bool
    ) -> LinkFailure | None:
        facts = greeting.facts
        granted = greeting.hello.get("granted") is True
        self._root = (facts.root_path, facts.root_id)
        self._fenced = False
        if took_over:
            self._takeover = False
        channel = Channel(stream, self._pushed)
        self._channel, self._greeting, self._failure = channel, greeting, None
        driver = "" if granted else decode.driver(greeting.hello)
        records = decode.records(greeting.hello)
        adopted = granted and bool(self._identity.adopt)
        self._emit(NodeReady(self._name, facts, records, granted, driver, adopted))
        self._changed.set()
        since = self._loop.time()
        watchdog = Watchdog(channel, self._pace)
        observer = None
        if not granted:
            soon = 0.0 if self._takeover else self._pace.observe_s  # it was asked for meanwhile
            observer = self._loop.call_later(soon, self._ask_anew, channel)
        try:
            await channel.run()
        finally:
            watchdog.stop()
            if observer is not None:
                observer.cancel()
            self._channel = None
        self._backoff.served(self._loop.time() - since)
        if self._recycled:
            return None
        return await _end_of_link(self._name, channel, stream)

    def _ask_anew(self, channel: Channel) -> None:
        if (
            self._takeover or not channel.tailing
        ):  # else the reader would be cut off: the next chance will do
            self._recycle()

    def _recycle(self) -> None:
        if self._channel is not None:
            self._recycled = True
            self._channel.give_up("begun anew")

    def _tell(self, failure: LinkFailure) -> None:
        before, self._failure = self._failure, failure
        if self._fenced and failure.code == "closed":
            return  # the fenced agent ended, as it should; NodeFenced has said why
        if before is None or (before.code, before.text) != (failure.code, failure.text):
            self._emit(NodeDown(self._name, failure.status, failure.code, failure.text))
        self._changed.set()

    async def _wait(self, failure: LinkFailure) -> None:
        delay = None if failure.code == "alias" else self._backoff.delay(failure.code)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()
                self._failure = None
                self._emit(NodeConnecting(self._name))

    async def _try_once(self) -> None:
        """Wait for the end of an attempt to connect, begun now if none is under way."""
        self._changed.clear()
        if not self._trying:  # else its end must be told, not that of one after it
            self.retry_now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_S):
                await self._changed.wait()

    # ── what the agent says ────────────────────────────────────────────────────────────────────

    def _pushed(self, message: Message) -> None:
        if message.get("t") == "fenced":
            self._fenced = True
            self._emit(NodeFenced(self._name, decode.text_of(message, "by")))
            return
        event = decode.push(self._name, message)
        if event is not None:
            self._emit(event)

    def _answered(self, channel: Channel, effect: Effect, done: asyncio.Future[Message]) -> None:
        if done.cancelled() or done.exception() is not None:
            return  # the link broke: the next hello tells what became of it
        try:
            event = effects.event(self._name, effect, done.result())
        except ValueError as error:
            log.warning("%s answered nonsense: %s", self._name, error)
            channel.give_up("the agent's answers make no sense")
            return
        if event is not None:
            self._emit(event)
        elif isinstance(effect, AbandonAttempt):
            self._loop.call_later(self._pace.again_s, self._again, channel, effect)

    def _again(self, channel: Channel, effect: Effect) -> None:
        """Ask once more what the agent couldn't do; after a new hello the engine asks itself."""
        if self._channel is channel:
            self.send(effect)

    def _because(self) -> str:
        return f": {self._failure.text}" if self._failure is not None else ""


async def _end_of_link(name: str, channel: Channel, stream: ByteStream) -> LinkFailure:
    if channel.broken:
        code = "timeout" if channel.broken.startswith("nothing heard") else "closed"
        return LinkFailure(code, f"{channel.broken}: the link to {name} is dropped")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await stream.wait_closed()
    said = stream.stderr.decode("utf-8", "replace").strip().splitlines()
    if stream.exit_status not in (None, 0) and said:
        return LinkFailure("closed", f"the agent ended: {said[-1]}")
    if stream.exit_status is not None:
        return LinkFailure("closed", f"the agent ended (exit status {stream.exit_status})")
    return LinkFailure(
        "closed", f"the connection broke{f': {stream.error}' if stream.error else ''}"
    )
