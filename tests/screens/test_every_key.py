"""Every key of every place: those that act have a command line and leave it in the command log,
those that don't never change anything, and none of them can break the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click
import pytest
from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.cli.root import cli
from flextui.core.commands import (
    Check,
    Cordon,
    DeclareLost,
    Drain,
    Hold,
    ListJobs,
    ListNodes,
    ListProblems,
    ListQueue,
    ListReservations,
    LogRequest,
    Plan,
    Release,
    Reserve,
    Restart,
    Revise,
    Scale,
    SetPriority,
    Show,
    Shutdown,
    Silence,
    Source,
    Stop,
    Submit,
    TakeOver,
    Unreserve,
    Unsilence,
    Unstop,
    Usage,
    WhoAmI,
    Why,
)  # fmt: skip
from flextui.screens import places
from flextui.screens.ask import Ask
from flextui.screens.commandline import Line, line
from flextui.screens.confirm import Confirm
from flextui.screens.keys import Key, Keymap, chords
from flextui.screens.number import Number
from flextui.screens.place import Place
from tests.screens.kit import running, until
from tests.screens.test_first_run_screen import FakeSetup

LOOKS = (
    "Plan", "Show", "Why", "ListEvents", "ListJobs", "ListNodes", "Check", "WhoAmI", "ListQueue",
    "ListPlacement", "History", "Revisions",
)  # fmt: skip
WAYS: dict[str, tuple[str, ...]] = {
    "first-run": (), "fleet": (), "node": ("j", "enter"), "gpu": ("4", "enter"),
    "gpus": ("4",), "jobs": ("2",), "job": ("2", "enter"),
    "logs": ("2", "l"), "events": ("3",), "problems": ("6", "G"),
    "commands": ("2", "enter", "5"), "editor": ("n",), "placement": ("7",), "queue": ("8",),
    "revisions": ("2", "enter", "d"),
}  # fmt: skip
KEYMAP = Keymap(places.keys())


def every_key() -> list[tuple[str, Key]]:
    """(a place, a key that works in it), each key once; those that sort are tried together."""
    found: dict[tuple[str, str], tuple[str, Key]] = {}
    for name, place in places.PLACES.items():
        for chain in place.chains():
            for bound in KEYMAP.table(chain).values():
                if not bound.key.name.startswith("sort-"):
                    found.setdefault((bound.place, bound.key.name), (name, bound.key))
    return list(found.values())


def strokes(key: Key) -> list[str]:
    names = {",": "comma", " ": "space"}
    return [names.get(it, it) for it in chords(key.strokes)[0].split(" ")]


async def go(app: FlextuiApp, pilot: Pilot[None], place: str) -> None:
    if place == "first-run":
        app.setup = setup = FakeSetup()
        setup.trusted.append("gpu1")
        app.open(place)
    await pilot.press(*WAYS[place])
    await until(pilot, lambda: app.path[-1][0] == place)
    if place == "editor":
        await until(pilot, lambda: app.screen._valid)  # type: ignore[attr-defined]


def parses(argv: Sequence[str]) -> bool:
    """Whether the command line knows it."""
    command = cli.get_command(click.Context(cli), argv[0])
    assert command is not None, argv
    with command.make_context(argv[0], list(argv[1:]), resilient_parsing=False):
        return True


@pytest.mark.parametrize(
    ("place", "key"), [pytest.param(*it, id=f"{it[0]}-{it[1].name}") for it in every_key()]
)
async def test_a_key_acts_only_if_it_says_so_and_then_leaves_its_command(
    place: str, key: Key
) -> None:
    async with running() as (app, pilot, client, _):
        await go(app, pilot, place)
        before = app.journal.entries.keys()
        await pilot.press(*strokes(key))
        if isinstance(app.screen, Confirm):
            assert key.acts or key.name in ("quit", "leave")
            await pilot.press("y")
            if isinstance(app.screen, Confirm):
                await pilot.press("backspace", *app.screen._typed, "enter")
        if isinstance(app.screen, Number):
            assert key.acts
            await pilot.press("3", "enter")
        if isinstance(app.screen, Ask) and key.acts:
            await pilot.press("enter")
        did = [it for it in client.asked if type(it).__name__ not in LOOKS]
        if not key.acts:
            assert did == []
            return
        await until(pilot, lambda: any(type(it).__name__ not in LOOKS for it in client.asked))
        await until(pilot, lambda: not any(it.outcome == "…" for it in
                                           app.journal.entries.values()))  # fmt: skip
        fresh = [it for number, it in app.journal.entries.items() if number not in before]
        said = [it for it in fresh if it.outcome == "done"]
        assert said, "what was done is in the command log"
        assert said[0].line.argv[0].removeprefix("un") == key.command.split()[0].removeprefix("un")
        assert parses(said[0].line.argv)


@pytest.mark.parametrize("place", [it for it in places.PLACES if it not in ("logs", "editor")])
async def test_every_column_sorts_and_changes_nothing(place: str) -> None:
    async with running() as (app, pilot, client, _):
        await go(app, pilot, place)
        assert isinstance(app.screen, Place)
        for bound in set(KEYMAP.table(app.screen.chain).values()):
            if bound.key.name.startswith("sort-"):
                await pilot.press(*strokes(bound.key))
                assert app.screen.grid is not None
                table = app.screen.grid.table
                assert table is not None
                assert table.layout.sort == bound.key.word.removeprefix("sort by ")
        assert {type(it).__name__ for it in client.asked} <= set(LOOKS)


@pytest.mark.parametrize("key", [it for of in places.keys().values() for it in of if it.acts],
                         ids=lambda it: it.name)  # fmt: skip
def test_what_acts_names_a_command_that_there_is(key: Key) -> None:
    words = [word.replace("NODE:GPU", "gpu1:3").rstrip(".") for word in key.command.split()]
    assert parses(words)


@pytest.mark.parametrize("key", [it for of in places.keys().values() for it in of if it.command],
                         ids=lambda it: f"{it.name}-{it.command}")  # fmt: skip
def test_what_help_tells_as_a_command_parses(key: Key) -> None:
    assert parses(key.command.rstrip(".").split())


@pytest.mark.parametrize(
    "command",
    [
        Stop(("j1", "j2"), "it's wrong"), Stop(("j1",)), Stop(("j1",), "", 10.0), Unstop(("j1",)),
        Hold(("j1",), "no data"), Release(("j1",)), Drain("gpu1", after_s=7.5),
        Reserve("class", ("bob",), ("gpu1", "gpu2"), "4h", "2030-01-31T09:30", (0, 1)),
        Reserve("all", ("group:ml",), ("all",), "4h", every="day", until="2030-07-01T00:00",
                timezone="Europe/Berlin"),
        Silence(("node:gpu5",), 28_800.0, "known"), Silence(("a:b", "c:d"), 90_061.5),
        Unsilence(("node:gpu5",)), Unreserve("class"), ListReservations(), ListProblems(),
        ListQueue(), ListJobs(),
        ListJobs(limit=3), ListNodes(), Usage("project", "30d", "2030-01-31T09:30"), WhoAmI(),
        Shutdown(), Restart(("j1",)), Scale("web/api", 3),
        SetPriority("j1", 80), Drain("gpu1"), Drain("gpu1", False), Drain("gpu1", True, "new PSU"),
        Cordon("gpu1"), Cordon("gpu1", "3", True, "XID 79"), Cordon("gpu1", "3", False, "no"),
        DeclareLost("gpu5"), TakeOver(), TakeOver(("gpu1",)), Check(), Check(("gpu1",)), Show("j1"),
        Why("j1"), LogRequest("j1"), LogRequest("j1", (0, 2), "j1.0.1", ("err",), 10, True),
        Submit((Source("a", "name: x\nrun: y\n"), Source("b", "name: z\nrun: y\n"))),
        Plan((Source("a", "name: x\nrun: y\n"),)),
        Revise("j1", Source("a", "name: x\nrun: y\n"), 3),
        Revise("j1", Source("a", "name: x\nrun: y\n")),
    ],
    ids=lambda it: type(it).__name__,
)  # fmt: skip
def test_every_command_has_a_line_that_the_shell_and_the_command_line_take(command: object) -> None:
    said = line(command)  # type: ignore[arg-type]
    assert said is not None
    assert parses(said.argv)
    first = said.shell(("--connect", "alice@head")).split("\n")[0].removesuffix(" <<'EOF'")
    assert shlex.split(first) == ["flextui", "--connect", "alice@head", *said.argv]


def test_a_text_that_has_the_mark_gets_another() -> None:
    said = Line(("submit", "-"), "run: |\n  cat <<EOF\n  EOF\n").shell()
    assert said.startswith("flextui submit - <<'EOF_'\n")
    assert said.endswith("\nEOF_")
