"""The map: what a cell says, how nodes fit on a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flextui.core.commands import Cordon
from flextui.screens.fields import heat
from flextui.screens.fleet import Fleet
from flextui.screens.gpu import Gpu
from flextui.screens.node import Node
from tests.screens.fake_client import fleet_delta, gpu, node
from tests.screens.kit import running, shown, until

A100 = "NVIDIA A100-SXM4-80GB"


def test_a_cell_is_what_is_asked_for_and_what_is_wrong_shows_in_any_case() -> None:
    used = gpu(0, A100, 80, 70, utilization=90, temperature_c=61, jobs=["bob/train"])
    assert [heat.cell(used, it).text for it in heat.SHOWS] == ["▇", "█", "b", "▅"]
    assert heat.cell(used, "memory").role == "busy"
    assert heat.cell({**used, "utilization": 3}, "memory").role == "idle"
    assert heat.cell({**used, "jobs": ["bob/a", "eve/b"]}, "owner").text == "+"
    assert (
        heat.cell({**used, "utilization": None, "temperature_c": None}, "temperature").text == "?"
    )
    for show in heat.SHOWS:
        assert heat.cell({**used, "state": "cordoned"}, show).text == "⊘"
        assert heat.cell({**used, "state": "foreign"}, show).text == "▒"
        assert heat.cell({**used, "state": "lost"}, show).text == "✗"


def test_names_lose_what_all_share_but_never_part_of_a_number() -> None:
    assert heat.short_names(["gpu1", "gpu2", "gpu10"]) == {"gpu1": "1", "gpu2": "2", "gpu10": "10"}
    assert heat.short_names(["gpu10", "gpu11"]) == {"gpu10": "10", "gpu11": "11"}
    assert heat.short_names(["a-x", "b-y"]) == {"a-x": "a-x", "b-y": "b-y"}
    assert heat.short_names(["gpu", "gpu1"]) == {"gpu": "gpu", "gpu1": "gpu1"}
    assert heat.short_names(["one"]) == {"one": "one"}
    assert heat.short_names([]) == {}


@given(st.lists(st.text("ab12-", min_size=1), unique=True, max_size=6))
def test_short_names_are_never_empty_and_never_the_same(names: list[str]) -> None:
    short = heat.short_names(names)
    assert all(short.values())
    assert len(set(short.values())) == len(names)


async def test_two_hundred_nodes_are_one_page() -> None:
    async with running(size=(120, 40)) as (app, pilot, client, _):
        nodes = {f"gpu{n:03}": node(f"gpu{n:03}", [gpu(i, A100, 80, 40) for i in range(8)])
                 for n in range(200)}  # fmt: skip
        client.deltas.put_nowait({**fleet_delta(), "nodes": dict(nodes)})
        await until(pilot, lambda: len(app.view.nodes) == 200)
        await pilot.press("z")
        text = shown(app)
        assert all(f"{n:03}" in text for n in range(200))
        await pilot.press("G")
        assert "gpu199" in shown(app).splitlines()[-2]


async def test_the_map_has_a_cursor_shows_other_things_and_leads_to_node_and_gpu() -> None:
    async with running() as (app, pilot, client, _):
        await pilot.press("j", "z")
        assert isinstance(app.screen, Fleet)
        assert app.screen.mapped
        assert "gpu2  ● ready" in shown(app), "the same node as in the list"
        await pilot.press("l", "l", "m", "m")
        assert "m owner …" in shown(app)
        assert "1 bbbbbb··" in shown(app)
        await pilot.press("h", "enter")
        assert isinstance(app.screen, Node)
        assert app.screen.node_name == "gpu3"
        await pilot.press("j", "enter")
        assert isinstance(app.screen, Gpu)
        assert "gpu3:1" in shown(app).splitlines()[0]
        await pilot.press("J", "c")
        await until(pilot, lambda: Cordon("gpu3", "2", True) in client.asked)
        await pilot.press("escape", "escape")
        assert app.screen.mapped, "where one left it"
        assert "gpu3  ● ready" in shown(app)
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: Cordon("gpu4", None, True) in client.asked)
        assert Cordon("gpu3", None, True) in client.asked


async def test_where_there_is_room_a_node_shows_memory_use_and_who_is_there_at_once() -> None:
    async with running(size=(120, 40)) as (app, pilot, _, _):
        await pilot.press("z")
        lines = shown(app).splitlines()
        assert lines[1].startswith(" gpu1 ▇▇▇▇▇▇··")
        assert lines[2].startswith(" busy ▄▄▄▄▄▄··")
        assert lines[3].startswith("  who bbbbbb··")
        await pilot.click(app.screen.home_focus(), offset=(3, 2))
        assert "gpu1  ● ready" in shown(app), "each of its lines is the node"
        await pilot.press("m")
        assert shown(app).splitlines()[2].startswith("  mem ▇▇▇▇▇▇··")
        await pilot.resize_terminal(80, 8)
        assert "busy ▄" not in shown(app)


async def test_the_map_is_grouped_and_filtered_as_the_list_is() -> None:
    async with running() as (app, pilot, _, _):
        await pilot.press("z", "t")
        assert "▾ lost  1" in shown(app)
        await pilot.press("j", "j", "k")
        await pilot.press("/", *"h100", "enter")
        assert "▾ ready  1" in shown(app)
        assert "gpu4  ● ready" in shown(app)


# ── charts ─────────────────────────────────────────────────────────────────────────────────────
