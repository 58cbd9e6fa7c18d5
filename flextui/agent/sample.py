"""The node's telemetry: one `sample` message a second, XIDs at once.

What it costs is part of the promise (1 % of a core with eight GPUs), so everything here is a few
small reads of /proc; what is slow or can hang is left to the NVML child.
"""

from __future__ import annotations

import os
import time

from . import limits
from .nvml import NvmlWatch
from .usage import Usage, attempt_by_ancestry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Tuple


class Sampler:
    """Telemetry of this machine; belongs to one event loop and never blocks it."""

    def __init__(
        self,
        attempts: Callable[[], Dict[str, int]],
        disk: str = "/",
        interval_s: float = 1.0,
        nvml: NvmlWatch | None = None,
    ) -> None:
        """`attempts` gives the pid of each live attempt's supervisor. `disk` is a folder on the
        filesystem whose space is told (the state folder's), `interval_s` that of tick()."""
        self._attempts = attempts
        self._disk = disk
        self._nvml = NvmlWatch(interval_s) if nvml is None else nvml
        self._usage = Usage()
        self._limit = limits.Cgroup().memory()
        self._cpu_times = _cpu_times()
        self._cpu = 0.0
        self._seq = 0
        self.last: Dict[str, Any] = {}
        """The newest sample, empty before the first."""

    def start(self) -> None:
        """Start the NVML child, where there is a driver. Forks: call it before any thread."""
        self._nvml.start()

    def files(self) -> List[int]:
        """Descriptors to select on for reading. One may come at a tick; none goes or changes."""
        return [] if self._nvml.fd is None else [self._nvml.fd]

    def on_readable(self, fd: int) -> List[Dict[str, Any]]:
        """Messages to push now: XIDs, and a sample when the GPUs come into sight."""
        if fd != self._nvml.fd:
            return []
        pushes = self._nvml.on_readable()
        return [self._sample() if push["t"] == "fresh" else push for push in pushes]

    def tick(self) -> Dict[str, Any]:
        """The `sample` message; call it once an interval."""
        self._nvml.check()
        return self._sample()

    def close(self) -> None:
        """End the NVML child."""
        self._nvml.close()

    def _sample(self) -> Dict[str, Any]:
        attempts = self._attempts()
        total, used = self._memory()
        size, free = _disk(self._disk)
        self._seq += 1
        self.last = {
            "t": "sample",
            "seq": self._seq,
            "cpu": self._cpu_share(),
            "load": [round(load, 2) for load in os.getloadavg()],
            "memory_bytes": total,
            "memory_used_bytes": used,
            "disk_bytes": size,
            "disk_free_bytes": free,
            "uptime_s": round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
            "nvml": self._nvml.status,
            "driver_version": self._nvml.driver_version,
            "cuda_version": self._nvml.cuda_version,
            "gpus": self._gpus(attempts),
            "attempts": self._usage.measure(attempts),
        }
        return self.last

    def _gpus(self, attempts: Mapping[str, int]) -> List[Dict[str, Any]]:
        """The GPUs; a process whose environment tells no attempt may still descend from one."""
        gpus = self._nvml.gpus()
        supervisors = {pid: name for name, pid in attempts.items()}
        if supervisors:
            for gpu in gpus:
                for process in gpu["processes"]:
                    if process["attempt"] is None:
                        process["attempt"] = attempt_by_ancestry(process["pid"], supervisors)
        return gpus

    def _cpu_share(self) -> float:
        """Busy share of all processors since the last sample, 0 to 1."""
        busy, total = _cpu_times()
        was_busy, was_total = self._cpu_times
        if total - was_total >= 5:  # clock ticks: less than that would be noise
            self._cpu = min(1.0, max(0.0, (busy - was_busy) / (total - was_total)))
            self._cpu_times = busy, total
        return round(self._cpu, 4)

    def _memory(self) -> Tuple[int, int]:
        """Usable and used memory in bytes: of the cgroup where it is the tighter bound."""
        found = limits.meminfo()
        total = found.get("MemTotal", 0)
        used = total - found.get("MemAvailable", found.get("MemFree", 0))
        if self._limit and self._limit[0] < total:
            inside = limits.memory_used(self._limit[1])
            return self._limit[0], used if inside is None else inside
        return total, used


def _cpu_times() -> Tuple[int, int]:
    """Busy and total clock ticks of all processors since boot (guests are in user time)."""
    with open("/proc/stat", "rb", 0) as file:
        line = file.read(512).split(b"\n", 1)[0]
    times = [int(value) for value in line.split()[1:9]]
    total = sum(times)
    return total - times[3] - times[4], total


def _disk(path: str) -> Tuple[int, int]:
    """Size and space left for this account, in bytes; zeros while it can't be asked."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0, 0
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
