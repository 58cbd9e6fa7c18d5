"""Usage: rows of the store and what runs now, summed; asked for and told."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flextui.cli.root import run
from flextui.core.adapters.store import SqliteStore
from flextui.core.adapters.store_read import StoreReader
from flextui.core.commands import CommandError, Usage
from flextui.core.model.state import AttemptState, Meter
from flextui.core.model.usage import UsageKey, UsageQuery, UsageRow, Used, split, unsettled
from flextui.core.ports import Changes
from flextui.core.usage_view import query_of, usage_view
from tests.unit.cli_fakes import FakeCore
from tests.unit.test_store import a_job, a_task, an_attempt

HOUR = 3600.0
T = 500_000
"""The hour that the tests are about."""


def key(hour: int = T, **fields: str) -> UsageKey:
    given = {"owner": "ann", "project": "vision", "job": "train", "node": "n1", "model": "A100"}
    return UsageKey(hour, **{**given, **fields})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path)
    made.load()
    yield made
    made._opened().close()


async def told(store: SqliteStore, by: Any, first: int = T, last: int = T, now: float = 0.0) -> Any:
    rows = await store.usage(UsageQuery(by, first, last), now)
    return {row.name: (row.used.held_s, row.used.idle_s) for row in rows}


# ── rows ───────────────────────────────────────────────────────────────────────────────────────


async def test_rows_are_added_to_and_summed_by_what_is_asked(store: SqliteStore) -> None:
    rows = {
        key(): Used(100.0, 10.0),
        key(node="n2", model="H100"): Used(50.0, 0.0),
        key(owner="bob", project=""): Used(7.0, 7.0),
        key(T + 1): Used(1000.0, 0.0),
    }
    await store.commit(Changes(usage=rows))
    await store.commit(Changes(usage={key(): Used(1.0, 1.0)}))
    assert await told(store, "user") == {"ann": (151.0, 11.0), "bob": (7.0, 7.0)}
    assert await told(store, "project") == {"vision": (151.0, 11.0), "": (7.0, 7.0)}
    assert await told(store, "job") == {"ann/train": (151.0, 11.0), "bob/train": (7.0, 7.0)}
    assert await told(store, "node") == {"n1": (108.0, 18.0), "n2": (50.0, 0.0)}
    assert await told(store, "model") == {"A100": (108.0, 18.0), "H100": (50.0, 0.0)}
    assert await told(store, "node", last=T + 1) == {"n1": (1108.0, 18.0), "n2": (50.0, 0.0)}
    assert await told(store, "user", first=T + 2, last=T + 9) == {}


async def test_what_runs_now_is_counted_up_to_now(store: SqliteStore) -> None:
    begun = T * HOUR + 600
    job, task = a_job(1, project="vision"), a_task(1)
    live = an_attempt(1, gpus=("G1", "G2"), placed_at=begun)
    meters = {live.id: Meter(begun, ("A100", "H100"))}
    await store.commit(Changes(jobs=[job], tasks=[task], attempts=[live], meters=meters))
    assert await told(store, "model", now=begun + 60) == {"A100": (60.0, 0.0), "H100": (60.0, 0.0)}
    later = begun + 2 * HOUR
    assert await told(store, "user", now=later) == {"ann": (2 * 3000.0, 0.0)}, "of this hour"
    assert await told(store, "user", last=T + 9, now=later) == {"ann": (4 * HOUR, 0.0)}
    given_up = an_attempt(1, gpus=("G1",), placed_at=begun, replaced=True)
    await store.commit(Changes(attempts=[given_up]))
    assert await told(store, "user", last=T + 9, now=later) == {}


async def test_without_gpus_nothing_is_told(store: SqliteStore) -> None:
    live = an_attempt(1, gpus=(), placed_at=T * HOUR)
    await store.commit(Changes(jobs=[a_job(1)], tasks=[a_task(1)], attempts=[live]))
    assert await told(store, "user", now=(T + 1) * HOUR) == {}


async def test_usage_outlives_its_jobs_and_is_pruned_by_its_own_age(store: SqliteStore) -> None:
    await store.commit(Changes(usage={key(T + n): Used(1.0, 0.0) for n in range(100)}))
    await store.commit(
        Changes(jobs=[a_job(1, ended_at=5.0)], tasks=[a_task(1)],
                attempts=[an_attempt(1, AttemptState.SUCCEEDED)])
    )  # fmt: skip
    old = (T + 90) * HOUR + 5
    await store.prune(before=1e9, before_iso="", usage_before=old)
    assert await store.job("j1") is None
    assert await told(store, "user", last=T + 200) == {"ann": (10.0, 0.0)}


async def test_the_store_is_enough(store: SqliteStore, tmp_path: Path) -> None:
    await store.commit(Changes(usage={key(): Used(3600.0, 1800.0)}))
    reader = StoreReader.open(tmp_path)
    assert reader.usage(UsageQuery("user", T, T), 0.0) == [UsageRow("ann", Used(3600.0, 1800.0))]
    reader.close()


def test_an_attempt_s_use_is_split_by_hour_and_model() -> None:
    attempt = an_attempt(1, gpus=("G1", "G2", "G3"))
    meter = Meter(T * HOUR + 3000, ("A100", "H100", "A100"), idle_s=900.0)
    rows = dict(unsettled(a_job(1), attempt, meter, (T + 2) * HOUR))
    brief = {(key.hour - T, key.model): tuple(used) for key, used in rows.items()}
    assert brief == {
        (0, "A100"): (1200.0, 600.0), (0, "H100"): (600.0, 300.0),
        (1, "A100"): (7200.0, 0.0), (1, "H100"): (3600.0, 0.0),
    }  # fmt: skip


def test_a_time_that_runs_backwards_is_taken_back() -> None:
    assert list(split(T * HOUR + 10, T * HOUR - 20)) == [(T - 1, -20.0), (T, -10.0)]
    assert list(split(5.0, 5.0)) == []


# ── asked and told ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2h", "", (-3, -1)),
        ("2h", "1h", (-3, -2)),
        ("1970-01-01T01:30:00Z", "1970-01-01T02:00:00Z", (1, 1)),
        ("1970-01-01T01:00:00Z", "1970-01-01T02:00:01Z", (1, 2)),
    ],
)
def test_hours_that_are_touched_count_whole(since: str, until: str, hours: tuple[int, int]) -> None:
    now = T * HOUR - 1800
    query = query_of(Usage("node", since, until), now)
    base = T if hours[0] < 0 else 0
    assert query == UsageQuery("node", base + hours[0], base + hours[1])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Usage("nodes"), "did you mean node"),
        (Usage(since="soon"), "since: 'soon'"),
        (Usage(since="1h", until="3h"), "isn't later than"),
        (Usage(until="2026-13-01"), "until"),
    ],
)
def test_a_wrong_question_says_what_was_expected(command: Usage, said: str) -> None:
    with pytest.raises(CommandError, match=said) as error:
        query_of(command, T * HOUR)
    assert error.value.code == "input"


DOC = usage_view(
    UsageQuery("user", T, T + 1),
    [
        UsageRow("ann", Used(7200.0, 1800.0)),
        UsageRow("", Used(3600.0, 3600.0)),
        UsageRow("=bob", Used(900.0, 4000.0)),
    ],
)


def test_the_sum_is_that_of_the_rows() -> None:
    assert DOC["total"] == {
        "name": "total", "gpu_hours": 3.25, "used_hours": 0.6389, "wasted_hours": 2.6111,
        "wasted_percent": 80.3,
    }  # fmt: skip
    assert DOC["rows"][2]["wasted_hours"] == 0.25, "never more than was held"
    assert (DOC["since"], DOC["until"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T10:00:00.000Z")


def spoken(line: list[str], doc: Any = DOC) -> tuple[int, FakeCore]:
    core = FakeCore()
    core.answers[Usage] = doc
    return run(line, core.connect), core


def test_a_table_with_a_sum(capfd: pytest.CaptureFixture[str]) -> None:
    status, core = spoken(["usage", "--by", "user", "--since", "30d"])
    assert (status, core.asked) == (0, [Usage("user", "30d", "")])
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert lines == [
        ["USER", "GPU", "HOURS", "USED", "WASTED", "WASTED", "%"],
        ["ann", "2.00", "1.50", "0.50", "25"],
        ["(none)", "1.00", "0.00", "1.00", "100"],
        ["=bob", "0.25", "0.00", "0.25", "100"],
        ["total", "3.25", "0.64", "2.61", "80"],
    ]


def test_json_and_csv(capfd: pytest.CaptureFixture[str]) -> None:
    assert spoken(["usage", "--json"])[0] == 0
    assert json.loads(capfd.readouterr().out) == DOC
    assert spoken(["usage", "--csv"])[0] == 0
    rows = list(csv.reader(io.StringIO(capfd.readouterr().out)))
    assert rows[0] == ["user", "gpu_hours", "used_hours", "wasted_hours", "wasted_percent"]
    assert [row[0] for row in rows[1:]] == ["ann", "", "=bob"]
    assert rows[1][1:] == ["2.0", "1.5", "0.5", "25.0"]
    assert spoken(["usage", "--csv", "--json"])[0] == 2


def test_nothing_held_is_said_aside(capfd: pytest.CaptureFixture[str]) -> None:
    status, _ = spoken(["usage"], usage_view(UsageQuery("user", T, T), []))
    said = capfd.readouterr()
    assert (status, said.out) == (0, "")
    assert "no GPU was held" in said.err
