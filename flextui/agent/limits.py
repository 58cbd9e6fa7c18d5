"""What this account may really use of the machine: cgroup limits and processor affinity.

A box in which a session may use 8 of 128 cores, or a container of 16 GB on a host of 1 TB, must
not be planned as if it were empty. Read from files alone, since hello waits for it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Tuple

    Mounts = Dict[str, Tuple[str, str]]  # controller → mount's root inside the hierarchy, its path

UNLIMITED = 1 << 60
"""cgroup v1 writes 'no limit' as a number near 2**63."""


def read(path: str) -> str:
    """A small file's text without its end, or an empty string when it can't be read."""
    try:
        with open(path, "rb", 0) as file:
            return (file.readall() or b"").decode("utf-8", "replace").strip()
    except OSError:
        return ""


class Cgroup:
    """The cgroup that this process lives in, v1, v2 or both at once."""

    def __init__(self, proc: str = "/proc/self") -> None:
        mounts = _mounts(read(proc + "/mountinfo"))
        self._folders: Dict[str, Tuple[str, str]] = {}
        for line in read(proc + "/cgroup").splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            for name in ["unified"] if number == "0" else controllers.split(","):
                if name in mounts:
                    self._folders[name] = _folder(mounts[name], path)

    def cpus(self) -> Optional[float]:
        """Processors that the quota allows, or None without one."""
        found = []
        for folder in self._upwards("unified"):
            quota, _, period = read(folder + "/cpu.max").partition(" ")
            if quota.isdigit() and period.isdigit():
                found.append(int(quota) / int(period))
        for folder in self._upwards("cpu"):
            quota = read(folder + "/cpu.cfs_quota_us")
            period = read(folder + "/cpu.cfs_period_us")
            if quota.isdigit() and period.isdigit() and int(period):
                found.append(int(quota) / int(period))
        return min(found) if found else None

    def memory(self) -> Optional[Tuple[int, str]]:
        """The tightest memory limit in bytes and the folder that sets it, or None."""
        found = []
        for controller, name in (("unified", "memory.max"), ("memory", "memory.limit_in_bytes")):
            for folder in self._upwards(controller):
                limit = read(folder + "/" + name)
                if limit.isdigit() and int(limit) < UNLIMITED:
                    found.append((int(limit), folder))
        return min(found) if found else None

    def _upwards(self, controller: str) -> Iterator[str]:
        """The cgroup's folder and its parents up to the mount, the nearest first."""
        top, folder = self._folders.get(controller, ("", ""))
        while top:
            yield folder
            if folder == top:
                return
            folder = os.path.dirname(folder)


def _mounts(mountinfo: str) -> Mounts:
    found: Mounts = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        place = (fields[3], fields[4])
        if kind[0] == "cgroup2":
            found.setdefault("unified", place)
        elif kind[0] == "cgroup":
            for controller in kind[2].split(","):
                found.setdefault(controller, place)
    return found


def _folder(mount: Tuple[str, str], path: str) -> Tuple[str, str]:
    """The mount point and the cgroup's folder below it; a container sees its own as the top."""
    root, point = mount
    inside = path[len(root.rstrip("/")) :] if path.startswith(root) else ""
    folder = (point + inside).rstrip("/")
    return (point, folder) if os.path.isdir(folder) else (point, point)


def memory_used(folder: str) -> Optional[int]:
    """Bytes that a cgroup holds and could not drop at once (its file cache could go)."""
    used = read(folder + "/memory.current") or read(folder + "/memory.usage_in_bytes")
    if not used.isdigit():
        return None
    cache = 0
    for line in read(folder + "/memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            cache = int(value)
    return max(0, int(used) - cache)


def meminfo() -> Dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in read("/proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        amount = value.split()
        if amount:
            found[name] = int(amount[0]) * 1024
    return found


def cpus(cgroup: Cgroup) -> float:
    """Processors that a process started here can use at once; whole numbers as int."""
    count: float = len(os.sched_getaffinity(0))
    quota = cgroup.cpus()
    if quota is not None and quota < count:
        count = round(quota, 2)
    return int(count) if count == int(count) else count


def memory_bytes(cgroup: Cgroup) -> int:
    """Memory that this account can use, in bytes."""
    total = meminfo().get("MemTotal", 0)
    limit = cgroup.memory()
    return min(total, limit[0]) if limit else total


def mount(path: str) -> Tuple[str, List[str]]:
    """The filesystem type that holds a path, and its mount options; empty when unknown."""
    path = os.path.realpath(path)
    best, found = -1, ("", [""])
    for line in read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 6 or len(kind) < 3:
            continue
        point = fields[4].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, found = len(point), (kind[0], fields[5].split(",") + kind[2].split(","))
    return found
