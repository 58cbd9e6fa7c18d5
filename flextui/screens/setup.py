"""What the first run needs of the world: machines to choose from, a look at each, a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flextui.core.model.docs import CheckDoc

HERE = ""
"""The key of the machine that this runs on."""
_FLEET = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class SetupError(Exception):
    """It can't be done; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A machine that may become a node."""

    key: str
    """Its name in ~/.ssh/config; HERE for this machine."""
    name: str
    """What the node will be called."""
    reached: str
    """user@host:port, as far as it differs from what one expects."""
    via: str = ""
    """The jump hosts before it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a machine found. With new host keys there are no rows yet."""

    rows: tuple[CheckDoc, ...] = ()
    new_keys: tuple[str, ...] = ()
    """Host, kind and fingerprint of keys never seen before, to be compared by a person."""

    @property
    def failed(self) -> CheckDoc | None:
        """The first thing that is wrong."""
        return next((row for row in self.rows if row["ok"] is False), None)


class Setup(Protocol):
    """One first run."""

    @property
    def fleet(self) -> str:
        """A name for the fleet, unless another is chosen."""
        ...

    @property
    def path(self) -> Path:
        """Where the inventory is going to be."""
        ...

    async def candidates(self) -> Sequence[Candidate]:
        """This machine first, then those of ~/.ssh/config in its order."""
        ...

    async def look(self, key: str) -> Looked:
        """The preflight of one machine; starts nothing there. Raises SetupError."""
        ...

    async def trust(self, key: str) -> None:
        """File the new host keys that the last look at it found. Raises SetupError."""
        ...

    def text(self, fleet: str, keys: Sequence[str]) -> str:
        """The inventory of these machines."""
        ...

    def write(self, fleet: str, keys: Sequence[str]) -> Path:
        """Write it, never over one that is there. Raises SetupError."""
        ...

    def skip(self) -> None:
        """Nothing is written, and it isn't asked again."""
        ...


def good_name(text: str) -> bool:
    """Whether a fleet can be called so."""
    return _FLEET.fullmatch(text) is not None
