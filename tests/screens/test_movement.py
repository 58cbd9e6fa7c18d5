"""Anywhere by a few keys, and nothing lost on the way."""

from __future__ import annotations

import asyncio
import re

import pytest
from textual import events
from textual.widgets import Input, TextArea

from flextui.core.commands import (
    Cordon,
    Drain,
    Hold,
    Release,
    Restart,
    Scale,
    SetPriority,
    Stop,
    Unstop,
)
from flextui.screens.columns import Columns
from flextui.screens.commands import Commands
from flextui.screens.confirm import Confirm
from flextui.screens.editing.templates import TEMPLATES
from flextui.screens.editor import Editor
from flextui.screens.events import Events
from flextui.screens.fleet import Fleet
from flextui.screens.goto import GoTo
from flextui.screens.gpus import Gpus
from flextui.screens.grace import Grace
from flextui.screens.help import Help
from flextui.screens.job import Job
from flextui.screens.jobs import Jobs
from flextui.screens.leave import Leave
from flextui.screens.logs import Logs
from flextui.screens.look import Look
from flextui.screens.node import Node
from flextui.screens.place import Place
from flextui.screens.widgets.choices import Choices
from flextui.screens.widgets.grid import Grid
from flextui.screens.widgets.press import Press, Rows
from tests.screens.fake_client import fleet_delta, job, task
from tests.screens.kit import running, shown, until


def grid(app: object) -> Grid:
    return app.screen.query(Grid).first()  # type: ignore[attr-defined,no-any-return]


# ── the prompt ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("jobs", Jobs), ("gp", Gpus), ("even", Events), ("comm", Commands), ("node gpu2", Node),
        ("gpu2", Node), ("train", Job), ("logs chat", Logs), ("fleet", Fleet), ("new", Editor),
    ],
)  # fmt: skip
async def test_a_few_letters_lead_anywhere(typed: str, place: type[Place]) -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press(":", *typed, "enter")
        await until(pilot, lambda: isinstance(app.screen, place))


async def test_the_prompt_shows_ranks_completes_and_remembers() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press(":", *"jo")
        prompt = app.screen
        assert isinstance(prompt, GoTo)
        text = shown(app)
        assert "▸ job" in text
        assert "1 of" in text
        await pilot.press("ctrl+n", "tab")
        assert prompt._input.value
        await pilot.press("escape", ":", *"node gp3", "tab", "enter")
        assert isinstance(app.screen, Node)
        assert app.screen.node_name == "gpu3"
        await pilot.press(":", "up", "enter")
        assert app.screen.node_name == "gpu3"
        await pilot.press(":", *"events", "enter", ":", *"x", "up", "up", "down", "down")
        assert isinstance(app.screen, GoTo)
        assert app.screen._input.value == "x", "what was being typed comes back"


async def test_tab_goes_on_to_the_next_match() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press(":", *"node ", "tab")
        assert isinstance(app.screen, GoTo)
        first = app.screen._input.value
        await pilot.press("tab")
        assert first.startswith("node gpu")
        assert app.screen._input.value.startswith("node gpu")
        assert app.screen._input.value != first


async def test_commands_of_the_prompt_do_what_they_say() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press(":", *"scale chat-api 5", "enter")
        await pilot.press(":", *"priority train 80", "enter")
        await pilot.press(":", *"cordon gpu2:1", "enter")
        await pilot.press(":", *"stop train", "enter")
        assert isinstance(app.screen, Confirm)
        await pilot.press("y")
        await pilot.press(":", *"drain gpu3", "enter", *"gpu3", "enter")
        await until(pilot, lambda: Drain("gpu3") in client.asked)
        assert Scale("j2", 5) in client.asked
        assert SetPriority("j1", 80) in client.asked
        assert Cordon("gpu2", "1", True) in client.asked
        assert Stop(("j1",)) in client.asked


async def test_each_way_of_the_prompt_goes_one_way_only() -> None:
    """Whoever types `cordon` for what somebody else has just cordoned doesn't undo that."""
    async with running() as (app, pilot, client, _):
        told: list[str] = []
        app.tell = lambda text, *, bad=False: told.append(text)  # type: ignore[method-assign]
        for typed in ("cordon gpu4:3", "uncordon gpu2:1", "undrain gpu3"):
            app.reach.go(typed)
        assert told == ["gpu4:3: cordoned already", "gpu2:1: not cordoned", "gpu3: not drained"]
        for typed in ("uncordon gpu4:3", "hold train", "release train"):
            app.reach.go(typed)
        await until(pilot, lambda: Release(("j1",)) in client.asked)
        assert client.asked == [Cordon("gpu4", "3", False), Hold(("j1",)), Release(("j1",))]


