"""Host keys that somebody vouched for, from several files, for many hosts at once.

Lines are kept as text and a key is decoded when its host is looked up: importing the keys of a
big file takes longer than connecting. A file that changes is read again.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import asyncssh


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a file."""

    where: str
    marker: str
    key: asyncssh.SSHKey


@dataclass(slots=True)
class Known:
    """What the files say of one host."""

    keys: list[Entry] = field(default_factory=list)
    authorities: list[Entry] = field(default_factory=list)
    revoked: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    stamp: tuple[int, int] | None
    exact: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)
    """Host name → (line number, marker, key as text)."""
    patterns: list[tuple[str, int, str, str]] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, int, str, str]] = field(default_factory=list)


class KnownHosts:
    """Reads files when they are first asked for; may be used from several threads."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}
        self._lock = threading.Lock()

    def lookup(self, files: tuple[Path, ...], host: str, port: int) -> Known:
        """Entries for a host; one without its port counts where none names the port."""
        host = host.lower()
        names = [host] if port == 22 else [f"[{host}]:{port}", host]
        known = Known()
        for name in names:
            for path in files:
                self._collect(path, name, known)
            if known.keys or known.authorities:
                break
        return known

    def _collect(self, path: Path, name: str, known: Known) -> None:
        file = self._read(path)
        found = list(file.exact.get(name, ()))
        found += [rest for pattern, *rest in file.patterns if _fits(pattern, name)]  # type: ignore[misc]
        encoded = name.encode()
        found += [
            (number, marker, text)
            for salt, digest, number, marker, text in file.hashed
            if hmac.digest(salt, encoded, "sha1") == digest
        ]
        for number, marker, text in found:
            try:
                key = asyncssh.import_public_key(text)
            except asyncssh.KeyImportError:
                continue  # of a kind that isn't supported here
            entry = Entry(f"{path}:{number}", marker, key)
            if marker == "@revoked":
                known.revoked.append(entry)
            elif marker == "@cert-authority":
                known.authorities.append(entry)
            else:
                known.keys.append(entry)

    def _read(self, path: Path) -> _File:
        with self._lock:
            stamp = _stamp(path)
            file = self._files.get(path)
            if file is None or file.stamp != stamp:
                file = self._files[path] = _parse(path, stamp)
            return file


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _parse(path: Path, stamp: tuple[int, int] | None) -> _File:
    file = _File(stamp)
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return file
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#"):
            continue
        names, rest = words[0], (number, marker, " ".join(words[1:3]))
        if names.startswith("|1|"):
            try:
                salt, digest = (base64.b64decode(part) for part in names[3:].split("|"))
            except (ValueError, binascii.Error):
                continue
            file.hashed.append((salt, digest, *rest))
        elif set(names) & set("*?!"):
            file.patterns.append((names, *rest))
        else:
            for name in names.split(","):
                file.exact.setdefault(name.lower(), []).append(rest)
    return file


def _fits(patterns: str, name: str) -> bool:
    fits = False
    for pattern in patterns.lower().split(","):
        if fnmatchcase(name, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            fits = True
    return fits
