"""Serves the copies of logs that the core keeps, in a process of their own.

They lie as on a node, and are read and searched by the same code: what ended on a node that is
gone is read like what runs. The core starts this beside itself when such a copy is asked for.
"""

from __future__ import annotations

import os
import sys

from .channel import Channel
from .loop import Loop
from .requests import READING
from .tail import Tails
from .wire import Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .wire import Message


class Shelf:
    """Answers what a session answers about logs, from one folder of attempts."""

    def __init__(self, folder: int, reading: int, writing: int) -> None:
        self.home = self
        self.core_fd = folder
        self.loop = Loop()
        self.channel = Channel(self.loop, reading, writing, self._on_message, self._next_log)
        self.tails = Tails(self._look_at_logs)

    def answer(self, ident: Any, message: Message) -> None:
        """Answer a request."""
        message["id"] = ident
        self.channel.push(message)

    def _on_message(self, message: Message) -> None:
        handler = READING.get(message["t"])
        if handler is None:
            return
        try:
            handler(self, message)
        except Wrong as wrong:
            self.answer(message.get("id"), wrong.error())
        except Exception as fault:
            text = "%s: %s" % (type(fault).__name__, fault)
            self.answer(message.get("id"), {"t": "error", "code": "failed", "text": text})

    def _next_log(self) -> Optional[Message]:
        return self.tails.next()

    def _look_at_logs(self, seconds: float) -> None:
        def look() -> None:
            self.tails.wake()
            self.channel.flush()

        self.loop.after(seconds, look)


def main(path: str) -> int:
    """Serve the folder on stdin and stdout until the core closes them; the exit status."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    Shelf(folder, 0, 1).loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
