"""Where words go, and what the exit status says.

Data goes to stdout and everything else to stderr, so that a pipe carries data alone. Each outcome
has one exit status, whichever command it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

from flextui.cli.text import clean

DONE = 0
FAILED = 1
"""It was tried and failed."""
INPUT = 2
"""The input was wrong; nothing was changed."""
UNREACHABLE = 3
"""No core or node could be reached."""
DENIED = 4
INTERRUPTED = 130
BROKEN_PIPE = 141

_SGR = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2, "bold": 1}


class Failure(Exception):
    """A command that ends with an error text and a status. `details` are lines of their own."""

    def __init__(self, status: int, text: str, details: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.details = tuple(details)


class StdoutClosed(Exception):
    """Nobody reads the data any more, as after `flextui jobs | head`."""


def write(text: str) -> None:
    """Data, as it is. Flushed, so that a reader of the pipe sees it now.

    Raises StdoutClosed when the reader left, Failure when it can't be written.
    """
    write_bytes(text.encode("utf-8", "replace"))


def write_bytes(data: bytes) -> None:
    """The same for bytes, which needn't be text."""
    if sys.stdout is None:
        raise StdoutClosed
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise StdoutClosed from error
    except OSError as error:
        abandon_stdout()
        raise Failure(FAILED, f"stdout: {error.strerror}") from error


def abandon_stdout() -> None:
    """Let what is buffered go nowhere, so that the interpreter's own flush can't complain."""
    if sys.stdout is not None:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def lines(rows: Iterable[str]) -> None:
    """Lines of data."""
    write("".join(f"{row}\n" for row in rows))


def document(doc: Any, *, indent: int | None = 2) -> None:
    """A JSON document. Plain ASCII, so that no text in it can drive a terminal."""
    write(json.dumps(doc, indent=indent) + "\n")


def say(text: str) -> None:
    """A word to the person, on stderr; never fails, not even when stderr is gone."""
    with contextlib.suppress(OSError, ValueError):
        print(clean(text), file=sys.stderr, flush=True)


def say_lines(rows: Iterable[str]) -> None:
    """Lines to the person, on stderr, coloured by whoever made them safe."""
    with contextlib.suppress(OSError, ValueError):
        print("\n".join(rows), file=sys.stderr, flush=True)


def complain(text: str, details: Sequence[str] = ()) -> None:
    """An error, in the one form that scripts and people look for."""
    say(f"flextui: error: {text}")
    for detail in details:
        say(detail)


def colour_on(stream: IO[str]) -> bool:
    """True where colours may be written: a terminal, and nobody said NO_COLOR."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_served() -> bool:
    """Whether a web server shows this terminal in a browser."""
    return "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")


def is_terminal(stream: IO[str] | None) -> bool:
    """True for a terminal; a closed or missing stream is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def paint(text: str, colour: str) -> str:
    """The text in a colour; no colour is the empty name."""
    return f"\x1b[{_SGR[colour]}m{text}\x1b[0m" if colour else text


def width() -> int | None:
    """Columns of the terminal that stdout is, or None: then nothing is cut."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def confirm(question: str, effects: Iterable[str] = (), *, always: bool = False) -> None:
    """Ask before something is destroyed; only a person at a terminal is asked.

    With `always`, where nobody can be asked the answer is no. Raises Failure when it is no.
    """
    if not is_terminal(sys.stdin) and not always:
        return
    for effect in effects:
        say(f"  {effect}")
    sys.stderr.write(f"{clean(question)} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline().strip().lower()
    if answer not in ("y", "yes"):
        raise Failure(FAILED, "not confirmed; nothing was changed")
