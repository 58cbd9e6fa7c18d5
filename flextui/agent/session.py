"""One conversation with one core: what its messages and the node's events do to each other.

The session ends when the core closes the channel, says bye, is silent for a minute, or another
core takes the node over. Supervisors live on, and the next session finds what they left.
"""

from __future__ import annotations

import os
import sys

from . import fastjson
from .channel import Channel
from .driver import TOUCH_S
from .hello import Home, welcome
from .light import AF_UNIX, SOCK_DGRAM, Socket, signal
from .loop import Loop
from .registry import KILL_S, PROBE_S, Registry
from .requests import HANDLERS
from .retention import Retention
from .root import Problem
from .starts import Starts
from .tail import Tails
from .wire import Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    from .attempt import Record
    from .spawner import Spawner
    from .telemetry import Telemetry
    from .wire import Message

_RETELL_S = 0.05


class Session:
    """The agent between one hello and the end of its channel."""

    home: Home
    registry: Registry
    starts: Starts
    tails: Tails
    facts: Dict[str, Any]

    def __init__(self, spawner: Spawner, reading: int, writing: int) -> None:
        """Speak with the core over two descriptors, which become non-blocking."""
        self.loop = Loop()
        self.channel = Channel(self.loop, reading, writing, self._on_message, self._next_log)
        self._spawner = spawner
        self._greeted = False
        self._killing = False
        self._control = Socket(AF_UNIX, SOCK_DGRAM)
        self._control.setblocking(False)
        self._telemetry: Optional[Telemetry] = None

    def run(self) -> None:
        """Serve until the session is over."""
        self._watch_signals()
        self._spawner.attach(self.loop, self._on_new_spawner)
        self.loop.run()
        if self._telemetry is not None:
            self._telemetry.close()
        self._spawner.close()

    # what handlers use

    def answer(self, ident: Any, message: Message) -> None:
        """Answer a request."""
        message["id"] = ident
        self.channel.push(message)

    def later(self, seconds: float, handler: Callable[..., None], *details: Any) -> None:
        """Go on with a request after a while."""
        self.loop.after(seconds, lambda: self._handle(handler, *details))

    def tell_supervisor(self, name: str, message: Message) -> None:
        """Send word to the supervisor of a running attempt, again while its queue is full."""
        address = "/proc/self/fd/%d/%s/ctl" % (self.home.core_fd, name)
        try:
            self._control.sendto(fastjson.dumps(message).encode(), address)
        except BlockingIOError:
            self.loop.after(_RETELL_S, lambda: self.tell_supervisor(name, message))
        except OSError:
            self.registry.probe(name)  # nobody listens: see whether it is lost

    def tell_all(self, message: Message) -> None:
        """Send word to all supervisors."""
        for name in self.registry.live():
            self.tell_supervisor(name, message)

    def last_sample(self) -> Message:
        """The newest telemetry, empty before the first."""
        return {} if self._telemetry is None else self._telemetry.last()

    # what the core says

    def _on_message(self, message: Message) -> None:
        kind = message["t"]
        if not self._greeted:
            self._hello(message)
        elif kind in HANDLERS:
            self._handle(HANDLERS[kind], message)
        elif "id" in message:
            error = {"t": "error", "code": "unknown", "text": "no request %r is known" % kind}
            self.answer(message["id"], error)

    def _handle(self, handler: Callable[..., None], message: Message, *details: Any) -> None:
        """Run a handler; what goes wrong in it is an answer, not the end of the agent."""
        try:
            handler(self, message, *details)
        except Wrong as wrong:
            self.answer(message.get("id"), wrong.error())
        except Exception as fault:
            text = "%s: %s" % (type(fault).__name__, fault)
            self.answer(message.get("id"), {"t": "error", "code": "failed", "text": text})
            sys.stderr.write("flextui agent: %s: %s\n" % (message.get("t"), text))

    def _hello(self, message: Message) -> None:
        from .host import host_facts

        try:
            self.home = home = Home(message)
        except Problem as problem:
            self.channel.push({"t": "refused", "code": problem.code, "text": problem.text})
            self.channel.end()
            return
        self.facts = host_facts()
        self.registry = Registry(home.core_fd, home.boot, home.driver.granted, self._changed)
        self.starts = Starts(self.registry, self._spawner.start, self.answer)
        self.tails = Tails(self._look_at_logs)
        self._greeted = True
        self.registry.load()
        self.channel.greeted()
        for answer in welcome(home, self.facts, self.registry.records()):
            self.channel.push(answer)
        self.loop.reader(home.socket.fileno(), self._on_supervisors)
        self._begin_timers(message)

    def _begin_timers(self, hello: Message) -> None:
        interval = float(hello.get("sample_s") or 1.0)
        self.loop.after(0.0, lambda: self._begin_telemetry(interval))
        self.loop.every(TOUCH_S, self.home.driver.touch)
        Retention(self.home.core_fd, float(hello.get("log_keep_s") or 14 * 86400)).schedule(
            self.loop
        )
        if self.home.driver.granted:
            self.tell_all({"resume": True})
        self.loop.every(PROBE_S, self._probe)
        self._probe()

    def _begin_telemetry(self, interval: float) -> None:
        from .telemetry import Telemetry  # after hello was answered: the core waits for that

        disk = self.home.root.path
        self._telemetry = Telemetry(self.loop, self.channel, self.registry.live, disk, interval)

    # what the node says

    def _changed(self, record: Record) -> None:
        answered, stop = self.starts.running(record)
        if not answered:
            self.channel.push({"t": "attempt", **record})
        elif stop is not None and record["state"] == "running":
            self.tell_supervisor(record["attempt"], {"stop": stop})

    def _on_supervisors(self) -> None:
        for _ in range(64):
            try:
                message = fastjson.loads(self.home.socket.recv(65536).decode())
            except BlockingIOError:
                return
            except ValueError:
                continue
            kind = message.get("k")
            if kind == "state":
                self.registry.hear(message["identity"], message["ending"])
            elif kind == "refused":
                self.starts.refused(message)
            elif kind == "look":
                self.starts.look(message["attempt"])
            elif kind == "renew":
                renewal = {"attempt": self.registry.name_of(message), "seq": message["seq"]}
                self.channel.push({"t": "renew", "nonce": message.get("nonce") or "", **renewal})

    def _probe(self) -> None:
        try:
            self.registry.probe_all()
            self.starts.again()
            if self.registry.losing and not self._killing:
                self._kill_lost()
        except OSError as error:  # the state folder's disk fails: what is known stays known
            sys.stderr.write("flextui agent: %s: %s\n" % (self.home.path, error))

    def _kill_lost(self) -> None:
        self._killing = False
        self.registry.kill_lost()
        if self.registry.losing:
            self._killing = True
            self.loop.after(KILL_S, self._kill_lost)

    def _on_new_spawner(self) -> None:
        """The last one was killed: ask again for what it may have dropped."""
        if self._greeted:
            self.starts.again(everything=True)

    def _next_log(self) -> Optional[Message]:
        return self.tails.next() if self._greeted else None

    def _look_at_logs(self, seconds: float) -> None:
        def look() -> None:
            self.tails.wake()
            self.channel.flush()

        self.loop.after(seconds, look)

    def _watch_signals(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        self.loop.reader(reading, lambda: self._on_signal(reading))

    def _on_signal(self, reading: int) -> None:
        """SIGTERM: a newer agent replaces this one, be it of the same core or of another."""
        try:
            if bytes([signal.SIGTERM]) not in os.read(reading, 512):
                return
        except BlockingIOError:
            return
        usurper = self.home.driver.usurper() if self._greeted else None
        if usurper is not None and self.home.driver.granted:
            self.channel.push({"t": "fenced", "by": usurper})
        self.channel.end()
