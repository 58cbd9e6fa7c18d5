"""The problems place: what it tells of each, where it leads, and that its keys do what they say."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from flextui.core.commands import Cordon, DeclareLost, Drain, Silence, TakeOver, Unsilence
from flextui.screens.confirm import Confirm
from flextui.screens.look import Look
from tests.screens.fake_client import fleet_delta, problem
from tests.screens.kit import running, shown, until


async def test_the_worst_come_first_and_what_is_cut_stands_below() -> None:
    async with running(size=(80, 24)) as (app, pilot, _, _):
        await pilot.press("6")
        lines = shown(app).splitlines()
        rows = [line for line in lines if any(sign in line for sign in "✗!") or " · " in line]
        assert [row.split(":")[0].split()[-1] for row in rows[:2]] == ["web/chat-gw", "gpu5"]
        await pilot.press("j")
        below = "\n".join(lines := shown(app).splitlines()[-5:])
        assert "touches dan/train-vit unknown" in below
        assert "flextui declare-lost gpu5" in below


async def test_the_cursor_stays_on_its_problem_and_a_problem_that_is_over_goes() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("6", "j")
        rest = [it for it in fleet_delta()["problems"] if it["id"] != "fallen:j3"]
        rest.insert(0, problem("core:read-only", "critical", "the core can't write", "", ""))
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": {}, "nodes": {},
                                  "problems": rest})  # fmt: skip
        await until(pilot, lambda: "the core can't write" in shown(app))
        assert "chat-gw: crash" not in shown(app)
        assert app.screen.grid.cursor_key == "node:gpu5"  # type: ignore[attr-defined]


async def test_groups_by_how_bad_stand_in_that_order() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("6", "t")
        await until(pilot, lambda: "▾ critical" in shown(app))
        heads = [line.split()[1] for line in shown(app).splitlines() if "▾" in line]
        assert heads == ["critical", "warning", "notice"]


async def test_nothing_is_wrong() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("6")
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": {}, "nodes": {},
                                  "problems": []})  # fmt: skip
        await until(pilot, lambda: "nothing is wrong" in shown(app))
        await pilot.press("x", "enter", "l", "w", "e", "s", "d", "c", "y")
        assert client.asked == []


@pytest.mark.parametrize(
    ("steps", "place"),
    [(("g",), "job"), (("g", "j"), "node"), (("g", "j", "j"), "gpu")],
    ids=["job", "node", "gpu"],
)
async def test_enter_leads_to_the_thing(steps: tuple[str, ...], place: str) -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("6", *steps, "enter")
        await until(pilot, lambda: app.path[-1][0] == place)


async def next_step(action: str, **more: Any) -> list[object]:
    """What the key of the next step asks of the core, every question answered with yes."""
    async with running() as (app, pilot, client, _):
        told = problem("one", "warning", "something", action, action, **more)
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": {}, "nodes": {},
                                  "problems": [told]})  # fmt: skip
        await pilot.press("6")
        await until(pilot, lambda: "something" in shown(app))
        await pilot.press("x")
        if isinstance(app.screen, Confirm):
            word = app.screen._typed
            await pilot.press(*word, "enter") if word else await pilot.press("y")
        await until(pilot, lambda: client.asked)
        return list(client.asked)


async def test_the_next_step_is_done() -> None:
    assert await next_step("declare-lost", node="gpu5") == [DeclareLost("gpu5")]
    assert await next_step("uncordon", node="gpu4", gpu="3") == [Cordon("gpu4", "3", False)]
    assert await next_step("cordon", node="gpu1", gpu="0") == [Cordon("gpu1", "0", True)]
    assert await next_step("drain", node="gpu1") == [Drain("gpu1")]


async def test_a_lost_gpu_that_is_cordoned_can_be_given_work_again() -> None:
    async with running() as (app, pilot, client, _):
        seen = fleet_delta()["nodes"]["gpu1"]
        assert seen is not None
        seen["gpus"][0] |= {"state": "lost", "cordoned": True}
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": {},
                                  "nodes": {"gpu1": seen}})  # fmt: skip
        await until(pilot, lambda: app.view.nodes["gpu1"]["gpus"][0]["state"] == "lost")
        app.act.cordon(("gpu1:0",))
        await until(pilot, lambda: client.asked == [Cordon("gpu1", "0", False)])


async def test_a_next_step_never_does_the_opposite() -> None:
    """Somebody else was quicker: the problem still says `cordon`, and the GPU is cordoned."""
    async with running() as (app, pilot, client, _):
        told = problem("one", "warning", "something", "cordon", "cordon", node="gpu4", gpu="3")
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": {}, "nodes": {},
                                  "problems": [told]})  # fmt: skip
        await pilot.press("6")
        await until(pilot, lambda: "something" in shown(app))
        await pilot.press("x")
        await until(pilot, lambda: any("already" in it.message for it in app._notifications))
        assert client.asked == []


async def test_a_takeover_takes_the_name_of_the_node() -> None:
    async with running() as (app, pilot, client, _):
        seen = fleet_delta()["nodes"]["gpu5"]
        assert seen is not None
        client.deltas.put_nowait({
            "revision": 2, "full": False, "jobs": {},
            "nodes": {"gpu5": {**seen, "state": "observed", "driver": "eve@head"}},
            "problems": [problem("one", "warning", "driven", "takeover gpu5", "takeover",
                                 node="gpu5")],
        })  # fmt: skip
        await pilot.press("6")
        await until(pilot, lambda: "driven" in shown(app))
        await pilot.press("x")
        assert "eve@head is fenced off" in shown(app)
        await pilot.press("y", "escape")
        assert client.asked == []
        await pilot.press("x", *"gpu5", "enter")
        await until(pilot, lambda: TakeOver(("gpu5",)) in client.asked)


async def test_several_with_the_same_next_step_are_done_together() -> None:
    async with running() as (app, pilot, client, _):
        told = [problem(f"gpu:{n}", "warning", f"XID on {n}", f"uncordon gpu4:{n}", "cordon",
                        node="gpu4", gpu=str(n)) for n in (0, 1)]  # fmt: skip
        told.append(problem("disk", "warning", "a disk", "shell gpu4", "shell", node="gpu4"))
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": {}, "nodes": {},
                                  "problems": told})  # fmt: skip
        await pilot.press("6")
        await until(pilot, lambda: "XID on 1" in shown(app))
        await pilot.press("*", "x")
        assert "different next steps" in list(app._notifications)[-1].message
        await pilot.press("escape", "/", *"XID", "enter", "*", "x")
        await until(pilot, lambda: len(client.asked) == 2)
        assert client.asked == [Cordon("gpu4", "0", True), Cordon("gpu4", "1", True)]


async def test_read_only_looks_and_does_nothing() -> None:
    async with running(look=Look(read_only=True, undo_s=0.0)) as (app, pilot, client, _):
        await pilot.press("6", "j", "x", "d", "c", "s")
        assert client.asked == []
        assert "read-only" in list(app._notifications)[-1].message
        await pilot.press("g", "x")
        await until(pilot, lambda: app.path[-1][0] == "logs")


async def test_the_commands_of_the_next_steps_are_yanked() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("6", "*", "y")
        assert app.clipboard.splitlines() == [
            "flextui logs j3", "flextui declare-lost gpu5", "flextui uncordon gpu4:3",
            "flextui gpus gpu2",
        ]  # fmt: skip


async def test_a_problem_is_silenced_for_a_while_and_heard_of_again() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("6", "g", "S")
        box = app.screen.query_one(Input)
        box.value = "soon"
        await pilot.press("enter")
        assert "a duration first, then why" in shown(app)
        box.value = "3d new board on Thursday"
        await pilot.press("enter")
        await until(pilot, lambda: client.asked)
        assert client.asked == [Silence(("fallen:j3",), 3 * 86_400.0, "new board on Thursday")]
        by = {"by": "bob", "until": "2026-11-27T12:00:00Z", "why": "new board"}
        found = [{**it, "silenced": by if it["id"] == "fallen:j3" else None}
                 for it in fleet_delta()["problems"]]  # fmt: skip
        client.deltas.put_nowait({"revision": 2, "full": False, "jobs": {}, "nodes": {},
                                  "problems": found})  # fmt: skip
        await until(pilot, lambda: "silenced: web/chat-gw" in shown(app))
        assert "silenced by bob until" in shown(app), "the cursor is on it still"
        assert shown(app).splitlines()[2].lstrip().split()[1] == "✗", "what is heard of comes first"
        await pilot.press("S")
        await until(pilot, lambda: len(client.asked) == 2)
        assert client.asked[1] == Unsilence(("fallen:j3",))
        said = [it.line.shell() for it in app.journal.entries.values()]
        assert "silence --for 3d --why 'new board on Thursday' fallen:j3" in "\n".join(said)
        assert "unsilence fallen:j3" in "\n".join(said)
