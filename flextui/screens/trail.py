"""Where one is and was: a path of places from the top, and the paths visited, as in a browser."""

from __future__ import annotations

Location = tuple[str, ...]
"""A place and what it shows: ("fleet",), ("node", "gpu1"), ("logs", "j1", "")."""
Path = tuple[Location, ...]
"""The places one above the other, the top first."""

TOP: Path = (("fleet",),)
KEPT = 100


class NotReached(ValueError):
    """The words lead nowhere; the text says what was expected."""


class Trail:
    """The paths visited; going somewhere anew forgets what lay forward."""

    def __init__(self) -> None:
        self._paths: list[Path] = [TOP]
        self._at = 0

    @property
    def here(self) -> Path:
        return self._paths[self._at]

    def visit(self, path: Path) -> None:
        """One has gone to `path`."""
        if path == self.here:
            return
        del self._paths[self._at + 1 :]
        self._paths.append(path)
        del self._paths[:-KEPT]
        self._at = len(self._paths) - 1

    def walk(self, steps: int) -> Path | None:
        """The path so many steps back (negative) or forward; None where there is none."""
        at = self._at + steps
        if not 0 <= at < len(self._paths):
            return None
        self._at = at
        return self.here


def common(one: Path, other: Path) -> int:
    """How many places two paths share from the top."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
