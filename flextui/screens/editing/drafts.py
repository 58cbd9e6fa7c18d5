"""What was written and not handed in yet: kept in files, so that it outlives the terminal.

A draft knows the text that it was made from and the revision that had it: so what one has changed
can be told from what somebody else has.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

KEPT_S = 30 * 86_400.0
"""A draft that nobody has touched for so long is taken away."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is being written."""

    text: str
    origin: str = ""
    """The text that it was made from: what the job ran as, or a template."""
    base: int = 0
    """The revision that `origin` is of; 0: a new job."""
    at: float = 0.0
    """When it was last written."""

    @property
    def changed(self) -> bool:
        return self.text != self.origin


class Drafts:
    """By key: a job's id, or "" for a new one. With a folder they lie there too."""

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._fleet = ""
        self._known: dict[str, Draft] = {}
        self._unwritten: set[str] = set()
        self._tidied = False
        self.trouble = ""
        """Why they can't be kept in files; empty when all is well."""

    def of_fleet(self, name: str) -> None:
        """Jobs' ids mean something in one fleet only."""
        self._fleet = name

    def get(self, key: str) -> Draft | None:
        """A draft from memory, else from its file."""
        if key not in self._known and (found := self._read(key)) is not None:
            self._known[key] = found
        return self._known.get(key)

    def put(self, key: str, draft: Draft) -> None:
        """Keep it; `flush` writes it down."""
        self._known[key] = Draft(draft.text, draft.origin, draft.base, self._clock())
        self._unwritten.add(key)

    def drop(self, key: str) -> None:
        """It was handed in, or isn't wanted."""
        self._known.pop(key, None)
        self._unwritten.discard(key)
        if (path := self._path(key)) is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def flush(self) -> None:
        """Write down what has changed."""
        for key in sorted(self._unwritten):
            self._write(key)
        self._unwritten.clear()
        if not self._tidied:
            self._tidied = True
            self._tidy()

    def _tidy(self) -> None:
        """Take files away that nobody has touched for too long."""
        oldest = self._clock() - KEPT_S
        for path in self._folder.glob("*.json") if self._folder is not None else ():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, key: str) -> Path | None:
        if self._folder is None:
            return None
        name = re.sub(r"[^\w-]", "_", f"{self._fleet or 'fleet'}-{key or 'new'}")[:80]
        mark = sha256(f"{self._fleet}\0{key}".encode()).hexdigest()[:8]
        return self._folder / f"{name}-{mark}.json"

    def _write(self, key: str) -> None:
        path, draft = self._path(key), self._known.get(key)
        if path is None or draft is None:
            return
        if not draft.changed:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with open(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump(asdict(draft), file)
            fresh.replace(path)
            self.trouble = ""
        except (OSError, UnicodeEncodeError) as error:
            self.trouble = f"this draft can't be kept in {path.parent}: {error}"

    def _read(self, key: str) -> Draft | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            data = json.loads(path.read_text("utf-8"))
            draft = Draft(
                str(data["text"]), str(data["origin"]), int(data["base"]), float(data["at"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return draft if self._clock() - draft.at < KEPT_S else None
