"""What the editor knows of a text: its colours, where the cursor stands, what may be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from flextui.core.model.spec import read_specs
from flextui.screens.editing.colour import OUTSIDE, States, pieces
from flextui.screens.editing.context import Context, context, field_at
from flextui.screens.editing.drafts import KEPT_S, Draft, Drafts
from flextui.screens.editing.preview import fit, job_lines
from flextui.screens.editing.problems import mistakes
from flextui.screens.editing.schema import spec_schema
from flextui.screens.editing.suggest import Known, known, model_word, suggest
from flextui.screens.editing.templates import TEMPLATES
from flextui.screens.widgets.yamlarea import next_indent, wrong_part
from tests.screens.fake_client import fleet_delta


def view() -> Known:
    delta = fleet_delta()
    nodes = [it for it in delta["nodes"].values() if it]
    nodes[0]["labels"] = {"rack": "a"}
    nodes[1]["labels"] = {"rack": "b", "link": "nvlink"}
    jobs = [it for it in delta["jobs"].values() if it]
    return known(nodes, jobs, ["vision"], ["data"])


def cursor(text: str) -> tuple[list[str], int, int]:
    """Lines, row and column of the `│` in a text."""
    before = text[: text.index("│")]
    lines = text.replace("│", "").split("\n")
    return lines, before.count("\n"), len(before) - before.rfind("\n") - 1


def at(text: str) -> Context:
    found = context(*cursor(text))
    assert found is not None
    return found


def offered(text: str) -> list[str]:
    found = context(*cursor(text))
    return [it.word for it in suggest(found, spec_schema(), view())] if found else []


# ── colours ──


def coloured(text: str) -> list[list[tuple[str, str]]]:
    lines, states = text.split("\n"), States()
    return [
        [(line[it.start : it.end], it.role) for it in pieces(line, states.at(lines, row))]
        for row, line in enumerate(lines)
    ]


def test_a_line_is_coloured_by_what_it_is_made_of() -> None:
    assert coloured("resources: {gpus: 4, gpu_model: [a100, 'h 1']} # two") == [
        [
            ("resources", "key"), (":", "mark"), ("{", "mark"), ("gpus", "key"), (":", "mark"),
            ("4", "number"), (",", "mark"), ("gpu_model", "key"), (":", "mark"), ("[", "mark"),
            (",", "mark"), ("'h 1'", "text"), ("]", "mark"), ("}", "mark"), ("# two", "comment"),
        ]
    ]  # fmt: skip
    assert coloured("- on: 1-00:00:00") == [
        [("-", "mark"), ("on", "key"), (":", "mark"), ("1-00:00:00", "number")]
    ]
    assert coloured("interactive: true") == [
        [("interactive", "key"), (":", "mark"), ("true", "word")]
    ]
    assert coloured("run: echo a:b {x} #no")[0][0] == ("run", "key")


def test_a_block_text_is_text_until_it_ends() -> None:
    found = coloured("run: |\n  a: 1 # no comment\n\n  b\nname: x")
    assert found[1:4] == [[("a: 1 # no comment", "text")], [], [("b", "text")]]
    assert found[4][0] == ("name", "key")
    nested = coloured("env:\n  A: >-\n    x: y\n  B: 1")
    assert nested[2] == [("x: y", "text")]
    assert nested[3][0] == ("B", "key")


def test_a_change_above_changes_what_is_below() -> None:
    states, lines = States(), ["run: |", "  x: 1"]
    assert states.at(lines, 1) == 0
    lines[0] = "run: a"
    states.forget(0)
    assert states.at(lines, 1) == OUTSIDE


# ── where the cursor stands ──


@pytest.mark.parametrize(
    ("text", "path", "naming", "typed"),
    [
        ("│", (), True, ""),
        ("name: a\nre│", (), True, "re"),
        ("name: a│", ("name",), False, "a"),
        ("resources:\n  │", ("resources",), True, ""),
        ("resources:\n  gpus: 2\n  gp│\n  cpus: 1\n", ("resources",), True, "gp"),
        ("resources:\n  gpu_model: [a100, h│]", ("resources", "gpu_model"), False, "h"),
        ("resources:\n  gpu_model:\n  - a│", ("resources", "gpu_model"), False, "a"),
        ("resources: {gpus: 2, │", ("resources",), True, ""),
        ("resources: {gpus: 2, gpu_memory: 4│}", ("resources", "gpu_memory"), False, "4"),
        ("resources: {\n  gpus: 2,\n  me│\n}", ("resources",), True, "me"),
        ("where: {not: {│", ("where", "not"), True, ""),
        ("where:\n  not:\n    node: │", ("where", "not", "node"), False, ""),
        ("resources: {gpus: 2}\n│", (), True, ""),
        ("name: a\n---\nna│", (), True, "na"),
    ],
)
def test_where_the_cursor_stands(
    text: str, path: tuple[str, ...], naming: bool, typed: str
) -> None:
    found = at(text)
    assert (found.path, found.naming, found.typed) == (path, naming, typed)


@pytest.mark.parametrize("text", ["run: |\n  ec│", "name: a # a co│", "# na│", "x" * 3000 + "│"])
def test_nothing_is_offered_in_texts_and_comments(text: str) -> None:
    assert context(*cursor(text)) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("resources:\n  gp│us: 2", ("resources", "gpus")),
        ("resources:\n  gpus: 2│", ("resources", "gpus")),
        ("run: |\n  echo │x\n  y", ("run",)),
        ("resour│ces:\n", ("resources",)),
        ("resources: {cp│us: 1}", ("resources", "cpus")),
    ],
)
def test_help_is_about_the_field_under_the_cursor(text: str, path: tuple[str, ...]) -> None:
    assert field_at(*cursor(text)) == path


def test_a_position_anywhere_in_any_text_has_a_context_or_none() -> None:
    broken = "a: [{b: }\n  - - x: '\n\"y: {\n---\n- : |\n   z\n\t\n: :\n]]}"
    lines = broken.split("\n")
    for row, line in enumerate(lines):
        for column in range(len(line) + 1):
            context(lines, row, column)
            field_at(lines, row, column)


# ── what may be written ──


def test_names_fit_their_place_and_are_offered_once() -> None:
    assert offered("name: a\nty│")[0] == "type"
    names = offered("resources:\n  gpus: 2\n  │")
    assert names[:2] == ["gpu_share", "gpu_model"]
    assert "gpus" not in names
    assert "priority" not in names
    assert "schedule" not in offered("│")  # nothing that would be refused


def test_values_come_from_the_fleet_the_free_ones_first() -> None:
    at_model = context(*cursor("resources:\n  gpu_model: │"))
    assert at_model is not None
    found = [(it.word, it.note) for it in suggest(at_model, spec_schema(), view())]
    assert found[0] == ("a100", "5 of 12 free, 80G")
    assert ("h100", "0 of 8 free, 80G") in found
    assert offered("where:\n  node: [gpu1, │") == ["gpu2", "gpu3", "gpu4", "gpu5"]
    assert offered("project: │") == ["vision"]
    assert offered("volumes: [│") == ["data"]
    assert offered("type: │") == ["batch", "service", "system"]
    assert offered("restart:\n  on: f│")[0] == "failure"
    assert offered("where:\n  apart: [c│")[:2] == ["chat-api", "chat-gw"]
    assert offered("where:\n  ra│") == ["rack"]
    assert offered("where:\n  not: {rack: │") == ["a", "b"]
    assert offered("resources:\n  gpu_memory: │") == ["16GiB", "24GiB", "80GiB"]
    assert offered("interactive: │") == ["true", "false"]


def test_a_model_is_the_word_that_the_scheduler_takes() -> None:
    assert model_word("NVIDIA A100-SXM4-80GB") == "a100"
    assert model_word("NVIDIA GeForce RTX 3090") == "3090"
    assert model_word("Tesla T4") == "t4"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("resources", "gpu_memory"), "The least memory a GPU must have · such as 512MiB"),
        (("type",), "batch | service | system · default batch"),
        (("idle", "for"), "default 30m"),
        (("restart", "on"), "never | failure | always"),
        (("where", "not", "node"), "Names of nodes"),
        (("nodes",), "a whole number · default 1"),
    ],
)
def test_a_field_is_explained_on_one_line(path: tuple[str, ...], words: str) -> None:
    found = spec_schema().field(path)
    assert found is not None
    assert found.line.startswith(".".join(path) + ": ")
    assert words in found.line


def test_every_field_of_a_spec_is_explained() -> None:
    schema, todo = spec_schema(), [()]
    seen = 0
    while todo:
        path: tuple[str, ...] = todo.pop()
        here = schema.field(path)
        assert here is not None
        seen += 1
        if path:
            assert here.help, path
        todo += [(*path, name) for name in here.fields]
    assert seen > 40


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda it: it.name)
def test_a_template_is_a_valid_spec(template: Any) -> None:
    (spec,) = read_specs(template.text, "template")
    assert template.text.startswith("#")
    assert spec.name


def test_mistakes_have_their_place() -> None:
    (wrong,) = mistakes("name: a\nrun: x\nresources: {gpu: 1}\n")
    assert (wrong.row, wrong.column, wrong.nearest) == (2, 12, "gpus")
    assert "unknown field 'gpu'" in wrong.text
    assert mistakes("name: a\nrun: x\n") == []
    (begun,) = mistakes("name: a\nrun: x\npri\n\n")
    assert (begun.row, begun.message) == (2, "a name without ':'")


# ── lines ──


@pytest.mark.parametrize(
    ("before", "indent"),
    [
        ("name: a", 0), ("resources:", 2), ("  not:", 4), ("run: |", 2), ("  - a", 4),
        ("  - a:", 6), ("# x:", 0), ("", 0), ("    x: 1", 4), ("a: {", 2),
    ],
)  # fmt: skip
def test_a_new_line_begins_where_its_fields_do(before: str, indent: int) -> None:
    assert next_indent(before) == " " * indent


def test_a_mistake_is_underlined_as_far_as_its_word_goes() -> None:
    assert wrong_part("a: {gpu: 1}", 4) == (4, 8)
    assert wrong_part("a: ", 3) == (2, 3)
    assert wrong_part("", 0) == (0, 1)


# ── the plan ──


def nodes() -> dict[str, Any]:
    return dict(fleet_delta()["nodes"])


def told(job: dict[str, Any]) -> list[str]:
    return ["".join(it.text for it in line) for line in job_lines(job, nodes(), 0.0)]


def test_a_plan_tells_where_and_how_the_box_is_left() -> None:
    tasks = [{"index": 0, "node": "gpu2", "gpus": [1, 2]}]
    quotas = [{"whose": "vision", "gpus": 12.0, "of": 16.0}]
    assert told({"tasks": tasks, "quotas": quotas, "warnings": ["may run twice"]}) == [
        "now would go", " gpu2  2× A100-80  GPU 1,2", "   3 of 4 free, 1 left",
        "quota vision 12/16 GPUs after", "! may run twice",
    ]  # fmt: skip
    assert fit(3, nodes()["gpu2"]) == "fills the box: 3 of 4 were free"


def test_a_plan_tells_why_it_waits_until_when_and_what_would_start_now() -> None:
    why = {
        "expected": {"at": "1970-01-01T02:00:00Z", "latest": None, "sureness": "likely",
                     "text": "when train ends"},
        "position": 2, "waiting": 9, "factors": [],
        "would_help": ["now with 7 GPUs instead of 8"],
        "blocks": [{"text": "7 of 8 usable", "nodes": ["gpu4"], "held_by": ["bob/x"]}],
    }  # fmt: skip
    lines = told({"tasks": [{"index": 0, "node": None, "reason": "needs 8 GPUs", "why": why}]})
    assert lines[0] == "would wait  needs 8 GPUs"
    assert lines[1].startswith(" start in about 2h (")
    assert lines[2:] == [
        " place 2nd of 9", " would start now with 7 GPUs instead of 8",
        " gpu4       7 of 8 usable, held by bob/x",
    ]  # fmt: skip


def test_a_plan_of_an_edit_tells_of_the_tasks_that_move() -> None:
    tasks = [{"index": 0, "node": "gpu2", "gpus": [], "stays": True},
             {"index": 1, "node": "gpu1", "gpus": [], "restarts": ["run"]}]  # fmt: skip
    assert told({"action": "revise", "tasks": tasks}) == [
        "restarts task 1: run changed", "1 run on", "1 of 2 now would go", " gpu1",
    ]  # fmt: skip


# ── drafts ──


def test_a_draft_outlives_the_terminal_and_is_private(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "d", lambda: 5.0)
    drafts.put("j1", Draft("new", "old", 3))
    drafts.flush()
    later = Drafts(tmp_path / "d", lambda: 6.0)
    assert later.get("j1") == Draft("new", "old", 3, 5.0)
    (file,) = (tmp_path / "d").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    later.drop("j1")
    assert list((tmp_path / "d").iterdir()) == []


def test_a_job_of_another_fleet_has_another_draft(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.of_fleet("a")
    drafts.put("j1", Draft("mine"))
    drafts.flush()
    other = Drafts(tmp_path)
    other.of_fleet("b")
    assert other.get("j1") is None


def test_files_of_drafts_that_are_too_old_are_taken_away(tmp_path: Path) -> None:
    for key, at in (("j1", 0.0), ("j2", 10 * 86_400.0)):
        drafts = Drafts(tmp_path, lambda at=at: at)  # type: ignore[misc]
        drafts.put(key, Draft("name: a\n", ""))
        drafts.flush()
        (path,) = tmp_path.glob(f"*{key}*")
        os.utime(path, (at, at))
    later = Drafts(tmp_path, lambda: 35 * 86_400.0)
    later.flush()
    assert [it.name[:8] for it in tmp_path.iterdir()] == ["fleet-j2"]
    assert later.get("j2") is not None


def test_old_and_broken_drafts_are_none(tmp_path: Path) -> None:
    Drafts(tmp_path, lambda: 1.0).put("x", Draft("a"))
    old = Drafts(tmp_path, lambda: 1.0)
    old.put("x", Draft("a"))
    old.flush()
    assert Drafts(tmp_path, lambda: KEPT_S + 2).get("x") is None
    (file,) = tmp_path.iterdir()
    for broken in ("{", '{"text": "a", "origin": "", "base": 0, "at": "noon"}', '{"text": "a"}'):
        file.write_text(broken)
        assert Drafts(tmp_path, lambda: 2.0).get("x") is None


def test_where_no_file_can_be_written_memory_has_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    drafts = Drafts(tmp_path / "file" / "below")
    drafts.put("j1", Draft("new"))
    drafts.flush()
    assert "can't be kept in" in drafts.trouble
    kept = drafts.get("j1")
    assert kept is not None
    assert kept.text == "new"