@pytest.mark.parametrize(
    "typed", ["scale chat-api", "nothing of that kind", "priority train 101", "priority train ²"]
)
async def test_what_leads_nowhere_is_told(typed: str) -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press(":", *typed, "enter")
        await until(pilot, lambda: not isinstance(app.screen, GoTo))
        assert [it.severity for it in app._notifications] == ["error"]
        assert not client.asked


async def test_themes_are_chosen_by_name() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press(":", *"theme nord", "enter")
        assert app.theme == "nord"
        await pilot.press(":", *"ascii on", "enter")
        await until(pilot, lambda: "* ready" in shown(app))
        assert shown(app).isascii()


# ── back and forward ───────────────────────────────────────────────────────────────────────────


async def test_back_and_forward_as_in_a_browser() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("j", "enter", "2", "G", "enter", "l")
        assert isinstance(app.screen, Logs)
        for place in (Job, Jobs, Node, Fleet):
            await pilot.press("[")
            assert isinstance(app.screen, place)
        await pilot.press("[")
        assert isinstance(app.screen, Fleet)
        for place in (Node, Jobs, Job, Logs):
            await pilot.press("alt+right")
            assert isinstance(app.screen, place)
        await pilot.press("escape")
        assert isinstance(app.screen, Job)
        await pilot.press("[")
        assert isinstance(app.screen, Logs), "up is a step like any other"


async def test_cursor_and_filter_are_where_one_left_them() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "j", "j", "1", "j", "2")
        assert grid(app).cursor_key == "j4"
        await pilot.press("/", *"chat", "enter", "1")
        assert grid(app).cursor_key == "gpu2"
        await pilot.press("2")
        assert list(grid(app).keys) == ["j2", "j3"]
        assert "filter /" in shown(app)
        await pilot.press("escape")
        assert len(grid(app).keys) == 4


async def test_keys_typed_ahead_reach_the_place_that_the_ones_before_lead_to() -> None:
    async with running() as (app, pilot, client, _):
        app.simulate_key("2")
        for key in ("j", "j", "enter", "s"):
            app.simulate_key(key)
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "llama-pre-2" in shown(app)
        for key in ("n", "escape", "/", "c", "h", "a", "t", "enter", "j", "r", "y"):
            app.simulate_key(key)
        await until(pilot, lambda: bool(client.asked))
        assert [c for c in client.asked if isinstance(c, Restart)] == [Restart(("j3",))]


# ── filters ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keys", ["", "2", "3", "4", "5", "j enter", "2 enter"])
async def test_every_list_can_be_filtered(keys: str) -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press(*keys.split())
        before = len(grid(app).keys)
        await pilot.press("/", *"zzz", "enter")
        assert len(grid(app).keys) == 0
        assert isinstance(app.screen, Place)
        assert "filter /" in shown(app)
        await pilot.press("escape")
        assert len(grid(app).keys) == before
        assert "filter /" not in shown(app)


async def test_the_filter_says_what_it_finds_and_when_it_is_no_regex() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "/", *"chat")
        await until(pilot, lambda: "2 of 4" in shown(app))
        await pilot.press("(")
        await until(pilot, lambda: "0 of 4, as plain text" in shown(app))


# ── lists ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_per_column_sorts_and_the_head_says_so() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "o")
        assert "name" in shown(app).splitlines()[-1], "the bottom line offers the columns"
        await pilot.press("n")
        assert list(grid(app).keys) == ["j2", "j3", "j4", "j1"]
        assert "name▴" in shown(app)
        await pilot.press("o", "n")
        assert list(grid(app).keys) == ["j1", "j4", "j3", "j2"]
        await pilot.press("o", "n", "o", "escape")
        assert list(grid(app).keys) == ["j2", "j1", "j4", "j3"]
        assert isinstance(app.screen, Jobs), "Esc ends a chord and nothing else"


