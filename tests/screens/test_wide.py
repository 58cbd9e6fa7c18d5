"""Lists use their room: more columns in wide windows, shorter ones before any leaves."""

from __future__ import annotations

from typing import Any, cast

from flextui.screens.fields import link
from flextui.screens.fields.jobs import about, gpus
from flextui.screens.fields.use import Use, indices
from flextui.screens.format import cell, job_reason, parse_time, plain
from flextui.screens.listing import Column, Field, Layout
from flextui.screens.problems import Problems
from flextui.screens.table import Table
from flextui.screens.widgets.grid import Grid
from flextui.screens.widgets.lines import KeyLine, TopLine
from tests.screens.fake_client import GIB, START, attempt, gpu, job, node, task, uuids
from tests.screens.kit import running, shown, until

WORDS: tuple[Field[str], ...] = (
    Field(Column("name"), "n", lambda it, _: cell(it), lambda it: it),
    Field(Column("more"), "m", lambda it, _: cell("more"), lambda it: it, wide=100),
    Field(Column("odd"), "o", lambda it, _: cell("odd"), lambda it: it, shown=False),
)


def names(table: Table[str]) -> list[str]:
    table.sync({"a": "anna"}, 0.0)
    return [it.title for it in table.columns]


def test_a_wide_list_has_more_columns_and_what_was_chosen_stays() -> None:
    table = Table(WORDS)
    assert names(table) == ["name"]
    assert table.fit(100)
    assert names(table) == ["name", "more"]
    assert not table.fit(120)
    assert table.fit(99)
    assert names(table) == ["name"]
    chosen = Table(WORDS, layout=Layout(columns=("more", "odd")))
    chosen.fit(20)
    assert names(chosen) == ["more", "odd"]


def test_what_moves_by_itself_is_sorted_at_each_look() -> None:
    size = {"a": 1, "b": 2}
    fields = (
        Field(Column("size"), "s", lambda it, _: cell(size[it]), size.__getitem__, moving=True),
    )
    table = Table(fields, layout=Layout(sort="size"))
    docs = {"a": "a", "b": "b"}
    table.sync(docs, 0.0)
    assert list(table.keys) == ["a", "b"]
    size["a"] = 3
    table.sync(docs, 0.0)
    assert list(table.keys) == ["b", "a"]


async def test_memory_and_cpu_stay_beside_shorter_names_of_jobs() -> None:
    async with running(size=(120, 40)) as (app, _, _, _):
        head = shown(app).splitlines()[1].split()
        assert head == ["node", "state", "gpus", "mem", "cpu", "jobs", "note"]


async def test_a_click_on_a_title_sorts_by_it_and_again_the_other_way() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2")
        grid = app.screen.query_one(Grid)
        x = shown(app).splitlines()[1].index("name")
        for title, keys in (
            ("name▴", ["j2", "j3", "j4", "j1"]),
            ("name▾", ["j1", "j4", "j3", "j2"]),
        ):
            await pilot.click(grid, offset=(x, 0))
            await until(pilot, lambda title=title: title in shown(app))  # type: ignore[misc]
            assert list(grid.keys) == keys


async def test_what_one_presses_again_and_again_piles_up_no_lines() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "t", "t", "t")
        assert [it.message for it in app._notifications] == ["grouped by node"]


async def test_the_line_below_tells_all_of_what_a_row_cuts() -> None:
    async with running(size=(80, 24)) as (app, pilot, _, _):
        await pilot.press("j")
        assert "carol: jupyter 31 GiB, no job" in shown(app).splitlines()[-2]
        await pilot.press("2", "G")
        assert "crash loop: 4 failures in 10m, last exit 137" in shown(app).splitlines()[-2]


async def test_a_window_of_few_lines_is_the_list_s() -> None:
    async with running(size=(80, 9)) as (app, pilot, _, _):
        assert "gpu1  ● ready" not in shown(app).splitlines()[-2]
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "gpu1  ● ready" in shown(app).splitlines()[-2])


async def test_a_click_on_a_key_of_the_bottom_line_is_that_key() -> None:
    async with running(size=(120, 40)) as (app, pilot, _, _):
        last = shown(app).splitlines()[-1]
        await pilot.click(KeyLine, offset=(last.index("z map"), 0))
        await until(pilot, lambda: "z list" in shown(app))
        await pilot.click(TopLine, offset=(shown(app).splitlines()[0].index("3 problems"), 0))
        await until(pilot, lambda: isinstance(app.screen, Problems))


