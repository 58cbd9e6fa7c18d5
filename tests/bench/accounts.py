"""Accounts of this machine for tests with several people: alice, bob and carol.

They are made when a test first asks, marked as the bench's own, and removed by the last test
process that used them.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from tests.bench.scratch import locked, scratch

_MARK = "flextui test bench"


@contextmanager
def in_use() -> Iterator[None]:
    """Accounts that are made inside stay until the last process leaves such a block."""
    with (scratch() / "accounts-in-use.lock").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield
        finally:
            with locked("accounts"):
                _remove_unless_used(users)


def _remove_unless_used(users: IO[str]) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        fcntl.flock(users, fcntl.LOCK_UN)  # before the next one looks
    for account in pwd.getpwall():
        if account.pw_gecos == _MARK:
            command = ["userdel", "--remove", account.pw_name]
            subprocess.run(command, capture_output=True, check=False)


def ensure(name: str) -> pwd.struct_passwd:
    """The account, made with a home and bash if there is none of that name."""
    with locked("accounts"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            # "*": no password fits, and unlike "!" sshd doesn't take the account for locked
            flags = ["--create-home", "--shell=/bin/bash", "--password=*", f"--comment={_MARK}"]
            subprocess.run(["useradd", *flags, name], check=True, capture_output=True)
            return pwd.getpwnam(name)


def as_account(name: str) -> list[str]:
    """What to put before a command line to run it as that account."""
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", "--"]


@cache
def python_for_everybody() -> tuple[str, tuple[tuple[str, str], ...]]:
    """An interpreter that every account can run, and the variables that show it our modules.

    The one that runs the tests may lie in a home that is closed to others.
    """
    modules = ":".join(path for path in sys.path if path.endswith("site-packages"))
    here = str(Path(__file__).parents[2])
    variables = (("PYTHONPATH", f"{here}:{modules}"), ("PYTHONDONTWRITEBYTECODE", "1"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        tried = subprocess.run(
            # Through a shell: setpriv itself still opens files as root.
            [*stranger, "/bin/sh", "-c", 'exec "$0" -c "import yaml"', program],
            env={**dict(variables), "PATH": os.defpath},
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return program, variables
    raise RuntimeError(f"no {version} here that other accounts can run: install one in /usr/bin")
