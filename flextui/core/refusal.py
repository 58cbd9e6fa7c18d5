"""How a core says that it didn't do what it was asked: apart from the commands, which are slow to
import, for all who only have to hear of it."""

from __future__ import annotations

from typing import Any, Literal

ErrorCode = Literal["input", "permission", "failed", "unreachable"]


class CommandError(Exception):
    """A command that wasn't done. Codes map to exit codes: input 2, permission 4, failed 1,
    unreachable 3."""

    def __init__(
        self,
        code: ErrorCode,
        text: str,
        *,
        candidates: tuple[str, ...] = (),
        problems: tuple[dict[str, Any], ...] = (),
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.candidates = candidates
        self.problems = problems
