"""The core's permission to go on, for jobs that asked to be fenced when their node is lost.

A partitioned node can't be told to stop. So the supervisor stops by itself when the core has not
renewed its permission, and the core waits for longer than that before it replaces the attempt.
"""

from __future__ import annotations

import time
from _socket import MSG_DONTWAIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from .start import Request
    from .teller import Teller

_CHECK_S = 2.0


class Lease:
    """One attempt's lease, or none.

    It runs from when a renewal that was granted was *sent*, on the clock that goes on in sleep.
    """

    def __init__(self, request: Request, name: str, teller: Teller) -> None:
        length = request.get("lease_s")
        self._length = None if length is None else float(length)
        self._teller = teller
        self._who = {"attempt": name, "core_id": request["core_id"], "nonce": request.get("nonce")}
        self._seq = 0
        self._sent: Dict[int, float] = {}
        # The core may have sent the start any time after its last word before it.
        age = float(request.get("lease_age_s") or 0.0)
        self._until = _boottime() - age + (self._length or 0.0)
        self._suspended = False
        self.due: Optional[float] = None if length is None else time.monotonic()
        self._renew_at = 0.0

    def check(self, now: float) -> bool:
        """Ask for renewal when it is time to; True when the lease has run out."""
        if self._length is None or self._suspended:
            return False
        clock = _boottime()
        if clock >= self._until:
            self.due = None
            self._length = None
            return True
        if clock >= self._renew_at:
            self._renew_at = clock + self._length / 3
            self._seq += 1
            self._sent[self._seq] = clock
            self._sent.pop(self._seq - 8, None)
            self._teller.tell({"k": "renew", **self._who, "seq": self._seq}, MSG_DONTWAIT)
        # Timers stand still while the machine sleeps: look often enough to be late by little.
        self.due = now + min(_CHECK_S, self._length / 6, max(0.0, self._until - clock))
        return False

    def on_message(self, message: Dict[str, Any]) -> None:
        """Take a grant, or a pause that a core's clean end asked for, or its return."""
        if self._length is None:
            return
        sent = self._sent.get(message.get("grant", -1))
        if sent is not None:
            self._until = max(self._until, sent + self._length)
        if message.get("suspend"):
            self._suspended = True
            self.due = None
        if message.get("resume"):
            if self._suspended:
                self._until = _boottime() + self._length
            self._suspended = False
            self._renew_at = 0.0
            self.due = time.monotonic()


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
