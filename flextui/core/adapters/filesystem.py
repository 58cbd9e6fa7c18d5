"""Which filesystem a path is on: SQLite's locks and fsyncs can't be trusted on a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "webdav", "ncpfs", "afs"),
        *("lustre", "gpfs", "beegfs", "beegfs_nodev", "fhgfs", "ceph", "glusterfs", "ocfs2"),
        *("gfs2", "orangefs", "pvfs2", "panfs", "wekafs", "fuse.sshfs", "fuse.glusterfs"),
        *("fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.juicefs"),
    }
)
"""Types as /proc/self/mountinfo and mount(8) name them."""

_OCTAL = re.compile(r"\\([0-7]{3})")


def network_type(path: Path) -> str:
    """The type of the network filesystem that `path` (or its nearest parent) is on, or ""."""
    found = path.resolve()
    while not found.exists():
        found = found.parent
    kind = type_in(mounts(), str(found))
    return kind if kind in NETWORK else ""


def type_in(table: list[tuple[str, str]], path: str) -> str:
    """The type of the mount that `path` lies under, of (mount point, type) pairs."""
    best, kind = "", ""
    for point, type_ in table:
        under = path == point or path.startswith(point.rstrip("/") + "/")
        if under and len(point) >= len(best):  # a later mount covers an earlier one
            best, kind = point, type_
    return kind


def mounts() -> list[tuple[str, str]]:
    """Mount points with their types, in the order they were mounted."""
    try:
        if sys.platform == "darwin":
            told = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5)
            return _darwin(told.stdout)
        return _linux(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    except (OSError, subprocess.SubprocessError):
        return []


def _linux(text: str) -> list[tuple[str, str]]:
    table = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and after:
            point = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), fields[4])
            table.append((point, after.split(" ")[0]))
    return table


def _darwin(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^.* on (/.*) \((\w+)[,)]", text, flags=re.MULTILINE)


def local_suggestion(name: str = "flextui") -> Path:
    """A folder that is on local disk for this user, for an error to suggest."""
    for base in (Path("/var/tmp"), Path("/tmp")):
        if base.is_dir() and not network_type(base):
            return base / f"{name}-{os.getuid()}"
    return Path(f"/tmp/{name}-{os.getuid()}")
