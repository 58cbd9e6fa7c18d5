"""The agent's entry point: fork the spawner first, then speak with the core."""

from __future__ import annotations

import os
import sys

from . import light


def main() -> int:
    """Serve one session on stdin and stdout; returns the exit status.

    The channel moves to other descriptors, so that nothing printed by accident can get into it.
    """
    from .spawner import Spawner

    light.signal.signal(light.signal.SIGHUP, light.signal.SIG_IGN)
    light.signal.signal(light.signal.SIGINT, light.signal.SIG_IGN)
    spawner = Spawner()
    reading, writing = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    from .session import Session

    Session(spawner, reading, writing).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
