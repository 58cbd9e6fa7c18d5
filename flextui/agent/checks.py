"""The preflight of a node, from the inside: what would make jobs fail here, and the mend.

Each row is looked at by itself and costs no subprocess, so that `check` can be asked of a node at
work. None instead of True or False means: it works, but somebody should know.
"""

from __future__ import annotations

import os
import sys
import time

from . import host, limits, nvml
from .accounts import user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

    Row = Dict[str, Any]
    Gpu = Dict[str, Any]

CLAIMS = "/var/tmp/flextui-claims"
_MIB = 1 << 20
_GIB = 1 << 30
_FULL = 64 * _MIB
_NEARLY_FULL = 2 * _GIB
_FEW_FILES = 1000
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "afs", "ceph", "lustre", "gpfs", "beegfs", "autofs")
_NVIDIA, _DISPLAY = "0x10de", "0x03"


def run_checks(root_path: str, sample: Optional[Dict[str, Any]] = None) -> List[Row]:
    """The rows of `check`: `{"name", "ok", "text"}`, and `at` (Unix seconds) on the clock's.

    `root_path` is the state folder; `sample` the last telemetry, for what NVML said.
    """
    seen = sample or {}
    rows: List[Row] = []
    parts: List[Tuple[str, Callable[[], Iterator[Row]]]] = [
        ("modules", _modules),
        ("home", _home),
        ("state", lambda: _state(root_path)),
        ("disk", lambda: _space(root_path)),
        ("driver", lambda: _driver(seen)),
        ("gpus", lambda: _gpus(seen.get("nvml"), seen.get("gpus") or [])),
        ("claims", _claims),
        ("cgroups", _cgroups),
        ("clock", _clock),
    ]
    for name, part in parts:
        try:
            rows.extend(part())
        except OSError as error:
            rows.append(_row(name, False, str(error)))
    return rows


def _row(name: str, ok: Optional[bool], text: str) -> Row:
    return {"name": name, "ok": ok, "text": text}


def _modules() -> Iterator[Row]:
    version = "%d.%d.%d" % sys.version_info[:3]
    try:
        import ctypes  # noqa: F401
    except ImportError:
        text = "Python %s has no ctypes, which NVML needs: install the full python3 package"
        yield _row("modules", False, text % version)
    else:
        yield _row("modules", True, "Python %s is complete (%s)" % (version, sys.executable))


def _home() -> Iterator[Row]:
    path = os.path.expanduser("~")
    if not os.path.isdir(path):
        yield _row("home", False, "%s isn't there: create it, or mount it" % path)
        return
    kind, options = limits.mount(path)
    told = "%s on %s" % (path, kind or "an unknown filesystem")
    problem = writing_problem(path)
    if problem:
        yield _row("home", None, "%s: %s; jobs that write there will fail" % (told, problem))
    elif "noexec" in options:
        yield _row("home", None, told + " is noexec: programs in it can't be executed directly")
    else:
        shared = " (state is kept by host, so a shared home is fine)" if kind in _NETWORK else ""
        yield _row("home", True, told + shared)


def _state(path: str) -> Iterator[Row]:
    kind, _ = limits.mount(path)
    told = "%s on %s" % (path, kind or "an unknown filesystem")
    problem = writing_problem(path)
    if problem:
        yield _row("state", False, "%s: %s; no job can start" % (told, problem))
    elif kind in _NETWORK:
        yield _row("state", None, told + ": logs and exits wait for the network; no local disk?")
    else:
        yield _row("state", True, told)


def _space(path: str) -> Iterator[Row]:
    """Room for logs and records where the state is."""
    found = os.statvfs(path)
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    text = "%s free of %s at %s" % (_size(free), _size(size), path)
    if free < _FULL or (found.f_files and found.f_favail < _FEW_FILES):
        files = "" if free < _FULL else ", but only %d more files" % found.f_favail
        yield _row("disk", False, text + files + ": free some, jobs can't start")
    elif free < _NEARLY_FULL:
        yield _row("disk", None, text + ": logs may fill it")
    else:
        yield _row("disk", True, text)


def writing_problem(folder: str) -> str:
    """Why nothing can be written to a folder, or an empty string; tries it with a small file."""
    probe = "%s/.flextui-%d-%s" % (folder, os.getpid(), os.urandom(4).hex())
    try:
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, b"\n" * 4096)
            os.fsync(fd)
        finally:
            os.close(fd)
            os.unlink(probe)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _driver(sample: Dict[str, Any]) -> Iterator[Row]:
    """The kernel driver, and whether the cards on the bus agree with it."""
    version = host.driver_version() or sample.get("driver_version")
    cards = display_cards()
    if version:
        yield _row("driver", True, "NVIDIA %s" % version)
    elif cards:
        yield _row(
            "driver",
            False,
            "%d NVIDIA card(s) on the bus, but no driver is loaded: install it, or reboot after "
            "an upgrade" % cards,
        )
    else:
        yield _row("driver", True, "none, and no NVIDIA card on the bus")


