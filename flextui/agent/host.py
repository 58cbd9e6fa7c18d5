"""What kind of machine this is, as hello tells it.

Everything comes from files and system calls in about a millisecond: two hundred nodes may be
asked at once, and nothing that can hang (a directory service, NVML, systemctl) stands between a
connection and its first screen.
"""

from __future__ import annotations

import os
import sys

from . import limits, nvml
from .accounts import user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

_LOGIND = ("/usr/lib/systemd/logind.conf", "/etc/systemd/logind.conf")
_LOGIND_PARTS = (
    "/usr/lib/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d",
    "/etc/systemd/logind.conf.d",
)


def host_facts() -> Dict[str, Any]:
    """The `host` object of hello; what can't be known is None."""
    system = os.uname()
    cgroup = limits.Cgroup()
    user = user_name(os.geteuid())
    return {
        "hostname": system.nodename,
        "user": user,
        "uid": os.geteuid(),
        "cpus": limits.cpus(cgroup),
        "memory_bytes": limits.memory_bytes(cgroup),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "kernel": system.release,
        "os": os_name(),
        "driver_version": driver_version(),
        "cuda_version": None,  # only NVML knows: it comes with the samples
        "nvml": "present" if nvml.library() else "absent",
        "linger": linger(user),
        "kill_user_processes": kill_user_processes(user),
        "cgroup": cgroup_mode(user),
        "gpus": [],
    }


def os_name(path: str = "/etc/os-release") -> str:
    """The distribution's own name for itself, such as 'Ubuntu 22.04.4 LTS'."""
    for line in (limits.read(path) or limits.read("/usr/lib/os-release")).splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip("\"'")
    return "Linux"


def driver_version(path: str = "/proc/driver/nvidia/version") -> Optional[str]:
    """The loaded kernel driver's version, such as '570.124.06'; None without the driver."""
    for line in limits.read(path).splitlines():
        if line.startswith("NVRM version:"):
            for word in line.split():
                if word[:1].isdigit() and "." in word:
                    return word
    return None


def linger(user: str, systemd: str = "/run/systemd/system") -> Optional[bool]:
    """Whether the account's user manager outlives its last login; None without systemd."""
    if not os.path.isdir(systemd):
        return None
    return os.path.exists("/var/lib/systemd/linger/" + user)


def kill_user_processes(
    user: str, files: Optional[List[str]] = None, systemd: str = "/run/systemd/system"
) -> Optional[bool]:
    """Whether logind kills what the account left running at logout; None when unknown.

    A commented line of logind.conf tells the default that the distribution built in.
    """
    if not os.path.isdir(systemd):
        return None
    settings: Dict[str, str] = {}
    for path in _logind_files() if files is None else files:
        for line in limits.read(path).splitlines():
            name, _, value = line.partition("=")
            name = name.strip()
            if name.startswith("#"):
                settings.setdefault(name[1:].strip(), value.strip())
            else:
                settings[name] = value.strip()
    kill = settings.get("KillUserProcesses")
    if kill is None:
        return None
    only = settings.get("KillOnlyUsers", "").split()
    spared = settings.get("KillExcludeUsers", "root").split()
    concerned = user not in spared and (not only or user in only)
    return kill.lower() in ("yes", "true", "on", "1") and concerned


def _logind_files() -> List[str]:
    found = list(_LOGIND)
    parts = {}
    for folder in _LOGIND_PARTS:  # a later folder's file replaces an earlier one of that name
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        parts.update({name: folder + "/" + name for name in names if name.endswith(".conf")})
    return found + [parts[name] for name in sorted(parts)]


def cgroup_mode(user: str) -> str:
    """How memory limits are kept here: `scope` (a systemd scope of the account's own) or `soft`.

    A scope needs a user manager that outlives the login, or the workload would die with it, and
    the memory controller delegated to it.
    """
    uid = os.getuid()
    manager = "/sys/fs/cgroup/user.slice/user-%d.slice/user@%d.service" % (uid, uid)
    delegated = "memory" in limits.read(manager + "/cgroup.controllers").split()
    running = os.path.exists("/run/user/%d/systemd/private" % uid)
    return "scope" if linger(user) and running and delegated else "soft"
