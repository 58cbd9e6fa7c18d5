"""Searching logs where they lie, in a child: neither the agent nor anybody's screen waits for it.

Each stream is searched from its newest segment to its oldest. What is told are the positions and
times of lines that match, and how many there are; their text is read by position (`spots`). grep
does the work where the pattern allows it; else Python, which the kernel ends where a single
megabyte takes it more than `LONGEST_S` of processor time.
"""

from __future__ import annotations

import os
import re
import sys
from array import array
from bisect import bisect_right

from . import ere, fastjson, logs
from .light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Tuple

    Tell = Callable[[Dict[str, Any]], None]

LONGEST_S = 2.0
BATCH = 500
BLOCK = 1 << 20
LINE = 64 << 10
"""Of a line that goes over from one segment to the next, as much on either side is looked at."""
_GREP = ["grep", "-a", "-E"]
_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}


class Wish:
    """What is looked for. The constructor raises re.error."""

    def __init__(self, request: Dict[str, Any]) -> None:
        self.pattern = str(request["pattern"])
        self.ignore_case = bool(request.get("ignore_case"))
        self.inverse = bool(request.get("inverse"))
        self.most = int(request.get("most") or 0)
        """Lines that are told with their positions, the newest; the others are counted."""
        self.regex = re.compile(self.pattern, re.IGNORECASE if self.ignore_case else 0)
        # Others' grep may tell the place of a match, where GNU's tells that of its line.
        self.ere = ere.translated(self.pattern) if sys.platform.startswith("linux") else None

    def fits(self, line: str) -> bool:
        """Whether a line is one that is looked for."""
        return (self.regex.search(line) is not None) != self.inverse


class Stream:
    """One stream of one attempt, in a folder that is open."""

    def __init__(self, folder: int, name: str) -> None:
        self.folder = folder
        self.name = name
        self.segments = []
        for first in logs.segments(folder, name):
            try:
                size = os.stat("%s.%d" % (name, first), dir_fd=folder).st_size
            except FileNotFoundError:
                continue  # rotation was quicker
            self.segments.append((first, size))
        self._positions, self._times = self._marks()

    def _marks(self) -> Tuple[Any, Any]:
        try:
            fd = os.open(self.name + ".marks", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.folder)
        except OSError:
            return array("Q"), array("Q")
        with open(fd, "rb") as file:
            data = file.read()
        both = array("Q")
        both.frombytes(data[: len(data) - len(data) % logs.MARK_SIZE])
        if sys.byteorder != "little":
            both.byteswap()
        return both[0::2], both[1::2]

    def at(self, position: int) -> int:
        """When the byte came, in ms; 0 where that isn't known."""
        number = bisect_right(self._positions, position)
        return int(self._times[number - 1]) if number else 0

    def read(self, first: int, at: int, size: int) -> bytes:
        """Bytes of the segment `first`, from `at` of it on."""
        fd = os.open("%s.%d" % (self.name, first), os.O_RDONLY, dir_fd=self.folder)
        try:
            return os.pread(fd, size, at)
        finally:
            os.close(fd)


def search(stream: Stream, wish: Wish, tell: Tell) -> None:
    """Tell the lines of one stream that are looked for, the newest segment first."""
    count, batch = 0, []  # type: int, List[List[int]]
    found = _by_grep(stream, wish) if wish.ere is not None else _by_python(stream, wish)
    try:
        for position in found:
            count += 1
            if count > wish.most:
                break
            batch.append([position, stream.at(position)])
            if len(batch) == BATCH:
                tell({"hits": batch, "count": count})
                batch = []
        else:
            count += _over_borders(stream, wish, batch)
            tell({"hits": batch, "count": count, "whole": True})
            return
    finally:
        found.close()
    tell({"hits": batch, "count": count})
    total = _count_by_grep(stream, wish) if wish.ere is not None else _count(stream, wish)
    tell({"hits": [], "count": max(count, total), "whole": True})


def _by_grep(stream: Stream, wish: Wish) -> Any:
    """Positions of lines, as grep gives them."""
    names = ["%s.%d" % (stream.name, first) for first, _ in reversed(stream.segments)]
    for name, offset in _run(stream, wish, ["-b", "-H"], names):
        yield int(name.rpartition(b".")[2]) + int(offset)


def _count_by_grep(stream: Stream, wish: Wish) -> int:
    names = ["%s.%d" % (stream.name, first) for first, _ in stream.segments]
    return sum(int(count) for _, count in _run(stream, wish, ["-c", "-H"], names))


