"""What a node says of itself at hello, and how much of it this account may use."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from flextui.agent import accounts, host, limits, nvml
from flextui.agent.limits import Cgroup

GIB = 1 << 30


def test_the_facts_are_those_of_this_machine() -> None:
    facts = host.host_facts()

    assert facts["hostname"] == socket.gethostname()
    assert facts["uid"] == os.geteuid()
    assert facts["python"] == "{}.{}.{}".format(*sys.version_info[:3])
    assert 0 < facts["cpus"] <= (os.cpu_count() or 1)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < facts["memory_bytes"] <= total
    assert facts["cgroup"] in ("scope", "soft")
    assert facts["nvml"] in ("present", "absent")
    assert set(facts) == {
        *("hostname", "user", "uid", "cpus", "memory_bytes", "python", "kernel", "os"),
        *("driver_version", "cuda_version", "nvml", "linger", "kill_user_processes"),
        *("cgroup", "gpus"),
    }
    json.dumps(facts)


def test_affinity_bounds_the_processors() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert host.host_facts()["cpus"] == 1
    finally:
        os.sched_setaffinity(0, allowed)


def cgroup(tmp_path: Path, mountinfo: str, own: str) -> Cgroup:
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "mountinfo").write_text(mountinfo)
    (proc / "cgroup").write_text(own)
    return Cgroup(str(proc))


def test_the_tightest_limit_on_the_way_up_counts_in_v2(tmp_path: Path) -> None:
    top = tmp_path / "cg"
    leaf = top / "user.slice/user-7.slice/session-3.scope"
    leaf.mkdir(parents=True)
    (leaf / "memory.max").write_text("max\n")
    (leaf / "cpu.max").write_text("max 100000\n")
    (leaf.parent / "memory.max").write_text(f"{16 * GIB}\n")
    (leaf.parent / "memory.current").write_text(f"{3 * GIB}\n")
    (leaf.parent / "memory.stat").write_text(f"anon {GIB}\ninactive_file {GIB}\n")
    (leaf.parent / "cpu.max").write_text("150000 100000\n")
    (leaf.parent.parent / "cpu.max").write_text("800000 100000\n")
    mounts = f"30 1 0:26 / {top} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

    found = cgroup(tmp_path, mounts, "0::/user.slice/user-7.slice/session-3.scope\n")

    assert found.cpus() == 1.5
    assert found.memory() == (16 * GIB, str(leaf.parent))
    assert limits.memory_used(str(leaf.parent)) == 2 * GIB


def test_v1_controllers_have_their_own_folders(tmp_path: Path) -> None:
    memory, cpu = tmp_path / "memory", tmp_path / "cpu"
    (memory / "batch").mkdir(parents=True)
    (cpu / "batch").mkdir(parents=True)
    (memory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (memory / "batch/memory.limit_in_bytes").write_text(f"{4 * GIB}\n")
    (cpu / "batch/cpu.cfs_quota_us").write_text("200000\n")
    (cpu / "batch/cpu.cfs_period_us").write_text("100000\n")
    (cpu / "cpu.cfs_quota_us").write_text("-1\n")
    mounts = (
        f"31 1 0:27 / {memory} rw shared:5 - cgroup cgroup rw,memory\n"
        f"32 1 0:28 / {cpu} rw shared:6 - cgroup cgroup rw,cpu,cpuacct\n"
    )

    found = cgroup(tmp_path, mounts, "5:memory:/batch\n4:cpu,cpuacct:/batch\n")

    assert found.memory() == (4 * GIB, str(memory / "batch"))
    assert found.cpus() == 2


def test_a_container_sees_its_own_cgroup_as_the_top(tmp_path: Path) -> None:
    top = tmp_path / "cg"
    top.mkdir()
    (top / "memory.max").write_text(f"{GIB}\n")
    mounts = f"30 1 0:26 /docker/abc {top} ro - cgroup2 cgroup rw\n"

    assert cgroup(tmp_path, mounts, "0::/docker/abc\n").memory() == (GIB, str(top))


def test_without_limits_there_are_none(tmp_path: Path) -> None:
    found = cgroup(tmp_path, "nonsense\n", "0::/\nbroken\n")

    assert (found.cpus(), found.memory()) == (None, None)


@pytest.mark.parametrize(
    ("text", "user", "expected"),
    [
        ("[Login]\n#KillUserProcesses=no\n", "bob", False),
        ("[Login]\n#KillUserProcesses=yes\n", "bob", True),
        ("#KillUserProcesses=no\nKillUserProcesses=yes\n", "bob", True),
        ("KillUserProcesses=yes\n", "root", False),
        ("KillUserProcesses=yes\nKillExcludeUsers=root bob\n", "bob", False),
        ("KillUserProcesses=yes\nKillOnlyUsers=alice\n", "bob", False),
        ("KillUserProcesses=yes\nKillOnlyUsers=alice\n", "alice", True),
        ("[Login]\n", "bob", None),
    ],
)
def test_logind_says_whom_it_kills(
    text: str, user: str, expected: bool | None, tmp_path: Path
) -> None:
    file = tmp_path / "logind.conf"
    file.write_text(text)

    assert host.kill_user_processes(user, [str(file)], str(tmp_path)) is expected


def test_without_systemd_nobody_lingers_or_kills(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "systemd")

    assert host.linger("bob", nowhere) is None
    assert host.kill_user_processes("bob", [], nowhere) is None
    assert host.linger("nobody-of-this-name", str(tmp_path)) is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 2023\nGCC 12.2",
            "535.129.03",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build",
            "570.124.06",
        ),
        ("", None),
    ],
)
def test_the_driver_tells_its_version(text: str, expected: str | None, tmp_path: Path) -> None:
    file = tmp_path / "version"
    file.write_text(text)

    assert host.driver_version(str(file)) == expected


def test_the_distribution_has_a_name(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n')

    assert host.os_name(str(file)) == "Ubuntu 22.04.4 LTS"


def test_an_account_without_a_name_is_a_number() -> None:
    assert accounts.user_name(0) == "root"
    assert accounts.user_name(3_999_999_999) == "3999999999"


def test_nvml_is_found_where_the_linker_looks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere::{tmp_path}")
    stored = tmp_path / nvml.LIBRARY
    assert nvml.library() != str(stored)
    stored.touch()

    assert nvml.library() == str(stored)


def test_a_mount_tells_its_type_and_options() -> None:
    kind, options = limits.mount("/proc/self")

    assert kind == "proc"
    assert "rw" in options