def display_cards(folder: str = "/sys/bus/pci/devices") -> int:
    """NVIDIA's display and compute cards on the PCI bus."""
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    return sum(
        limits.read("%s/%s/vendor" % (folder, name)) == _NVIDIA
        and limits.read("%s/%s/class" % (folder, name)).startswith(_DISPLAY)
        for name in names
    )


def _gpus(status: Optional[str], gpus: List[Gpu]) -> Iterator[Row]:
    """NVML's state and each GPU that isn't well."""
    if status is None:
        status = "absent" if nvml.library() is None else "starting"
    if status == "absent":
        needed = display_cards() > 0
        text = "%s isn't found" % nvml.LIBRARY
        mend = ": install the driver's NVML package (libnvidia-compute, nvidia-utils)"
        yield _row("nvml", not needed, text + (mend if needed else ", as no GPU is"))
        return
    if status == "starting":
        yield _row("nvml", None, "the driver hasn't answered yet: ask again in a minute")
        return
    if status != "ok":
        yield _row("nvml", False, _nvml_trouble(status))
        return
    models: Dict[str, int] = {}
    for gpu in gpus:
        models[gpu["model"]] = models.get(gpu["model"], 0) + 1
    counted = ", ".join("%d × %s" % (count, model) for model, count in models.items())
    missing = display_cards() - len(gpus)
    if missing > 0:
        text = "%s; %d more on the bus that NVML doesn't list: see `dmesg`"
        yield _row("nvml", False, text % (counted or "no GPU", missing))
    else:
        yield _row("nvml", True, counted or "no GPU")
    for gpu in gpus:
        if gpu["state"] != "ok" or gpu.get("recovery_action"):
            text = "%s: %s" % (gpu["state"], gpu["text"]) if gpu["state"] != "ok" else gpu["text"]
            yield _row("gpu %d" % gpu["index"], False, text)
        elif gpu.get("ecc_uncorrected"):
            text = "%d uncorrected ECC errors since the driver was loaded"
            yield _row("gpu %d" % gpu["index"], None, text % gpu["ecc_uncorrected"])


def _nvml_trouble(status: str) -> str:
    if status == "hung":
        return "NVML doesn't answer: a GPU has probably fallen off the bus; see `dmesg`, reboot"
    text = status[len("error: ") :]
    lowered = text.lower()
    if "mismatch" in lowered:
        return text + ": the driver was upgraded; reboot, or reload its kernel modules"
    if "not loaded" in lowered:
        return text + ": `modprobe nvidia`, or reboot"
    return text


def _claims() -> Iterator[Row]:
    """The folder in which all accounts of this host see each other's devices."""
    if os.path.islink(CLAIMS):
        yield _row("claims", False, "%s is a link: remove it" % CLAIMS)
    elif os.path.isdir(CLAIMS):
        mode = os.stat(CLAIMS).st_mode & 0o7777
        ok = mode & 0o1777 == 0o1777
        mend = "" if ok else ": has mode %o, needs 1777 (`chmod 1777` by its owner)" % mode
        yield _row("claims", ok, CLAIMS + mend)
    else:
        problem = writing_problem(os.path.dirname(CLAIMS))
        text = "%s can't be made: %s" % (CLAIMS, problem) if problem else CLAIMS + " not made yet"
        yield _row("claims", not problem, text)


def _cgroups() -> Iterator[Row]:
    """How memory limits are kept, and whether logind ends what should live on."""
    user = user_name(os.geteuid())
    linger = host.linger(user)
    if host.cgroup_mode(user) == "scope":
        yield _row("cgroups", True, "memory limits by systemd scopes")
    else:
        yield _row("cgroups", None, "memory limits by sampling (soft): " + _why_soft(user))
    if linger is not None:
        text = "yes" if linger else "no: `loginctl enable-linger %s` gives jobs their own cgroups"
        yield _row("linger", linger or None, text if linger else text % user)
    kills = host.kill_user_processes(user)
    if kills:
        yield _row(
            "logout",
            None,
            "KillUserProcesses=yes ends jobs when the last login does: set it to no in "
            "/etc/systemd/logind.conf, or list %s in KillExcludeUsers" % user,
        )
    elif kills is False:
        yield _row("logout", True, "jobs outlive logins (KillUserProcesses=no)")


def _why_soft(user: str) -> str:
    if host.linger(user) is None:
        return "no systemd here"
    if not host.linger(user):
        return "Linger=no"
    return "the user's systemd doesn't run, or has no memory controller"


def _clock() -> Iterator[Row]:
    now = time.time()
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    yield {**_row("clock", True, told), "at": round(now, 3)}


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return "%.0f %s" % (count, unit)
        count /= 1024
    return "%.1f TiB" % count
