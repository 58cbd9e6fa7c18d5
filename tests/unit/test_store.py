"""The store: durable, suspicious of what it opens, and never the one who destroys anything."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flextui.core.adapters import store_open
from flextui.core.adapters.filesystem import type_in
from flextui.core.adapters.store import SqliteStore
from flextui.core.adapters.store_read import StoreReader
from flextui.core.model.docs import ACTOR, EventDoc
from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.inventory import NodeSpec, Reservation
from flextui.core.model.revisions import now_and_before
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import (
    Account,
    Attempt,
    AttemptState,
    Job,
    JobState,
    Mark,
    Meter,
    Node,
    RunTimes,
    StopRequest,
    Task,
)
from flextui.core.model.times import iso
from flextui.core.model.usage import UsageKey, Used
from flextui.core.ports import Changes, EventQuery, Loaded, StoreError

SPEC = JobSpec.model_validate({"name": "work", "run": "true"}).to_text()


def a_job(seq: int, **changes: object) -> Job:
    job = Job(f"j{seq}", seq, "work", "ann", 1000, "batch", 1, SPEC, 100.0 + seq, 50, 1)
    return replace(job, **changes)  # type: ignore[arg-type]


def a_task(seq: int, **changes: object) -> Task:
    return replace(Task(TaskKey(f"j{seq}", 0), attempts=1), **changes)  # type: ignore[arg-type]


def an_attempt(seq: int, state: AttemptState = AttemptState.RUNNING, **changes: object) -> Attempt:
    key = TaskKey(f"j{seq}", 0)
    made = Attempt(
        attempt_id(key, 1), key, 1, 1, "n1", "h1", "b1", "r1", ("GPU-1",), 1.0, 2**30, state, 5.0
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ended(seq: int, at: float) -> Changes:
    return Changes(
        jobs=[a_job(seq, state=JobState.SUCCEEDED, ended_at=at)],
        tasks=[a_task(seq, state=JobState.SUCCEEDED, exit_code=0)],
        attempts=[an_attempt(seq, AttemptState.SUCCEEDED, exit_code=0, ended_at=at)],
    )


def an_event(seq: int, job: str | None = None, at: float = 1e9) -> EventDoc:
    return {
        "seq": seq, "at": iso(at), "kind": "job.submitted", "actor": "ann", "job": job,
        "task": None, "attempt": None, "node": None, "text": f"event {seq}",
    }  # fmt: skip


async def load(folder: Path) -> tuple[SqliteStore, Loaded]:
    store = SqliteStore(folder)
    try:
        return store, store.load()
    except StoreError:
        await store.close()
        raise


async def reloaded(folder: Path) -> Loaded:
    store, loaded = await load(folder)
    await store.close()
    return loaded


async def test_what_was_committed_is_there_after_the_next_start(tmp_path: Path) -> None:
    store, first = await load(tmp_path)
    job = a_job(1, stop=StopRequest("ann", 7.0, "enough"))
    task = a_task(1, failures=(1.5, 2.5), restart=StopRequest("bob", 8.0, ""))
    attempt = an_attempt(
        1, stop=StopRequest("flextui", 9.0, "x"), lease_s=30.0, limit="scope", nonce="n0"
    )
    mark = Mark("root", 3.0, "smoke")
    node = Node(
        "n1", NodeSpec(host="n1", name="n1"), host_id="h1", root_path="/s", root_id="r1",
        drain=mark, cordoned_gpus={"GPU-1": mark},
    )  # fmt: skip
    events = [an_event(1, "j1")]
    await store.commit(
        Changes(jobs=[job], tasks=[task], attempts=[attempt], nodes=[node], events=events)
    )
    await store.close()

    loaded = await reloaded(tmp_path)
    assert (loaded.jobs, loaded.tasks, loaded.attempts) == ([job], [task], [attempt])
    assert loaded.nodes["n1"].drain == ("root", 3.0, "smoke")
    assert loaded.nodes["n1"].cordoned_gpus == {"GPU-1": ("root", 3.0, "smoke")}
    assert (loaded.nodes["n1"].root_path, loaded.nodes["n1"].root_id) == ("/s", "r1")
    assert loaded.core_id == first.core_id
    assert loaded.epoch == first.epoch + 1
    assert (loaded.next_job_seq, loaded.next_event_seq) == (2, 2)


async def test_each_start_raises_the_epoch_even_after_a_crash(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        store, loaded = await load(tmp_path)
        epochs.append(loaded.epoch)
        store._opened().close()  # no orderly end
        store._db = None
        await store.close()
    assert epochs == [1, 2, 3]


async def test_numbers_are_not_used_again_after_pruning(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    await store.commit(ended(7, at=50.0))
    await store.commit(Changes(events=[an_event(9)]))
    await store.prune(before=1e9 + 1, before_iso=iso(1e9 + 1), usage_before=0)
    assert await store.job("j7") is None
    assert await store.events(EventQuery()) == []
    await store.close()
    loaded = await reloaded(tmp_path)
    assert (loaded.next_job_seq, loaded.next_event_seq) == (8, 10)


async def test_pruning_keeps_what_is_young_and_what_still_runs(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    await store.commit(ended(1, at=50.0))
    await store.commit(ended(2, at=5000.0))
    live = an_attempt(3, AttemptState.UNKNOWN, replaced=True)
    await store.commit(
        Changes(jobs=[a_job(3, state=JobState.FAILED, ended_at=50.0)], tasks=[a_task(3)],
                attempts=[live])
    )  # fmt: skip
    await store.prune(before=1000.0, before_iso=iso(0), usage_before=0)
    assert [doc["id"] for doc in await store.ended_jobs()] == ["j2", "j3"]
    await store.close()
    loaded = await reloaded(tmp_path)
    assert live in loaded.attempts, "an attempt whose kill is owed must come back"


async def test_beyond_the_bound_what_people_did_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.adapters.store.MAX_EVENTS", 3)
    store, _ = await load(tmp_path)
    by = {n: "ann" if n % 3 == 0 else ACTOR for n in range(1, 11)}
    events: list[EventDoc] = [{**an_event(n), "actor": actor} for n, actor in by.items()]
    await store.commit(Changes(events=events))
    await store.prune(before=0, before_iso=iso(0), usage_before=0)
    assert [it["seq"] for it in await store.events(EventQuery())] == [3, 6, 8, 9, 10]
    await store.prune(before=0, before_iso=iso(2e9), usage_before=0)
    assert await store.events(EventQuery()) == []
    await store.close()


async def test_the_newest_revisions_of_a_job_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flextui.core.adapters.store.KEPT", 3)
    store, _ = await load(tmp_path)
    job = a_job(1, type="service")
    for number in range(2, 8):
        after = replace(job, revision=number)
        await store.commit(Changes(jobs=[after], revisions=[*now_and_before(job, after, 5.0)]))
        job = after
    assert [it["revision"] for it in await store.revisions("j1")] == [7, 6, 5]
    await store.close()


async def test_ended_jobs_come_newest_first_and_a_job_by_id_with_its_spec(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    for seq in (1, 2, 3):
        await store.commit(ended(seq, at=1000.0 - seq))
    assert [doc["id"] for doc in await store.ended_jobs(limit=2)] == ["j1", "j2"]
    doc = await store.job("j2")
    assert doc is not None
    assert doc["spec"]["run"] == "true"
    assert doc["tasks"][0]["attempts"][0]["exit_code"] == 0
    assert await store.named("work") == [("j3", "ann"), ("j2", "ann"), ("j1", "ann")]
    assert await store.ended_attempts(("j1.0.1", "j9.0.1", "odd")) == {"j1.0.1": ""}
    await store.close()


async def test_events_are_read_from_a_place_or_the_newest(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    await store.commit(Changes(events=[an_event(n, f"j{n % 2}") for n in range(1, 8)]))
    assert [it["seq"] for it in await store.events(EventQuery(limit=3))] == [5, 6, 7]
    assert [it["seq"] for it in await store.events(EventQuery(after=2, limit=3))] == [3, 4, 5]
    assert [it["seq"] for it in await store.events(EventQuery(job="j1"))] == [1, 3, 5, 7]
    await store.close()


async def test_a_store_that_is_closed_says_so(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    await store.close()
    with pytest.raises(StoreError, match="the core has ended"):
        await store.events(EventQuery())


async def test_a_failed_commit_changes_nothing_and_the_next_may_succeed(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    bad = Changes(jobs=[a_job(1)], events=[{**an_event(1), "text": None}])  # type: ignore[typeddict-item]
    with pytest.raises(StoreError, match="can't be written"):
        await store.commit(bad)
    assert await store.job("j1") is None
    await store.commit(Changes(jobs=[a_job(1)]))
    assert await store.job("j1") is not None
    await store.close()


# ── what is refused ────────────────────────────────────────────────────────────────────────────


async def filled(folder: Path, jobs: int = 300) -> Path:
    store, _ = await load(folder)
    for seq in range(1, jobs + 1):
        await store.commit(ended(seq, at=float(seq)))
    await store.close()
    return folder / store_open.DB_NAME


@pytest.mark.parametrize("keep", [0, 50, 100, 4096, 0.5, 0.9, -1])
async def test_a_database_that_was_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    path = await filled(tmp_path)
    whole = path.read_bytes()
    size = int(len(whole) * keep) if isinstance(keep, float) else keep % len(whole)
    path.write_bytes(whole[:size])
    with pytest.raises(StoreError, match="damaged") as error:
        await load(tmp_path)
    assert "backup" in str(error.value)
    assert path.read_bytes() == whole[:size], "it was changed"


async def test_garbage_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = await filled(tmp_path)
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        await load(tmp_path)
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize(
    ("code", "free", "told"),
    [
        (sqlite3.SQLITE_FULL, 0, "can't be used now .*0 KiB are free"),
        (sqlite3.SQLITE_IOERR_WRITE, 4096, "can't be used now .*4 KiB are free"),
        (sqlite3.SQLITE_BUSY, 1 << 30, "can't be used now"),
        (sqlite3.SQLITE_IOERR_READ, 1 << 30, "is damaged"),
        (sqlite3.SQLITE_CORRUPT, 0, "is damaged"),
    ],
)
def test_a_full_disk_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, free: int, told: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    assert re.search(told, str(store_open.unusable(tmp_path / "flextui.db", error)))


async def test_another_program_s_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / store_open.DB_NAME
    path.write_bytes(b"hello" * 100)
    with pytest.raises(StoreError, match="isn't a SQLite database"):
        await load(tmp_path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StoreError, match="another program"):
        await load(tmp_path)


async def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = await filled(tmp_path, 3)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer flextui") as error:
        await load(tmp_path)
    assert "Install that version" in str(error.value)
    assert path.read_bytes() == before


async def test_a_lost_database_beside_its_log_is_not_replaced(tmp_path: Path) -> None:
    path = await filled(tmp_path, 3)
    path.rename(tmp_path / "elsewhere")
    path.with_name(f"{path.name}-wal").write_bytes(b"x" * 100)
    with pytest.raises(StoreError, match="-wal file is left"):
        await load(tmp_path)
    assert not path.exists()


async def test_a_crash_in_the_middle_of_writing_is_recovered(tmp_path: Path) -> None:
    """What SQLite leaves after kill -9: a database with a log that was not worked in."""
    store, _ = await load(tmp_path)
    await store.commit(ended(1, at=10.0))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in tmp_path.glob("flextui.db*"):
        shutil.copy(file, crashed)
    await store.close()
    copy, loaded = await load(crashed)
    assert [job.id for job in loaded.jobs] == ["j1"]
    await copy.close()


def test_a_network_filesystem_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_open, "network_type", lambda path: "nfs4")
    with pytest.raises(StoreError, match=r"network filesystem \(nfs4\).*--state-dir /"):
        SqliteStore(tmp_path).load()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/ann/x", "nfs4"), ("/homes", "ext4"), ("/home", "nfs4"), ("/home/local/y", "xfs")],
)
def test_the_innermost_mount_decides(path: str, kind: str) -> None:
    table = [("/", "ext4"), ("/home", "autofs"), ("/home", "nfs4"), ("/home/local", "xfs")]
    assert type_in(table, path) == kind


# ── copies ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_copied_state_folder_becomes_another_core(tmp_path: Path) -> None:
    original = tmp_path / "a"
    original.mkdir()
    store, first = await load(original)
    await store.commit(Changes(jobs=[a_job(1)], tasks=[a_task(1)], attempts=[an_attempt(1)]))
    await store.close()
    copy = tmp_path / "b"
    shutil.copytree(original, copy)

    copied = await reloaded(copy)
    assert copied.core_id != first.core_id
    assert copied.adopt == (first.core_id,)
    assert copied.attempts[0].root_id == "", "absence of its attempts would count as evidence"
    again = await reloaded(copy)
    assert (again.core_id, again.adopt) == (copied.core_id, copied.adopt)
    unchanged = await reloaded(original)
    assert unchanged.core_id == first.core_id
    assert unchanged.attempts[0].root_id == "r1"


async def test_a_moved_state_folder_stays_the_same_core(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    first = await reloaded(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    moved = await reloaded(tmp_path / "b")
    assert (moved.core_id, moved.adopt) == (first.core_id, ())


# ── beside and without a core ──────────────────────────────────────────────────────────────────


async def test_the_store_can_be_read_without_a_core(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    await store.commit(Changes(jobs=[a_job(5)], tasks=[a_task(5)]))
    await store.commit(ended(4, at=3.0))
    beside = StoreReader.open(tmp_path)
    assert [doc["id"] for doc in beside.jobs()] == ["j5", "j4"]
    beside.close()
    await store.close()
    alone = StoreReader.open(tmp_path)
    assert [doc["id"] for doc in alone.jobs()] == ["j5", "j4"]
    alone.close()
    with pytest.raises(StoreError, match="no core has run"):
        StoreReader.open(tmp_path / "nowhere")


async def test_opening_is_quick_with_ten_thousand_ended_jobs(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    for start in range(0, 10_000, 1000):
        parts = [ended(seq, at=float(seq)) for seq in range(start + 1, start + 1001)]
        await store.commit(
            Changes(
                jobs=[job for part in parts for job in part.jobs],
                tasks=[task for part in parts for task in part.tasks],
                attempts=[attempt for part in parts for attempt in part.attempts],
            )
        )
    await store.close()
    begun = time.perf_counter()
    loaded = await asyncio.to_thread(SqliteStore(tmp_path).load)
    took = time.perf_counter() - begun
    assert len(loaded.jobs) == 200
    print(f"opened in {took:.3f} s")


async def test_what_follows_from_work_comes_back_too(tmp_path: Path) -> None:
    """Accounts, run times, reservations, meters and the hours that quotas look at."""
    window = {"name": "class", "for": ["bob"], "nodes": ["n1"], "from": "2030-01-01T09:00",
              "to": "3h", "every": "week", "timezone": "UTC"}  # fmt: skip
    made = Reservation.model_validate(window)
    store, _ = await load(tmp_path)
    await store.commit(
        Changes(
            accounts=[Account("vision", "ann", used=7.5, at=100.0, gpus=2000, hours={1: 2.0})],
            runtimes={"ann/work": RunTimes((1.5, 2.5))},
            reservations={"class": made, "gone": made},
            meters={"j1.0.1": Meter(50.0, ("A100",), idle_s=9.0), "j2.0.1": Meter(1.0)},
            usage={UsageKey(hour, "ann", "vision", "work", "n1", "A100"): Used(60.0, 1.0)
                   for hour in (5, 6)},
        )
    )  # fmt: skip
    await store.commit(Changes(reservations={"gone": None}, meters={"j2.0.1": None}))
    await store.close()
    store = SqliteStore(tmp_path)
    loaded = store.load(hours_since=6)
    await store.close()
    assert loaded.accounts == [Account("vision", "ann", used=7.5, at=100.0)]
    assert loaded.runtimes == {"ann/work": RunTimes((1.5, 2.5))}
    assert loaded.reservations == {"class": made}
    assert loaded.meters == {"j1.0.1": Meter(50.0, ("A100",))}, "its durable half"
    assert loaded.hours == {("vision", "ann"): {6: 60.0}}


async def test_a_reservation_that_means_nothing_here_is_named(tmp_path: Path) -> None:
    store, _ = await load(tmp_path)
    body = '{"name":"class","for":["bob"],"nodes":"all","from":"2030-01-01","to":"3h",'
    body += '"timezone":"Mars/Olympus"}'
    store._opened().execute("INSERT INTO reservations VALUES ('class', ?)", (body,))
    await store.close()
    with pytest.raises(StoreError, match=r"reservation class can't be read here.*Mars/Olympus"):
        await load(tmp_path)
