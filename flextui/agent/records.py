"""Small JSON records on disk that survive a crash and a full disk.

A record that will be needed at a bad moment (an exit code, the driver, the epoch) owns its block
from the day it is made: it is overwritten in place by one write and one fsync, so a disk that
filled up meanwhile can't refuse it. A record that does not parse counts as not written.
"""

from __future__ import annotations

import os

from . import fastjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    Record = Dict[str, Any]

BLOCK = 4096
"""Bytes that a record owns on disk, padded with blanks."""


def reserve(dir_fd: int, name: str) -> None:
    """Make an empty record and allocate its block. Raises OSError (no space, read-only)."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=dir_fd)
    try:
        os.posix_fallocate(fd, 0, BLOCK)
    finally:
        os.close(fd)


def write(dir_fd: int, name: str, value: Record, durable: bool = True) -> None:
    """Write a record over what is there and, if `durable`, wait until the disk has it.

    Raises OSError, and ValueError for a value of more than a block.
    """
    data = fastjson.dumps(value).encode("utf-8", "replace")
    if len(data) > BLOCK:
        raise ValueError("%s would take %d bytes of %d" % (name, len(data), BLOCK))
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=dir_fd)
    try:
        _write_all(fd, data.ljust(BLOCK))
        if durable:
            os.fdatasync(fd)
    finally:
        os.close(fd)


def create(dir_fd: int, name: str, value: Record) -> None:
    """Write a record that must not exist yet, of any size, and wait until the disk has it.

    Raises OSError; then nothing under that name counts as written.
    """
    data = fastjson.dumps(value).encode("utf-8", "replace")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    fd = os.open(name, flags, 0o600, dir_fd=dir_fd)
    try:
        _write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def read(dir_fd: int, name: str) -> Optional[Record]:
    """The record, or None where none was completely written. Raises OSError but for absence."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    try:
        data = os.read(fd, BLOCK)
        while len(data) % BLOCK == 0:
            more = os.read(fd, BLOCK)
            if not more:
                break
            data += more
    finally:
        os.close(fd)
    try:
        value = fastjson.loads(data.rstrip(b"\0 \n").decode("utf-8", "replace"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
