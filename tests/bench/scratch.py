"""Where the bench keeps what outlives one test: compiled libraries, port claims, locks.

One folder for each account, checked to be its own, since it lies where everybody may write.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def scratch(*parts: str) -> Path:
    """The bench's folder (or one inside it), made if need be, readable by every account."""
    folder = Path(tempfile.gettempdir()) / f"flextui-bench-{os.getuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else: remove it or set TMPDIR")
    inner = folder.joinpath(*parts)
    inner.mkdir(parents=True, exist_ok=True)
    return inner


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One test process at a time does what is inside, on this machine."""
    with (scratch() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