async def test_pages_are_filtered_too() -> None:
    async with running(size=(120, 40)) as (app, pilot, _, _):
        await pilot.press("2", "j", "enter", "i")
        await until(pilot, lambda: "python train.py" in shown(app))
        await pilot.press("/", *"^name", "enter")
        text = shown(app)
        assert "name: train" in text
        assert "python train.py" not in text
        assert "1 of " in text.splitlines()[-2]
        await pilot.press("escape")
        assert "python train.py" in shown(app)


async def test_the_events_of_a_node_name_the_job() -> None:
    event: Any = {"at": START, "kind": "attempt.ended", "actor": "flextui", "job": "j1",
                  "node": "gpu1", "text": "succeeded on gpu1"}  # fmt: skip
    train = job(1, "train", "bob", "running", [])
    lines = link.lines(node("gpu1", []), [event], 100, 0.0, {"j1": train})
    assert "bob/train: succeeded on gpu1" in plain(lines[-1])


# ── what jobs use ──────────────────────────────────────────────────────────────────────────────


def test_a_job_uses_what_its_devices_do_and_of_a_share_its_own_part() -> None:
    work: dict[str, Any] = {"attempt": "j2.0.1", "utilization": 12, "memory_bytes": GIB}
    box = node("gpu1", [gpu(i, "A100", 80, 40, utilization=50 + i) for i in range(3)])
    box["gpus"][2]["processes"] = cast(Any, [work, {**work, "attempt": None, "utilization": 70}])
    whole = attempt("j1.0", 1, "running", "gpu1", gpus=uuids("gpu1", 0, 2))
    share = attempt(
        "j2.0", 1, "running", "gpu1", gpus=uuids("gpu1", 2), share=250, gpu_memory_bytes=10 * GIB
    )
    use = Use()
    use.take({"gpu1": box})
    assert use.attempts([whole]) == (50.5, 80 * GIB, 160 * GIB)
    assert use.attempts([share]) == (12.0, GIB, 10 * GIB)
    assert use.attempts([attempt("j3.0", 1, "running", "gpu1")]) is None

    use.take({"gpu1": {**box, "state": "lost"}})
    assert use.attempts([whole]) is None, "of a node that doesn't answer nothing is known"


def test_numbers_of_devices_as_people_say_them() -> None:
    def told(*numbers: int) -> str:
        return indices([gpu(it, "A100", 80, 0) for it in numbers])

    assert (told(), told(3), told(0, 1), told(0, 1, 2, 5)) == ("", "3", "0 1", "0-2 5")


def test_a_gang_holds_the_devices_of_all_its_ranks() -> None:
    ranks = [
        task(i, "running", [attempt(f"j1.{i}", 1, "running", f"gpu{i}", gpus=uuids("x", 0, 8))])
        for i in range(3)
    ]
    resources = {"gpus": 8, "cpus": 4}
    assert gpus(job(1, "pre", "bob", "running", ranks, nodes=3, resources=resources)) == 24
    waiting = [task(i, "pending", []) for i in range(3)]
    gang = job(1, "pre", "bob", "pending", waiting, nodes=3, resources=resources)
    assert gpus(gang) == 24
    assert "asks for 3 nodes, each 8 GPUs (any model)" in about(gang, 0.0)


def test_a_stop_that_can_be_taken_back_is_counted_down() -> None:
    stopped = job(1, "train", "bob", "running", [], reason="to be stopped by bob", stops_at=START)
    at = parse_time(START)
    assert at is not None
    assert job_reason(stopped, at - 6.5) == "stops in 7s"
    assert job_reason(stopped, at + 1) == "to be stopped by bob"


async def test_a_job_that_waits_for_nothing_has_no_panel_below_its_attempts() -> None:
    async with running(size=(120, 40)) as (app, pilot, _, _):
        await pilot.press("2", "j", "enter")
        panel = app.screen.query_one("#why")
        assert not panel.display
        await pilot.press("i", "i")
        assert not panel.display, "nor after another part was shown"
        await pilot.press("escape", "j", "enter")
        waits = app.screen.query_one("#why")
        await until(pilot, lambda: waits.display and "1st of 1" in shown(app))
        await pilot.press("i")
        assert not waits.display
