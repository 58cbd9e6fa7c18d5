"""bridge: joins stdin and stdout to the core's socket. `--connect` runs it on the head over SSH.

The kernel tells the core who the SSH login is, so there is no identity of flextui's own.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress

import click

from flextui.cli.output import DONE, UNREACHABLE, Failure
from flextui.cli.verb import Place, verb

_CHUNK = 1 << 16


@verb(
    "bridge",
    "ssh -T alice@head flextui bridge",
    hidden=True,
    short_help="Join stdin and stdout to the core's socket.",
)
@click.option("--fleet", default="", help="The fleet whose core is meant.")
def bridge(place: Place, fleet: str) -> int:
    """Join stdin and stdout to the socket of the core that runs here, until either ends."""
    from flextui.cli.connect import sockets

    tried = sockets(place.options, fleet)
    link = socket.socket(socket.AF_UNIX)
    for path in tried:
        with suppress(OSError):
            link.connect(str(path))
            break
    else:
        where = " or ".join(map(str, tried))
        raise Failure(UNREACHABLE, f"no core answers on {socket.gethostname()} at {where}")
    threading.Thread(target=_upstream, args=(link,), daemon=True).start()
    with suppress(OSError):
        while data := link.recv(_CHUNK):
            _write(sys.stdout.fileno(), data)
    return DONE


def _upstream(link: socket.socket) -> None:
    """From stdin to the core; the end of stdin is passed on."""
    with suppress(OSError):
        while data := os.read(sys.stdin.fileno(), _CHUNK):
            link.sendall(data)
    with suppress(OSError):
        link.shutdown(socket.SHUT_WR)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
