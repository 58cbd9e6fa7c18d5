"""Every key is declared once, does something, and can be bound to another or to none."""

from __future__ import annotations

import pytest

from flextui.app import FlextuiApp
from flextui.screens import places
from flextui.screens.keys import TAKEN, BadStroke, Key, Keymap, chords, pressed, shown, stroke
from flextui.screens.widgets.grid import Grid
from flextui.screens.widgets.heatmap import HeatMap
from flextui.screens.widgets.logview import LogView
from flextui.screens.widgets.picture import Picture
from flextui.screens.widgets.sheet import Sheet


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("j", "j"), ("G", "G"), ("?", "?"), ("Ctrl-d", "ctrl+d"), ("^d", "ctrl+d"),
        ("C-D", "ctrl+d"), ("esc", "escape"), ("Return", "enter"), ("PgUp", "pageup"),
        ("alt-left", "alt+left"), ("M-x", "alt+x"), ("shift+a", "A"), ("shift-tab", "shift+tab"),
        ("F5", "f5"), ("ctrl+space", "ctrl+@"), ("+", "+"), ("-", "-"), ("space", "space"),
    ],
)  # fmt: skip
def test_strokes_are_read_as_people_write_them(written: str, normal: str) -> None:
    assert stroke(written) == normal
    assert chords(f"g {written}" if written != " " else "g") == (f"g {normal}",)


@pytest.mark.parametrize("written", ["ctrll+d", "f25", "banana", "ctrl+banana", "hyper+x"])
def test_what_is_no_key_is_refused_with_what_was_expected(written: str) -> None:
    with pytest.raises(BadStroke, match="character"):
        stroke(written)


def test_a_key_event_is_its_character_unless_it_has_none() -> None:
    assert pressed("question_mark", "?") == "?"
    assert pressed("G", "G") == "G"
    assert pressed("left_square_bracket", "[") == "["  # AltGr on many layouts
    assert pressed("ctrl+d", "\x04") == "ctrl+d"
    assert pressed("escape", "\x1b") == "escape"
    assert pressed("space", " ") == "space"
    assert pressed("alt+left", None) == "alt+left"


def test_keys_are_shown_as_people_say_them() -> None:
    assert shown("ctrl+d") == "Ctrl-d"
    assert shown("ctrl+d", brief=True) == "^d"
    assert shown("o n") == "o n"
    assert shown("shift+tab") == "Shift-Tab"
    assert shown("f5") == "F5"
    assert shown("+") == "+"


def test_no_default_key_is_claimed_twice_in_one_place() -> None:
    keymap = Keymap(places.keys())
    found = [clash for chain in places.chains() for clash in keymap.clashes(chain)]
    meant = {("logs", "next-hit", "new-job")}  # n and N go through hits in every pager
    assert [
        it for it in found
        if (it.winner.place, it.winner.key.name, it.loser.key.name) not in meant
    ] == []  # fmt: skip


def test_no_default_key_is_one_that_tmux_and_screen_take() -> None:
    bound = {stroke for of in places.keys().values() for key in of for chord in chords(key.strokes)
             for stroke in chord.split()}  # fmt: skip
    assert not bound & set(TAKEN)


def test_movement_is_the_same_wherever_there_is_something_to_move_in() -> None:
    keymap = Keymap(places.keys())
    for place in (*places.PLACES.values(), places.PROMPTS["help"]):
        if place.NAME == "editor":
            continue
        chains = place.chains() if hasattr(place, "chains") else [(place.NAME,)]
        for chain in chains:
            table = keymap.table(chain)
            for chord in ("j", "k", "down", "up", "g", "G", "ctrl+d", "ctrl+u", "pagedown"):
                assert not table[chord].key.acts, (chain, chord)


def test_every_key_has_an_action_that_is_there() -> None:
    targets = {"list": [Grid], "pager": [LogView], "devices": [Grid], "processes": [Grid],
               "map": [HeatMap], "picture": [Picture], "sheet": [Sheet]}  # fmt: skip
    for name, keys in places.keys().items():
        for key in keys:
            target, _, action = key.run().rpartition(".")
            method = "action_" + action.partition("(")[0]
            owners: list[type] = {"app": [FlextuiApp], "focused": [Grid, LogView]}.get(target, [])
            if not target:
                one = {**places.PLACES, **places.PROMPTS}.get(name)
                owners = [one] if one else list(places.PLACES.values())
            if target == "focused":
                owners = targets.get(name, [Grid, LogView])
            assert any(hasattr(owner, method) for owner in owners), (name, key.name, method)


def test_the_config_goes_before_defaults_and_inner_places_before_outer() -> None:
    keys = {"in": (Key("a", "x", "a"), Key("b", "y", "b")), "out": (Key("c", "x, z", "c"),)}
    plain = Keymap(keys)
    assert {chord: it.key.name for chord, it in plain.table(("in", "out")).items()} == {
        "x": "a", "y": "b", "z": "c",
    }  # fmt: skip
    mine = Keymap(keys, {("out", "c"): ("y",), ("in", "a"): ()})
    table = mine.table(("in", "out"))
    assert {chord: it.key.name for chord, it in table.items()} == {"y": "c"}
    (clash,) = mine.clashes(("in", "out"))
    assert (clash.chord, clash.winner.key.name, clash.loser.key.name) == ("y", "c", "b")


def test_a_chord_that_begins_another_clashes_with_it() -> None:
    keys = {"p": (Key("long", "o n", "long"), Key("other", "k", "other"))}
    mine = Keymap(keys, {("p", "other"): ("o",)})
    (clash,) = mine.clashes(("p",))
    assert clash.winner.key.name == "other"
    assert not mine.starts(("p",), "o")
    assert Keymap(keys).starts(("p",), "o")