def _run(
    stream: Stream, wish: Wish, how: List[str], names: List[str]
) -> Iterator[Tuple[bytes, bytes]]:
    """The first two fields of each line that grep prints."""
    if not names:
        return
    flags = how + (["-i"] if wish.ignore_case else []) + (["-v"] if wish.inverse else [])
    folder = "/proc/%d/fd/%d/" % (os.getpid(), stream.folder)
    argv = _GREP + flags + ["-e", str(wish.ere), "--"] + [folder + name for name in names]
    reading, writing = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_CLOSE, reading)]
    environment = dict(os.environ, **_ENVIRONMENT)
    pid = os.posix_spawnp("grep", argv, environment, file_actions=actions)
    os.close(writing)
    whole = False
    try:
        with open(reading, "rb", 1 << 16) as output:
            yield from _fields(output)
        whole = True
    finally:
        if not whole:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if whole and not (os.WIFEXITED(status) and os.WEXITSTATUS(status) <= 1):
        raise OSError("grep on this node can't search for it")


def _fields(output: Any) -> Iterator[Tuple[bytes, bytes]]:
    """`name:number:…` of each line; of a long one no more is kept than its beginning."""
    fresh = True
    while True:
        line = output.readline(1 << 16)
        if not line:
            return
        if fresh:
            name, _, rest = line.partition(b":")
            yield name, rest.partition(b":")[0].strip()
        fresh = line.endswith(b"\n")


def _blocks(stream: Stream) -> Iterator[Tuple[int, str]]:
    """Positions and texts of blocks of whole lines, the newest first."""
    for first, size in reversed(stream.segments):
        end = size
        while end > 0:
            begin = max(0, end - BLOCK)
            data = stream.read(first, begin, end - begin)
            if begin:
                cut = data.find(b"\n") + 1
                if 0 < cut < len(data):
                    begin, data = begin + cut, data[cut:]
            yield first + begin, data.decode("utf-8", "surrogateescape")
            end = begin


def _matching(stream: Stream, wish: Wish) -> Iterator[Tuple[int, str, List[int]]]:
    """Each block's position, text, and where in it the lines begin that are looked for."""
    for position, text in _blocks(stream):
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
        found, at = [], 0
        for line in text.split("\n"):
            if wish.fits(line) and at < len(text):
                found.append(at)
            at += len(line) + 1
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        yield position, text, found


def _by_python(stream: Stream, wish: Wish) -> Any:
    for position, text, found in _matching(stream, wish):
        if text.isascii():
            for at in reversed(found):
                yield position + at
            continue
        sized = [position + len(text[:at].encode("utf-8", "surrogateescape")) for at in found]
        yield from reversed(sized)


def _count(stream: Stream, wish: Wish) -> int:
    return sum(len(found) for _, _, found in _matching(stream, wish))


def _over_borders(stream: Stream, wish: Wish, batch: List[List[int]]) -> int:
    """Add lines that match only across the border of two segments; how many there are."""
    added = 0
    for (first, size), (after, _) in zip(stream.segments, stream.segments[1:]):
        if wish.inverse or first + size != after:
            continue
        before = stream.read(first, max(0, size - LINE), LINE).rpartition(b"\n")[2]
        behind = stream.read(after, 0, LINE).partition(b"\n")[0]
        halves = [half.decode("utf-8", "replace") for half in (before, behind, before + behind)]
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
        if before and wish.fits(halves[2]) and not any(map(wish.fits, halves[:2])):
            added += 1
            batch.append([after - len(before), stream.at(after - len(before))])
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return added


def run(writing: int, streams: List[Tuple[str, int, str]], request: Dict[str, Any]) -> None:
    """In the child: search (attempt, folder, stream) one after the other, telling JSON lines."""
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    os.nice(5)

    def tell(message: Dict[str, Any]) -> None:
        data = fastjson.dumps(message).encode("utf-8", "replace") + b"\n"
        while data:
            data = data[os.write(writing, data) :]

    try:
        wish = Wish(request)
        for attempt, folder, name in streams:
            own = {"attempt": attempt, "stream": name}
            try:
                search(Stream(folder, name), wish, lambda found: tell(dict(own, **found)))  # noqa: B023
            except OSError as error:
                tell({"wrong": "%s of %s: %s" % (name, attempt, error)})
    except re.error as error:
        tell({"wrong": "%r is no regular expression: %s" % (request["pattern"], error)})
    except BrokenPipeError:
        return  # nobody listens any more
    except Exception as fault:  # never taken for having found nothing
        text = "%s: %s" % (type(fault).__name__, fault)
        tell({"wrong": "it can't be searched for %.100r: %s" % (request["pattern"], text)})
