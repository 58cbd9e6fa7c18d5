"""`flextui --headless`: the core without a terminal, in the foreground, for systemd or a shell."""

from __future__ import annotations

import asyncio
import logging
import os

from flextui import service
from flextui.cli.hold import core_options, plain_failures
from flextui.cli.launch import READY
from flextui.cli.output import DONE
from flextui.cli.verb import Options

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(options: Options, *, idle_exit_s: float | None, ready_fd: int | None) -> int:
    """Hold the core until it is told to end. Raises Failure where it can't start.

    `ready_fd`: somebody waits there for the word that it takes commands.
    """

    def ready() -> None:
        if ready_fd is not None:
            os.write(ready_fd, READY)
            os.close(ready_fd)
            os.chdir("/")  # in the background for long, it mustn't hold a mount

    logging.basicConfig(level=logging.WARNING, format=_FORMAT)
    asked = core_options(options, headless=True)
    with plain_failures():
        asyncio.run(service.serve(asked, idle_exit_s=idle_exit_s, ready=ready))
    return DONE
