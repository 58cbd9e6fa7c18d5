"""What the node's disk holds and what may be concluded from it: records, folders, roots."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flextui.agent import attempt, driver, records, root
from flextui.agent.retention import Retention


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


# records


def test_a_record_is_overwritten_in_its_own_block(folder: int, tmp_path: Path) -> None:
    records.reserve(folder, "exit.json")
    assert records.read(folder, "exit.json") is None, "a reserved record counts as not written"
    assert (tmp_path / "exit.json").stat().st_blocks * 512 >= records.BLOCK
    records.write(folder, "exit.json", {"text": "x" * 3000})
    records.write(folder, "exit.json", {"text": "short"})
    assert records.read(folder, "exit.json") == {"text": "short"}
    assert (tmp_path / "exit.json").stat().st_size == records.BLOCK


def test_half_a_record_is_none(folder: int, tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text('{"pid": 12')
    assert records.read(folder, "identity.json") is None
    assert records.read(folder, "absent.json") is None


def test_a_long_record_is_read_whole(folder: int) -> None:
    value = {"labels": {f"k{number}": "v" * 50 for number in range(300)}}
    records.create(folder, "identity.json", value)
    assert records.read(folder, "identity.json") == value
    with pytest.raises(FileExistsError):
        records.create(folder, "identity.json", value)


def test_a_link_is_not_followed(folder: int, tmp_path: Path) -> None:
    os.symlink(tmp_path / "target", tmp_path / "exit.json")
    with pytest.raises(OSError, match="symbolic"):
        records.write(folder, "exit.json", {})


# attempts


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "done", "-x", ".x", "a b", "x" * 65, None, 7]
)
def test_names_that_are_no_attempt(name: object) -> None:
    assert not attempt.valid_name(name)


def test_the_lock_decides_and_dies_with_its_holder(folder: int) -> None:
    held = attempt.lock(folder)
    assert held is not None
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[2]); from flextui.agent import attempt\n"
        "print(attempt.lock(os.open(sys.argv[1], os.O_RDONLY)) is None)"
    )
    command = [sys.executable, "-c", code, os.readlink(f"/proc/self/fd/{folder}"), os.getcwd()]
    assert subprocess.check_output(command) == b"True\n"
    os.close(held)
    assert subprocess.check_output(command) == b"False\n"


def test_a_tombstone_settles_an_attempt(folder: int) -> None:
    assert not attempt.settled(folder)
    attempt.bury(folder, "claimed", "device GPU-1 is claimed by bob")
    assert attempt.settled(folder)
    record = attempt.record("a1", folder, "boot")
    assert record is not None
    assert record["state"] == "never"


def test_unknown_fields_of_another_release_are_ignored(folder: int) -> None:
    """NODE.md, the state folder: agents read other minor releases and ignore unknown fields."""
    known: dict[str, Any] = {
        "format": 1, "attempt": "a1", "job": "j", "task": 0, "boot": "b", "pid": 1, "ticks": 2,
        "supervisor": {"pid": 3, "ticks": 4}, "started_at": 5.0, "started_boot": 6.0,
        "from_the_future": {"x": 1},
    }  # fmt: skip
    records.create(folder, "identity.json", known)
    record = attempt.record("a1", folder, "b")
    assert record is not None
    assert (record["state"], record["pid"], record["devices"]) == ("running", 1, [])
    assert record["started_ago_s"] > 0
    again = attempt.record("a1", folder, "another boot")
    assert again is not None
    assert again["started_ago_s"] is None


def test_an_ending_tells_waitpids_truth() -> None:
    log = {"out": 1, "err": 2}
    assert attempt.new_ending("exit", "", log, 1.0, 3 << 8)["code"] == 3
    killed = attempt.new_ending("time_limit", "", log, 1.0, signal.SIGKILL)
    assert (killed["code"], killed["signal"]) == (None, signal.SIGKILL)
    unseen = attempt.new_ending("supervisor_lost", "", log, None, None)
    assert (unseen["code"], unseen["signal"]) == (None, None)


# roots and hosts


def test_a_host_is_its_machine_and_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """NODE.md, identity: host_id = machine-id + account; a boot is more than its boot_id."""
    first = root.host_id()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert root.host_id() != first
    assert root.host_id().split("-")[0] == first.split("-")[0]
    boot_id, namespace, ticks = root.boot().split(".")
    assert boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert int(namespace) == os.stat("/proc/self/ns/pid").st_ino
    assert int(ticks) >= 0


def test_a_container_is_a_machine_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NODE.md, identity: machine-id, or what replaces it in a container."""
    marker = tmp_path / ".dockerenv"
    monkeypatch.setattr(root, "_CONTAINER_MARKERS", (str(marker),))
    outside = root.machine()
    marker.touch()
    assert root.machine() != outside


def test_a_machine_without_an_id_gets_one_that_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(root, "_MACHINE_IDS", ())
    monkeypatch.setattr(root, "_OWN_MACHINE_ID", str(tmp_path / "id"))
    assert root.machine() == root.machine()
    assert list(tmp_path.iterdir()) == [tmp_path / "id"]


