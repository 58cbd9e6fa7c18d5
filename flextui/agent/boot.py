"""How the agent gets into a Python process, and why that costs so little.

Two hundred nodes may connect at once to a core on a small machine, and their agents may share
that machine in a test, so a start must not compile anything: the modules travel once as a zip of
sources, and the first start leaves a compiled table beside it that later starts load with one
read. The same table serves where no folder can be written: it then lives in memory only.

The core compiles for its own Python before it sends, which spares most nodes even that.

This file runs on the node in two ways: from the table itself, and, at the first start, as text
that the core's loader line carries. It therefore imports nothing of the agent.
"""

from __future__ import annotations

import marshal
import os
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Dict, List, NoReturn, Optional, Sequence, Tuple

    Table = Dict[str, Tuple[bool, str, bytes]]  # is a package, its origin, its marshalled code

MARKER = b"\x1eflextui-boot "
PACKAGE = "flextui_agent"
TABLE_PREFIX = "0-table."
"""Sorts before all other members of the zipapp."""
EXIT_NOT_LINUX = 95
EXIT_DAMAGED = 98
LEFTOVER_AGE_S = 30 * 86400


class Modules:
    """Imports from a table of modules: finder and loader at once (PEP 451)."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        entry = self._table.get(name)
        if entry is None:
            return None
        # importlib itself would cost milliseconds; its frozen core is always loaded.
        make = sys.modules["_frozen_importlib"].ModuleSpec
        spec = make(name, self, origin=entry[1], is_package=entry[0])
        spec.has_location = True
        return spec

    def create_module(self, spec: Any) -> Optional[ModuleType]:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(marshal.loads(self._table[module.__name__][2]), module.__dict__)
        del self._table[module.__name__]  # imported once per process: the bytes can go

    def get_source(self, name: str) -> Optional[str]:
        return None


def read_zip(data: bytes) -> Dict[str, bytes]:
    """The files of a zipapp."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {path: archive.read(path) for path in archive.namelist()}


def compiled(files: Dict[str, bytes]) -> Table:
    """The table of a zipapp's modules.

    Version 2 of the format, as later ones depend on what else the process holds: the zipapp has
    such a table in it, and must be the same bytes each time.
    """
    table: Table = {}
    for path in sorted(files):
        if path.endswith(".py") and path != "__main__.py":
            parts = path[:-3].split("/")
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            origin = PACKAGE + ".pyz/" + path
            code = compile(files[path], origin, "exec", dont_inherit=True, optimize=2)
            table[name] = (is_package, origin, marshal.dumps(code, 2))
    return table


def compiled_elsewhere(data: bytes) -> bytes:
    """The zipapp's table, marshalled, made in a forked process: compiling would leave this one
    with twice the memory for good. Raises RuntimeError when that process failed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            table = marshal.dumps(compiled(read_zip(data)))
            with open(writing, "wb") as pipe:
                pipe.write(table)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        blob = pipe.read()
    os.waitpid(child, 0)
    if not blob:
        raise RuntimeError("the agent couldn't be compiled: is the node out of memory?")
    return blob


def tag() -> str:
    """What code compiled here is good for: the implementation and its bytecode's number."""
    magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    return "%s-%d" % (sys.implementation.cache_tag, int.from_bytes(magic[:2], "little"))


def shipped_table(data: bytes) -> Optional[Table]:
    """The compiled table that the zipapp brings, if it was made for this Python.

    It is the zip's first member, so that no zipfile module is needed to find it: the local header
    has its packed size at 18, the lengths of name and extra field at 26 and 28.
    """
    size, name, extra = (
        int.from_bytes(data[start:end], "little") for start, end in ((18, 22), (26, 28), (28, 30))
    )
    begin = 30 + name + extra
    if data[30 : 30 + name] != (TABLE_PREFIX + tag()).encode():
        return None
    table: Table = marshal.loads(zlib.decompress(data[begin : begin + size], -15))
    return table


def checked(blob: bytes) -> bytes:
    """A blob with its checksum in front: half a table must not be run."""
    return zlib.crc32(blob).to_bytes(4, "little") + blob


def trusted(directory: str) -> bool:
    """Whether only this account can have put files there."""
    status = os.stat(directory)
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def usable(directory: str) -> str:
    """Makes a cache folder of our own; returns what is wrong with it, or an empty string."""
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        if not trusted(directory):
            return "%s can be written by others" % directory
        probe = _temporary(directory, "probe")
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(probe)
    except OSError as error:
        return "%s: %s" % (directory, error.strerror)
    return ""


