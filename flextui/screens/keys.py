"""Which key does what: declared once, rebound by the config, and told by help from the same table.

A *stroke* is a printable character as it arrives (so that it is right on every keyboard layout and
AltGr makes nothing special) or a name such as `ctrl+d`, `escape`, `alt+left`. A *chord* is several
strokes with spaces between; alternatives are parted by commas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

_NAMED = (
    "enter", "escape", "tab", "space", "comma", "backspace", "delete", "insert", "home", "end",
    "pageup", "pagedown", "up", "down", "left", "right", *(f"f{n}" for n in range(1, 25)),
)  # fmt: skip
_ALIASES = {
    "esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "pgdown": "pagedown",
    "del": "delete", "ins": "insert", " ": "space", ",": "comma",
}  # fmt: skip
_MODIFIERS = {
    "ctrl": "ctrl", "control": "ctrl", "c": "ctrl", "alt": "alt", "meta": "alt", "m": "alt",
    "shift": "shift",
}  # fmt: skip
_GLYPHS = {"up": "↑", "down": "↓", "left": "←", "right": "→", "enter": "⏎"}
_SHOWN = {
    "up": "Up", "down": "Down", "left": "Left", "right": "Right", "enter": "Enter",
    "escape": "Esc", "tab": "Tab",
    "space": "Space", "comma": ",", "pageup": "PgUp", "pagedown": "PgDn", "backspace": "Bksp",
    "delete": "Del", "insert": "Ins", "home": "Home", "end": "End",
}  # fmt: skip
TAKEN = ("ctrl+a", "ctrl+b", "ctrl+@")
"""Never bound by default: tmux and screen have them (the last is Ctrl-space)."""


class BadStroke(ValueError):
    """No key is called so; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Key:
    """Something that a key does in a place."""

    name: str
    """Unique in its place; what the config calls it."""
    strokes: str
    """The default: `j, down` or `o n`."""
    word: str
    """What it does, for help."""
    action: str = ""
    """The action that is run, with its arguments; the name if left out."""
    short: str = ""
    """The word on the bottom line; not shown there if empty."""
    command: str = ""
    """The command line that does the same; empty for what only moves or shows."""
    acts: bool = False
    """Whether it changes the fleet: not done in read-only mode."""
    typing: bool = False
    """Whether it works while a text is typed, too."""

    def run(self) -> str:
        """The action as it is called."""
        return self.action or self.name.replace("-", "_")


class Bound(NamedTuple):
    """A key as it is bound."""

    place: str
    key: Key
    chords: tuple[str, ...]
    custom: bool
    """The config says so."""


class Clash(NamedTuple):
    """The same chord, or one that begins another, twice in one place; `winner` keeps it."""

    chord: str
    winner: Bound
    loser: Bound


def stroke(text: str) -> str:
    """The normal form of how people write one stroke. Raises `BadStroke`."""
    if len(text) == 1:
        return _ALIASES.get(text, text)
    if len(text) == 2 and text[0] == "^":
        return _ctrl(text[1].lower())
    *modifiers, last = text.replace("-", "+").split("+") if text[-1] not in "+-" else [text]
    held = {_MODIFIERS.get(it.lower(), "") for it in modifiers}
    if "" in held or not last:
        raise BadStroke(f"a character, or a name such as enter, ctrl+d, alt+left, f5, not {text!r}")
    name = _ALIASES.get(last.lower(), last if len(last) == 1 else last.lower())
    if len(name) > 1 and name not in _NAMED:
        raise BadStroke(f"one character, or one of {', '.join(_NAMED[:16])}, f1 to f24")
    if "ctrl" in held:
        name = _ctrl(name).removeprefix("ctrl+")
    elif "shift" in held and len(name) == 1:
        held.discard("shift")
        name = name.upper()
    order = [it for it in ("alt", "ctrl", "shift") if it in held]
    return "+".join([*order, name])


def _ctrl(name: str) -> str:
    return "ctrl+@" if name in (" ", "space", "@") else f"ctrl+{name.lower()}"


