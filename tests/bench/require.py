"""What a test needs of the machine it runs on.

A missing tool skips the test on a laptop. Where FLEXTUI_TEST_REQUIRE names the need (a list with
commas, or ``all``), its absence fails the test, so that CI never passes by skipping.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

import pytest

REQUIRE = "FLEXTUI_TEST_REQUIRE"


def requires(*needs: str) -> None:
    """Skip the running test, or fail it where the need is declared, if one is missing."""
    for need in needs:
        problem = missing(need)
        if problem is None:
            continue
        demanded = os.environ.get(REQUIRE, "").split(",")
        if need in demanded or "all" in demanded:
            pytest.fail(f"{REQUIRE} demands {need}, but {problem}", pytrace=False)
        pytest.skip(f"needs {need}: {problem}")


@cache
def missing(need: str) -> str | None:
    """Why the need is not met here, or None. An unknown need is a KeyError."""
    return _CHECKS[need]()


def _programs(*names: str) -> str | None:
    absent = [name for name in names if shutil.which(name, path=_search_path()) is None]
    return f"{', '.join(absent)} not found" if absent else None


def _search_path() -> str:
    # sshd and ip lie in sbin, which is not in everybody's PATH
    return os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"


def _succeeds(*command: str) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return None if done.returncode == 0 else f"{' '.join(command)}: {done.stderr.strip()}"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "it has to run as root"


def _sshd() -> str | None:
    return (
        _root()
        or _programs("sshd", "ssh", "ssh-keygen", "unshare", "nsenter", "mount", "iptables")
        or _succeeds("unshare", "--mount", "--uts", "true")
    )


def _netns() -> str | None:
    return _sshd() or _programs("ip") or _succeeds("unshare", "--net", "true")


def _docker() -> str | None:
    return _programs("docker") or _succeeds("docker", "info")


_CHECKS: dict[str, Callable[[], str | None]] = {
    "docker": _docker,
    "gcc": lambda: _programs("gcc"),
    "netns": _netns,
    "root": _root,
    "slurm": lambda: _programs("slurmctld", "slurmd", "sbatch"),
    "sshd": _sshd,
    "tmux": lambda: _programs("tmux"),
}
