"""Problems that are known: who may silence them, that it lasts, and when they are heard again."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from flextui.core.commands import CommandError, ListEvents, ListProblems, Silence, Unsilence
from flextui.core.model import silences
from flextui.core.model.state import Identity
from flextui.core.problems.board import silenced
from flextui.core.problems.problem import Problem, Scene, Step
from tests.unit.core_kit import Bench, ManualClock, bench
from tests.unit.draft_kit import Book
from tests.unit.fake_fleet import FakeNode, inventory

ALICE = Identity("alice", 1000)
BOB = Identity("bob", 1001)
SETTINGS: dict[str, Any] = {
    "users": {"admins": ["alice"]},
    "maintenance": [
        {"name": "patch", "nodes": "all", "from": "2023-11-14T22:00", "to": "9h", "timezone": "UTC"}
    ],
}  # the clock says 2023-11-14T22:13:20Z
ID = "maintenance:patch"


def fleet(tmp_path: Path) -> AbstractAsyncContextManager[Bench]:
    return bench(tmp_path, inventory("n1", **SETTINGS), FakeNode("n1"), clock=ManualClock())


async def told(made: Bench) -> dict[str, Any]:
    """The one problem that there is, as everybody is told it."""
    (found,) = (await made.running.client_for(BOB).call(ListProblems()))["problems"]
    return dict(found)


async def test_it_is_told_as_silenced_outlives_the_core_and_is_heard_of_again(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path) as made:
        assert (await told(made))["silenced"] is None
        alice = made.running.client_for(ALICE)
        answer = await alice.call(Silence(("maint",), 3600.0, "we know"))
        assert answer == {"problems": [ID], "until": "2023-11-14T23:13:20.000Z"}
        by = {"by": "alice", "until": "2023-11-14T23:13:20.000Z", "why": "we know"}
        assert (await told(made))["silenced"] == by
        await made.stop()
        await made.start()
        assert (await told(made))["silenced"] == by
        alice = made.running.client_for(ALICE)
        assert await alice.call(Unsilence((ID,))) == {"problems": [ID]}
        assert (await told(made))["silenced"] is None
        await made.stop()
        await made.start()
        assert (await told(made))["silenced"] is None
        events = (await made.running.client_for(ALICE).call(ListEvents(audit=True)))["events"]
        assert [(it["kind"], it["actor"]) for it in events] == [
            ("audit.silenced", "alice"),
            ("audit.unsilenced", "alice"),
        ]
        assert events[0]["text"].endswith("silenced for 1h: we know")


async def test_it_ends_by_itself_and_is_swept_with_the_next(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        alice = made.running.client_for(ALICE)
        await alice.call(Silence((ID,), 60.0))
        clock = made.clock
        assert isinstance(clock, ManualClock)
        clock.advance(61)
        assert (await told(made))["silenced"] is None
        await alice.call(Silence((ID,), 60.0))
        assert list(made.snapshot.silences) == [ID]


@pytest.mark.parametrize(
    ("who", "command", "code", "text"),
    [
        (BOB, Silence((ID,), 60.0), "permission", "only admins may silence"),
        (ALICE, Silence(("node:n9",), 60.0), "input", "there is no problem now 'node:n9'"),
        (ALICE, Silence((ID, "x"), 60.0), "input", "there is no problem now 'x'"),
        (ALICE, Silence((ID,), 0.0), "input", "up to 90d"),
        (ALICE, Silence((ID,), 1e9), "input", "up to 90d"),
        (ALICE, Unsilence((ID,)), "input", "there is no silenced problem"),
    ],
)
async def test_what_is_refused_changes_nothing(
    tmp_path: Path, who: Identity, command: Silence | Unsilence, code: str, text: str
) -> None:
    async with fleet(tmp_path) as made:
        with pytest.raises(CommandError, match=text) as caught:
            await made.running.client_for(who).call(command)
        assert caught.value.code == code
        assert not made.snapshot.silences


async def test_who_is_no_admin_ends_only_their_own(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        await made.running.client_for(ALICE).call(Silence((ID,), 60.0))
        with pytest.raises(CommandError, match="only admins may end what somebody else"):
            await made.running.client_for(BOB).call(Unsilence((ID,)))


def test_what_gets_worse_is_heard_of() -> None:
    def problem(severity: Any) -> Problem:
        return Problem("disk:n1", severity, "disk nearly full", Step(""))

    book = Book()
    book.draft.silences.put(
        "disk:n1", silences.Silence("disk:n1", "warning", "alice", 0.0, 100.0, "")
    )
    snapshot = book.later(0.0)
    assert silenced([problem("warning")], Scene(snapshot, 99.0))
    assert silenced([problem("notice")], Scene(snapshot, 99.0))
    assert not silenced([problem("critical")], Scene(snapshot, 99.0))
    assert not silenced([problem("warning")], Scene(snapshot, 100.0))


def test_what_cant_be_read_of_them_stops_no_core() -> None:
    one = silences.Silence("a:b", "notice", "alice", 1.0, 2.0, "é")
    assert silences.from_text(silences.to_text([one])) == {"a:b": one}
    assert silences.from_text('[{"new": 1}]') == {}
    assert silences.from_text("not JSON") == {}
