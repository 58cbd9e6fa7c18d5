"""The wire between clients and core: every command survives it, nonsense doesn't."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.core import asked, commands, wire
from flextui.core.client import CoreInfo
from flextui.core.commands import CommandError, LogPiece, LogRequest, LogSearch, Offset, Source

INFO = CoreInfo("1.0", 1, "ann@head", 7, "lab", "/etc/inventory.yaml", True, "ann", False)

SAMPLES: tuple[commands.Command, ...] = (
    commands.Submit((Source("a.yaml", "name: ä\n"), Source("b.yaml", ""))),
    commands.Plan((Source("a.yaml", "x"),)),
    commands.Stop(("j1", "ann/x"), "why"),
    commands.Stop(("j1",), after_s=7.5),
    commands.Unstop(("j1",)),
    commands.Hold(("j1",), "why"),
    commands.Release(("j1",)),
    commands.Restart(("j1",)),
    commands.Scale("web", 3),
    commands.SetPriority("web", 3),
    commands.Why("j1"),
    commands.Show("j1"),
    commands.ListJobs(ended=False, limit=5),
    commands.ListNodes(),
    commands.ListProblems(),
    commands.ListQueue(limit=5),
    commands.Drain("n1", False, "w"),
    commands.Cordon("n1", None, True, ""),
    commands.Cordon("n1", "0", True, ""),
    commands.DeclareLost("n1"),
    commands.TakeOver(("n1",)),
    commands.Reserve("class", ("bob", "project:vision"), ("n1",), "4h", "2026-01-31T09:30", (0, 1)),
    commands.Reserve("all", ("bob",), ("all",), "4h", every="day", until=None, timezone="UTC"),
    commands.Unreserve("class"),
    commands.Silence(("node:gpu5",), 3600.0, "known"),
    commands.Unsilence(("node:gpu5",)),
    commands.ListReservations(),
    commands.Check(("n1",)),
    commands.ListEvents(3, "j1", 10),
    commands.ListEvents(node="gpu1", actor="ann", audit=True),
    commands.Revisions("j1"),
    commands.ListPlacement("j1"),
    commands.Revise("j1", commands.Source("a", "name: x"), 3),
    commands.History("gpu1", after=350_000_000),
    commands.Usage("project", "30d", "2026-01-31T09:30"),
    commands.WhoAmI(),
    commands.Shutdown(),
)


def test_there_is_a_sample_of_every_command() -> None:
    assert {type(it).__name__ for it in SAMPLES} == set(asked._COMMANDS)


@pytest.mark.parametrize("command", SAMPLES, ids=lambda it: type(it).__name__)
def test_a_command_survives_the_wire(command: commands.Command) -> None:
    line = wire.encode({"t": "call", "id": 1, **wire.command_message(command)})
    assert asked.command_of(wire.decode(line)) == command


def test_a_log_request_survives_the_wire() -> None:
    piece = LogPiece("j1.0.1", "out", begin=Offset(2**40), spots=(Offset(0),), context=3)
    for request in (
        LogRequest("j1", (1, 2), None, ("out",), 10, True),
        LogRequest("", pieces=(piece,), search=LogSearch("a|b", True, most=5), node="gpu1"),
    ):
        args = json.loads(json.dumps(dataclasses.asdict(request)))
        assert asked.log_request_of(args) == request


@pytest.mark.parametrize("begin", [-1, 2**54, 1.5, True, "7"])
def test_a_position_is_a_number_that_fits(begin: object) -> None:
    piece = {"attempt": "j1.0.1", "stream": "out", "begin": begin}
    with pytest.raises(wire.WireError, match="begin"):
        asked.log_request_of({"job": "", "pieces": [piece]})


def test_unknown_fields_are_ignored_and_defaults_filled_in() -> None:
    message = {"name": "Stop", "args": {"jobs": ["j1"], "from_the_future": 1}}
    assert asked.command_of(message) == commands.Stop(("j1",))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"name": "Nonsense", "args": {}},
        {"name": "Stop"},
        {"name": "Stop", "args": []},
        {"name": "Stop", "args": {}},
        {"name": "Stop", "args": {"jobs": "j1"}},
        {"name": "Stop", "args": {"jobs": [1]}},
        {"name": "Scale", "args": {"job": "x", "count": True}},
        {"name": "Scale", "args": {"job": "x", "count": "3"}},
        {"name": "Submit", "args": {"sources": [{"name": "a"}]}},
        {"name": ["Stop"], "args": {}},
    ],
)
def test_a_wrong_command_is_named_as_such(message: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError):
        asked.command_of(message)


@given(st.binary(max_size=200))
def test_no_line_does_more_than_raise_a_wire_error(line: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        asked.command_of(wire.decode(line))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(asked._COMMANDS)), st.dictionaries(st.text(max_size=8), json_values))
def test_no_arguments_do_more_than_raise_a_wire_error(name: str, args: dict[str, Any]) -> None:
    with contextlib.suppress(wire.WireError):
        asked.command_of({"name": name, "args": args})


def test_errors_survive_the_wire() -> None:
    error = CommandError("input", "which one?", candidates=("a/x", "b/x"), problems=({"line": 1},))
    back = wire.error_of(wire.decode(wire.encode(wire.error_message(error))))
    assert (back.code, back.text, back.candidates, back.problems) == (
        error.code,
        error.text,
        error.candidates,
        error.problems,
    )


def test_lone_surrogates_do_not_break_a_line() -> None:
    assert wire.decode(wire.encode({"t": "x", "text": "a\udcffb"}))["text"] == "a?b"


def test_the_core_tells_who_it_is() -> None:
    assert wire.info_of(wire.decode(wire.encode(wire.core_hello(INFO)))) == INFO


@pytest.mark.parametrize("versions", [[2, 3], [0, 0], "1", None, [1], ["1", "1"]])
def test_an_incompatible_client_hears_both_versions(versions: object) -> None:
    why = wire.refusal({"wire": versions, "version": "9.9"}, INFO, "")
    assert "9.9" in why
    assert "1.0" in why
    assert f"or end that core with `kill {INFO.pid}`" in why


def test_another_inventory_is_refused_naming_both() -> None:
    hello = wire.client_hello("1.0", "/home/ann/inventory.yaml", "abc")
    why = wire.refusal(hello, INFO, "def")
    assert "/home/ann/inventory.yaml" in why
    assert "/etc/inventory.yaml" in why


@pytest.mark.parametrize(
    ("path", "digest"), [(None, None), ("/etc/inventory.yaml", "abc"), ("/copy.yaml", "def")]
)
def test_the_same_inventory_or_none_in_particular_is_served(
    path: str | None, digest: str | None
) -> None:
    assert wire.refusal(wire.client_hello("1.0", path, digest), INFO, "def") == ""


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Stop", {"jobs": ["j1"], "why": "\ud800"}),
        ("Stop", {"jobs": ["\udfff"]}),
        ("Stop", {"jobs": ["j1"], "why": "x" * 1001}),
        ("Stop", {"jobs": ["j1"] * 100_001}),
        ("SetPriority", {"job": "j1", "priority": 1 << 70}),
        ("Submit", {"sources": [{"name": "a", "text": "\ud800"}]}),
    ],
)
def test_what_can_t_be_stored_is_refused(name: str, args: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError):
        asked.command_of({"name": name, "args": args})
