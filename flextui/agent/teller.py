"""What supervisors say to the agent: datagrams to whichever agent listens at the moment.

Nobody listening is no fault: what matters is on disk before it is told, and the next agent reads
it there.
"""

from __future__ import annotations

import os
import struct
from _socket import SO_SNDTIMEO, SOL_SOCKET

from . import fastjson
from .light import AF_UNIX, SOCK_DGRAM, Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from . import start

TELL_S = 5
"""Longest time to wait for room in the agent's queue; the record on disk is found anyway."""

# Made before the fork, so that it costs each supervisor nothing.
_socket = Socket(AF_UNIX, SOCK_DGRAM)
_socket.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("ll", TELL_S, 0))


class Teller:
    """Speaks for one attempt."""

    def __init__(self, request: start.Request) -> None:
        self._request = request
        self.folder: Optional[int] = None

    def tell(self, message: Dict[str, Any], flags: int = 0) -> None:
        """Send a datagram to the agent of this attempt's core."""
        try:
            if self.folder is None:
                core_fd = os.open(self._request["core_dir"], os.O_RDONLY | os.O_DIRECTORY)
                address = "/proc/self/fd/%d/agent.sock" % core_fd
            else:
                # Through the folder itself: it may have been moved to a core that took over.
                address = "/proc/self/fd/%d/../agent.sock" % self.folder
            _socket.sendto(fastjson.dumps(message).encode("utf-8", "replace"), flags, address)
        except OSError:
            pass

    def begun(self, life: start.Life) -> None:
        """Tell that the attempt runs."""
        self.folder = life.folder
        self.state(life.identity, None)

    def state(self, identity: Dict[str, Any], ending: Optional[Dict[str, Any]]) -> None:
        """Tell what is on disk now."""
        self.tell({"k": "state", "identity": identity, "ending": ending})

    def refused(self, refused: start.Refused) -> None:
        """Tell that this start will not happen."""
        message = {"k": "refused", "code": refused.code, "text": refused.text}
        message.update(refused.details)
        message.update({key: self._request[key] for key in ("attempt", "spawn")})
        self.tell(message)
