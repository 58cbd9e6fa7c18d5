"""Device claims: cores and users that know nothing of each other don't double-book a GPU.

Each claim is a file in one folder per host that all accounts share. What counts is not the file
but the flock on it: the workload inherits it, so it lasts exactly as long as a process that may
use the device, whatever is killed. A file whose lock is free is litter of a past claim.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import time

from . import fastjson
from .attempt import valid_name
from .root import keep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    Device = Dict[str, Any]

_SLACK = 1e-6
_PATIENCE = 2.0


class Claimed(Exception):
    """A device is taken; `device` is its UUID, `by` who holds it."""

    def __init__(self, device: str, by: str) -> None:
        super().__init__("device %s is claimed by %s" % (device, by))
        self.device = device
        self.by = by


def default_folder(machine: str) -> str:
    """The folder of this host that all accounts share."""
    return "/var/tmp/flextui-claims/%s" % machine


class Claims:
    """The devices that one attempt holds. Descriptors in `fds` go to the workload."""

    def __init__(self, folder: str) -> None:
        self._path = folder
        self._names: List[str] = []
        self.fds: List[int] = []

    def take(self, devices: List[Device], holder: Dict[str, Any]) -> None:
        """Claim all of these devices or none. Raises Claimed, OSError.

        `holder` is what others may know of the claimant: core, user, attempt, boot.
        """
        if not devices:
            return
        folder = _open_folder(self._path)
        keep(folder)
        self.fds.append(folder)  # the workload holds the folder's lock as it holds the claims'
        try:
            arbiter = _arbitrate(folder)
            try:
                for device in devices:
                    self._take_one(folder, device, holder)
            finally:
                os.close(arbiter)
        except BaseException:
            self._drop(folder)
            raise

    def release(self) -> None:
        """Remove the claims' files; call only when no process of the attempt is left."""
        if not self._names:
            return
        self._drop(self.fds[0])

    def _take_one(self, folder: int, device: Device, holder: Dict[str, Any]) -> None:
        uuid, amount = str(device["uuid"]), float(device.get("amount", 1.0))
        label = uuid.replace("/", "_")  # old drivers name MIG slices MIG-GPU-…/1/0
        if not valid_name(label):
            raise OSError(errno.EINVAL, "%r is no device's UUID" % uuid)
        taken, by = _held(folder, label)
        if taken + amount > 1.0 + _SLACK:
            raise Claimed(uuid, by)
        name = "%s@%s" % (label, os.urandom(6).hex())
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(name, flags, 0o644, dir_fd=folder)
        self._names.append(name)
        self.fds.append(fd)
        os.fchmod(fd, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(fd, fastjson.dumps(dict(holder, amount=amount)).encode())

    def _drop(self, folder: int) -> None:
        for name in self._names:
            try:
                os.unlink(name, dir_fd=folder)
            except OSError:
                continue
        for fd in self.fds:
            os.close(fd)
        self._names, self.fds = [], []


def _open_folder(path: str) -> int:
    """Open the shared folder, made if needed, following no link below /var/tmp. Raises OSError."""
    parent, name = os.path.split(path)
    base, middle = os.path.split(parent)
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    for part in (middle, name):
        try:
            os.mkdir(part, 0o1777, dir_fd=fd)
            os.chmod(part, 0o1777, dir_fd=fd)
        except FileExistsError:
            pass
        inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        os.close(fd)
        fd = inner
    return fd


def _arbitrate(folder: int) -> int:
    """Take the lock under which claims are compared and made. Raises OSError."""
    try:
        fd = os.open("lock", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW
        fd = os.open("lock", flags, 0o644, dir_fd=folder)
        if os.fstat(fd).st_uid == os.getuid():
            os.fchmod(fd, 0o644)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(fd)
                raise OSError(errno.EBUSY, "the lock of the device claims is held") from None
        time.sleep(0.005)


def _held(folder: int, label: str) -> Tuple[float, str]:
    """How much of a device is claimed by living processes, and by whom."""
    total, by = 0.0, []
    for name in os.listdir(folder):
        if not name.startswith(label + "@"):
            continue
        claim = _living(folder, name)
        if claim is not None:
            total += float(claim.get("amount", 1.0))
            by.append(str(claim.get("user", "?")))
    return total, ", ".join(sorted(set(by))) or "nobody"


def _living(folder: int, name: str) -> Optional[Dict[str, Any]]:
    """The claim in this file while somebody holds its lock; else None, and litter is removed."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        return {"user": "an unreadable claim"}
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _content(fd)
    else:
        try:
            os.unlink(name, dir_fd=folder)
        except OSError:
            pass  # another user's litter in a sticky folder
        return None
    finally:
        os.close(fd)


def _content(fd: int) -> Dict[str, Any]:
    owner = os.fstat(fd).st_uid
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = str(owner)
    try:
        found = fastjson.loads(os.pread(fd, 4096, 0).decode("utf-8", "replace"))
        return {"user": user, "amount": float(found["amount"])}
    except (ValueError, KeyError, TypeError):
        return {"user": user}
