"""Every key of every place does what the bottom line says, and nothing destroys without a yes."""

from __future__ import annotations

from textual.widgets import TextArea

from flextui.app import FlextuiApp
from flextui.core.commands import Cordon, Drain, Restart, Stop, Submit
from flextui.screens.confirm import Confirm
from flextui.screens.editor import Editor
from flextui.screens.fleet import Fleet
from flextui.screens.goto import GoTo
from flextui.screens.help import Help
from flextui.screens.job import Job
from flextui.screens.jobs import Jobs
from flextui.screens.node import Node
from flextui.screens.widgets.grid import Grid
from tests.screens.fake_client import FakeClient
from tests.screens.kit import running, until


def cursor(app: FlextuiApp) -> str | None:
    return app.screen.query(Grid).first().cursor_key


async def test_it_opens_on_the_fleet_and_moves_as_in_vi() -> None:
    async with running() as (app, pilot, _, _):
        assert isinstance(app.screen, Fleet)
        await pilot.press("j", "j", "k")
        assert cursor(app) == "gpu2"
        await pilot.press("G")
        assert cursor(app) == "gpu5"
        await pilot.press("g")
        assert cursor(app) == "gpu1"


async def test_enter_opens_a_node_and_escape_leads_back_but_never_out() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("enter")
        assert isinstance(app.screen, Node)
        await pilot.press("escape", "escape", "escape")
        assert isinstance(app.screen, Fleet)
        assert app.is_running


async def test_digits_and_colon_lead_anywhere() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2")
        assert isinstance(app.screen, Jobs)
        await pilot.press("colon")
        assert isinstance(app.screen, GoTo)
        await pilot.press(*"gpu3", "enter")
        assert isinstance(app.screen, Node)
        assert app.screen.node_name == "gpu3"
        await pilot.press("1")
        assert isinstance(app.screen, Fleet)


async def test_help_names_the_keys_of_the_place() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "question_mark")
        assert isinstance(app.screen, Help)
        await pilot.press("escape")
        assert isinstance(app.screen, Jobs)


async def test_a_filter_keeps_what_matches_and_escape_clears_it() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("2", "slash", *"chat", "enter")
        assert list(app.screen.query_one("#jobs", Grid).keys) == ["j2", "j3"]
        await pilot.press("slash", "home", "exclamation_mark", "enter")
        assert list(app.screen.query_one("#jobs", Grid).keys) == ["j1", "j4"]
        await pilot.press("escape")
        assert len(app.screen.query_one("#jobs", Grid).keys) == 4


async def test_the_cursor_stays_on_its_job_when_lines_move() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("2", "G")
        kept = cursor(app)
        jobs = {k: v for k, v in app.view.jobs.items() if k != "j2"}
        client.deltas.put_nowait({"revision": 2, "full": True, "jobs": dict(jobs), "nodes": {}})
        await until(pilot, lambda: len(app.view.jobs) == 3)
        assert cursor(app) == kept


async def test_stopping_asks_first_and_no_does_nothing() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("2", "s")
        assert isinstance(app.screen, Confirm)
        await pilot.press("enter")
        assert isinstance(app.screen, Confirm), "Enter alone never destroys"
        await pilot.press("n")
        assert not [c for c in client.asked if isinstance(c, Stop)]
        await pilot.press("s", "y")
        await until(pilot, lambda: any(isinstance(c, Stop) for c in client.asked))
        assert [c.jobs for c in client.asked if isinstance(c, Stop)] == [("j2",)]


async def test_restart_drain_and_cordon_reach_the_core() -> None:
    async with running() as (_, pilot, client, _):
        await pilot.press("d", "y", "enter")
        assert not client.asked, "a whole node wants its name typed"
        await pilot.press("backspace", *"gpu1", "enter")
        await until(pilot, lambda: any(isinstance(c, Drain) for c in client.asked))
        await pilot.press("enter", "j", "c")
        await until(pilot, lambda: any(isinstance(c, Cordon) for c in client.asked))
        await pilot.press("2", "r", "y")
        await until(pilot, lambda: any(isinstance(c, Restart) for c in client.asked))
        assert Drain("gpu1") in client.asked
        assert Cordon("gpu1", "1", True) in client.asked
        assert Restart(("j2",)) in client.asked


async def test_a_pending_job_says_why_it_waits() -> None:
    async with running() as (app, pilot, _, _):
        app.open_job("j4")
        await until(pilot, lambda: any(not w.has_class("empty") for w in app.screen.query("#why")))
        assert isinstance(app.screen, Job)
        text = str(app.screen.query_one("#reasons").render())
        assert "7 of 8 GPUs free; GPU 3 cordoned: XID 79" in text
        assert "with 7 GPUs instead of 8: now" in text


async def test_the_editor_says_what_is_wrong_and_keeps_the_text() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("n")
        assert isinstance(app.screen, Editor)
        area = app.screen.query_one("#text", TextArea)
        area.text = "name: x\nrun: true\nresorces: {gpus: 1}\n"
        await until(pilot, lambda: "1 mistake" in str(app.screen.query_one("#plan").render()))
        assert "resources" in str(app.screen.query_one("#plan").render())
        await pilot.press("ctrl+s")
        assert not [c for c in client.asked if isinstance(c, Submit)]
        await pilot.press("escape", "n")
        assert "resorces" in app.screen.query_one("#text", TextArea).text


async def test_the_example_is_ready_to_submit() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("n")
        await until(pilot, lambda: "valid" in str(app.screen.query_one("#plan").render()))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any(isinstance(c, Submit) for c in client.asked))
        await until(pilot, lambda: isinstance(app.screen, Job))


async def test_quitting_with_live_work_asks_and_hands_over() -> None:
    async with running(holds_core=True) as (app, pilot, _, link):
        await pilot.press("q", "escape")
        assert app.is_running
        assert link.handed_over is None
        await pilot.press("q", "enter")
        await until(pilot, lambda: link.handed_over is not None)
        assert link.handed_over is True


async def test_an_attached_terminal_just_leaves() -> None:
    async with running() as (_, pilot, _, link):
        await pilot.press("q")
        await until(pilot, lambda: link.handed_over is not None)
        assert link.handed_over is False


async def test_a_core_that_goes_away_is_said_and_the_picture_stays() -> None:
    async with running() as (app, pilot, _, _):

        class Gone:
            async def open(self, foresee: object) -> FakeClient:
                raise ConnectionError("the core went away")

        app.link = Gone()  # type: ignore[assignment]
        app.workers.cancel_group(app, "follow")
        app._follow()
        await until(pilot, lambda: app.view.trouble != "")
        assert app.view.nodes
        assert not app.view.live


async def test_tiny_and_huge_terminals_are_drawn() -> None:
    for size in ((20, 5), (40, 10), (300, 90)):
        async with running(size=size) as (app, pilot, _, _):
            await pilot.press("2", "enter")
            await pilot.resize_terminal(33, 7)
            await pilot.pause()
            assert app.is_running
