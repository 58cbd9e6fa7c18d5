"""Where a core keeps its state, its lock and its socket, and where the inventory is looked for."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

SOCKET_LIMIT = 103
"""Bytes of a Unix socket's path that every system takes (Linux 107, macOS 103)."""
INVENTORY = "inventory.yaml"
DATABASE = "flextui.db"
FIRST_RUN = "first-run"
"""In the state directory while the first run isn't over: it is asked again."""


class PathError(Exception):
    """A place that can't be used; the text says why and what to do."""


class Locked(Exception):
    """Another core holds this state directory."""

    def __init__(self, holder: Holder | None, folder: Path) -> None:
        self.holder = holder
        who = f"process {holder.pid} on {holder.host}" if holder else "another process"
        super().__init__(
            f"{folder} is in use by {who} (flextui {holder.version if holder else '?'})"
        )


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, as they wrote it in."""

    pid: int
    host: str
    version: str


# ── the state directory ────────────────────────────────────────────────────────────────────────


def state_folder(explicit: str | Path | None = None) -> Path:
    """`--state-dir`, else FLEXTUI_STATE_DIR, else the user's state folder. Absolute."""
    chosen = explicit or os.environ.get("FLEXTUI_STATE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_state_dir("flextui", appauthor=False))


def is_new(folder: Path) -> bool:
    """Whether nothing has been done yet with this state directory."""
    return not (folder / DATABASE).exists() or (folder / FIRST_RUN).exists()


def prepare_state_folder(folder: Path) -> None:
    """Make it, private to this user. Raises `PathError`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise PathError(f"{folder} is not a folder: use another --state-dir")
        if status.st_uid != os.geteuid():
            raise PathError(
                f"{folder} belongs to user {status.st_uid}: use a --state-dir of your own"
            )
        if stat.S_IMODE(status.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise PathError(f"{folder} can't be used for state: {error.strerror}") from error


class StateLock:
    """The lock of a state directory, held until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "core.lock"
        self._file: int | None = None

    def acquire(self, version: str) -> None:
        """Raises `Locked` when another core holds it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise Locked(holder(self._folder), self._folder) from None
        except OSError as error:
            os.close(file)
            raise PathError(f"{self._path} can't be locked: {error.strerror}") from error
        self._file = file
        me = Holder(os.getpid(), socket.gethostname(), version)
        with contextlib.suppress(OSError):  # a full disk: who holds it isn't told, but it is held
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(asdict(me)).encode(), 0)

    def release(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def holder(folder: Path) -> Holder | None:
    """Who says in the lock that they hold it; only true while it is locked."""
    try:
        return Holder(**json.loads((folder / "core.lock").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_locked(folder: Path) -> bool:
    """Whether a core holds this state directory now."""
    try:
        file = os.open(folder / "core.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


# ── the socket ─────────────────────────────────────────────────────────────────────────────────


def default_socket(folder: Path) -> Path:
    """The private socket of a state directory; short enough for the kernel."""
    path = folder / "core.sock"
    if len(os.fsencode(path)) <= SOCKET_LIMIT:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return _runtime_folder() / f"{name}.sock"


def record_socket(folder: Path, path: Path) -> None:
    """Write down in the state directory where its core listens, and which directory that is: a
    copy of it isn't that core's."""
    record = folder / "core.socket"
    fresh = record.with_name("core.socket.new")
    fresh.write_bytes(os.fsencode(path) + b"\n" + _mark(folder))
    fresh.rename(record)


def recorded_socket(folder: Path) -> Path:
    """Where the core of a state directory listens, or would."""
    with contextlib.suppress(OSError):
        text, _, mark = (folder / "core.socket").read_bytes().rpartition(b"\n")
        if text and mark == _mark(folder):
            return Path(os.fsdecode(text))
    return default_socket(folder)


def _mark(folder: Path) -> bytes:
    """What no copy of a folder has in common with it."""
    found = folder.stat()
    return b"%d:%d" % (found.st_dev, found.st_ino)


def _runtime_folder() -> Path:
    """A short private folder of this user; only sockets go there, which may vanish at logout."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir() and len(os.fsencode(base)) < 60:
        folder = Path(base) / "flextui"
    else:
        folder = Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir())
        folder = folder / f"flextui-{os.geteuid()}"
    prepare_state_folder(folder)
    return folder


def shared_socket(fleet: str) -> Path:
    """Where a shared fleet's core listens unless told otherwise."""
    return Path(f"/run/flextui/{fleet}.sock")


# ── the inventory ──────────────────────────────────────────────────────────────────────────────


def find_inventory(explicit: str | Path | None = None) -> Path | None:
    """The inventory in use: `-i`, FLEXTUI_INVENTORY, ./, the user's config folder, /etc/flextui.

    One that was asked for by name must exist. Raises `PathError`; None: this machine alone.
    """
    for chosen, said in (
        (explicit, "-i"),
        (os.environ.get("FLEXTUI_INVENTORY"), "FLEXTUI_INVENTORY"),
    ):
        if chosen:
            path = Path(chosen).expanduser().resolve()
            if not path.is_file():
                what = "is a folder" if path.is_dir() else "there is no such file"
                raise PathError(f"{said}: {path}: {what}; expected an inventory")
            return path
    places = (
        Path.cwd() / INVENTORY,
        user_inventory(),
        Path("/etc/flextui") / INVENTORY,
    )
    return next((path.resolve() for path in places if path.is_file()), None)


def user_inventory() -> Path:
    """The inventory in the user's config folder."""
    return Path(platformdirs.user_config_dir("flextui", appauthor=False)) / INVENTORY
