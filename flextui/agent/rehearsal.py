"""Why supervisors are small: the spawner does a supervisor's work once before it forks any.

A forked process owns what it changes, and the first run of Python code changes a lot that later
runs only read: frames are allocated, attribute caches are filled, code adapts to what it saw. What
the spawner has gone through, no supervisor has to pay for: a fifth of its memory.
"""

from __future__ import annotations

import os

from . import fastjson, records, supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Set

_RUNS = 2
_SCRATCH = "/tmp/flextui-rehearsal-%s"


def rehearse() -> None:
    """Run attempts of nothing in a scratch folder, in this process.

    Only for a process without children: a supervisor ends all that descends from it. Signals are
    left as a supervisor sets them. Where it can't be done it is left out: it only saves memory.
    """
    before = _descriptors()
    scratch = _SCRATCH % os.urandom(6).hex()
    try:
        _perform(scratch)
    except Exception:
        pass
    finally:
        for fd in _descriptors() - before:
            try:
                os.close(fd)
            except OSError:
                pass  # the listing's own
        _remove(scratch)


def _perform(scratch: str) -> None:
    core = os.path.join(scratch, "host", "core")
    os.makedirs(core, mode=0o700)
    host_fd = os.open(os.path.dirname(core), os.O_RDONLY)
    records.write(host_fd, "driver.json", {"core_id": "core", "epoch": 1}, durable=False)
    records.write(host_fd, "driver.lock", {}, durable=False)
    for number in range(_RUNS):
        line = fastjson.dumps(_request(core, "a%d" % number)).encode()
        supervisor.main(line)


def _request(core: str, name: str) -> Dict[str, Any]:
    """A start as the agent would ask for it."""
    return {
        "attempt": name, "argv": ["/bin/true"], "workdir": "/", "boot": "", "epoch": 1,
        "core_id": "core", "core_dir": core, "claims_dir": "", "spawn": "",
    }  # fmt: skip


def _descriptors() -> Set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}


def _remove(folder: str) -> None:
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(path, name))
        for name in folders:
            os.rmdir(os.path.join(path, name))
    try:
        os.rmdir(folder)
    except OSError:
        pass
