"""The channel to the core: lines in, the outbox out, and how long the core has been silent."""

from __future__ import annotations

import os
import time

from . import fastjson
from .wire import Lines, LineTooLong, Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from .loop import Loop
    from .wire import Message

SILENCE_S = 60.0
"""A core that says nothing for so long is gone; it sends a ping far more often."""

_FLUSH_S = 2.0
_BURST_S = 2.0


class Silence:
    """How old what is heard now may be: after a silence comes all that was said in it.

    Times are seconds of one clock, which must go on while the machine sleeps.
    """

    def __init__(self, now: float) -> None:
        self.restart(now)

    def restart(self, now: float) -> None:
        """All that comes from now on is said after this moment."""
        self._began = self._heard = now
        self._burst_until = now

    def heard(self, now: float) -> None:
        """Something came. What was held up may come in several pieces, all as old."""
        if now - self._heard > _BURST_S:
            self._burst_until = now + _BURST_S
            self._began = self._heard
        elif now >= self._burst_until:
            self._began = self._heard
        self._heard = now

    def age(self, now: float) -> float:
        """The most that the newest piece may have been under way."""
        return now - self._began


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Channel:
    """Two non-blocking descriptors on a loop. The loop stops when the core is gone."""

    def __init__(
        self,
        loop: Loop,
        reading: int,
        writing: int,
        heard: Callable[[Message], None],
        logs: Callable[[], Optional[Message]],
    ) -> None:
        """`heard` takes each message; `logs` gives log messages when there is room for them."""
        self._loop = loop
        self._in, self._out = reading, writing
        self._heard = heard
        self._lines = Lines()
        self._outbox = Outbox(writing, logs)
        self._blocked = False
        self._heard_at = time.monotonic()
        self._silence = Silence(_boottime())
        for fd in (reading, writing):
            os.set_blocking(fd, False)
        loop.reader(reading, self._on_input)
        loop.every(SILENCE_S / 12, self._on_silence)

    @property
    def silence_s(self) -> float:
        """The most that the message being handled may have been under way."""
        return self._silence.age(_boottime())

    def greeted(self) -> None:
        """Our hello is about to leave: what the core asks for comes after it."""
        self._silence.restart(_boottime())

    def push(self, message: Message) -> None:
        """Send a message that must arrive."""
        self._outbox.push(message)
        self.flush()

    def telemetry(self, message: Message) -> None:
        """Send a sample, unless a newer one is there before it could leave."""
        self._outbox.telemetry(message)
        self.flush()

    def flush(self) -> None:
        """Write what the core takes, and the rest when it takes more."""
        try:
            blocked = self._outbox.flush()
        except OSError:
            self._loop.stop()
            return
        if blocked and not self._blocked:
            self._loop.writer(self._out, self.flush)
        elif self._blocked and not blocked:
            self._loop.no_writer(self._out)
        self._blocked = blocked

    def end(self) -> None:
        """Send what must arrive as far as the core takes it in a moment, and stop the loop."""
        deadline = time.monotonic() + _FLUSH_S
        try:
            while self._outbox.flush(control_only=True) and time.monotonic() < deadline:
                time.sleep(0.005)
        except OSError:
            pass
        self._loop.stop()

    def _on_input(self) -> None:
        try:
            data = os.read(self._in, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.stop()
            return
        self._heard_at = time.monotonic()
        self._silence.heard(_boottime())
        try:
            for line in self._lines.feed(data):
                self._on_line(line)
        except LineTooLong as error:
            self.push({"t": "refused", "code": "version", "text": str(error)})
            self.end()
        self.flush()

    def _on_line(self, line: bytes) -> None:
        try:
            message = fastjson.loads(line.decode())
            message["t"] + ""
        except (ValueError, KeyError, TypeError) as fault:
            text = "no message: %s" % fault
            self.push({"t": "error", "id": None, "code": "unknown", "text": text})
            return
        self._heard(message)

    def _on_silence(self) -> None:
        if time.monotonic() - self._heard_at > SILENCE_S:
            self._loop.stop()
