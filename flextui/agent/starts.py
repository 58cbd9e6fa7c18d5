"""Starts under way: from the core's request to the first word of a supervisor.

The same start may be asked for twice, its spawner may die, its supervisor may be killed between
two steps. All of that ends in one answer, since the attempt's folder decides and not the agent:
asking again is always safe.
"""

from __future__ import annotations

import os
import time

from . import attempt, fastjson
from .wire import Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

    from .attempt import Record
    from .registry import Registry
    from .wire import Message

    Send = Callable[[bytes], None]
    Answer = Callable[[Any, Message], None]

RETRY_S = 1.0
_MOST_TRIES = 5


class Taken(Wrong):
    """The name is another attempt's: ids come again after a restored or copied database."""

    def __init__(self, name: str) -> None:
        super().__init__("taken", "another attempt of the name %s was here before" % name)


class _Pending:
    """One start without an answer."""

    def __init__(self, ident: Any, request: Dict[str, Any]) -> None:
        self.idents = [ident]
        self.request = request
        self.tries = 0
        self.asked = 0.0
        self.stop: Optional[Message] = None


class Starts:
    """All starts under way in one session."""

    def __init__(self, registry: Registry, send: Send, answer: Answer) -> None:
        """`send` gives a line to the spawner; `answer(id, message)` answers the core."""
        self._registry = registry
        self._send = send
        self._answer = answer
        self._pending: Dict[str, _Pending] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._pending

    def __len__(self) -> int:
        return len(self._pending)

    def begin(self, ident: Any, request: Dict[str, Any]) -> None:
        """Start an attempt of which nothing is known; a second request joins the first."""
        name = request["attempt"]
        if self.pending(name, request["nonce"]):
            self._pending[name].idents.append(ident)
            return
        self._pending[name] = _Pending(ident, request)
        self._ask(self._pending[name])

    def pending(self, name: str, nonce: str) -> bool:
        """Whether this start is under way. Raises Taken when another's of this name is."""
        pending = self._pending.get(name)
        if pending is not None and pending.request["nonce"] != nonce:
            raise Taken(name)
        return pending is not None

    def stop(self, name: str, order: Message) -> None:
        """Stop the attempt as soon as it runs."""
        self._pending[name].stop = order

    def running(self, record: Record) -> Tuple[bool, Optional[Message]]:
        """An attempt runs: answer its start, or refuse that of a namesake.

        Returns whether it was the answer to a start, and the stop that waits for it.
        """
        name = record["attempt"]
        pending = self._pending.get(name)
        if pending is None:
            return False, None
        if not attempt.is_of(record, pending.request["nonce"]):
            self._fail(name, Taken(name).error())
            return False, None
        del self._pending[name]
        for ident in pending.idents:
            self._answer(ident, {"t": "ok", "record": record})
        return True, pending.stop

    def refused(self, message: Message) -> None:
        """A supervisor refused; one that another agent asked for doesn't count."""
        pending = self._pending.get(message["attempt"])
        if pending is None or pending.request.get("spawn") != message.get("spawn"):
            return
        error = {"t": "error", "code": message["code"], "text": message["text"]}
        error.update({key: message[key] for key in ("device", "by") if key in message})
        self._fail(message["attempt"], error)

    def look(self, name: str) -> None:
        """A supervisor found the matter settled: read how."""
        pending = self._pending.get(name)
        if pending is None or self._registry.probe(name) and name not in self._pending:
            return
        buried = self._registry.tombstone(name)
        if buried is None:
            return
        if buried.get("nonce") not in (None, pending.request["nonce"]):
            self._fail(name, Taken(name).error())
        else:
            self._fail(name, {"t": "error", "code": buried["code"], "text": buried["text"]})

    def again(self, everything: bool = False) -> None:
        """Ask again for what stays unanswered and nobody is at; `everything`: a spawner died."""
        now = time.monotonic()
        for name, pending in list(self._pending.items()):
            overdue = now - pending.asked >= RETRY_S
            if not everything and not overdue:
                continue
            self.look(name)
            if name not in self._pending or self._registry.probe(name):
                continue
            pending.tries += overdue
            if pending.tries < _MOST_TRIES:
                self._ask(pending)
            elif self._registry.abandon(name, pending.request["nonce"]) is not None:
                text = "supervisors die before they start it: is the node out of memory?"
                self._fail(name, {"t": "error", "code": "failed", "text": text})

    def _ask(self, pending: _Pending) -> None:
        pending.asked = time.monotonic()
        pending.request["spawn"] = os.urandom(6).hex()
        self._send(fastjson.dumps(pending.request).encode("utf-8", "replace") + b"\n")

    def _fail(self, name: str, error: Message) -> None:
        pending = self._pending.pop(name)
        for ident in pending.idents:
            self._answer(ident, dict(error))
