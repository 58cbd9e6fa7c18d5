"""Databases of older formats: brought up to date whole, and the same as new ones from then on."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from flextui.core.adapters.store import SqliteStore
from flextui.core.adapters.store_open import DB_NAME, SCHEMA_VERSION, open_readonly
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import Account, Meter, Now, StopRequest
from flextui.core.ports import Changes, Loaded, StoreError
from flextui.core.restore import restored

FORMAT_2 = Path(__file__).parent / "data" / "format-2.sql"


def old_database(folder: Path, version: int) -> None:
    """What an older version left: format 1 is format 2 without the nonce."""
    with contextlib.closing(sqlite3.connect(folder / DB_NAME)) as db:
        db.executescript(FORMAT_2.read_text("utf-8"))
        if version == 1:
            db.execute("ALTER TABLE attempts DROP COLUMN nonce")
            db.execute("PRAGMA user_version = 1")
        db.execute("PRAGMA journal_mode = WAL")
        db.commit()


async def loaded(folder: Path) -> Loaded:
    store = SqliteStore(folder)
    try:
        return store.load()
    finally:
        await store.close()


@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_database_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    old_database(tmp_path, version)
    with pytest.raises(StoreError, match="start the core once"):
        open_readonly(tmp_path)
    found = await loaded(tmp_path)
    train = next(job for job in found.jobs if job.name == "train")
    assert (train.project, train.groups, train.begin_at, train.deadline_at) == ("", (), None, None)
    assert train.spec.resources.gpus == 1
    attempt = next(it for it in found.attempts if it.state.live)
    assert attempt.nonce == ("n0" if version == 2 else "")
    assert (attempt.share, attempt.gpu_memory_bytes, attempt.cpu_set) == (0, 0, ())
    assert attempt.stop == StopRequest("ann", 9.0, "enough")
    assert {task.served_s for task in found.tasks} == {0.0}
    assert found.nodes["n1"].cordoned_gpus == {"GPU-2": ("root", 3.0, "smoke")}
    assert (found.next_job_seq, found.next_event_seq) == (3, 2)
    open_readonly(tmp_path).close()


async def test_what_runs_in_an_older_database_is_metered_from_its_placing(tmp_path: Path) -> None:
    old_database(tmp_path, 2)
    inventory = Inventory.model_validate({"nodes": [{"host": "n1"}]})
    snapshot = restored(await loaded(tmp_path), inventory, Now(1000.0, 1.0))
    assert snapshot.meters == {"j1.0.1": Meter(since=5.0)}
    account = snapshot.accounts[("", "ann")]
    assert account == Account("", "ann", used=0.0, at=1000.0, gpus=1000)


async def test_formats_meet(tmp_path: Path) -> None:
    """A database that was brought up to date has the tables and columns of a new one."""
    shapes = []
    for name in ("old", "new"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "old":
            old_database(folder, 1)
        await loaded(folder)
        with contextlib.closing(sqlite3.connect(folder / DB_NAME)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            assert version == SCHEMA_VERSION
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master")]
            shapes.append(
                {
                    table: {row[1:] for row in db.execute(f"PRAGMA table_info({table})")}
                    for table in tables
                    if not table.startswith("sqlite_")
                }
            )
    assert shapes[0] == shapes[1]


async def test_an_older_database_can_be_written_to(tmp_path: Path) -> None:
    old_database(tmp_path, 1)
    store = SqliteStore(tmp_path)
    attempt = next(it for it in store.load().attempts if it.state.live)
    await store.commit(Changes(attempts=[attempt], meters={attempt.id: Meter(7.0, ("A100",))}))
    await store.close()
    assert (await loaded(tmp_path)).meters == {attempt.id: Meter(7.0, ("A100",))}
