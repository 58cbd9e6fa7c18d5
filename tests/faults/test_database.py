"""A database that was cut short or written by a newer version: refused, and left as it is."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenario.fleet import Person, Twin, twin, view

pytestmark = pytest.mark.timeout(300)

LOCAL = "fleet: alone\nnodes:\n  - {host: localhost, name: here, transport: local}\n"
LATER = "run: sleep 1\nbegin: 30d\n"
DB = "flextui.db"
LEAVE_WAL = """
import os, sqlite3, sys
base = sqlite3.connect(sys.argv[1])
base.execute("PRAGMA user_version = 99")
base.commit()
os._exit(0)
"""


def cut_to(size: int | float) -> Callable[[Path], None]:
    """To so many bytes, or to a part."""

    def cut(folder: Path) -> None:
        path = folder / DB
        left = size if isinstance(size, int) else int(path.stat().st_size * size)
        with path.open("r+b") as file:
            file.truncate(left)

    return cut


def lose(folder: Path) -> None:
    """The file itself is gone, its log is left."""
    (folder / DB).unlink()


def overwrite(folder: Path) -> None:
    """Pages in the middle are somebody else's."""
    path = folder / DB
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * 8192)


def make_newer(folder: Path) -> None:
    """A newer version wrote it, and ended well."""
    base = sqlite3.connect(folder / DB)
    base.execute("PRAGMA user_version = 99")
    base.commit()
    base.close()


def make_newer_and_crash(folder: Path) -> None:
    """A newer version wrote it, and was killed: its -wal file holds the truth."""
    subprocess.run([sys.executable, "-c", LEAVE_WAL, str(folder / DB)], check=True)
    assert (folder / f"{DB}-wal").stat().st_size


async def used(folder: Path, *, killed: bool) -> Twin:
    """A state directory that a core with some work behind it has left.

    `killed`: in its second life, so that neither the file nor its log has all pages.
    """
    inventory = folder / "inventory.yaml"
    inventory.write_text(LOCAL)
    async with twin(folder / "core", inventory, Person(folder / "home")) as core:
        async with view(core) as seen:
            await seen.ready()
            await seen.submit(*(f"name: job-{it}\nrun: exit {it}\n" for it in range(3)))
            await seen.state("job-0", "succeeded")
            for job in ("job-1", "job-2"):
                await seen.state(job, "failed")
            await seen.submit(*(f"name: later-{it}\n{LATER}" for it in range(40)))
        assert (await core.run("shutdown", "--yes")).status == 0
        assert await core.wait() == 0
        if killed:
            await core.start()
            async with view(core) as seen:
                await seen.submit("name: last\nrun: exit 0\n")
                await seen.state("last", "succeeded")
            await core.kill()
            assert (folder / "core" / f"{DB}-wal").stat().st_size
    return core


def content(folder: Path) -> dict[str, bytes]:
    """All that counts of a database; -shm is only an index that any reader makes."""
    files = sorted(folder.glob(f"{DB}*"))
    found = {it.name: it.read_bytes() for it in files if not it.name.endswith("-shm")}
    return {name: data for name, data in found.items() if data or name == DB}


@pytest.mark.parametrize("killed", [True, False], ids=["after a crash", "after a clean end"])
async def test_a_damaged_or_newer_database_is_refused_and_kept(
    state_dir: Path, killed: bool
) -> None:
    core = await used(state_dir, killed=killed)
    kept = state_dir / "kept"
    core.folder.rename(kept)
    damages: dict[str, tuple[Callable[[Path], None], str]] = {
        "empty": (cut_to(0), "is damaged"),
        "a piece of its head": (cut_to(60), "is damaged"),
        "a tenth": (cut_to(0.1), "is damaged"),
        "newer": (make_newer, "written by a newer flextui"),
        "newer, crashed": (make_newer_and_crash, "written by a newer flextui"),
    }
    if killed:
        damages["lost"] = (lose, "is damaged")
    else:  # after a crash, the log may hold all that smaller damage took
        damages["overwritten"] = (overwrite, "is damaged")
        damages["half"] = (cut_to(0.5), "is damaged")
        damages["all but its end"] = (cut_to(0.95), "is damaged")
    for name, (damage, said) in damages.items():
        shutil.copytree(kept, core.folder, ignore=shutil.ignore_patterns("*.sock"))
        damage(core.folder)
        before = content(core.folder)
        await core.spawn()
        try:
            await core.ready()
        except RuntimeError:
            assert await core.wait() == 1, name
        else:
            pytest.fail(f"{name}: a core began with it")
        words = core.said[-1]
        assert words.startswith("flextui: error:"), name
        assert said in words, name
        assert str(core.folder / DB) in words, name
        assert "Nothing was changed" in words, name
        assert content(core.folder) == before, f"{name}: it was touched"
        listed = await core.run("jobs")
        assert (listed.status, listed.out) == (3, ""), name
        assert content(core.folder) == before, f"{name}: it was touched by reading"
        shutil.rmtree(core.folder)

    shutil.copytree(kept, core.folder, ignore=shutil.ignore_patterns("*.sock"))
    listed = (await core.run("jobs", "--json")).json
    ended = {it["name"]: it["exit_code"] for it in listed if it["name"].startswith("job-")}
    assert ended == {f"job-{number}": number for number in range(3)}
