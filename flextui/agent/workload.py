"""What the forked child does between the gate and exec: the start of an attempt, from within.

A job begins as after a login: a clean environment and clean signals, nothing of the core or of the
agent but the descriptors that are meant for it.
"""

from __future__ import annotations

import errno
import os
import pwd

from . import memory, procs
from .light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Sequence, Tuple

    Request = Dict[str, Any]

_LOGIN = ("HOME", "USER", "LOGNAME", "SHELL")
_BASE_PATH = "/usr/local/bin:/usr/bin:/bin"


def _base() -> Dict[str, str]:
    """What a login gives; a directory service is only asked for what sshd left out."""
    given = {name: os.environ[name] for name in _LOGIN if os.environ.get(name)}
    if len(given) < len(_LOGIN):
        account = pwd.getpwuid(os.getuid())
        given.setdefault("HOME", account.pw_dir)
        given.setdefault("USER", account.pw_name)
        given.setdefault("LOGNAME", account.pw_name)
        given.setdefault("SHELL", account.pw_shell or "/bin/sh")
    given["PATH"] = os.environ.get("PATH") or _BASE_PATH
    given["LANG"] = os.environ.get("LANG") or "C.UTF-8"
    return given


BASE = _base()
"""The environment of every workload before its job's own; read once, before any fork."""


def environ(request: Request) -> Dict[str, str]:
    """The workload's environment: as after a login, then the job's, then the mark."""
    found = dict(BASE, CUDA_VISIBLE_DEVICES="")
    if request.get("limit") == "scope":
        found["XDG_RUNTIME_DIR"] = "/run/user/%d" % os.getuid()
    for name, value in (request.get("env") or {}).items():
        found[str(name)] = str(value)
    found[procs.MARK] = request["attempt"]
    found[procs.CORE] = request["core_id"]
    return found


def folder(workdir: str) -> str:
    """Where a workload begins; `~` is the account's home."""
    home = BASE["HOME"]
    if workdir == "~" or workdir.startswith("~/"):
        return home + workdir[1:]
    return os.path.join(home, workdir)


def _clean_signals() -> None:
    """Ignore and block nothing: what nohup, a shell's `&` or Python itself ignores is inherited."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)


def _pin(cpu_set: Sequence[int]) -> None:
    """Keep to these CPUs as far as the account may use them. Pinning only helps: it never fails."""
    wanted = os.sched_getaffinity(0).intersection(cpu_set)
    if wanted:
        try:
            os.sched_setaffinity(0, wanted)
        except OSError:
            pass


def become(
    request: Request, gate: int, report: int, output: Tuple[int, int], keep: List[int]
) -> NoReturn:
    """In the child: wait at the gate, then become the workload."""
    code = 126
    argv = memory.command(request)
    try:
        environment = environ(request)
        os.setsid()
        os.dup2(output[0], 1)
        os.dup2(output[1], 2)
        for fd in keep:
            os.set_inheritable(fd, True)
        if os.read(gate, 1) != b"g":
            os._exit(0)
        _clean_signals()
        _pin(request.get("cpu_set") or ())
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        code = 127 if error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
        os.write(report, ("%s: %s" % (argv[0], error.strerror)).encode("utf-8", "replace"))
    except BaseException as error:
        os.write(report, str(error).encode("utf-8", "replace"))
    finally:
        os._exit(code)
