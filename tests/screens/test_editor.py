"""The editor at the keyboard: words that are offered, mistakes at their place, what an edit does
before it is done, and that no text is ever lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.geometry import Region
from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.core.commands import (
    Command,
    CommandError,
    Plan,
    Revise,
    Show,
    Submit,
    WhoAmI,
)
from flextui.core.model.spec import read_specs
from flextui.screens.apply import Apply
from flextui.screens.editing.templates import EXAMPLE, TEMPLATES
from flextui.screens.editor import Editor
from flextui.screens.look import Look
from tests.screens.fake_client import FakeClient, FakeLink
from tests.screens.kit import shown, until

SPEC = "name: train\nrun: python train.py\npriority: 60\n"


class Core(FakeClient):
    """Job j1 runs as `SPEC`, in revision 3."""

    def __init__(self) -> None:
        super().__init__()
        self.revision = 3
        self.text = SPEC
        self.wrong: CommandError | None = None
        self.gone = False
        self.slow: asyncio.Event | None = None
        """A submit is answered once this is set, and a plan unless they are `free`."""
        self.free = True

    async def call(self, command: Command) -> dict[str, Any]:
        self.asked.append(command)
        if self.gone:
            raise ConnectionError("broken pipe")
        match command:
            case Show():
                (spec,) = read_specs(self.text, "core")
                return {"name": "train", "revision": self.revision, "spec": spec.to_json(),
                        "priority": spec.priority, "ended_at": None}  # fmt: skip
            case Plan(_, "j1"):
                tasks = [{"index": 0, "node": "gpu2", "gpus": [1], "restarts": ["run"]}]
                diff = [{"field": "run", "old": "a", "new": "b", "effect": "restart"}]
                job = {"name": "train", "action": "revise", "tasks": tasks, "diff": diff}
                return {"jobs": [{**job, "revision": self.revision, "to": self.revision + 1}]}
            case Revise(_, _, base):
                if self.wrong is not None:
                    raise self.wrong
                if base != self.revision:
                    raise CommandError("failed", f"it is at revision {self.revision} by now")
                job = {"id": "j1", "name": "train", "revision": 4}
                return {"job": job, "action": "revised", "diff": [], "restarts": [0]}
            case Submit() if self.wrong is not None:
                raise self.wrong
            case Submit() | Plan() if self.slow and (isinstance(command, Submit) or not self.free):
                await self.slow.wait()
                if self.wrong is not None:
                    raise self.wrong
            case WhoAmI():
                return {"projects": ["vision"], "volumes": ["data"]}
        self.asked.pop()
        return await super().call(command)

    def did(self, kind: type) -> list[Any]:
        return [it for it in self.asked if isinstance(it, kind)]


@asynccontextmanager
async def editing(
    *keys: str, drafts: Path | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[FlextuiApp, Pilot[None], Core]]:
    """The terminal with the editor open by these keys."""
    core = Core()
    app = FlextuiApp(FakeLink(core), Look(undo_s=0.0, drafts=drafts))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.view.nodes))
        await pilot.press(*(keys or ("n",)))
        await until(pilot, lambda: isinstance(app.screen, Editor))
        yield app, pilot, core


def editor(app: FlextuiApp) -> Editor:
    place = next(it for it in app.screen_stack if isinstance(it, Editor))
    assert isinstance(place, Editor)
    return place


def told(app: FlextuiApp) -> str:
    """What stands beside the text, however it is wrapped."""
    return "\n".join("".join(it.text for it in line) for line in editor(app)._side._lines)


def says(app: FlextuiApp, words: str) -> Callable[[], bool]:
    return lambda: words in told(app)


EDIT = ("2", "/", *"train", "enter", "e")
"""The job j1, by the key for it."""


async def written(app: FlextuiApp, pilot: Pilot[None], text: str) -> None:
    """Another text in place of all, as by a paste."""
    editor(app)._text.replace_all(text)
    await until(pilot, lambda: editor(app)._draft.text == text)


async def test_words_are_offered_while_one_writes_and_never_over_the_line() -> None:
    async with editing() as (app, pilot, _):
        await written(app, pilot, "\n" * 30)
        await pilot.press("pagedown", "pagedown", "r", "e", "s")
        place = editor(app)
        await until(pilot, lambda: place._choices.open)
        line = Region(0, place._text.cursor_screen_offset.y, 120, 1)
        assert not place._choices.region.overlaps(line)
        await pilot.press("tab")
        assert place._text.lines[30:] == ["resources:", "  "]
        await pilot.press("g", "p", "u", "_", "m", "o")
        await until(pilot, lambda: place._choices.open)
        await pilot.press("tab")
        await until(pilot, lambda: place._choices.open)  # the values, before a letter is written
        assert place._choices.found[0].word == "a100"
        await pilot.press("ctrl+n", "down", "enter")
        assert place._text.lines[31] == "  gpu_model: t4"
        assert not place._choices.open


async def test_enter_and_arrows_are_the_texts_until_one_steps_into_the_list() -> None:
    async with editing() as (app, pilot, _):
        await written(app, pilot, "")
        await pilot.press("t", "y")
        place = editor(app)
        await until(pilot, lambda: place._choices.open)
        await pilot.press("enter")
        assert list(place._text.lines) == ["ty", ""]
        await pilot.press("p", "r")
        await until(pilot, lambda: place._choices.open)
        await pilot.press("up")
        assert place._text.cursor_location[0] == 0
        assert not place._choices.open, "it was for the word that was left"
        await pilot.press("escape")
        await until(pilot, lambda: app.path[-1] == ("fleet",))


async def test_projects_of_the_core_are_offered() -> None:
    async with editing() as (app, pilot, core):
        await until(pilot, lambda: bool(core.did(WhoAmI)))
        await written(app, pilot, "")
        await pilot.press(*"project:", "space")
        await until(pilot, lambda: editor(app)._choices.open)
        assert [it.word for it in editor(app)._choices.found] == ["vision"]


async def test_the_line_below_helps_and_a_mistake_is_told_at_its_place() -> None:
    async with editing() as (app, pilot, core):
        await until(pilot, lambda: editor(app)._valid)
        await pilot.press(*["down"] * 6)
        assert "time_limit: The longest that an attempt may run" in shown(app)
        await written(app, pilot, "name: a\nrun: x\n\nresources: {gpu: 1}\n")
        await until(pilot, says(app, "did you mean gpus?"))
        assert "4✗" in shown(app)
        await pilot.press("ctrl+s")
        assert editor(app)._text.cursor_location == (3, 12)
        assert "✗ unknown field 'gpu' in resources; did you mean 'gpus'?" in shown(app)
        assert core.did(Submit) == []
        await pilot.press("f8")
        assert editor(app)._text.cursor_location == (3, 12)


async def test_an_edit_shows_what_it_restarts_and_asks() -> None:
    async with editing(*EDIT) as (app, pilot, core):
        await until(pilot, says(app, "rev 3"))
        assert editor(app)._text.text == SPEC
        await written(app, pilot, SPEC.replace("train.py", "train.py --fast"))
        await until(pilot, says(app, "rev 3 → 4"))
        for words in ("restarts task 0: run changed", "- run: python train.py",
                      "+ run: python train.py --fast"):  # fmt: skip
            assert words in told(app)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Apply))
        assert "Apply train rev 3 → 4?" in shown(app)
        await pilot.press("n")
        assert core.did(Revise) == []
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Apply))
        await pilot.press("y")
        await until(pilot, lambda: app.path[-1][0] == "job")
        (command,) = core.did(Revise)
        assert (command.job, command.base) == ("j1", 3)
        assert app.drafts.get("j1") is None
        said = [it.line.argv for it in app.journal.entries.values()]
        assert ("edit", "--yes", "--base", "3", "-f", "-", "j1") in said


async def test_a_terminal_that_is_told_to_end_waits_for_no_answer_and_changes_nothing() -> None:
    async with editing(*EDIT) as (app, pilot, core):
        await until(pilot, says(app, "rev 3"))
        await written(app, pilot, SPEC.replace("train.py", "train.py --fast"))
        await until(pilot, says(app, "rev 3 → 4"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Apply))
        app.leave_at_once()
        link = app.link
        assert isinstance(link, FakeLink)
        await until(pilot, lambda: link.handed_over is not None)
        assert core.did(Revise) == []


async def test_two_who_edit_one_job_see_each_others_changes_and_lose_nothing() -> None:
    async with editing(*EDIT) as (app, pilot, core):
        await until(pilot, says(app, "rev 3"))
        mine = SPEC.replace("train.py", "mine.py")
        await written(app, pilot, mine)
        core.revision, core.text = 4, SPEC.replace("60", "90")
        await until(pilot, says(app, "rev 3 → 4"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Apply))
        await pilot.press("y")
        await until(pilot, says(app, "rev 4 came meanwhile"))
        assert "+ priority: 90" in told(app)
        assert editor(app)._text.text == mine
        await until(pilot, says(app, "rev 4 → 5"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Apply))
        await pilot.press("y")
        await until(pilot, lambda: len(core.did(Revise)) == 2)
        assert [it.base for it in core.did(Revise)] == [3, 4]


async def test_a_refused_text_stays_with_the_reason_at_its_place() -> None:
    async with editing(*EDIT) as (app, pilot, core):
        problem = {"file": "editor", "line": 3, "column": 11, "message": "too much",
                   "expected": "less", "nearest": ""}  # fmt: skip
        core.wrong = CommandError("input", "no", problems=(problem,))
        await written(app, pilot, SPEC.replace("60", "70"))
        await until(pilot, says(app, "rev 3 → 4"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Apply))
        await pilot.press("y")
        await until(pilot, says(app, "3:11  too much"))
        assert editor(app)._text.cursor_location == (2, 10)
        assert "priority: 70" in editor(app)._text.text


async def test_a_second_press_while_the_first_is_on_its_way_submits_nothing_twice() -> None:
    async with editing() as (app, pilot, core):
        core.slow = asyncio.Event()
        await until(pilot, lambda: editor(app)._valid)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(core.did(Submit)) == 1)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any("on its way" in it.message for it in app._notifications))
        core.slow.set()
        await until(pilot, lambda: not isinstance(app.screen, Editor))
        assert len(core.did(Submit)) == 1


async def test_what_is_on_its_way_is_told_of_though_one_has_left() -> None:
    async with editing() as (app, pilot, core):
        core.slow = asyncio.Event()
        await until(pilot, lambda: editor(app)._valid)
        await written(app, pilot, SPEC)
        await until(pilot, lambda: editor(app)._valid and not editor(app).thinking)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(core.did(Submit)) == 1)
        await pilot.press("escape", "2")
        core.slow.set()
        await until(pilot, lambda: any("submitted hello" in it.message
                                       for it in app._notifications))  # fmt: skip
        assert app.path[-1] == ("jobs",), "nobody is led away from where they are"
        assert app.drafts.get("") is None, "it isn't submitted again by mistake"


@pytest.mark.parametrize("refused", [True, False])
async def test_who_leaves_before_it_is_sent_keeps_the_draft(refused: bool) -> None:
    async with editing() as (app, pilot, core):
        await written(app, pilot, SPEC)
        await until(pilot, lambda: editor(app)._valid and not editor(app).thinking)
        core.slow, core.free = asyncio.Event(), False
        planned = len(core.did(Plan))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(core.did(Plan)) > planned)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Editor))
        core.wrong = CommandError("input", "no") if refused else None
        core.slow.set()
        await app.workers.wait_for_complete([it for it in app.workers if it.group == "act"])
        assert core.did(Submit) == []
        kept = app.drafts.get("")
        assert kept is not None
        assert kept.text == SPEC


async def test_what_is_written_while_it_is_on_its_way_stays_a_draft() -> None:
    async with editing() as (app, pilot, core):
        core.slow = asyncio.Event()
        await written(app, pilot, SPEC)
        await until(pilot, lambda: editor(app)._valid and not editor(app).thinking)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(core.did(Submit)) == 1)
        await written(app, pilot, SPEC + "# more\n")
        core.slow.set()
        await until(pilot, lambda: not isinstance(app.screen, Editor))
        kept = app.drafts.get("")
        assert kept is not None
        assert kept.text.endswith("# more\n")


async def test_a_core_that_goes_away_takes_no_text_along() -> None:
    async with editing() as (app, pilot, core):
        await until(pilot, lambda: editor(app)._valid)
        core.gone = True
        await written(app, pilot, SPEC)
        await until(pilot, says(app, "the core went away"))
        await pilot.press("ctrl+s")
        await until(pilot, says(app, "your text is kept"))
        assert editor(app)._text.text == SPEC


async def test_a_draft_is_there_again_after_esc_and_in_the_next_terminal(tmp_path: Path) -> None:
    async with editing(drafts=tmp_path) as (app, pilot, _):
        await written(app, pilot, SPEC)
        await pilot.press("escape")
        await until(pilot, lambda: app.path[-1] == ("fleet",))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        assert editor(app)._text.text == SPEC
    async with editing(drafts=tmp_path) as (app, pilot, _):
        assert editor(app)._text.text == SPEC
        await pilot.press("f5")
        await until(pilot, lambda: editor(app)._text.text == EXAMPLE)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: editor(app)._text.text == SPEC)
        await pilot.press("ctrl+y")
        await until(pilot, lambda: editor(app)._text.text == EXAMPLE)


async def test_a_template_and_what_ones_own_editor_wrote_replace_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with editing() as (app, pilot, _):
        await pilot.press("ctrl+t", "j", "enter")
        await until(pilot, lambda: editor(app)._text.text == TEMPLATES[2].text)
        await pilot.press("ctrl+z")
        assert editor(app)._text.text == EXAMPLE
        monkeypatch.setenv("VISUAL", f"{sys.executable} -c pass")
        ran: list[str] = []

        async def hand_over(argv: list[str], stay: str = "") -> int:
            ran.extend(argv)
            Path(argv[-1]).write_text("name: from outside\nrun: x\n")
            return 0

        monkeypatch.setattr(app, "hand_over", hand_over)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: editor(app)._text.text.startswith("name: from outside"))
        await until(pilot, says(app, "1:7  name is 'from outside'"))
        assert ran[:-1] == [sys.executable, "-c", "pass"]
        assert not Path(ran[-1]).exists()


async def test_an_editor_that_is_not_there_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with editing() as (app, pilot, _):
        monkeypatch.setenv("VISUAL", "/no/such/editor")

        async def hand_over(argv: list[str], stay: str = "") -> int:
            return await (await asyncio.create_subprocess_exec(*argv)).wait()

        monkeypatch.setattr(app, "hand_over", hand_over)
        await pilot.press("ctrl+g")
        said = "/no/such/editor can't be run"
        await until(pilot, lambda: any(said in it.message for it in app._notifications))
        assert editor(app)._text.text == EXAMPLE
        await pilot.press("a")
        assert editor(app)._text.text != EXAMPLE


async def test_a_megabyte_is_pasted_and_written_in(tmp_path: Path) -> None:
    paste = "".join(f"env_{n}: value of {n}\n" for n in range(45_000))
    assert len(paste) > 1_000_000
    async with editing(drafts=tmp_path) as (app, pilot, core):
        await until(pilot, lambda: editor(app)._valid)
        planned = len(core.did(Plan))
        await written(app, pilot, paste)
        await pilot.press("a", "b")
        assert editor(app)._text.lines[0] == "abenv_0: value of 0"
        await until(pilot, says(app, "✗ 1 mistake"), 60.0)
        assert len(core.did(Plan)) == planned
        await pilot.press("pagedown", "enter")
        assert len(editor(app)._text.lines) == 45_002


STEPS: tuple[tuple[str, ...], ...] = (
    ("ctrl+home",), ("down",), ("end",), ("home",), ("end", "shift+left", "shift+left"),
    ("down", "end"), ("left", "shift+up"), ("ctrl+end", "shift+ctrl+home"),
)  # fmt: skip


async def test_the_part_of_a_long_line_is_drawn_as_all_of_it_would_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with editing() as (app, pilot, _):
        await written(app, pilot, "name: a\nrun: " + "x y " * 100 + "\ncount: [\nworkdir: /\n")
        await until(pilot, lambda: editor(app)._text._marks)
        area = editor(app)._text

        def drawn(long: int) -> list[list[tuple[str, bool, object]]]:
            monkeypatch.setattr("flextui.screens.widgets.yamlarea.LONG", long)
            area._line_cache.clear()
            lines = [area.render_line(y).crop(0, area.size.width) for y in range(5)]
            return [
                [(char, bool(style and style.reverse), style and style.bgcolor)
                 for text, style, _ in line for char in text]
                for line in lines
            ]  # fmt: skip

        for keys in STEPS:
            await pilot.press(*keys)
            assert drawn(20) == drawn(10**6), keys


async def test_a_megabyte_in_one_line_is_drawn_only_where_it_shows() -> None:
    async with editing() as (app, pilot, _):
        area = editor(app)._text
        area.text = ""
        area.post_message(events.Paste("name: a\nrun: " + "x y " * 260_000))
        await until(pilot, lambda: len(area.text) > 1_000_000)
        strips = [area.render_line(y) for y in range(area.size.height)]
        assert max(it.cell_length for it in strips) <= area.size.width
        await pilot.press("end", "z")
        assert "x y z" in shown(app)


class Small(Core):
    """A fleet that has two CPUs, and after a while four."""

    cpus = 2

    async def call(self, command: Command) -> dict[str, Any]:
        if not isinstance(command, Plan) or command.job is not None:
            return await super().call(command)
        (spec,) = read_specs(command.sources[0].text, "core")
        job: dict[str, Any] = {"name": "x", "action": "create", "tasks": [], "warnings": []}
        if spec.resources.cpus > self.cpus:
            job["warnings"] = ["submitting it would be refused: no node could ever hold it"]
            job["takes"] = [{"field": ["resources", "cpus"], "value": str(self.cpus)}]
        else:
            job["tasks"] = [{"index": 0, "node": "gpu1", "gpus": []}]
        return {"jobs": [job]}


async def test_what_would_be_refused_says_so_and_a_key_takes_what_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flextui.screens.editor.ANEW_S", 0.0)
    core = Small()
    app = FlextuiApp(FakeLink(core), Look(undo_s=0.0))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.view.nodes))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        text = "name: x  # mine\nrun: a\nresources: {cpus: 8}\n"
        await written(app, pilot, text)
        await until(pilot, says(app, "✗ would be refused"))
        await until(pilot, lambda: "F6 what fits" in shown(app))
        await pilot.press("f6")
        await until(pilot, says(app, "now would go"))
        assert editor(app)._text.text == text.replace("8", "2")
        assert "what fits" not in shown(app)
        await pilot.press("ctrl+z")
        await until(pilot, says(app, "✗ would be refused"))
        core.cpus = 8
        core.deltas.put_nowait({"revision": 9, "full": False, "jobs": {}, "nodes": {}})
        await until(pilot, says(app, "now would go"))
        assert editor(app)._text.text == text, "the fleet has changed, not the text"


async def test_help_is_there_while_one_writes() -> None:
    async with editing() as (app, pilot, _):
        await until(pilot, lambda: "F1 help" in shown(app))
        await pilot.press("f1")
        assert app.screen.__class__.__name__ == "Help"
        await pilot.press("f1")
        assert isinstance(app.screen, Editor)
