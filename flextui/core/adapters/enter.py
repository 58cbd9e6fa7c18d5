"""Entering a running attempt: the command that finds it on its node and becomes a program beside
it, with its folder, environment, CPUs and memory limits. Pure functions.

The attempt is found by the marks that every workload's environment carries, among the account's
own processes: anybody else may carry them too, and would lend us their environment. So nothing
but a Python is needed there, not even the agent. The code goes along in the command line: stdin is
the user's.
"""

from __future__ import annotations

import base64
import sys
import zlib
from collections.abc import Sequence

from flextui.core.adapters.bootstrap import find_python

# Runs on the node. It must parse under Python 3.8.
_ENTER = """
import os, signal, sys

def environ(pid):
    try:
        if os.stat("/proc/%s" % pid).st_uid != os.geteuid():
            return {}
        with open("/proc/%s/environ" % pid, "rb") as file:
            pairs = [it.partition(b"=") for it in file.read().split(b"\\0") if b"=" in it]
    except OSError:
        return {}
    return {name: value for name, _, value in pairs}

def age(pid):
    with open("/proc/%s/stat" % pid, "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])

def mates():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        env = environ(pid)
        if (env.get(b"FLEXTUI_CORE"), env.get(b"FLEXTUI_ATTEMPT")) == MARKS:
            try:
                found.append((age(pid), pid, env))
            except OSError:
                continue
    return sorted(found, key=lambda it: it[0])

def join(pid):
    try:
        with open("/proc/%s/cgroup" % pid) as file:
            path = file.read().strip().split("::")[-1]
        with open("/sys/fs/cgroup%s/cgroup.procs" % path, "w") as file:
            file.write(str(os.getpid()))
    except OSError:
        pass
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(int(pid)))
    except OSError:
        pass

MARKS = (CORE.encode(), ATTEMPT.encode())
found = mates()
if not found:
    sys.stderr.write("flextui: nothing of %s runs here any more\\n" % ATTEMPT)
    sys.exit(125)
_, pid, env = found[0]
join(pid)
try:
    os.chdir("/proc/%s/cwd" % pid)
except OSError:
    pass
if TERM:
    env[b"TERM"] = TERM.encode()
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
argv = ARGV or [os.fsdecode(env.get(b"SHELL") or b"/bin/sh")]
try:
    os.execvpe(argv[0], argv, env)
except OSError as error:
    sys.stderr.write("flextui: %s: %s\\n" % (argv[0], error.strerror))
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
"""
_RUN = "import sys,zlib,base64;exec(zlib.decompress(base64.b64decode(sys.argv[1])))"


def entering(attempt: str, core_id: str, argv: Sequence[str], term: str) -> str:
    """The code, as one word that no shell looks into, for `_RUN`'s argument."""
    values = {"ATTEMPT": attempt, "CORE": core_id, "ARGV": list(argv), "TERM": term}
    names = ";".join(f"{name}={value!a}" for name, value in values.items())
    return base64.b64encode(zlib.compress(f"{names}\n{_ENTER}".encode())).decode()


def remote_entry(code: str, python: str | None) -> str:
    """The command for an SSH channel of any login shell."""
    return find_python(f'-ISc "{_RUN}" {code}', python)


def local_entry(code: str, python: str | None) -> list[str]:
    """The same for this machine."""
    return [python or sys.executable, "-ISc", _RUN, code]
