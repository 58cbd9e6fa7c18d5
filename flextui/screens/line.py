"""A command line that does what was done in the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A command of flextui, and what goes into its standard input."""

    argv: tuple[str, ...]
    stdin: str = ""

    def shell(self, before: Sequence[str] = ()) -> str:
        """As it is typed into a shell; `before` are options before the command."""
        text = shlex.join(["flextui", *before, *self.argv])
        if not self.stdin:
            return text
        mark = "EOF"
        while mark in self.stdin:
            mark += "_"
        return f"{text} <<'{mark}'\n{self.stdin.rstrip()}\n{mark}"