def store(path: str, data: bytes) -> bool:
    """Writes a file whole or not at all (temporary name, fsync, rename); False if it can't."""
    temporary = _temporary(os.path.dirname(path), os.path.basename(path))
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(fd, "wb", 0, closefd=False) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        return False
    return True


def _temporary(directory: str, name: str) -> str:
    """A name that no other host on the same network home picks as well."""
    return "%s/.%s.%d.%s" % (directory, name, os.getpid(), os.urandom(6).hex())


def clear_leftovers(directory: str, keep: str) -> None:
    """Removes the copies of versions that nobody stored for a month."""
    import time

    for name in os.listdir(directory):
        path = directory + "/" + name
        try:
            old = time.time() - os.lstat(path).st_mtime > LEFTOVER_AGE_S
            if old and keep not in name and len(name) > 64:
                os.unlink(path)
        except OSError:
            continue


def _cached_zip(folders: Sequence[str], sha256: str) -> bytes:
    """The zipapp from the first cache folder that holds it undamaged, or nothing."""
    for folder in folders:
        try:
            if not trusted(folder):
                continue
            data = _read("%s/%s.pyz" % (folder, sha256))
        except OSError:
            continue
        if _digest(data) == sha256:
            return data
    return b""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _digest(data: bytes) -> str:
    """SHA-256 as hex, by the interpreter's own code: hashlib would load OpenSSL into the agent."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found]
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256
    return str(sha256(data).hexdigest())


def _receive(size: int) -> bytes:
    """Reads exactly the zipapp from stdin, unbuffered: what follows is the session's."""
    parts: List[bytes] = []
    missing = size
    while missing:
        part = os.read(0, min(missing, 1 << 16))
        if not part:
            sys.exit(0)  # the core went away
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _answer(have: bool, cache: Optional[str], text: str) -> None:
    try:  # the json module would cost a third of the whole start
        from _json import encode_basestring_ascii as quoted
    except ImportError:
        from json import dumps as quoted
    body = '{"have":%s,"python":"%s","cache":%s,"text":%s}\n' % (
        "true" if have else "false",
        "%d.%d.%d" % sys.version_info[:3],
        quoted(cache) if cache else "null",
        quoted(text),
    )
    data = MARKER + body.encode("ascii")
    while data:
        data = data[os.write(1, data) :]


def _store_later(folder: str, sha256: str, data: Optional[bytes], table: Table) -> None:
    """Fills the cache from a process of its own, so that the session starts at once.

    Forked twice, so that nobody has to reap it; it holds none of the session's descriptors.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    try:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.nice(19)
        # Another node on the same home may have been quicker.
        if data and not _cached_zip([folder], sha256):
            store("%s/%s.pyz" % (folder, sha256), data)
        blob, path = checked(marshal.dumps(table, 2)), "%s/%s.%s" % (folder, sha256, tag())
        if not os.path.exists(path) or _read(path) != blob:
            store(path, blob)
        clear_leftovers(folder, sha256)
    finally:
        os._exit(0)


def _first_start(sha256: str, size: int, folders: Sequence[str]) -> Table:
    """Gets the zipapp from the cache or from the core, and leaves a compiled table behind."""
    data = _cached_zip(folders, sha256)
    have = bool(data)
    problems = []
    cache = None
    for folder in folders:
        problem = usable(folder)
        if not problem:
            cache = folder
            break
        problems.append(problem)
    _answer(have, cache, "" if cache else "kept in memory: " + "; ".join(problems))
    if not have:
        data = _receive(size)
        if _digest(data) != sha256:
            sys.stderr.write("flextui: the agent arrived damaged\n")
            sys.exit(EXIT_DAMAGED)
    table = shipped_table(data)
    if table is None:
        table = marshal.loads(compiled_elsewhere(data))
    if cache:
        _store_later(cache, sha256, None if have else data, table)
    return table


def boot(sha256: str, size: int, folders: Sequence[str], table: Optional[Table]) -> NoReturn:
    """Answers the core, then runs the agent.

    `folders` are the places for a cache, best first; `table` is the compiled one if the first of
    them held it.
    """
    if not sys.platform.startswith("linux"):
        sys.stderr.write("flextui: nodes run Linux, this is %s\n" % sys.platform)
        sys.exit(EXIT_NOT_LINUX)
    if table is None:
        table = _first_start(sha256, size, folders)
    else:
        _answer(True, folders[0], "")
    sys.meta_path.insert(0, Modules(table))
    main = __import__(PACKAGE + ".__main__", fromlist=["main"]).main
    sys.exit(main())
