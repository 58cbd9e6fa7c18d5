"""Where state lives on a node, and what 'the same node' means.

Homes are often one NFS tree for many nodes, machine ids are copied with images, and a boot id
survives the restart of a container. So a host is its machine id plus the account, a boot is the
boot id plus the PID namespace plus the start of PID 1, and 'there is no such attempt' is only
believed from a state folder that holds the root_id the core was told when it was chosen.
"""

from __future__ import annotations

import fcntl
import os
import pwd
from _blake2 import blake2b

from . import FORMAT, procs, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

_CONTAINER_MARKERS = ("/.dockerenv", "/run/.containerenv")
_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_OWN_MACHINE_ID = "/var/tmp/flextui-machine-id"
_VOLATILE = {"tmpfs", "ramfs"}
_NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "lustre", "gpfs",
    "beegfs", "glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "virtiofs", "autofs",
}  # fmt: skip


class Problem(Exception):
    """The state folder can't be used; `code` is the wire's word for why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Root:
    """A state folder: its path, the random id that it holds, and whether it was made now."""

    __slots__ = ("id", "new", "path")

    def __init__(self, path: str, root_id: str, new: bool) -> None:
        self.path = path
        self.id = root_id
        self.new = new


def boot() -> str:
    """This boot, as the processes here see it: boot id, PID namespace, start of PID 1."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot_id = file.read().strip()
    namespace = os.stat("/proc/self/ns/pid").st_ino
    return "%s.%d.%d" % (boot_id, namespace, procs.ticks(1) or 0)


def machine() -> str:
    """A name for this machine that is stable over boots, as 16 hex digits.

    A container takes its hostname in, as images carry one machine id into all of them.
    """
    identity = _machine_id()
    if any(os.path.exists(path) for path in _CONTAINER_MARKERS):
        identity += " " + os.uname().nodename
    return blake2b(identity.encode(), digest_size=8, person=b"flextui").hexdigest()


def host_id() -> str:
    """This machine and this account."""
    return "%s-%d" % (machine(), os.getuid())


def _machine_id() -> str:
    for path in (*_MACHINE_IDS, _OWN_MACHINE_ID):
        try:
            with open(path) as file:
                found = file.read().strip()
        except OSError:
            continue
        if len(found) >= 16:
            return found
    made = os.urandom(16).hex()
    scratch = "%s.%s" % (_OWN_MACHINE_ID, made[:8])
    with open(scratch, "x") as file:
        file.write(made + "\n")
    os.chmod(scratch, 0o644)
    try:
        os.link(scratch, _OWN_MACHINE_ID)
    except FileExistsError:
        return _machine_id()
    finally:
        os.unlink(scratch)
    return made


def choose() -> Root:
    """Choose a state folder, local persistent disk first, and make it.

    Raises Problem (state_unwritable) when no candidate can be written.
    """
    faults: List[str] = []
    for path in _candidates():
        try:
            return _make(path)
        except OSError as error:
            faults.append("%s: %s" % (path, error.strerror))
    raise Problem(
        "state_unwritable",
        "no folder for flextui's state can be written (%s): free space or make one writable"
        % "; ".join(faults),
    )


def use(path: str, root_id: str) -> Root:
    """The state folder that the core knows. Raises Problem (state_missing, state_unwritable)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Problem(
            "state_missing",
            "the state folder %s can't be opened (%s): is its disk mounted?"
            % (path, error.strerror),
        ) from None
    try:
        found = records.read(fd, "root.json")
    except OSError as error:
        raise Problem("state_missing", "%s/root.json: %s" % (path, error.strerror)) from None
    finally:
        os.close(fd)
    if not found or found.get("root_id") != root_id:
        raise Problem("state_missing", "%s is not the state folder that was here before" % path)
    _check_format(path, found)
    return Root(path, root_id, False)


def _check_format(path: str, found: records.Record) -> None:
    if int(found.get("format", 0)) > FORMAT:
        raise Problem("version", "%s was written by a newer flextui: upgrade this core" % path)


def _candidates() -> List[str]:
    """Folders to try, best first."""
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    own = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    in_home = os.path.join(own, "flextui")
    in_tmp = "/var/tmp/flextui-%d" % os.getuid()
    if is_local(in_home):
        return [in_home, in_tmp]
    return [in_tmp, in_home] if is_local(in_tmp) else [in_home, in_tmp]


def _make(path: str) -> Root:
    """Make or reuse a state folder. Raises OSError, Problem (version)."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        owner = os.fstat(fd)
        if owner.st_uid != os.getuid():
            raise PermissionError(1, "it belongs to another user")
        if owner.st_mode & 0o077:
            os.fchmod(fd, 0o700)
        found = records.read(fd, "root.json")
        made = found is None
        if found is None:
            found = _new_root(fd)
        _check_format(path, found)
        return Root(path, str(found["root_id"]), made)
    finally:
        os.close(fd)


def _new_root(fd: int) -> records.Record:
    """Write root.json so that of several who try at once one wins."""
    scratch = "root.json.%s" % os.urandom(4).hex()
    records.create(fd, scratch, {"root_id": os.urandom(16).hex(), "format": FORMAT})
    try:
        os.link(scratch, "root.json", src_dir_fd=fd, dst_dir_fd=fd)
    except FileExistsError:
        pass
    finally:
        os.unlink(scratch, dir_fd=fd)
    os.fsync(fd)
    found = records.read(fd, "root.json")
    if found is None:
        raise FileNotFoundError(2, "root.json vanished or is damaged")
    return found


def keep(folder: int) -> None:
    """Keep those who tidy /var/tmp by age out of an open folder, for as long as it stays open.

    systemd-tmpfiles leaves a folder alone, with all below it, while somebody holds a lock on it.
    """
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        pass  # some network filesystems lock no folders; nobody tidies those


def is_local(path: str) -> bool:
    """Whether a path lies (or would lie) on a disk of this machine that outlives a boot."""
    kind = _filesystem(path)
    return kind is not None and kind not in _VOLATILE | _NETWORK and not kind.startswith("fuse")


def _filesystem(path: str) -> Optional[str]:
    """Type of the filesystem that holds the nearest existing parent of `path`."""
    path = os.path.realpath(path)
    best: Tuple[int, Optional[str]] = (-1, None)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            point = left.split()[4].replace("\\040", " ")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= best[0]:
                best = (len(point), right.split()[0])
    return best[1]
