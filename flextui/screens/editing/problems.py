"""What is wrong with a text, at its place: from the reader here, or from the core's refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flextui.core.commands import CommandError
from flextui.screens.format import Span

SHOWN = 30


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake; line and column from 0."""

    row: int
    column: int
    message: str
    expected: str = ""
    nearest: str = ""

    @property
    def text(self) -> str:
        """All of it on one line."""
        text = self.message
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        return f"{text}; expected {self.expected}" if self.expected else text


def mistakes(text: str) -> list[Mistake]:
    """What the reader of specs says. Slow the first time: it imports the models."""
    from flextui.core.model.problems import BadInput
    from flextui.core.model.spec import read_specs

    try:
        read_specs(text, "editor")
    except BadInput as bad:
        return [
            Mistake(it.line - 1, it.column - 1, it.message, it.expected, it.nearest)
            for it in bad.problems
        ]
    return []


def mistakes_of(error: CommandError) -> list[Mistake]:
    """The same of what a core has refused."""
    return [_of(it) for it in error.problems if "line" in it and "column" in it]


def _of(problem: Mapping[str, Any]) -> Mistake:
    return Mistake(
        max(0, int(problem["line"]) - 1),
        max(0, int(problem["column"]) - 1),
        str(problem.get("message", "")),
        str(problem.get("expected") or ""),
        str(problem.get("nearest") or ""),
    )


def problem_lines(found: Iterable[Mistake]) -> list[list[Span]]:
    """Each mistake with its place and its mend."""
    lines: list[list[Span]] = []
    every = list(found)
    for it in every[:SHOWN]:
        lines.append([Span(f"{it.row + 1}:{it.column + 1}", "accent"), Span(f"  {it.message}")])
        if it.nearest:
            lines.append([Span(f"      did you mean {it.nearest}?", "ok")])
        if it.expected:
            lines.append([Span(f"      expected {it.expected}", "dim")])
    if len(every) > SHOWN:
        lines.append([Span(f"and {len(every) - SHOWN} more", "dim")])
    return lines
