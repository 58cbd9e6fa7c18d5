"""Who is at the other end of a Unix socket, as the kernel says it."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import struct
import sys
import time

from flextui.core.model.state import Identity

KEPT_S = 60.0
_known: dict[int, tuple[float, Identity]] = {}


def own_identity() -> Identity:
    """The account this process runs under."""
    return identity_of(os.geteuid())


def peer_uid(peer: socket.socket) -> int:
    """The user of the process that connected (SO_PEERCRED; LOCAL_PEERCRED on macOS)."""
    if sys.platform == "darwin":
        data = peer.getsockopt(0, 0x001, 76)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
        return int(struct.unpack_from("=II", data)[1])
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", data)[1])


def identity_of(uid: int) -> Identity:
    """Name and groups of a user. Asks the system's directory, which may be slow: use a thread."""
    known = _known.get(uid)
    if known is not None and time.monotonic() - known[0] < KEPT_S:
        return known[1]
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Identity(f"uid{uid}", uid)
    groups = []
    for gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        with contextlib.suppress(KeyError):
            groups.append(grp.getgrgid(gid).gr_name)
    who = Identity(entry.pw_name, uid, tuple(groups))
    _known[uid] = (time.monotonic(), who)
    return who
