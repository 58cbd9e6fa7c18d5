"""What is shown before a core is open: nothing that the core, once it is there, says otherwise."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from flextui.core import view
from flextui.core.adapters import paths
from flextui.core.adapters.store import SqliteStore
from flextui.core.adapters.store_glance import left
from flextui.core.demo import boxes
from flextui.core.foreseen import Left, foreseen
from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.inventory import Inventory, default_inventory, read_inventory
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import (
    Attempt,
    AttemptState,
    Job,
    JobState,
    Mark,
    Node,
    Now,
    Snapshot,
    Task,
)
from flextui.core.ports import Changes, Loaded
from flextui.core.restore import restored

NOW = 1_700_000_000.0
CORE = view.CoreFacts("me@here", 1, "1.0", False, "", NOW)
EXAMPLE = Path(__file__).parents[2] / "inventory.example.yaml"
MORE = """
fleet: lab
nodes:
  - host: gpu1
  - {name: gpu2, host: 10.0.0.7, labels: {rack: a, "on": yes, year: 2026}}
  - {name: 0x10, host: true}
  - {transport: local, name: here}
  - {host: old, gpus: [{index: 0, model: k80, memory: 12GiB}]}
"""


def told(loaded: Loaded, inventory: Inventory) -> tuple[Snapshot, dict[str, object]]:
    """What a core that has just begun with this says of its nodes, but for their GPUs."""
    snapshot = restored(loaded, inventory, Now(NOW, 0.0))
    fleet = view.fleet_view(snapshot, CORE, "", 0)
    whole = view.delta(snapshot, (), snapshot.nodes, fleet, full=True)
    nodes = {name: {**node, "gpus": []} for name, node in whole["nodes"].items() if node}
    return snapshot, nodes


@pytest.mark.parametrize(
    "text",
    [MORE, boxes.inventory_text(), EXAMPLE.read_text()],
    ids=["more", "demo", "example"],
)
def test_the_nodes_are_those_that_the_core_has(text: str) -> None:
    inventory = read_inventory(text, "inventory.yaml")
    _, nodes = told(Loaded("c", 1, (), 1, 1), inventory)
    early = foreseen(text.encode(), "host", Left(), NOW)
    assert early is not None
    assert early["nodes"] == nodes
    assert early["fleet"]["fleet"] == inventory.fleet


@pytest.mark.parametrize("hostname", ["Head.example.org", "", "-", "a_b"])
def test_without_an_inventory_it_is_this_machine(hostname: str) -> None:
    inventory = default_inventory(hostname)
    _, nodes = told(Loaded("c", 1, (), 1, 1), inventory)
    early = foreseen(None, hostname, Left(), NOW)
    assert early is not None
    assert early["nodes"] == nodes
    assert early["fleet"]["fleet"] == inventory.fleet


@pytest.mark.parametrize(
    "text",
    ["", "nodes", "nodes: 7", "- a", "nodes: {a: b}", "a: [", "\x00", "fleet: x", "{{{", "nodes:"],
)
def test_what_is_no_inventory_tells_nothing(text: str) -> None:
    assert foreseen(text.encode(), "host", Left(), NOW) is None


@pytest.mark.parametrize(
    "text",
    ["nodes: [7, [], {}, {host: }, {host: []}, {name: {}}]", "nodes:\n  - {labels: 3, gpus: 4}"],
)
def test_nodes_that_are_wrong_are_left_to_the_core(text: str) -> None:
    early = foreseen(text.encode(), "host", Left(), NOW)
    assert early is not None
    assert early["nodes"] == {}


# ── the store ──────────────────────────────────────────────────────────────────────────────────


def a_job(seq: int, state: JobState) -> tuple[Job, Task, Attempt]:
    spec = JobSpec.model_validate({"name": "work", "run": "true"}).to_text()
    key = TaskKey(f"j{seq}", 0)
    ended = NOW if state.ended else None
    job = Job(
        key.job, seq, f"work-{seq}", "ann", 1000, "batch", 1, spec, NOW, 50, 1,
        state=state, ended_at=ended,
    )  # fmt: skip
    going = AttemptState.SUCCEEDED if state.ended else AttemptState.RUNNING
    attempt = Attempt(
        attempt_id(key, 1), key, 1, 1, f"gpu{seq % 2 + 1}", "h", "b", "r", (), 1.0, 2**30,
        going, NOW, ended_at=ended,
    )  # fmt: skip
    return job, Task(key, attempts=1), attempt


async def filled(folder: Path) -> Loaded:
    """A store as a core with jobs and marks left it."""
    paths.prepare_state_folder(folder)
    store = SqliteStore(folder)
    store.load()
    states = (JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED, JobState.RUNNING)
    made = [a_job(seq, state) for seq, state in enumerate(states, start=1)]
    waiting = replace(a_job(9, JobState.PENDING)[0])
    spec = {it.name: it for it in read_inventory(MORE, "").nodes}
    nodes = [
        Node("gpu1", spec["gpu1"], drain=Mark("olga", NOW, "new disks")),
        Node("gpu2", spec["gpu2"], drain=Mark("olga", NOW, ""), cordon=Mark("ann", NOW, "XID 79")),
    ]
    jobs, tasks, attempts = zip(*made, strict=True)
    changes = Changes(jobs=[*jobs, waiting], tasks=tasks, attempts=attempts, nodes=nodes)
    await store.commit(changes)
    loaded = store.load()
    await store.close()
    return loaded


async def test_jobs_and_marks_are_those_that_the_store_has(tmp_path: Path) -> None:
    loaded = await filled(tmp_path / "state")
    snapshot, nodes = told(loaded, read_inventory(MORE, "inventory.yaml"))
    early = foreseen(MORE.encode(), "host", left(tmp_path / "state" / paths.DATABASE), NOW)
    assert early is not None
    for name, node in early["nodes"].items():
        assert node is not None
        for key in ("jobs", "drained", "drains_at", "cordoned", "reason", "state"):
            assert node[key] == nodes[name][key], (name, key)  # type: ignore[index,literal-required]
    assert early["nodes"]["gpu2"]["jobs"] == ["ann/work-1"]  # type: ignore[index]
    counted = view.fleet_view(snapshot, CORE, "", 0)
    assert [early["fleet"][it] for it in ("running", "pending")] == [
        counted[it] for it in ("running", "pending")
    ]


def test_a_store_that_cant_be_read_tells_nothing(tmp_path: Path) -> None:
    assert left(tmp_path / "nowhere") == Left()
    (tmp_path / "noise").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    assert left(tmp_path / "noise") == Left()
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE jobs (x)")
    assert left(tmp_path / "other") == Left()
    assert left(tmp_path) == Left(), "a folder"


async def test_it_is_only_looked_at(tmp_path: Path) -> None:
    await filled(tmp_path / "state")
    database = tmp_path / "state" / paths.DATABASE
    before = database.read_bytes()
    left(database)
    assert database.read_bytes() == before