async def test_columns_are_chosen_and_moved() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "f")
        assert isinstance(app.screen, Columns)
        await pilot.press("j", "space", "K", "enter")
        assert isinstance(app.screen, Jobs)
        head = shown(app).splitlines()[1].split()
        assert head[:2] == ["id", "owner"]
        assert "name" not in head
        await pilot.press("f", "u", "enter")
        assert shown(app).splitlines()[1].split()[:3] == ["id", "name", "owner"]
        await pilot.press("f", "space", "escape")
        assert shown(app).splitlines()[1].split()[0] == "id"


async def test_jobs_are_grouped_and_groups_fold() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "t", "t")
        text = shown(app)
        assert "▾ bob  2 jobs · 1 running · 1 pending · 6 GPUs" in text
        await pilot.press("g")
        assert grid(app).cursor_key is None
        await pilot.press("s")
        assert isinstance(app.screen, Jobs), "a heading can't be stopped"
        await pilot.press("enter")
        assert "▸ bob" in shown(app)
        assert "llama-pre-2" not in shown(app)


async def test_an_action_is_for_all_that_is_selected() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("2", "space", "j", "space")
        assert "2 selected" in shown(app)
        await pilot.press("r")
        assert "Restart 2 jobs?" in shown(app)
        await pilot.press("y", "enter")
        assert not client.asked, "others' jobs are among them: their number has to be typed"
        await pilot.press("backspace", "2", "enter")
        await until(pilot, lambda: bool(client.asked))
        assert client.asked == [Restart(("j2", "j4"))]
        await pilot.press("escape")
        assert "selected" not in shown(app)
        assert isinstance(app.screen, Jobs)


async def test_a_range_follows_the_cursor_and_all_is_one_key() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "j", "v", "j")
        assert grid(app).chosen == ("j1", "j4")
        await pilot.press("v", "g")
        assert grid(app).chosen == ("j1", "j4")
        await pilot.press("*")
        assert len(grid(app).chosen) == 4
        await pilot.press("*")
        assert grid(app).chosen == ("j2",)


async def test_more_than_ten_want_their_number_typed() -> None:
    async with running() as (app, pilot, client, _):
        jobs = {f"j{n}": job(n, f"n{n}", "bob", "running", [task(0, "running", [])])
                for n in range(1, 13)}  # fmt: skip
        client.deltas.put_nowait({**fleet_delta(), "jobs": dict(jobs)})
        await until(pilot, lambda: len(app.view.jobs) == 12)
        await pilot.press("2", "*", "s", "y", "enter")
        assert isinstance(app.screen, Confirm)
        await pilot.press("backspace", "1", "2", "enter")
        await until(pilot, lambda: bool(client.asked))
        (asked,) = client.asked
        assert isinstance(asked, Stop)
        assert len(asked.jobs) == 12


async def test_the_keys_that_sort_are_those_of_the_list_that_has_the_focus() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("j", "enter", "o", "u")
        assert "busy▾" in shown(app)
        await pilot.press("tab", "o", "a")
        assert "command▴" in shown(app)


# ── undo ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_stop_counts_down_and_can_be_taken_back() -> None:
    async with running(look=Look(undo_s=60.0)) as (app, pilot, client, _):
        await pilot.press("2", "s", "y")
        await until(pilot, lambda: client.asked)
        assert re.search(r"stop web/chat-api in \d+s, u undoes", shown(app).splitlines()[0])
        await pilot.press("u")
        assert "undoes" not in shown(app)
        await until(pilot, lambda: client.asked == [Stop(("j2",), after_s=60.0), Unstop(("j2",))])
        await pilot.press("u")
        assert list(app._notifications)[-1].message == "nothing waits to be done"


async def test_the_core_waits_with_a_drain_and_undraining_takes_it_back() -> None:
    async with running(look=Look(undo_s=60.0)) as (_, pilot, client, _):
        await pilot.press("j", "j", "j", "d", "y")
        await until(pilot, lambda: Drain("gpu4", after_s=60.0) in client.asked)
        await pilot.press("u")
        await until(pilot, lambda: client.asked[-1] == Drain("gpu4", False))


async def test_what_the_core_has_done_cannot_be_taken_back() -> None:
    times = iter((0.0, 1.0, 1.0, 11.0))
    grace = Grace(lambda: next(times))
    grace.add("stop train", 10.0, [Unstop(("j1",))], [Stop(("j1",))])
    assert grace.said.startswith("stop train in")
    assert grace.take() is None


