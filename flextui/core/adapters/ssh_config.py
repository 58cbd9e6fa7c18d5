"""OpenSSH's client configuration for many hosts at once.

The SSH library would read and split the files anew for each connection, which for a few hundred
hosts holds the event loop for seconds. Here they are read once, and again when one of them
changes; a lookup only walks the lines. Rules as in ssh_config(5): the first value of an option
counts, identities add up, `Match final` makes a second pass.
"""

from __future__ import annotations

import getpass
import glob
import hashlib
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

SYSTEM = Path("/etc/ssh/ssh_config")
MAX_INCLUDES = 16
EXEC_S = 5.0
_ADDED_UP = frozenset({"identityfile", "certificatefile"})
_WHOLE_LINE = frozenset({"proxycommand", "remotecommand", "knownhostscommand", "localcommand"})
_TOKEN = re.compile(r"%(.)")
_ENV = re.compile(r"\$\{(\w+)\}")

Condition = tuple[str, bool, tuple[str, ...]]
"""(criterion, wanted, patterns): `host` for Host lines, `match-…` for Match's criteria."""


class ConfigError(Exception):
    """The configuration can't be followed; the text names file and line."""


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    conditions: tuple[Condition, ...]
    option: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the configuration says of one host, `~`, tokens and variables expanded."""

    alias: str
    host: str
    port: int
    user: str
    options: dict[str, tuple[str, ...]]

    def one(self, option: str) -> str | None:
        """The value of an option; None where the files say nothing."""
        words = self.options.get(option)
        return " ".join(words) if words else None

    def flag(self, option: str, default: bool) -> bool:
        value = self.one(option)
        return default if value is None else value.lower() in ("yes", "true")

    def paths(self, option: str) -> tuple[Path, ...] | None:
        """File names; () for `none`, None where the files say nothing."""
        words = self.options.get(option)
        if words is None:
            return None
        return tuple(Path(word) for word in words if word.lower() != "none")


class ClientConfig:
    """The user's and the system's files; call from any one thread at a time."""

    def __init__(self, files: tuple[Path, ...] | None = None) -> None:
        self._files = files
        self._lines: tuple[_Line, ...] = ()
        self._stamps: dict[Path, int | None] | None = None

    def lookup(
        self, alias: str, *, user: str | None = None, port: int | None = None,
        default_user: str | None = None, default_port: int | None = None,
    ) -> HostOptions:  # fmt: skip
        """Options for a host. `user` and `port` go before the files, the defaults after them.

        Raises ConfigError.
        """
        self._refresh()
        given: dict[str, tuple[str, ...]] = {}
        if user:
            given["user"] = (user,)
        if port:
            given["port"] = (str(port),)
        search = _Search(alias, given)
        search.walk(self._lines, final=False)
        if search.wants_final:
            search.walk(self._lines, final=True)
        found = search.found
        found.setdefault("user", (default_user or search.local_user,))
        found.setdefault("port", (str(default_port or 22),))
        return search.result()

    def names(self) -> list[str]:
        """The hosts that the user's own files name, in their order: no patterns, nothing of a
        Match. Raises ConfigError."""
        self._refresh()
        found: dict[str, None] = {}
        for line in self._lines:
            if line.conditions and all(kind == "host" for kind, _, _ in line.conditions):
                names = line.conditions[-1][2]
                found.update(dict.fromkeys(it for it in names if not set(it) & set("*?!")))
        return list(found)

    def _refresh(self) -> None:
        if self._stamps is not None and all(
            _stamp(path) == stamp for path, stamp in self._stamps.items()
        ):
            return
        files = self._files or (Path("~/.ssh/config").expanduser(), SYSTEM)
        stamps: dict[Path, int | None] = {}
        lines: list[_Line] = []
        for path in files:
            lines += _read(path, (), 0, stamps)
        self._lines, self._stamps = tuple(lines), stamps


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


# ── reading ────────────────────────────────────────────────────────────────────────────────────


def _read(
    path: Path, outer: tuple[Condition, ...], depth: int, stamps: dict[Path, int | None]
) -> Iterator[_Line]:
    stamps[path] = _stamp(path)
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except OSError:
        return  # as ssh does: no file, no options
    conditions = outer
    for number, written in enumerate(text.splitlines(), 1):
        where = f"{path} line {number}"
        option, words = _split(written, where)
        if option == "host":
            conditions = (*outer, ("host", True, words))
        elif option == "match":
            conditions = (*outer, *_criteria(words, where))
        elif option == "include":
            if depth >= MAX_INCLUDES:
                raise ConfigError(f"{where}: files include each other without end")
            for included in _included(words, path):
                yield from _read(included, conditions, depth + 1, stamps)
        elif option:
            yield _Line(where, conditions, option, words)


def _split(line: str, where: str) -> tuple[str, tuple[str, ...]]:
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return "", ()
    parts = re.match(r'"?([^\s="]+)"?\s*(?:=\s*|\s+)?(.*)', stripped)
    if parts is None:
        raise ConfigError(f"{where}: no option: {stripped}")
    option, rest = parts[1].lower(), parts[2]
    if option in _WHOLE_LINE:
        return option, (rest,)
    lexer = shlex.shlex(rest, posix=True)
    lexer.whitespace_split = True
    lexer.quotes = '"'
    lexer.escape = ""
    try:
        words = tuple(lexer)
    except ValueError:
        raise ConfigError(f"{where}: a quote isn't closed") from None
    if not words:
        raise ConfigError(f"{where}: {parts[1]} has no value")
    return option, words


def _criteria(words: tuple[str, ...], where: str) -> Iterator[Condition]:
    rest = iter(words)
    for word in rest:
        wanted = not word.startswith("!")
        name, equals, value = word.removeprefix("!").partition("=")
        name = name.lower()
        if name in ("all", "canonical", "final"):
            yield f"match-{name}", wanted, ()
            continue
        value = value if equals else next(rest, "")
        if not value:
            raise ConfigError(f"{where}: Match {name} has no value")
        yield f"match-{name}", wanted, (value,) if name == "exec" else tuple(value.split(","))


def _included(words: tuple[str, ...], path: Path) -> Iterator[Path]:
    base = SYSTEM.parent if path.is_relative_to(SYSTEM.parent) else Path("~/.ssh").expanduser()
    for word in words:
        for found in sorted(glob.glob(str(base / Path(word).expanduser()))):
            yield Path(found)


# ── looking up ─────────────────────────────────────────────────────────────────────────────────


class _Search:
    """One walk through the lines for one host."""

    def __init__(self, alias: str, given: dict[str, tuple[str, ...]]) -> None:
        self.alias = alias
        self.found = dict(given)
        self.local_user = getpass.getuser()
        self.wants_final = False
        self._final = False
        self._held: dict[Condition, bool] = {}

    def walk(self, lines: tuple[_Line, ...], *, final: bool) -> None:
        self._final = final
        self._held.clear()
        last: tuple[Condition, ...] | None = None
        holds = True
        for line in lines:
            if line.conditions is not last:
                last = line.conditions
                holds = all(self._holds(condition) for condition in last)
            if holds:
                self._take(line.option, line.words)

    def _take(self, option: str, words: tuple[str, ...]) -> None:
        if option in _ADDED_UP:
            before = self.found.get(option, ())
            if words[0] not in before:
                self.found[option] = (*before, words[0])
        else:
            self.found.setdefault(option, words)

    def _holds(self, condition: Condition) -> bool:
        kind, wanted, patterns = condition
        if kind == "host":
            return _any_of(patterns, self.alias)
        match kind.removeprefix("match-"):
            case "all":
                result = True
            case "final":
                self.wants_final = True
                result = self._final
            case "host":
                result = _any_of(patterns, self.host)
            case "originalhost":
                result = _any_of(patterns, self.alias)
            case "user":
                result = _any_of(patterns, self._user)
            case "localuser":
                result = _any_of(patterns, self.local_user)
            case "tagged":
                result = _any_of(patterns, " ".join(self.found.get("tag", ())))
            case "exec":
                result = self._exec(condition)
            case _:  # canonical, localnetwork …: never true here
                return False
        return result == wanted

    def _exec(self, condition: Condition) -> bool:
        if condition not in self._held:
            command = self._expand(condition[2][0])
            try:
                done = subprocess.run(
                    ["/bin/sh", "-c", command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=EXEC_S,
                    check=False,
                )
                self._held[condition] = done.returncode == 0
            except (OSError, subprocess.TimeoutExpired):
                self._held[condition] = False
        return self._held[condition]

    @property
    def host(self) -> str:
        named = self.found.get("hostname")
        if named is None:
            return self.alias
        return named[0].replace("%%", "\0").replace("%h", self.alias).replace("\0", "%").lower()

    @property
    def _user(self) -> str:
        return self.found.get("user", (self.local_user,))[0]

    def _expand(self, text: str) -> str:
        name = socket.gethostname()
        port = self.found.get("port", ("22",))[0]
        jump = " ".join(self.found.get("proxyjump", ()))
        values = {
            "%": "%",
            "d": os.path.expanduser("~"),
            "h": self.host,
            "i": str(os.getuid()),
            "j": jump,
            "k": self.found.get("hostkeyalias", (self.alias,))[0],
            "L": name.split(".")[0],
            "l": name,
            "n": self.alias,
            "p": port,
            "r": self._user,
            "u": self.local_user,
        }
        joined = f"{name}{self.host}{port}{self._user}{jump}".encode()
        values["C"] = hashlib.sha1(joined, usedforsecurity=False).hexdigest()
        return _TOKEN.sub(lambda m: values.get(m[1], m[0]), text)

    def _path(self, text: str) -> str:
        expanded = _ENV.sub(lambda m: os.environ.get(m[1], ""), text)
        return os.path.expanduser(self._expand(expanded))

    def result(self) -> HostOptions:
        options = dict(self.found)
        for name in (*_ADDED_UP, "identityagent", "userknownhostsfile", "globalknownhostsfile"):
            if name in options:
                options[name] = tuple(self._path(word) for word in options[name])
        for name in ("proxycommand", "hostkeyalias"):
            if name in options:
                options[name] = (self._expand(" ".join(options[name])),)
        port = options["port"][0]
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ConfigError(f"Port {port} of {self.alias} in the SSH configuration is none")
        return HostOptions(self.alias, self.host, int(port), self._user, options)


def _any_of(patterns: tuple[str, ...], name: str) -> bool:
    """As in ssh_config(5): one pattern fits and no negated one does."""
    fits = False
    for pattern in patterns:
        plain = pattern.removeprefix("!").lower().replace("[", "[[]")
        if fnmatchcase(name.lower(), plain):
            if pattern.startswith("!"):
                return False
            fits = True
    return fits
