"""Keeps what a fault of flextui looked like, for whoever mends it; the person gets one line."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from flextui import __version__


def record(error: BaseException, state_dir: str | None) -> str:
    """Write the details to a private file; its path, or why there is none.

    The command line is left out: it may hold what is nobody's business.
    """
    text = "".join(
        [
            f"flextui {__version__}, Python {platform.python_version()}, {sys.platform}\n\n",
            *traceback.format_exception(error),
        ]
    )
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    for folder in _folders(state_dir):
        try:
            return _write(folder / name, text)
        except OSError:
            continue
    return "no place to keep them"


def _folders(state_dir: str | None) -> Iterator[Path]:
    """Where the details may lie, the best first."""
    from flextui.core.adapters.paths import state_folder

    yield state_folder(state_dir)
    yield Path(tempfile.gettempdir())


def _write(path: Path, text: str) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return str(path)
