"""Where things are, who holds them, and time as the engine may trust it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flextui.core.adapters import paths
from flextui.core.adapters.clock import SystemClock


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLEXTUI_STATE_DIR", "FLEXTUI_INVENTORY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "HOME"):
        folder = tmp_path / name.lower()
        folder.mkdir(mode=0o700)
        monkeypatch.setenv(name, str(folder))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


def test_the_state_folder_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.state_folder() == tmp_path / "xdg_state_home" / "flextui"
    monkeypatch.setenv("FLEXTUI_STATE_DIR", "~/mine")
    assert paths.state_folder() == tmp_path / "home" / "mine"
    assert paths.state_folder("rel") == tmp_path / "work" / "rel"


def test_the_state_folder_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    paths.prepare_state_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    paths.prepare_state_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(paths.PathError):
        paths.prepare_state_folder(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away")
def test_somebody_else_s_state_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(paths.PathError, match="belongs to user 65534"):
        paths.prepare_state_folder(folder)


HOLD = """
import sys
from pathlib import Path
from flextui.core.adapters.paths import StateLock
lock = StateLock(Path(sys.argv[1]))
lock.acquire("1.2.3")
print("held", flush=True)
sys.stdin.read()
"""


def test_one_core_holds_the_lock_and_is_named(tmp_path: Path) -> None:
    assert not paths.is_locked(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert paths.is_locked(tmp_path)
        with pytest.raises(paths.Locked, match=rf"process {other.pid} on .*1\.2\.3") as error:
            paths.StateLock(tmp_path).acquire("2")
        assert error.value.holder is not None
        other.kill()
    assert not paths.is_locked(tmp_path)
    lock = paths.StateLock(tmp_path)
    lock.acquire("2")
    assert paths.is_locked(tmp_path)
    lock.release()
    assert not paths.is_locked(tmp_path)


def test_on_a_full_disk_the_lock_is_held_though_nobody_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    monkeypatch.setattr("os.ftruncate", full)
    lock = paths.StateLock(tmp_path)
    lock.acquire("1")
    with pytest.raises(paths.Locked, match="another process"):
        paths.StateLock(tmp_path).acquire("2")
    lock.release()
    assert not paths.is_locked(tmp_path)


def test_a_long_state_path_gets_a_short_socket_that_is_written_down(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    paths.prepare_state_folder(deep)
    path = paths.default_socket(deep)
    assert len(os.fsencode(path)) <= paths.SOCKET_LIMIT
    assert paths.default_socket(tmp_path / ("d" * 60) / ("f" * 60)) != path
    paths.record_socket(deep, path)
    assert paths.recorded_socket(deep) == path
    short = Path("/tmp/s")
    assert paths.default_socket(short) == short / "core.sock"
    assert paths.recorded_socket(short) == short / "core.sock"


def test_the_inventory_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.find_inventory() is None or str(paths.find_inventory()).startswith("/etc")
    config = tmp_path / "xdg_config_home" / "flextui" / "inventory.yaml"
    config.parent.mkdir()
    config.write_text("")
    assert paths.find_inventory() == config
    here = tmp_path / "work" / "inventory.yaml"
    here.write_text("")
    assert paths.find_inventory() == here
    by_env = tmp_path / "env.yaml"
    by_env.write_text("")
    monkeypatch.setenv("FLEXTUI_INVENTORY", str(by_env))
    assert paths.find_inventory() == by_env
    assert paths.find_inventory(here) == here
    with pytest.raises(paths.PathError, match=r"-i: .*: there is no such file"):
        paths.find_inventory("nowhere.yaml")
    by_env.unlink()
    with pytest.raises(paths.PathError, match="FLEXTUI_INVENTORY"):
        paths.find_inventory()


# ── the clock ──────────────────────────────────────────────────────────────────────────────────


class Times:
    """The three clocks of a machine."""

    wall = 1e9
    monotonic = 500.0
    boot = 600.0

    def pass_(self, seconds: float, *, asleep: bool = False) -> None:
        self.wall += seconds
        self.boot += seconds
        if not asleep:
            self.monotonic += seconds


def clock_of(times: Times) -> SystemClock:
    return SystemClock(lambda: times.wall, lambda: times.monotonic, lambda: times.boot)


def test_awake_time_counts_what_was_watched() -> None:
    times = Times()
    clock = clock_of(times)
    start = clock.now().mono
    for _ in range(30):
        times.pass_(1.0)
        clock.now()
    assert clock.now().mono - start == pytest.approx(30.0)
    assert not clock.stalled()


def test_a_stopped_process_counts_next_to_nothing_and_is_told_once() -> None:
    times = Times()
    clock = clock_of(times)
    clock.watching = True
    start = clock.now().mono
    times.pass_(600.0)
    assert clock.now().mono - start <= 2.0
    assert clock.stalled()
    assert not clock.stalled()


def test_a_long_quiet_is_no_stall_when_nobody_watches() -> None:
    times = Times()
    clock = clock_of(times)
    times.pass_(600.0)
    clock.now()
    assert not clock.stalled()


def test_a_laptop_s_sleep_is_a_stall_whoever_watches() -> None:
    times = Times()
    clock = clock_of(times)
    times.pass_(600.0, asleep=True)
    clock.now()
    assert clock.stalled()
    times.pass_(4.0, asleep=True)
    clock.now()
    assert not clock.stalled()


def test_a_copied_state_directory_doesnt_lead_to_the_core_of_the_first(tmp_path: Path) -> None:
    first, copy = tmp_path / "first", tmp_path / "copy"
    first.mkdir()
    paths.record_socket(first, tmp_path / "shared.sock")
    assert paths.recorded_socket(first) == tmp_path / "shared.sock"
    shutil.copytree(first, copy)
    assert paths.recorded_socket(copy) == copy / "core.sock"


def test_a_folder_in_any_letters_is_found_in_any_locale(tmp_path: Path) -> None:
    """A core and the commands beside it may have different ones, such as under cron."""
    folder = tmp_path / "höme ☃"
    folder.mkdir()
    paths.record_socket(folder, folder / "core.sock")
    code = (
        "import os, sys; from pathlib import Path; from flextui.core.adapters import paths\n"
        "sys.stdout.buffer.write(os.fsencode(paths.recorded_socket(Path(sys.argv[1]))))\n"
        "from flextui.cli.crash import record\n"
        "print(open(record(ValueError('h\\xf6me \\udcc3'), sys.argv[1]), 'rb').read())"
    )
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    line = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(line, capture_output=True, env={**os.environ, **ascii_alone}, check=True)
    assert done.stdout.startswith(os.fsencode(folder / "core.sock"))
    assert b"ValueError: h\\xc3\\xb6me" in done.stdout
