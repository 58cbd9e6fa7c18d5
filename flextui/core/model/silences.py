"""A problem that somebody knows of and wants to hear no more about for a while."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Silence:
    """It is still shown, as silenced, but not counted. It ends by itself, and where the problem
    gets worse than it was."""

    problem: str
    """The problem's id."""
    severity: str
    """As bad as that it was: critical, warning or notice."""
    by: str
    at: float
    """Wall time."""
    until: float
    """Wall time."""
    why: str


def to_text(silences: Iterable[Silence]) -> str:
    """As the store keeps them."""
    return json.dumps([asdict(it) for it in silences], separators=(",", ":"))


def from_text(text: str) -> Mapping[str, Silence]:
    """By the problem's id. What isn't readable here is no reason not to start: it is left out."""
    found: dict[str, Silence] = {}
    try:
        for it in json.loads(text):
            silence = Silence(**it)
            found[silence.problem] = silence
    except (ValueError, TypeError):
        pass
    return found
