"""How the terminal looks and how much it sends: what was found out, and what the config says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flextui.screens.listing import Layout

SLOW_UPDATES = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """Settled before the first paint; most of it can be switched while the terminal runs."""

    theme: str = "textual-dark"
    ascii_only: bool = False
    colours: str = "truecolor"
    """truecolor, 256, 16 or none"""
    slow: bool = False
    """The line is slow: a repaint a second, clocks that stand still."""
    updates: float = 4.0
    """Repaints a second at most, of what changes by itself; keys are answered at once."""
    mouse: bool = True
    read_only: bool = False
    undo_s: float = 10.0
    """Seconds in which a stop or a drain can be taken back."""
    keys: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """(place, key's name) → chords, of the config."""
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    """List → how it is laid out at first."""
    drafts: Path | None = None
    """The folder in which texts are kept that aren't handed in yet; None: in memory alone."""
    problems: tuple[str, ...] = ()
    """Mistakes in the config, each with its place."""
    whole: Callable[[], Look] | None = None
    """The look by the whole config: what it says of other places than the fleet, and what is wrong
    in it, is read once all places are imported. None: this is it."""

    @property
    def interval(self) -> float:
        """Seconds between repaints at least."""
        return 1 / min(self.updates, SLOW_UPDATES if self.slow else self.updates)
