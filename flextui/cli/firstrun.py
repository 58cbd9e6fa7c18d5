"""The first run's hands: ~/.ssh/config, the preflight that `check` does, and the inventory file."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from flextui import __version__
from flextui.cli.preflight import checked, own_state
from flextui.core.adapters import paths
from flextui.core.adapters.fleet import Fleet
from flextui.core.commands import CommandError
from flextui.core.model.docs import CheckDoc
from flextui.core.model.inventory import Inventory, NodeSpec, default_inventory, read_inventory
from flextui.core.model.problems import BadInput
from flextui.core.ports import Loaded, StoreError
from flextui.screens.setup import HERE, Candidate, Looked, SetupError


class LocalSetup:
    """The first run of this account on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._here = default_inventory(socket.gethostname()).nodes[0]
        self._nodes: dict[str, NodeSpec] = {}
        self._via: dict[str, str] = {}
        self._new: dict[str, list[object]] = {}
        self._loaded: Loaded | None = None
        self._loading = asyncio.Lock()

    @property
    def fleet(self) -> str:
        return self._here.name

    @property
    def path(self) -> Path:
        return paths.user_inventory()

    # ── machines ───────────────────────────────────────────────────────────────────────────────

    async def candidates(self) -> Sequence[Candidate]:
        self._nodes[HERE] = self._here
        here = Candidate(HERE, self._here.name, "this machine")
        return [here, *await asyncio.to_thread(self._of_ssh)]

    def _of_ssh(self) -> list[Candidate]:
        from flextui.core.adapters.ssh_config import ClientConfig, ConfigError

        found: list[Candidate] = []
        try:
            config = ClientConfig()
            for alias in config.names():
                options = config.lookup(alias)
                spec = _node(alias, {it.name for it in self._nodes.values()})
                if spec is None or options.user == "git":
                    continue
                via = options.one("proxyjump") or ""
                via = "" if via.lower() == "none" else via
                port = f":{options.port}" if options.port != 22 else ""
                self._nodes[alias], self._via[alias] = spec, via
                reached = f"{options.user}@{options.host}{port}"
                found.append(Candidate(alias, spec.name, reached, via))
        except ConfigError:
            return found  # as far as it can be read; `check` tells what is wrong with it
        return found

    # ── a look at one ──────────────────────────────────────────────────────────────────────────

    async def look(self, key: str) -> Looked:
        node = self._nodes[key]
        loaded = await self._state()
        if node.transport == "ssh":
            from flextui.core.adapters.accept import described, unknown_keys

            unknown = await unknown_keys([node], Inventory(nodes=(node,)).defaults, self._known)
            self._new[key] = list(unknown)
            if unknown:
                return Looked(new_keys=tuple(map(described, unknown)))
        fleet = Fleet(known_hosts=self._known)
        rows: list[CheckDoc] = await checked(fleet, (node,), loaded)
        return Looked(tuple(rows))

    async def trust(self, key: str) -> None:
        from flextui.core.adapters.accept import file_keys

        try:
            await asyncio.to_thread(file_keys, self._known, self._new.pop(key, []))  # type: ignore[arg-type]
        except OSError as error:
            raise SetupError(f"{self._known} can't be written: {error.strerror}") from error

    @property
    def _known(self) -> Path:
        return self._folder / "known_hosts"

    async def _state(self) -> Loaded:
        """Who this core is to the nodes that it looks at."""
        async with self._loading:
            if self._loaded is None:
                try:
                    paths.prepare_state_folder(self._folder)
                    (self._folder / paths.FIRST_RUN).touch()
                    self._loaded = await own_state(self._folder)
                except (paths.PathError, paths.Locked, StoreError, CommandError, OSError) as error:
                    raise SetupError(str(error)) from error
            return self._loaded

    # ── the file ───────────────────────────────────────────────────────────────────────────────

    def text(self, fleet: str, keys: Sequence[str]) -> str:
        lines = [
            f"# Written by the first run of flextui {__version__}. Yours to edit:",
            "# docs/inventory.md tells of all that may stand here.",
            f"fleet: {_word(fleet)}",
            "nodes:",
        ]
        for key in keys:
            node = self._nodes[key]
            name = f"name: {_word(node.name)}"
            if key == HERE:
                lines.append(f"  - {{{name}, transport: local}}   # this machine")
                continue
            via = (
                f"   # by way of {self._via[key]}, as ~/.ssh/config says" if self._via[key] else ""
            )
            lines.append(f"  - {{{name}, host: {_word(node.host)}}}{via}")
        return "\n".join(lines) + "\n"

    def write(self, fleet: str, keys: Sequence[str]) -> Path:
        text, path = self.text(fleet, keys), self.path
        try:
            read_inventory(text, str(path))
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_new(path, text)
        except FileExistsError as error:
            raise SetupError(f"{path} is there already: it is yours to edit") from error
        except OSError as error:
            raise SetupError(f"{path} can't be written: {error.strerror}") from error
        except BadInput as error:
            raise SetupError(str(error)) from error
        self._over()
        return path

    def skip(self) -> None:
        self._over()

    def _over(self) -> None:
        (self._folder / paths.FIRST_RUN).unlink(missing_ok=True)


def _node(alias: str, taken: set[str]) -> NodeSpec | None:
    """The node that a host of ~/.ssh/config would be; None for a name that no inventory takes."""
    name = re.sub(r"[^a-z0-9.-]+", "-", alias.lower()).strip("-.")[:63] or "node"
    number = 2
    while name in taken:
        name, number = f"{name.rstrip('-0123456789')}-{number}", number + 1
    try:
        return NodeSpec(host=alias, name=name)
    except ValueError:
        return None


def _write_new(path: Path, text: str) -> None:
    """All of it or nothing: a part would be taken for the user's own. Raises OSError."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o644)
        os.link(file.name, path)


def _word(text: str) -> str:
    """A plain YAML scalar where it stays a string, else a quoted one."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", text)
    words = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return text if plain and text.lower() not in words else json.dumps(text)