async def test_leaving_does_what_was_said_yes_to_where_the_core_ends_with_it() -> None:
    async with running(look=Look(undo_s=60.0), holds_core=True) as (_, pilot, client, link):
        await pilot.press("2", "s", "y", "j", "s", "y")
        await until(pilot, lambda: len(client.asked) == 2)
        await pilot.press("escape", "q", "n")
        await until(pilot, lambda: link.handed_over is not None)
        assert sorted(it.jobs for it in client.asked[2:]) == [("j1",), ("j2",)]  # type: ignore[union-attr]
        assert {it.after_s for it in client.asked[2:]} == {0.0}  # type: ignore[union-attr]


async def test_leaving_a_core_elsewhere_leaves_it_to_that() -> None:
    async with running(look=Look(undo_s=60.0)) as (_, pilot, client, link):
        await pilot.press("2", "s", "y", "escape", "q")
        await until(pilot, lambda: link.handed_over is not None)
        assert client.asked == [Stop(("j2",), after_s=60.0)]


async def test_restarts_and_cordons_wait_for_nothing() -> None:
    async with running(look=Look(undo_s=60.0)) as (_, pilot, client, _):
        await pilot.press("c", "2", "r", "y")
        await until(pilot, lambda: len(client.asked) == 2)


# ── read-only ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["look", "key"])
async def test_read_only_acts_on_nothing_and_says_so(how: str) -> None:
    async with running(look=Look(read_only=how == "look")) as (app, pilot, client, _):
        if how == "key":
            await pilot.press("ctrl+r")
        assert "read-only" in shown(app).splitlines()[0]
        keys = ("d", "c", "2", "s", "r", "*", "s", ":", *"stop train", "enter",
                ":", *"scale chat-api 3", "enter", "n", "ctrl+s")  # fmt: skip
        await pilot.press(*keys)
        assert isinstance(app.screen, Editor)
        looks = ("Plan", "Show", "Why", "WhoAmI")
        assert not [c for c in client.asked if type(c).__name__ not in looks]
        assert "Ctrl-r allows it" in list(app._notifications)[-1].message
        await pilot.press("escape", "ctrl+r", "2", "s")
        assert isinstance(app.screen, Confirm)


# ── keys of one's own ──────────────────────────────────────────────────────────────────────────


async def test_rebound_keys_work_and_help_and_bottom_line_tell_them() -> None:
    keys = {("jobs", "stop"): ("X",), ("jobs", "logs"): (), ("everywhere", "help"): ("f1",),
            ("list", "top"): ("home", "g g")}  # fmt: skip
    async with running(look=Look(keys=keys)) as (app, pilot, _, _):
        await pilot.press("2", "s", "l", "?")
        assert isinstance(app.screen, Jobs), "the old keys do nothing"
        assert "X stop" in shown(app).splitlines()[-1]
        assert "logs" not in shown(app).splitlines()[-1]
        await pilot.press("G", "g", "g")
        assert grid(app).cursor_key == "j2"
        await pilot.press("f1")
        assert isinstance(app.screen, Help)
        text = shown(app)
        assert re.search(r"  X +stop +flextui stop JOB\.\.\.", text)
        assert "  –            what it prints" in text
        await pilot.press("escape", "X")
        assert isinstance(app.screen, Confirm)


async def test_mistakes_in_the_config_are_told_once_and_stay_in_help() -> None:
    look = Look(problems=("config.yaml:1:2: wrong; expected right", "config.yaml:3:4: worse"))
    async with running(look=look) as (app, pilot, _, _):
        (note,) = app._notifications
        assert note.message == "config.yaml:1:2: wrong (1 more, all of it: ?)"
        await pilot.press("?")
        assert "config.yaml:3:4: worse" in shown(app)


# ── the command log ────────────────────────────────────────────────────────────────────────────


async def test_what_was_done_is_there_as_commands_to_yank() -> None:
    async with running() as (app, pilot, _, link):
        link.words = ("--connect", "alice@head")
        await pilot.press("2", "s", "y", "enter", "5")
        text = shown(app)
        assert "flextui stop --yes j2" in text
        assert "flextui show j2" in text
        assert "done" in text
        await pilot.press("*", "y")
        assert app.clipboard.splitlines() == [
            "flextui --connect alice@head jobs",
            "flextui --connect alice@head stop --yes j2",
            "flextui --connect alice@head show j2",
        ]