@lru_cache(maxsize=512)
def chords(text: str) -> tuple[str, ...]:
    """The chords of `j, down` or `o n`; `off` and nothing are none. Raises `BadStroke`."""
    if text.strip().lower() in ("", "off", "none"):
        return ()
    return tuple(" ".join(map(stroke, part.split())) for part in text.split(",") if part.strip())


def pressed(key: str, character: str | None) -> str:
    """The stroke of a key event."""
    plain = "+" not in key or key in ("+", "plus")
    if plain and character is not None and len(character) == 1 and character.isprintable():
        return _ALIASES.get(character, character)
    return key


def shown(chord: str, *, brief: bool = False, ascii_only: bool = False) -> str:
    """A chord as people read it: `Ctrl-d`, or `^d` where room is short."""
    names = _SHOWN if ascii_only else {**_SHOWN, **_GLYPHS}
    return " ".join(_shown(it, brief, names) for it in chord.split(" "))


def _shown(text: str, brief: bool, names: Mapping[str, str]) -> str:
    if text == "ctrl+@":
        return "^Space" if brief else "Ctrl-Space"
    if "+" not in text or len(text) == 1:
        return names.get(text, text.upper() if text[0] == "f" and text[1:].isdigit() else text)
    *held, name = text.split("+")
    name = names.get(name, name)
    if brief and held == ["ctrl"]:
        return f"^{name}"
    return "-".join([*(it.capitalize() for it in held), name])


class Keymap:
    """Every key of every place as it is bound. `changed`: (place, name) → chords, of the config."""

    def __init__(
        self,
        places: Mapping[str, Sequence[Key]],
        changed: Mapping[tuple[str, str], tuple[str, ...]] | None = None,
    ) -> None:
        changed = changed or {}
        self._bound = {
            place: tuple(self._bind(place, key, changed.get((place, key.name))) for key in keys)
            for place, keys in places.items()
        }
        self._tables: dict[tuple[str, ...], dict[str, Bound]] = {}

    @staticmethod
    def _bind(place: str, key: Key, custom: tuple[str, ...] | None) -> Bound:
        if custom is None:
            return Bound(place, key, chords(key.strokes), False)
        return Bound(place, key, custom, True)

    def of(self, place: str) -> tuple[Bound, ...]:
        """The keys that a place declares, in its order."""
        return self._bound[place]

    def table(self, chain: Sequence[str]) -> Mapping[str, Bound]:
        """Chord → what it does, for places that are active together, the innermost first.

        What the config says goes before any default; then the inner place before the outer.
        """
        key = tuple(chain)
        if key not in self._tables:
            table: dict[str, Bound] = {}
            for chord, bound in self._claims(key):
                if not any(_collide(chord, other) for other in table):
                    table[chord] = bound
            self._tables[key] = table
        return self._tables[key]

    def starts(self, chain: Sequence[str], begun: str) -> bool:
        """Whether some longer chord begins with these strokes."""
        return any(chord.startswith(begun + " ") for chord in self.table(chain))

    def clashes(self, chain: Sequence[str]) -> list[Clash]:
        """Chords that more than one key of a chain claims."""
        found: list[Clash] = []
        table = self.table(chain)
        for chord, bound in self._claims(tuple(chain)):
            held = chord
            if (kept := table.get(chord)) is None:
                held, kept = next(it for it in table.items() if _collide(chord, it[0]))
            if kept is not bound:
                found.append(Clash(held, kept, bound))
        return found

    def _claims(self, chain: tuple[str, ...]) -> Iterator[tuple[str, Bound]]:
        bounds = [bound for place in chain for bound in self._bound[place]]
        for custom in (True, False):
            for bound in bounds:
                if bound.custom is custom:
                    yield from ((chord, bound) for chord in bound.chords)


def _collide(chord: str, other: str) -> bool:
    return chord == other or chord.startswith(other + " ") or other.startswith(chord + " ")