def test_local_disk_comes_before_a_home_on_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NODE.md, the state folder: local persistent disk before NFS, never what a logout empties."""
    kinds: dict[str, str] = {}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(root, "_filesystem", lambda path: kinds.get(path[:4], "ext4"))
    home, local = str(tmp_path / "flextui"), f"/var/tmp/flextui-{os.getuid()}"
    kinds = {home[:4]: "nfs4", "/var": "ext4"}
    assert root._candidates() == [local, home]
    kinds = {home[:4]: "nfs4", "/var": "tmpfs"}
    assert root._candidates() == [home, local]
    kinds = {}
    assert root._candidates() == [home, local]
    for kind in ("tmpfs", "nfs", "fuse.sshfs", "lustre", "cifs"):
        kinds = {home[:4]: kind}
        assert not root.is_local(home), kind


def test_one_of_several_that_make_a_root_at_once_wins(tmp_path: Path) -> None:
    first = root._make(str(tmp_path / "r"))
    second = root._make(str(tmp_path / "r"))
    assert first.new
    assert not second.new
    assert first.id == second.id
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o700


def test_a_root_of_another_user_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError):
        root._make(str(tmp_path / "r"))


def test_no_writable_place_is_told_with_every_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "_candidates", lambda: ["/proc/a", "/sys/b"])
    with pytest.raises(root.Problem) as problem:
        root.choose()
    assert problem.value.code == "state_unwritable"
    assert "/proc/a" in problem.value.text
    assert "/sys/b" in problem.value.text


# drivers


def test_an_agent_that_ignores_sigterm_is_killed(folder: int, tmp_path: Path) -> None:
    code = (
        "import fcntl, json, os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "ticks = open('/proc/self/stat').read().rsplit(')', 1)[1].split()[19]\n"
        "file.write(json.dumps({'pid': os.getpid(), 'ticks': int(ticks)})); file.flush()\n"
        "print('held', flush=True); time.sleep(100)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "agent.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        os.close(driver.end_agent(folder))
        assert holder.wait(10) == -signal.SIGKILL


def test_a_reused_pid_is_not_taken_for_the_agent(folder: int, tmp_path: Path) -> None:
    """NODE.md, identity: a process is (boot, pid, start ticks), never a bare pid."""
    innocent = subprocess.Popen(["/bin/sleep", "100"])
    records.write(folder, "agent.lock", {"pid": innocent.pid, "ticks": 1})
    os.close(driver.end_agent(folder))
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


# retention


def make_done(core: Path, name: str, age_s: float, size: int) -> None:
    path = core / "done" / name
    path.mkdir(parents=True)
    (path / "out.0").write_bytes(b"x" * size)
    stamp = path.stat().st_mtime - age_s
    os.utime(path, (stamp, stamp))


def test_old_logs_go_by_age(folder: int, tmp_path: Path) -> None:
    for number in range(50):
        make_done(tmp_path, f"a{number}", age_s=number * 100, size=10)
    list(Retention(folder, keep_s=1950).clear())
    left = {path.name for path in (tmp_path / "done").iterdir()}
    assert left == {f"a{number}" for number in range(20)}


def test_logs_go_oldest_first_where_there_are_too_many(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.agent.retention.LARGEST", 10500)
    for number in range(30):
        make_done(tmp_path, f"a{number}", age_s=number, size=1000)
    list(Retention(folder, keep_s=1e9).clear())
    left = {path.name for path in (tmp_path / "done").iterdir()}
    assert left == {f"a{number}" for number in range(10)}


def test_tombstones_go_when_no_start_can_be_under_way_any_more(folder: int, tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("young", 60)):
        (tmp_path / name).mkdir()
        inner = os.open(tmp_path / name, os.O_RDONLY)
        attempt.bury(inner, "tombstone", "")
        os.close(inner)
        stamp = (tmp_path / name / "tombstone").stat().st_mtime - age
        os.utime(tmp_path / name / "tombstone", (stamp, stamp))
    (tmp_path / "ran").mkdir()
    (tmp_path / "ran" / "identity.json").write_text(json.dumps({"attempt": "ran"}))
    list(Retention(folder, keep_s=1e9).clear())
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"young", "ran"}


def test_clearing_ten_thousand_folders_yields_all_the_time(folder: int, tmp_path: Path) -> None:
    for number in range(200):
        make_done(tmp_path, f"a{number}", age_s=1, size=1)
    assert len(list(Retention(folder, keep_s=1e9).clear())) == 10


def test_errno_names_are_the_ones_the_start_knows() -> None:
    from flextui.agent.start import _explain

    assert _explain(OSError(errno.ENOSPC, "full")).code == "no_space"
    assert _explain(OSError(errno.EDQUOT, "quota")).code == "no_space"
    assert _explain(OSError(errno.ESTALE, "stale")).code == "state_missing"
    assert _explain(OSError(errno.EAGAIN, "no process")).code == "failed"
