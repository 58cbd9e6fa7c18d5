"""Entering a running attempt: found by its marks among the account's own processes alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flextui.core.adapters.enter import entering, local_entry

HERE = ["sh", "-c", "echo $WHOSE"]
pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="attempts run on Linux")


@contextmanager
def workload(core: str, attempt: str, whose: str, uid: int | None = None) -> Iterator[None]:
    """A process with an attempt's marks, which has begun."""
    environ = {
        **os.environ, "FLEXTUI_CORE": core, "FLEXTUI_ATTEMPT": attempt, "WHOSE": whose,
    }  # fmt: skip
    process = subprocess.Popen(
        ["sh", "-c", "echo up; exec sleep 1000"], env=environ, stdout=subprocess.PIPE, user=uid
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def entered(core: str, attempt: str, argv: list[str] = HERE) -> subprocess.CompletedProcess[str]:
    command = local_entry(entering(attempt, core, argv, ""), sys.executable)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_has_the_environment_of_the_attempt() -> None:
    name = f"j{os.getpid()}.0.1"
    with workload("c1", name, "ours"):
        told = entered("c1", name)
    assert (told.stdout, told.returncode) == ("ours\n", 0)


def test_words_come_as_they_were_typed() -> None:
    name, words = f"j{os.getpid()}.0.4", ["a b", "'\"\\$(x)", "tab\tnew\nline", "é 漢 😀"]
    with workload("c1", name, "ours"):
        told = entered("c1", name, ["printf", "%s|", *words])
    assert told.stdout == "".join(f"{it}|" for it in words), told.stderr


def test_another_cores_attempt_of_the_same_name_is_not_entered() -> None:
    name = f"j{os.getpid()}.0.2"
    with workload("c2", name, "another core's"):
        told = entered("c1", name)
    assert (told.stdout, told.returncode) == ("", 125)
    assert f"nothing of {name} runs here any more" in told.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start another account's process")
def test_what_another_account_calls_the_attempt_is_not_entered() -> None:
    name = f"j{os.getpid()}.0.3"
    with workload("c1", name, "forged", uid=65534):
        told = entered("c1", name)
    assert (told.stdout, told.returncode) == ("", 125)