async def test_a_refusal_is_in_the_log_with_its_reason() -> None:
    async with running() as (app, pilot, client, _):
        from flextui.core.commands import Command, CommandError

        async def refuse(command: Command) -> dict[str, object]:
            raise CommandError("permission", "only bob may stop bob/train")

        client.call = refuse  # type: ignore[method-assign]
        await pilot.press("2", "s", "y", "5")
        await until(pilot, lambda: "only bob may stop bob/train" in shown(app))


async def test_what_was_submitted_comes_with_its_text() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("n")
        await until(pilot, lambda: "valid" in shown(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Job))
        await pilot.press("5", "/", *"submit", "enter", "y")
        lines = app.clipboard.splitlines()
        assert lines[0] == "flextui submit - <<'EOF'"
        assert lines[-1] == "EOF"
        assert "name: hello" in lines


async def test_arrows_and_letters_in_a_text_keep_their_order() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.focused, TextArea))
        area = app.focused
        assert isinstance(area, TextArea)
        area.load_text("")
        keys = ("a", "b", "left", "c", "home", "d", "end", "backspace", "e")
        for key in keys:  # all at once, as a slow line brings them
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: "e" in area.text)
        assert area.text == "dace"


async def test_prompts_answer_to_the_mouse_as_well() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("2", "s")
        yes, no = app.screen.query(Press)
        await pilot.click(no)
        await until(pilot, lambda: isinstance(app.screen, Jobs))
        assert not client.asked
        await pilot.press("s")
        yes, no = app.screen.query(Press)
        await pilot.click(yes)
        await until(pilot, lambda: client.asked == [Stop(("j2",))])
        await pilot.press(":", *"problems")
        await pilot.click("#matches", offset=(3, 0))
        await until(pilot, lambda: app.path[-1] == ("problems",))
        await pilot.press(":", *"drain")
        await pilot.click("#matches", offset=(3, 0))
        assert app.screen.query_one(Input).value.startswith("drain "), "it wants a name yet"
        await pilot.press("escape", "f")
        before = str(app.screen.query_one("#names", Rows).content)
        await pilot.click("#names", offset=(3, 3))
        assert str(app.screen.query_one("#names", Rows).content) != before
        await pilot.press("escape", "n", "ctrl+t")
        await pilot.click("#list", offset=(3, 2))
        await until(pilot, lambda: isinstance(app.screen, Editor))
        assert app.screen._text.text == TEMPLATES[2].text  # type: ignore[attr-defined]
        app.screen._text.replace_all("name: x\n")  # type: ignore[attr-defined]
        await pilot.press("ctrl+end", *"res", "ctrl+n")
        await until(pilot, lambda: app.screen.query_one(Choices).open)
        word = app.screen.query_one(Choices).found[0].word
        await pilot.click("#choices", offset=(3, 0))
        await until(pilot, lambda: word in app.screen._text.text)  # type: ignore[attr-defined]


async def test_help_can_be_asked_where_its_keys_go_before_it_is_drawn_and_once_it_is_gone() -> None:
    async with running() as (app, pilot, _, _):
        assert isinstance(app.screen, Place)
        page = Help(app.screen)
        before = page.home_focus()
        await app.push_screen(page)
        await pilot.press("escape")
        await until(pilot, lambda: page not in app.screen_stack)
        assert page.home_focus() is before


async def test_what_is_still_to_be_worked_through_at_the_end_means_nothing() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, Jobs))
        app.ending = True
        await pilot.press("colon", "s", "y", "question_mark")
        assert isinstance(app.screen, Jobs)
        assert not client.asked


async def test_an_app_that_was_told_to_exit_takes_no_key() -> None:
    async with running() as (app, _, _, _):
        app.exit()
        assert app.ending


async def test_a_lost_terminal_hands_over_once_though_a_question_stands_and_it_is_told_twice() -> (
    None
):
    async with running(holds_core=True) as (app, pilot, _, link):
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Leave))
        app.leave_at_once()
        await asyncio.sleep(0)
        app.leave_at_once()
        await until(pilot, lambda: link.handed_over is not None)
        assert link.handed_over is True
