"""Reservations by command: who may, what is refused, and that they outlive the core."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flextui.core.commands import CommandError, ListEvents, ListReservations, Reserve, Unreserve
from flextui.core.model.state import Identity
from tests.unit.core_kit import Bench, ManualClock, bench
from tests.unit.fake_fleet import FakeNode, gpu, inventory

ALICE = Identity("alice", 1000)
BOB = Identity("bob", 1001)
START = "2023-11-15T09:00:00"  # the clock says 2023-11-14T22:13:20Z
DEMO = Reserve("demo", ("bob",), ("n1",), "4h", START, (0,), timezone="UTC")

SETTINGS: dict[str, Any] = {
    "users": {"admins": ["alice"]},
    "projects": {"vision": {"members": ["bob"]}},
    "reservations": [
        {
            "name": "class",
            "for": "project:vision",
            "nodes": "n2",
            "from": "2023-11-06T09:00",
            "to": "3h",
            "every": "weekdays",
            "timezone": "UTC",
        }
    ],
    "maintenance": [
        {
            "name": "patch",
            "nodes": "all",
            "from": "2023-11-19T06:00",
            "to": "1h",
            "every": "week",
            "timezone": "UTC",
        }
    ],
}


def fleet(tmp_path: Path) -> AbstractAsyncContextManager[Bench]:
    nodes = FakeNode("n1", gpus=(gpu("G0"), gpu("G1", 1))), FakeNode("n2")
    return bench(tmp_path, inventory("n1", "n2", **SETTINGS), *nodes, clock=ManualClock())


async def refusal(made: Bench, command: Reserve | Unreserve, who: Identity = ALICE) -> CommandError:
    before = made.snapshot.reservations
    with pytest.raises(CommandError) as caught:
        await made.running.client_for(who).call(command)
    assert made.snapshot.reservations == before
    return caught.value


async def listed(made: Bench, who: Identity = BOB) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await made.running.client_for(who).call(ListReservations()))[
        "reservations"
    ]
    return found


async def test_a_reservation_is_made_listed_and_ended(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        alice = made.running.client_for(ALICE)
        answer = await alice.call(DEMO)
        assert answer["reservation"]["next"] == {
            "from": "2023-11-15T09:00:00.000Z",
            "to": "2023-11-15T13:00:00.000Z",
        }
        kept = made.snapshot.reservations["demo"]
        assert (kept.for_, kept.nodes, kept.gpus) == (("bob",), ("n1",), (0,))
        assert [
            (it["name"], it["kind"], it["source"], it["active"]) for it in await listed(made)
        ] == [
            ("class", "reservation", "inventory", False),
            ("demo", "reservation", "command", False),
            ("patch", "maintenance", "inventory", False),
        ]
        assert await alice.call(Unreserve("demo")) == {"name": "demo"}
        assert made.snapshot.reservations == {}
        events = (await alice.call(ListEvents()))["events"]
        assert [it["text"] for it in events if it["kind"].startswith("audit.")] == [
            "demo: n1 GPU 0 for bob",
            "demo",
        ]


async def test_it_begins_now_unless_it_says_when(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        alice = made.running.client_for(ALICE)
        now = await alice.call(replace(DEMO, begin=""))
        assert now["reservation"]["active"]
        assert now["reservation"]["next"]["from"] == "2023-11-14T22:13:20.000Z"
        later = await alice.call(replace(DEMO, name="later", begin="5h", gpus=(1,)))
        assert later["reservation"]["next"]["from"] == "2023-11-15T03:13:20.000Z"


async def test_it_outlives_the_core(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        await made.running.client_for(ALICE).call(DEMO)
        before = dict(made.snapshot.reservations)
        await made.stop()
        await made.start()
        assert dict(made.snapshot.reservations) == before
        await made.running.client_for(ALICE).call(Unreserve("demo"))
        await made.stop()
        await made.start()
        assert made.snapshot.reservations == {}


async def test_one_that_is_over_is_dropped_with_the_next(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        alice = made.running.client_for(ALICE)
        await alice.call(DEMO)
        clock = made.clock
        assert isinstance(clock, ManualClock)
        clock.advance(86_400)
        assert "demo" not in [it["name"] for it in await listed(made)]
        await alice.call(replace(DEMO, name="next", begin=""))
        assert list(made.snapshot.reservations) == ["next"]


async def test_only_admins_reserve(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        assert (await refusal(made, DEMO, BOB)).code == "permission"
        await made.running.client_for(ALICE).call(DEMO)
        assert (await refusal(made, Unreserve("demo"), BOB)).code == "permission"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "class"}, "there is 'class' already: give another name, or end it first with"),
        ({"name": "patch"}, "there is 'patch' already"),
        ({"name": "De mo"}, "name is 'De mo'; expected 1 to 63 of a-z"),
        ({"name": "demo😀"}, "name is 'demo😀'; expected 1 to 63 of a-z"),
        ({"who": ("a\x9bb",)}, "the character U+009B can't stand here"),
        ({"nodes": ("n3",)}, "there is no node 'n3'"),
        ({"nodes": ()}, "nodes is a list; expected all, or a list of nodes"),
        ({"gpus": (2,)}, "n1 has no GPU 2 (it has 0, 1)"),
        ({"who": ()}, "for is a list; expected at least one user, group:NAME or project:NAME"),
        ({"who": ("project:x",)}, "there is no project 'x'"),
        ({"end": "soon"}, "to is 'soon'; expected a time such as"),
        ({"end": "2023-11-15T08:00"}, "it ends before it begins"),
        ({"begin": "tomorrow"}, "from is 'tomorrow'; expected a time such as"),
        ({"begin": "2023-11-14T10:00"}, "it would be over already; expected a time to come"),
        ({"every": "month"}, "every is 'month'; expected one of day, week, weekdays"),
        ({"timezone": "Mars/Base", "begin": ""}, "there is no time zone 'Mars/Base' here"),
        (
            {"nodes": ("n2",), "gpus": ()},
            "class keeps some of that for project:vision, first from 2023-11-15T09:00 to "
            "2023-11-15T12:00; expected other nodes, other GPUs or another time",
        ),
        ({"nodes": ("all",), "gpus": ()}, "class keeps some of that for project:vision"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    async with fleet(tmp_path) as made:
        error = await refusal(made, replace(DEMO, **changes))
        assert error.code == "input"
        assert text in str(error)


async def test_what_is_kept_already_names_who_keeps_it(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        alice = made.running.client_for(ALICE)
        await alice.call(DEMO)
        error = await refusal(made, replace(DEMO, name="again", who=("eve",), gpus=()))
        assert "demo keeps some of that for bob" in str(error)
        assert error.candidates == ("demo",)
        await alice.call(replace(DEMO, name="beside", gpus=(1,)))
        await alice.call(replace(DEMO, name="after", begin="2023-11-15T13:00"))


async def test_only_what_a_command_made_is_ended_by_one(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        assert "class is in the inventory" in str(await refusal(made, Unreserve("class")))
        await made.running.client_for(ALICE).call(DEMO)
        error = await refusal(made, Unreserve("dem"))
        assert str(error) == "there is no reservation 'dem'; did you mean demo?"
