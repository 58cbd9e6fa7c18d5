"""Starts the headless twin in the background, for a command that hands in work where no core runs.

The twin says through a pipe that it is ready; the end of the pipe without that word says that it
ended. Nobody polls, and of several commands at once one starts it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flextui.cli import output
from flextui.cli.output import INPUT, UNREACHABLE, Failure
from flextui.core.adapters import paths

IDLE_EXIT_S = 15 * 60
READY = b"ready"
LOG = "core.log"
_SHOWN = 10
"""Lines of the twin's last words that an error repeats."""


async def start_twin(folder: Path, inventory: Path | None) -> None:
    """Return when a core holds this state directory: ours, ready, or one that was quicker and may
    still be starting. Raises Failure."""
    try:
        paths.prepare_state_folder(folder)
    except paths.PathError as error:
        raise Failure(INPUT, str(error)) from error
    with _turn(folder):
        if paths.is_locked(folder):
            return  # another command was quicker
        log = folder / LOG
        said = log.stat().st_size if log.exists() else 0
        process, ready = _spawn(folder, inventory, log)
        try:
            word = await _read(ready)
        finally:
            os.close(ready)
        if word != READY and paths.is_locked(folder):
            return  # somebody else's core was quicker
        if word != READY:
            raise _failed(process.wait(), log, said)
        output.say(
            f"flextui: started a core in the background (pid {process.pid}, log {log}); "
            f"it ends after {IDLE_EXIT_S // 60} idle minutes"
        )


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One starter at a time."""
    file = os.open(folder / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _spawn(folder: Path, inventory: Path | None, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The twin, in a session of its own, and the pipe that it will write to."""
    ready, theirs = os.pipe()
    line = [sys.executable, "-m", "flextui", "--state-dir", str(folder)]
    line += ["-i", str(inventory)] if inventory else []
    line += ["--headless", "--idle-exit", str(IDLE_EXIT_S), "--ready-fd", str(theirs)]
    surroundings = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as words:
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env=surroundings,
            pass_fds=(theirs,),
            start_new_session=True,
        )
    os.close(theirs)
    return process, ready


async def _read(fd: int) -> bytes:
    """What is written to a pipe until its end."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    said = bytearray()
    while True:
        readable = asyncio.Event()
        loop.add_reader(fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(fd)
        data = os.read(fd, 64)
        if not data:
            return bytes(said)
        said += data


def _failed(status: int, log: Path, start: int) -> Failure:
    with log.open("rb") as file:
        file.seek(start)
        words = file.read().decode("utf-8", "replace").splitlines()
    own = next((word for word in words if word.startswith("flextui: error: ")), "")
    text = own.removeprefix("flextui: error: ") or f"it ended with status {status}"
    code = INPUT if status == INPUT else UNREACHABLE
    details = [f"  {word}" for word in words[-_SHOWN:] if word != own]
    return Failure(code, f"no core could be started: {text}", details)
