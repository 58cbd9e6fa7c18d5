"""The preflight's rows: each trouble is named with its mend."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from flextui.agent import checks, host, limits, nvml
from flextui.agent.checks import run_checks

GPU = {
    "index": 0,
    "model": "NVIDIA H100 80GB HBM3",
    "state": "ok",
    "text": "",
    "recovery_action": 0,
    "ecc_uncorrected": 0,
}


def rows(root: Path | str, sample: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    found = run_checks(str(root), sample)
    assert len({row["name"] for row in found}) == len(found)
    return {row["name"]: row for row in found}


def test_every_row_has_a_verdict_and_a_text(tmp_path: Path) -> None:
    found = run_checks(str(tmp_path))

    assert {row["name"] for row in found} >= {
        *("modules", "home", "state", "disk", "driver", "nvml", "claims", "cgroups", "clock")
    }
    for row in found:
        assert row["ok"] in (True, False, None)
        assert row["text"]
    json.dumps(found)


def test_the_clock_is_told_as_a_number_too(tmp_path: Path) -> None:
    before = time.time() - 0.001
    clock = rows(tmp_path)["clock"]

    assert before <= clock["at"] <= time.time() + 0.001


def test_a_good_state_folder_is_left_as_it_was(tmp_path: Path) -> None:
    found = rows(tmp_path)

    assert found["state"]["ok"] is not False
    assert str(tmp_path) in found["state"]["text"]
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_takes_no_file_is_an_error() -> None:
    found = rows("/proc")["state"]

    assert found["ok"] is False
    assert "no job can start" in found["text"]


def test_a_state_folder_that_is_gone_spoils_no_other_row(tmp_path: Path) -> None:
    found = rows(tmp_path / "gone")

    assert found["state"]["ok"] is False
    assert "clock" in found


@pytest.mark.parametrize(
    ("free", "files", "expected", "words"),
    [
        (1 << 20, 10**6, False, "free some"),
        (1 << 40, 12, False, "only 12 more files"),
        (1 << 30, 10**6, None, "logs may fill it"),
        (1 << 40, 10**6, True, "1.0 TiB free"),
    ],
)
def test_a_full_disk_is_told(
    free: int,
    files: int,
    expected: bool | None,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = os.statvfs_result((4096, 1, 1 << 41, free, free, 10**7, files, files, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: space)

    found = rows(tmp_path)["disk"]

    assert found["ok"] is expected
    assert words in found["text"]


@pytest.mark.parametrize(
    ("mount", "expected", "words"),
    [
        (("nfs4", ["rw"]), True, "a shared home is fine"),
        (("ext4", ["rw", "noexec"]), None, "noexec"),
        (("ext4", ["rw"]), True, "on ext4"),
    ],
)
def test_the_home_is_looked_at(
    mount: tuple[str, list[str]],
    expected: bool | None,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(limits, "mount", lambda path: mount)

    found = rows(tmp_path)["home"]

    assert found["ok"] is expected
    assert words in found["text"]


def test_a_home_that_cannot_be_written_or_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/proc")
    assert rows(tmp_path)["home"]["ok"] is None
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))

    assert rows(tmp_path)["home"]["ok"] is False


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        ("hung", False, "reboot"),
        ("error: Driver Not Loaded", False, "modprobe nvidia"),
        ("error: Driver/library version mismatch", False, "the driver was upgraded"),
        ("starting", None, "ask again"),
        ("ok", True, "2 × NVIDIA H100 80GB HBM3"),
    ],
)
def test_nvmls_state_comes_with_a_mend(
    status: str, expected: bool | None, words: str, tmp_path: Path
) -> None:
    found = rows(tmp_path, {"nvml": status, "gpus": [GPU, {**GPU, "index": 1}]})["nvml"]

    assert found["ok"] is expected
    assert words in found["text"]


def test_each_gpu_that_is_not_well_has_a_row(tmp_path: Path) -> None:
    gpus = [
        GPU,
        {**GPU, "index": 1, "state": "lost", "text": "GPU is lost"},
        {**GPU, "index": 2, "recovery_action": 1, "text": "it needs a reset"},
        {**GPU, "index": 3, "ecc_uncorrected": 4},
    ]

    found = rows(tmp_path, {"nvml": "ok", "gpus": gpus})

    assert "gpu 0" not in found
    assert (found["gpu 1"]["ok"], found["gpu 1"]["text"]) == (False, "lost: GPU is lost")
    assert (found["gpu 2"]["ok"], found["gpu 2"]["text"]) == (False, "it needs a reset")
    assert found["gpu 3"]["ok"] is None


def test_cards_on_the_bus_are_counted_against_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, vendor, kind in (
        ("0000:17:00.0", "0x10de", "0x030200"),
        ("0000:18:00.0", "0x10de", "0x030000"),
        ("0000:18:00.1", "0x10de", "0x040300"),
        ("0000:00:02.0", "0x8086", "0x030000"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")
    assert checks.display_cards(str(tmp_path)) == 2
    monkeypatch.setattr(checks, "display_cards", lambda: 2)
    monkeypatch.setattr(host, "driver_version", lambda: None)
    monkeypatch.setattr(nvml, "library", lambda: None)

    bare = rows(tmp_path)
    one_missing = rows(tmp_path, {"nvml": "ok", "gpus": [GPU], "driver_version": "570.1"})

    assert bare["driver"]["ok"] is False
    assert "no driver is loaded" in bare["driver"]["text"]
    assert bare["nvml"]["ok"] is False
    assert one_missing["driver"]["ok"] is True
    assert "1 more on the bus" in one_missing["nvml"]["text"]


def test_what_logind_would_end_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "linger", lambda user: False)
    monkeypatch.setattr(host, "kill_user_processes", lambda user: True)

    found = rows(tmp_path)

    assert found["cgroups"]["ok"] is None
    assert "Linger=no" in found["cgroups"]["text"]
    assert "enable-linger" in found["linger"]["text"]
    assert found["logout"]["ok"] is None
    assert "KillUserProcesses=yes" in found["logout"]["text"]


def test_a_node_with_lingering_scopes_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "linger", lambda user: True)
    monkeypatch.setattr(host, "kill_user_processes", lambda user: False)
    monkeypatch.setattr(host, "cgroup_mode", lambda user: "scope")

    found = rows(tmp_path)

    assert [found[name]["ok"] for name in ("cgroups", "linger", "logout")] == [True] * 3


def test_the_claims_folder_must_be_everybodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "claims"
    monkeypatch.setattr(checks, "CLAIMS", str(folder))
    assert rows(tmp_path)["claims"]["ok"] is True
    folder.mkdir(mode=0o755)
    assert "needs 1777" in rows(tmp_path)["claims"]["text"]
    folder.chmod(0o1777)
    assert rows(tmp_path)["claims"]["ok"] is True
    folder.rmdir()
    folder.symlink_to(tmp_path)

    assert rows(tmp_path)["claims"]["ok"] is False
