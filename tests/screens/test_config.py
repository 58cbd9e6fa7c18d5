"""The terminal's config: what is right is in force, what is wrong is told at its place."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from flextui.app import FlextuiApp
from flextui.core.model.problems import Problem
from flextui.screens import early, places
from flextui.screens.config import Config, config_path, parse, read_config
from flextui.screens.keys import Keymap
from flextui.screens.look import Look
from flextui.screens.opening import Flags, look
from flextui.screens.probe import Answer
from tests.screens.fake_client import FakeClient, FakeLink
from tests.screens.kit import until

KNOWN = places.known()
PAGE = Path(__file__).parents[2] / "docs" / "terminal.md"


def told(text: str) -> list[str]:
    _, problems = parse(text, "c", KNOWN)
    return [str(it) for it in problems]


def test_keys_are_rebound_and_disabled() -> None:
    config, problems = parse(
        "keys:\n  jobs:\n    stop: X\n    logs: off\n    edit: [Ctrl-e, f4]\n    why: null\n"
        "  list: {half-down: 'g g'}\n",
        "c",
        KNOWN,
    )
    assert config.keys["jobs", "stop"] == ("X",)
    assert config.keys["jobs", "logs"] == ()
    assert config.keys["jobs", "edit"] == ("ctrl+e", "f4")
    assert config.keys["jobs", "why"] == ()
    table = Keymap(places.keys(), config.keys).table(("jobs", "list", "everywhere"))
    assert table["X"].key.name == "stop"
    assert "s" not in table
    assert [str(it) for it in problems] == [
        "c:7:21: g g is list.half-down and list.top at once; it does list.half-down; expected "
        "another key, or `top: off` under list"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("themes: nord", "c:1:1: unknown field 'themes'"),
        ("theme: noord", "c:1:8: theme is 'noord'"),
        ("colours: 8", "c:1:10: colours is '8'"),
        ("updates: 100", "c:1:10: updates is '100'; expected repaints a second, 0.1 to 30"),
        ("mouse: yes", "c:1:8: mouse is 'yes'; expected true or false"),
        ("keys: {jbos: {stop: x}}", "c:1:8: no place is called 'jbos'"),
        ("keys: {jobs: {stopp: x}}", "c:1:15: jobs has no key 'stopp'"),
        ("keys: {jobs: {stop: ctrl+foo}}", "c:1:21: 'ctrl+foo' is no key"),
        ("keys: {jobs: {stop: {a: b}}}", "c:1:21: a key is a mapping"),
        ("keys: {jobs: {stop: r}}", "c:1:21: r is jobs.stop and jobs.restart at once"),
        ("lists: {jobs: {columns: [naem]}}", "c:1:26: no column is called 'naem'"),
        ("lists: {jobs: {sort: -agee}}", "c:1:22: no column is called 'agee'"),
        ("lists: {jobs: {group: team}}", "c:1:23: no group is called 'team'"),
        ("lists: {jobz: {}}", "c:1:9: no list is called 'jobz'"),
        ("- a", "c:1:1: the config is a list; expected a mapping of fields"),
        ("keys: [", "c:"),
        ("a: 1\n---\nb: 2", "c:3:1: a second document"),
    ],
)
def test_mistakes_are_told_with_line_column_and_the_mend(text: str, said: str) -> None:
    assert any(it.startswith(said) for it in told(text)), told(text)


def test_a_mistake_costs_only_what_it_is_in() -> None:
    config, problems = parse("theme: nrod\nupdates: 2\nmouse: false\n", "c", KNOWN)
    assert (config.theme, config.updates, config.mouse) == ("auto", 2.0, False)
    assert len(problems) == 1
    assert problems[0].nearest == "nord"


def test_yaml_of_1_2_on_and_off_are_text_as_in_specs() -> None:
    assert told("read_only: on") == ["c:1:12: read_only is 'on'; expected true or false"]


def test_lists_have_columns_an_order_and_groups() -> None:
    config, problems = parse(
        "lists:\n  jobs: {columns: [id, name, project], sort: -age, group: project}\n", "c", KNOWN
    )
    layout = config.lists["jobs"]
    assert not problems
    assert layout.columns == ("id", "name", "project")
    assert (layout.sort, layout.reverse, layout.group) == ("age", True, "project")


def test_no_file_is_no_mistake_and_one_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none.yaml", KNOWN) == (Config(), ())
    config, problems = read_config(tmp_path, KNOWN)
    assert config == Config()
    assert "can't be read" in str(problems[0])


def test_the_environment_names_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXTUI_CONFIG", "/etc/flextui/ours.yaml")
    assert config_path() == Path("/etc/flextui/ours.yaml")
    monkeypatch.delenv("FLEXTUI_CONFIG")
    assert config_path().name == "config.yaml"


def test_the_examples_of_the_page_are_right() -> None:
    examples = re.findall(r"```yaml config\n(.*?)```", PAGE.read_text(), re.S)
    assert examples
    for example in examples:
        assert told(example) == []


# ── what is read before the first paint ────────────────────────────────────────────────────────

WHOLE = """
theme: nord
updates: 2
keys:
  fleet: {drain: X}
  everywhere: {jobs: f9}
  jobs: {stop: Z, restrat: y}
lists:
  fleet: {columns: [node, jobs], sort: -node}
  jobs: {sort: name}
"""


def test_what_the_fleet_needs_is_read_before_all_places_are_known() -> None:
    first, _ = parse(WHOLE, "c", early.known())
    whole, _ = parse(WHOLE, "c", KNOWN)
    assert (first.theme, first.updates) == (whole.theme, whole.updates)
    assert first.lists == {"fleet": whole.lists["fleet"]}
    here = ("fleet", "everywhere")
    assert first.keys == {it: chords for it, chords in whole.keys.items() if it[0] in here}


async def test_the_rest_is_read_with_the_first_key_that_leads_away() -> None:
    whole, problems = parse(WHOLE, "c", KNOWN)
    first, _ = parse(WHOLE, "c", early.known())
    flags, probe = Flags(), Answer()

    def made(config: Config, told: tuple[Problem, ...]) -> Look:
        return look(config, told, flags, {}, "utf-8", probe)

    start = replace(made(first, ()), whole=lambda: made(whole, problems))
    link = FakeLink(FakeClient(), holds_core=False)
    app = FlextuiApp(link, start)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.look.whole is None)
        await until(pilot, lambda: any("jobs has" in it.message for it in app._notifications))
        assert app.chord("jobs", "stop") == "Z"
        assert app.chord("fleet", "drain") == "X"
        assert app.layout("jobs").sort == "name"
        assert app.layout("fleet").columns == ("node", "jobs")
        await pilot.press("f9")
        await until(pilot, lambda: app.path[-1] == ("jobs",))
