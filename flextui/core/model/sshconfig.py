"""What `~/.ssh/config` says of a host, without opening a connection.

The SSH adapter hands the file itself to its library, which knows all of its options. Two things
need an answer before that: whether the inventory's `defaults` apply (they yield to what the user
configured for the host), and which names exist, to offer the nearest one for a mistyped host.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from flextui.core.model.inventory import Defaults, NodeSpec

MAX_INCLUDES = 16
"""How deep files may include each other, as in OpenSSH."""

Include = Callable[[str], Iterable[str]]
"""The texts of the files that a pattern of an `Include` line names."""


@dataclass(frozen=True, slots=True)
class SshHost:
    """The options for one host; None or () where the file says nothing."""

    alias: str
    hostname: str
    user: str | None = None
    port: int | None = None
    identity_files: tuple[str, ...] = ()
    proxy_jump: str | None = None
    proxy_command: str | None = None
    identity_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. None: the SSH library decides, from its configuration or its default."""

    host: str
    user: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class _Line:
    """An option and the conditions that must hold for it."""

    conditions: tuple[tuple[str, tuple[str, ...]], ...]
    option: str
    value: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SshConfig:
    """A parsed client configuration."""

    lines: tuple[_Line, ...] = ()

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names that `Host` lines give without wildcards, in order."""
        named = (
            pattern
            for line in self.lines
            for kind, patterns in line.conditions
            if kind == "host"
            for pattern in patterns
            if not set(pattern) & set("*?!")
        )
        return tuple(dict.fromkeys(named))

    def lookup(self, alias: str) -> SshHost:
        """The options for a host: as in OpenSSH, the first value of an option counts."""
        found: dict[str, str] = {}
        identities: list[str] = []
        for line in self.lines:
            name = _expanded(found.get("hostname", alias), alias)
            if not all(_holds(kind, values, alias, name) for kind, values in line.conditions):
                continue
            if line.option == "identityfile":
                identities += line.value[:1]
            elif line.option and line.value:
                found.setdefault(line.option, " ".join(line.value))
        port, name = found.get("port", ""), found.get("hostname", alias)
        return SshHost(
            alias=alias,
            hostname=_expanded(name, alias),
            user=found.get("user"),
            port=int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None,
            identity_files=tuple(identities),
            proxy_jump=found.get("proxyjump"),
            proxy_command=found.get("proxycommand"),
            identity_agent=found.get("identityagent"),
        )


def _expanded(hostname: str, alias: str) -> str:
    return hostname.replace("%h", alias).replace("%%", "%")


def parse(text: str, include: Include = lambda pattern: ()) -> SshConfig:
    """Read a client configuration. What isn't understood is left to the SSH library.

    `Match` blocks count where they ask for `all`, `host` or `originalhost`; others (`exec`, `user`,
    …) can't be decided here and are skipped.
    """
    return SshConfig(tuple(_lines(text, include, (), 0)))


def target(node: NodeSpec, defaults: Defaults, config: SshConfig) -> Target:
    """Where a node is reached: its own words first, then ~/.ssh/config, then the defaults."""
    known = config.lookup(node.host)
    return Target(
        host=node.host,
        user=node.user or (None if known.user else defaults.user),
        port=node.port or (None if known.port else defaults.port),
    )


def _lines(
    text: str, include: Include, outer: tuple[tuple[str, tuple[str, ...]], ...], depth: int
) -> Iterator[_Line]:
    conditions = outer
    for written in text.splitlines():
        option, value = _split(written)
        if option in ("host", "match"):
            conditions = (*outer, *_conditions(option, value))
            yield _Line(conditions, "", ())
        elif option == "include" and depth < MAX_INCLUDES:
            for pattern in value:
                for included in include(pattern):
                    yield from _lines(included, include, conditions, depth + 1)
        elif option:
            yield _Line(conditions, option, value)


def _split(line: str) -> tuple[str, tuple[str, ...]]:
    """An option in lower case and its words; ("", ()) for a comment or an empty line."""
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return "", ()
    end = next((i for i, char in enumerate(stripped) if char in " \t="), len(stripped))
    rest = stripped[end:].lstrip().removeprefix("=").strip()
    try:
        words = shlex.split(rest, comments=False, posix=True)
    except ValueError:  # an odd quote
        words = rest.split()
    return stripped[:end].lower(), tuple(words)


def _conditions(option: str, value: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    if option == "host":
        return [("host", value)]
    conditions: list[tuple[str, tuple[str, ...]]] = []
    words = iter(value)
    for word in words:
        kind = word.lower()
        if kind != "all":
            patterns = next(words, "").split(",")
            known = kind in ("host", "originalhost")
            conditions.append((f"match-{kind}" if known else "unknown", tuple(patterns)))
    return conditions


def _holds(kind: str, patterns: tuple[str, ...], alias: str, hostname: str) -> bool:
    if kind == "unknown":
        return False
    name = hostname if kind == "match-host" else alias
    matched = False
    for pattern in patterns:
        if fnmatchcase(name.lower(), pattern.removeprefix("!").lower().replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched
