"""Device claims between accounts and cores that know nothing of each other."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from flextui.agent.claims import Claimed, Claims

HOLDER = {"core_id": "c", "user": "u", "attempt": "a", "boot": "b"}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "claims" / "host")


def take(folder: str, *devices: tuple[str, float]) -> Claims:
    claims = Claims(folder)
    claims.take([{"uuid": uuid, "amount": amount} for uuid, amount in devices], HOLDER)
    return claims


def test_a_device_is_claimed_once(folder: str) -> None:
    take(folder, ("GPU-1", 1.0))
    with pytest.raises(Claimed) as taken:
        take(folder, ("GPU-1", 1.0))
    assert taken.value.device == "GPU-1"
    assert taken.value.by


def test_all_devices_or_none(folder: str) -> None:
    take(folder, ("GPU-2", 1.0))
    with pytest.raises(Claimed):
        take(folder, ("GPU-1", 1.0), ("GPU-2", 1.0))
    take(folder, ("GPU-1", 1.0))


def test_shares_add_up_to_a_whole(folder: str) -> None:
    for _ in range(10):
        take(folder, ("GPU-1", 0.1))
    with pytest.raises(Claimed):
        take(folder, ("GPU-1", 0.05))


def test_a_released_claim_leaves_nothing(folder: str) -> None:
    claims = take(folder, ("GPU-1", 1.0), ("GPU-2", 1.0))
    claims.release()
    assert os.listdir(folder) == ["lock"]
    take(folder, ("GPU-1", 1.0))


def test_a_claim_lasts_as_long_as_a_process_that_inherited_it(folder: str) -> None:
    """NODE.md, starting: what counts is the lock, and the workload inherits it."""
    claims = take(folder, ("GPU-1", 1.0))
    heir = subprocess.Popen(["/bin/sleep", "100"], pass_fds=claims.fds)
    for fd in claims.fds:
        os.close(fd)
    with pytest.raises(Claimed):
        take(folder, ("GPU-1", 1.0))
    heir.kill()
    heir.wait()
    take(folder, ("GPU-1", 1.0))


def test_litter_of_a_past_boot_claims_nothing(folder: str) -> None:
    take(folder, ("GPU-1", 1.0)).release()
    (Path(folder) / "GPU-1@litter").write_text(json.dumps({**HOLDER, "amount": 1.0}))
    take(folder, ("GPU-1", 1.0))
    assert not (Path(folder) / "GPU-1@litter").exists()


def test_the_folder_is_shared_by_all_accounts(folder: str) -> None:
    take(folder, ("GPU-1", 1.0))
    for path in (folder, os.path.dirname(folder)):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o1777
    claim = next(Path(folder).glob("GPU-1@*"))
    assert stat.S_IMODE(claim.stat().st_mode) == 0o644, "others may see who holds it"


def test_links_are_not_followed(folder: str, tmp_path: Path) -> None:
    """NODE.md, starting: mode 1777, opened without following links."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    os.makedirs(os.path.dirname(folder))
    os.symlink(target, folder)
    with pytest.raises(OSError, match=r"directory|symbolic"):
        take(folder, ("GPU-1", 1.0))
    os.unlink(folder)
    os.mkdir(folder)
    os.symlink(target / "lock", os.path.join(folder, "lock"))
    with pytest.raises(OSError, match="symbolic"):
        take(folder, ("GPU-1", 1.0))
    assert not list(target.iterdir())


def test_a_slice_of_an_old_driver_can_be_claimed(folder: str) -> None:
    slice_name = "MIG-GPU-5c8f4d5e-0000-1111-2222-333344445555/13/0"
    take(folder, (slice_name, 1.0))
    with pytest.raises(Claimed) as taken:
        take(folder, (slice_name, 1.0))
    assert taken.value.device == slice_name


def test_a_name_that_is_no_device_is_refused(folder: str) -> None:
    with pytest.raises(OSError, match="UUID"):
        take(folder, (".GPU 1", 1.0))


@pytest.mark.requires("root")
def test_another_accounts_claim_counts_and_cannot_be_removed(folder: str) -> None:
    """NODE.md, starting: a per-host folder that all accounts share."""
    os.makedirs(folder)
    for path in (folder, os.path.dirname(folder)):
        os.chmod(path, 0o1777)
    base = Path(folder).parent
    while base != Path("/tmp") and base != Path("/"):
        os.chmod(base, os.stat(base).st_mode | 0o055)
        base = base.parent
    reading, writing = os.pipe()
    release, hold = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            os.close(hold)
            take(folder, ("GPU-1", 1.0))
            os.write(writing, b"x")
            os.read(release, 1)
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    with pytest.raises(Claimed) as taken:
        take(folder, ("GPU-1", 1.0))
    assert taken.value.by == "nobody"
    os.close(hold)
    os.waitpid(pid, 0)
    take(folder, ("GPU-1", 1.0))
    os.close(reading)
    os.close(release)


def test_who_tidies_by_age_is_kept_out_while_a_claim_lives(folder: str) -> None:
    """A claim in /var/tmp outlives the age at which systemd-tmpfiles removes what lies there."""
    claims = take(folder, ("GPU-1", 1.0))
    fd = os.open(folder, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    claims.release()
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
