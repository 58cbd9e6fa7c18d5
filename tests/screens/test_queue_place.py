"""The queue, a job's revisions and the audit, as screens."""

from __future__ import annotations

from typing import Any

import pytest

from flextui.screens.fields import queue, revisions, why
from flextui.screens.fields.yamltext import coloured
from flextui.screens.format import cut, plain, wrapped
from tests.screens import answers
from tests.screens.fake_client import WHY
from tests.screens.kit import running, shown, until

NOW = 1_795_520_400.0


def test_a_row_tells_each_factor_and_when_it_starts_with_how_sure() -> None:
    (row,) = queue.rows(answers.queue()).values()
    assert queue.points(row, "fair share") == 210
    assert queue.points(row, "size") is None
    cells = {it.name: plain(it.cell(row, NOW)) for it in queue.FIELDS}
    assert cells["points"] == "722"
    assert cells["priority"] == "500"
    assert cells["order"] == "priority 500 of 1000, age 12 of 200, fair share 210 of 500"
    one_by_one = {**row, "factors": [{**it, "weight": 1} for it in answers.FACTORS]}
    assert queue.total(one_by_one) is None, "they aren't added up"
    assert cells["size"] == "–"
    assert cells["starts"].startswith("◑ ")
    assert cells["starts"].endswith("likely")
    starts = next(it for it in queue.FIELDS if it.name == "starts")
    assert plain(starts.cell({**row, "expected": None}, NOW)) == "…"
    nobody = {**answers.EXPECTED, "at": None, "sureness": "unknown"}
    assert plain(starts.cell({**row, "expected": nobody}, NOW)) == "? unknown"


def test_why_is_told_with_every_factor_and_tasks_alike_are_told_once() -> None:
    task = {**WHY["tasks"][0]}
    alike = {"tasks": [{**task, "index": n} for n in range(9)]}
    text = "\n".join(map(plain, why.page(alike, None, 70, NOW)))
    assert text.count("XID 79") == 1
    assert "9 tasks, 0 to 8" in text
    for words in ("1st of 1", "priority     500 of 1000", "has waited 14m", "gpu1 +2",
                  "would start with 7 GPUs", "no H100"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_why_fits_whatever_the_width(width: int) -> None:
    for line in why.page({"tasks": [{**WHY["tasks"][0]}]}, None, width, NOW):
        assert len(plain(line)) <= max(width, 26)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [("one two three", 8, ["one two", "three"]), ("", 10, [""]),
     ("abcdefghijkl", 8, ["abcdefgh", "ijkl"]), ("節点節点節点", 8, ["節点節点", "節点"])],
)  # fmt: skip
def test_texts_are_broken_between_words_and_by_cells(
    text: str, width: int, lines: list[str]
) -> None:
    assert wrapped(text, width) == lines


def test_a_text_is_cut_to_cells() -> None:
    assert cut("gpu1", 6) == "gpu1  "
    assert cut("a-long-name", 6) == "a-lon…"
    assert cut("節点節点", 5) == "節点…"


def test_a_diff_tells_long_texts_line_by_line() -> None:
    new, old = answers.revisions("j2")["revisions"]
    text = "\n".join(map(plain, revisions.diff_lines(old, new, 60)))
    assert "from j2 revision 1 to j2 revision 2" in text
    assert "- serve --port 81" in text
    assert "+ serve --port 80" in text
    assert "env.MODEL\n  + llama" in text
    assert "nothing differs" in plain(revisions.diff_lines(new, new, 60)[-1])
    assert "nothing to compare" in plain(revisions.diff_lines(None, new, 60)[0])


def test_a_spec_shows_its_keys() -> None:
    lines = coloured("name: train\n# why\nrun: |\n  echo a: b c\n")
    assert [[it.role for it in line] for line in lines[:2]] == [["", "accent", "dim", ""], ["dim"]]
    assert [plain(it) for it in lines] == ["name: train", "# why", "run: |", "  echo a: b c"]


async def test_the_reason_stands_beside_the_queue_and_enter_opens_it() -> None:
    async with running(size=(200, 50)) as (app, pilot, _, _):
        await pilot.press("8")
        await until(pilot, lambda: "llama-pre-2" in shown(app))
        assert "would start" not in shown(app)
        await pilot.press("w")
        await until(pilot, lambda: "would start with 7 GPUs" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.path[-1] == ("job", "j4", "why"))
        await until(pilot, lambda: "would start with 7 GPUs" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "would start with 7 GPUs" in shown(app))


async def test_revisions_are_compared_three_ways() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "j", "enter", "d")
        await until(pilot, lambda: "- serve --port 81" in shown(app))
        await pilot.press("c", "j")
        await until(pilot, lambda: "from j1 revision 1 to j1 revision 2" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: "serve --port 81" in shown(app) and "from j1" not in shown(app))


async def test_the_audit_leaves_out_what_happened_by_itself() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("3")
        await until(pilot, lambda: "node.lost" in shown(app))
        await pilot.press("a")
        await until(pilot, lambda: "node.lost" not in shown(app) and "audit.cordon" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.path[-1] == ("node", "gpu1"))


async def test_events_of_a_job_and_of_a_node_are_a_key_away() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("enter", "h")
        await until(pilot, lambda: app.path[-1][0] == "events")
        node: Any = next(it for it in reversed(client.asked) if type(it).__name__ == "ListEvents")
        assert (node.node, node.job) == ("gpu1", None)
        app.open_job("j1")
        await pilot.press("h")
        await until(pilot, lambda: app.path[-1][:2] == ("events", "j1"))
        await until(pilot, lambda: "j1.0.1 on gpu1" in shown(app))
        assert "node.lost" not in shown(app)
