"""One conversation with one core: its channel, its timers, and how it ends.

The session ends when the core closes the channel, says bye, is silent for a minute, or another
core takes the node over. Supervisors live on, and the next session finds what they left.
"""

from __future__ import annotations

import os
import sys
import time

from . import PROTOCOL, VERSION, fastjson
from .driver import TOUCH_S
from .hello import Home
from .light import AF_UNIX, SOCK_DGRAM, Socket, signal
from .loop import Loop
from .registry import KILL_S, PROBE_S, Registry
from .requests import HANDLERS, Wrong
from .retention import Retention
from .root import Problem
from .spawner import Spawner
from .starts import Starts
from .tail import Tails
from .wire import TO_CORE, Lines, LineTooLong, Outbox, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from .attempt import Record
    from .sample import Sampler
    from .wire import Message

SILENCE_S = 60.0
"""A core that says nothing for so long is gone; it sends a ping far more often."""

_FLUSH_S = 2.0
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
        self._spawner = spawner
        self._in, self._out = reading, writing
        self._lines = Lines()
        self._greeted = False
        self._blocked = False
        self._heard = time.monotonic()
        self.silence_s = 0.0
        """How long the core had been silent before the message being handled."""
        self.outbox = Outbox(writing, lambda: self.tails.next() if self._greeted else None)
        self._control = Socket(AF_UNIX, SOCK_DGRAM)
        self._control.setblocking(False)
        self._sampler: Optional[Sampler] = None
        self._sampled: List[int] = []

    def run(self) -> None:
        """Serve until the session is over."""
        for fd in (self._in, self._out):
            os.set_blocking(fd, False)
        self._watch_signals()
        self.loop.reader(self._in, self._on_input)
        self.loop.reader(self._spawner.fileno(), self._on_spawner)
        self.loop.every(SILENCE_S / 12, self._on_silence)
        self.loop.run()
        if self._sampler is not None:
            self._sampler.close()
        self._spawner.close()

    # what handlers use

    def answer(self, ident: Any, message: Message) -> None:
        """Answer a request."""
        message["id"] = ident
        self.push(message)

    def push(self, message: Message) -> None:
        """Send a message that must arrive."""
        self.outbox.push(message)
        self._flush()

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
        return {} if self._sampler is None else self._sampler.last

    def end(self) -> None:
        """Send what is queued as far as the core takes it, and end."""
        deadline = time.monotonic() + _FLUSH_S
        try:
            while self.outbox.flush(control_only=True) and time.monotonic() < deadline:
                time.sleep(0.005)
        except OSError:
            pass
        self.loop.stop()

    # the channel

    def _on_input(self) -> None:
        try:
            data = os.read(self._in, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.loop.stop()
            return
        now = time.monotonic()
        self.silence_s, self._heard = now - self._heard, now
        try:
            for line in self._lines.feed(data):
                self._on_line(line)
        except LineTooLong as error:
            self.push({"t": "refused", "code": "version", "text": str(error)})
            self.end()
        self._flush()

    def _on_line(self, line: bytes) -> None:
        try:
            message = fastjson.loads(line.decode())
            kind = message["t"]
        except (ValueError, KeyError, TypeError) as fault:
            text = "no message: %s" % fault
            self.push({"t": "error", "id": None, "code": "unknown", "text": text})
            return
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
            error = {"t": "error", "code": wrong.code, "text": wrong.text}
            self.answer(message.get("id"), error)
        except Exception as fault:
            text = "%s: %s" % (type(fault).__name__, fault)
            self.answer(message.get("id"), {"t": "error", "code": "failed", "text": text})
            sys.stderr.write("flextui agent: %s: %s\n" % (message.get("t"), text))

    def _flush(self) -> None:
        try:
            blocked = self.outbox.flush()
        except OSError:
            self.loop.stop()
            return
        if blocked and not self._blocked:
            self.loop.writer(self._out, self._flush)
        elif self._blocked and not blocked:
            self.loop.no_writer(self._out)
        self._blocked = blocked

    # hello

    def _hello(self, message: Message) -> None:
        from .host import host_facts

        if message["t"] != "hello":
            self.push({"t": "refused", "code": "version", "text": "hello comes first"})
            self.end()
            return
        try:
            self.home = Home(message)
        except Problem as problem:
            self.push({"t": "refused", "code": problem.code, "text": problem.text})
            self.end()
            return
        self.facts = host_facts()
        granted = self.home.driver.granted
        self.registry = Registry(self.home.core_fd, self.home.boot, granted, self._changed)
        self.starts = Starts(self.registry, self._spawn, self.answer)
        self.tails = Tails(lambda seconds: self._look_at_logs(seconds))
        self._greeted = True
        self.registry.load()
        self._welcome()
        self.loop.reader(self.home.socket.fileno(), self._on_supervisors)
        self._begin_timers(message)

    def _welcome(self) -> None:
        """Answer hello; records that don't fit in one line follow as pushes."""
        home = self.home
        records = self.registry.records()
        root = {"path": home.root.path, "id": home.root.id}
        root["state"] = "new" if home.root.new else "ok"
        welcome: Message = {
            "t": "hello",
            "v": PROTOCOL,
            "agent": VERSION,
            "host_id": home.host_id,
            "boot": home.boot,
            "granted": home.driver.granted,
            "driver": home.driver.record,
            "root": root,
            "host": self.facts,
            "more": 0,
        }
        room = TO_CORE - len(encode(welcome)) - 4096
        fitting: List[Record] = []
        for record in records:
            room -= len(encode(record))
            if room < 0:
                break
            fitting.append(record)
        welcome["attempts"] = fitting
        welcome["more"] = len(records) - len(fitting)
        self.push(welcome)
        for record in records[len(fitting) :]:
            self.push({"t": "attempt", **record})

    def _begin_timers(self, hello: Message) -> None:
        interval = float(hello.get("sample_s") or 1.0)
        self.loop.after(0.0, lambda: self._begin_samples(interval))
        self.loop.every(TOUCH_S, self.home.driver.touch)
        retention = Retention(self.home.core_fd, float(hello.get("log_keep_s") or 14 * 86400))
        retention.schedule(self.loop)
        if self.home.driver.granted:
            self.tell_all({"resume": True})
        self.loop.every(PROBE_S, self._probe)
        self._probe()

    def _begin_samples(self, interval: float) -> None:
        from .sample import Sampler

        self._sampler = Sampler(self.registry.live, self.home.root.path, interval)
        self._sampler.start()
        self._sample()
        self.loop.every(interval, self._sample)

    # what happens

    def _changed(self, record: Record) -> None:
        if record["attempt"] in self.starts:
            stop = self.starts.running(record)
            if stop is not None and record["state"] == "running":
                self.tell_supervisor(record["attempt"], {"stop": stop})
        else:
            self.push({"t": "attempt", **record})

    def _on_supervisors(self) -> None:
        for _ in range(64):
            try:
                message = fastjson.loads(self.home.socket.recv(65536).decode())
            except BlockingIOError:
                return
            except ValueError:
                continue
            kind = message.get("k")
            if kind == "record":
                self.registry.learn(message["record"], message["supervisor"])
            elif kind == "refused":
                self.starts.refused(message)
            elif kind == "look":
                self.starts.look(message["attempt"])
            elif kind == "renew":
                renewal = {"attempt": message["attempt"], "seq": message["seq"]}
                self.push({"t": "renew", **renewal})

    def _probe(self) -> None:
        try:
            self.registry.probe_all()
            self.starts.again()
        except OSError as error:  # the state folder's disk fails: what is known stays known
            sys.stderr.write("flextui agent: %s: %s\n" % (self.home.path, error))
        if self.registry.losing:
            self._kill_lost()

    def _kill_lost(self) -> None:
        self.registry.kill_lost()
        if self.registry.losing:
            self.loop.after(KILL_S, self._kill_lost)

    def _spawn(self, line: bytes) -> None:
        if not self._spawner.start(line):
            self.loop.writer(self._spawner.fileno(), self._on_spawner_room)

    def _on_spawner_room(self) -> None:
        if self._spawner.flush():
            self.loop.no_writer(self._spawner.fileno())

    def _on_spawner(self) -> None:
        """The spawner was killed: fork another, and ask again for what it may have dropped."""
        if not self._spawner.gone():
            return
        self.loop.forget(self._spawner.fileno())
        self._spawner.close()
        self._spawner = Spawner()
        self.loop.reader(self._spawner.fileno(), self._on_spawner)
        if self._greeted:
            self.starts.again(everything=True)

    def _sample(self) -> None:
        assert self._sampler is not None
        self.outbox.telemetry(self._sampler.tick())
        self._watch_sampler()
        self._flush()

    def _on_sampler(self, fd: int) -> None:
        assert self._sampler is not None
        for message in self._sampler.on_readable(fd):
            if message["t"] == "sample":
                self.outbox.telemetry(message)
            else:
                self.outbox.push(message)
        self._watch_sampler()
        self._flush()

    def _watch_sampler(self) -> None:
        """Follow the sampler's descriptors, which change when its child is replaced."""
        assert self._sampler is not None
        files = self._sampler.files()
        if files == self._sampled:
            return
        for fd in self._sampled:
            self.loop.forget(fd)
        for fd in files:
            self.loop.reader(fd, lambda fd=fd: self._on_sampler(fd))  # type: ignore[misc]
        self._sampled = files

    def _look_at_logs(self, seconds: float) -> None:
        def look() -> None:
            self.tails.wake()
            self._flush()

        self.loop.after(seconds, look)

    # the end

    def _on_silence(self) -> None:
        if time.monotonic() - self._heard > SILENCE_S:
            self.loop.stop()

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
            self.push({"t": "fenced", "by": usurper})
        self.end()
