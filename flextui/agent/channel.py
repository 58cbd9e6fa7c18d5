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
        self.silence_s = 0.0
        """How long the core had been silent before the message being handled."""
        for fd in (reading, writing):
            os.set_blocking(fd, False)
        loop.reader(reading, self._on_input)
        loop.every(SILENCE_S / 12, self._on_silence)

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
        now = time.monotonic()
        self.silence_s, self._heard_at = now - self._heard_at, now
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
