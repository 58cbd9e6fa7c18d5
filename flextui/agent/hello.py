"""The first message: which state folder, which core, who drives.

All that can be refused is refused here, in words that say what is wrong, before anything of a
session exists.
"""

from __future__ import annotations

import os
import time

from . import PROTOCOL, VERSION, attempt, root
from .driver import Driver
from .light import AF_UNIX, SOCK_DGRAM, Socket
from .root import Problem
from .wire import TO_CORE, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

    from .attempt import Record
    from .wire import Message


class Home:
    """A core's place on this node: open folders, the driver's record, the agent's socket."""

    def __init__(self, hello: Message) -> None:
        """Enter the state folder. Raises Problem."""
        if hello["t"] != "hello":
            raise Problem("version", "hello comes first")
        low, high = hello.get("v") or (0, 0)
        if not low <= PROTOCOL <= high:
            text = "the core speaks versions %s to %s of the wire, this agent version %d"
            raise Problem("version", text % (low, high, PROTOCOL))
        if not attempt.valid_name(hello.get("core_id")):
            raise Problem("version", "hello carries no valid core_id")
        self.boot = root.boot()
        self.host_id = root.host_id()
        self.core_id: str = hello["core_id"]
        self.epoch = int(hello["epoch"])
        asked = hello.get("root")
        self.root = root.use(asked["path"], asked["id"]) if asked else root.choose()
        self.path = os.path.join(self.root.path, self.host_id, self.core_id)
        try:
            self._enter(hello)
        except OSError as error:
            text = "%s: %s" % (self.path, error.strerror or error)
            raise Problem("state_unwritable", text) from None

    def _enter(self, hello: Message) -> None:
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        flags = os.O_RDONLY | os.O_DIRECTORY
        self.root_fd = os.open(self.root.path, flags)
        root.keep(self.root_fd)
        self.host_fd = os.open(os.path.dirname(self.path), flags)
        self.core_fd = os.open(self.path, flags)
        self.driver = Driver(self.host_fd, self.core_fd, hello, self.boot)
        self.driver.enter()
        self.socket = self._listen()
        if self.driver.granted:
            self.driver.adopt(list(hello.get("adopt") or []))

    def _listen(self) -> Socket:
        """Hear supervisors. Before their folders are read: so no end falls in between."""
        try:
            os.unlink("agent.sock", dir_fd=self.core_fd)
        except FileNotFoundError:
            pass
        listener = Socket(AF_UNIX, SOCK_DGRAM)
        listener.bind("/proc/self/fd/%d/agent.sock" % self.core_fd)
        listener.setblocking(False)
        return listener

    def there(self) -> bool:
        """Whether the path still leads to this folder: a home may be unmounted or hidden."""
        try:
            seen, held = os.stat(self.path), os.fstat(self.core_fd)
        except OSError:
            return False
        return (seen.st_dev, seen.st_ino) == (held.st_dev, held.st_ino)


def welcome(home: Home, facts: Dict[str, Any], records: List[Record]) -> Iterator[Message]:
    """The answer to hello; records that don't fit in its line follow as pushes."""
    answer: Message = {
        "t": "hello",
        "v": PROTOCOL,
        "agent": VERSION,
        "host_id": home.host_id,
        "boot": home.boot,
        "granted": home.driver.granted,
        "driver": home.driver.record,
        "root": {
            "path": home.root.path,
            "id": home.root.id,
            "state": "new" if home.root.new else "ok",
        },
        "host": facts,
        "clock": round(time.time(), 3),
    }
    room = TO_CORE - len(encode(answer)) - 1024
    fitting = 0
    for record in records:
        room -= len(encode(record))
        if room < 0:
            break
        fitting += 1
    answer["attempts"] = records[:fitting]
    answer["more"] = len(records) - fitting
    yield answer
    for record in records[fitting:]:
        yield {"t": "attempt", **record}
