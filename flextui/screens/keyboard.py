"""What a terminal sends, as keys, mouse and pastes; nothing else of it is taken for keys.

A terminal sends more than keys: answers that come late, reports that nobody asked for, keys that
Textual doesn't know, and what a bad line garbled. Textual types out what it doesn't understand,
and here a character may stop a job. So the stream is cut by its grammar (ECMA-48) first. Textual
reads whole sequences only, and one that it doesn't know is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from itertools import pairwise

from textual import events
from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.message import Message

ESC = "\x1b"
PASTE, PASTED = "\x1b[200~", "\x1b[201~"
GARBLED_S = 1.0
"""Silence after which a sequence that was begun is given up."""
PIECE = 4 << 20
"""Characters of a paste that are handed on though its end hasn't come."""
_OUT_OF_PASTE = ("\x03", "\x1b[27u", "\x1b[99;5u")
"""Ctrl-C, and Escape and Ctrl-C as the kitty protocol has them."""
_STRING = r"\x1b[\]PX^_][^\x07\x18\x1a\x1b]*"
_TOKEN = re.compile(
    r"(?P<plain>[^\x1b]+)"
    r"|(?P<mouse>\x1b\[M[^\x1b]{3})"  # X10: what follows are no keys
    rf"|(?P<string>{_STRING}(?:[\x07\x18\x1a]|\x1b\\|(?=\x1b[^\\])))"
    r"|(?P<key>\x1b\[\[[A-Z]|\x1b\[\d+\$(?![@-~])"  # the Linux console's, rxvt's
    r"|\x1b\[(?!M)[-0-?]*[ -/]*[@-Z\\-~]|\x1bO[0-9;]*[@-~])"
    r"|(?P<alt>\x1b[^\[O\]PX^_\x1b])"
)
_BEGUN = re.compile(
    rf"(?:\x1b|\x1b\[\[?|\x1b\[[-0-?]*[ -/]*|\x1b\[M[^\x1b]{{0,2}}|\x1bO[0-9;]*|{_STRING}\x1b?)\Z"
)
_BROKEN = re.compile(r"\x1b(?:\[M[^\x1b]{0,2}|\[[-0-?]*[ -/]*|O[0-9;]*)|\x1b")
_ALONE = re.compile(r"\x1b[OPX]")
"""Keys with Alt, if nothing follows."""
_SIZE = re.compile(r"\x1b\[48;0*([1-9]\d{0,3}):?.*;0*([1-9]\d{0,3}):?.*;\d{1,6}:?.*;\d{1,6}:?.*t")
_NO_KEY = re.compile("[\x80-\x9f\ud800-\udfff]")
_STATE = ("last_x", "last_y", "mouse_pixels", "terminal_size", "terminal_pixel_size")


class Keyboard:
    """Makes events of the text that a terminal sends, piece by piece."""

    def __init__(self, debug: bool = False) -> None:
        self._parser = XTermParser(debug)
        self._rest = ""
        """The beginning of what isn't whole yet."""
        self._since = 0.0
        """When something came last."""
        self._paste: list[str] | None = None
        self._quiet = False
        """A paste was begun, and nothing has come for a while."""

    @property
    def pending(self) -> bool:
        """Whether silence would mean something."""
        return bool(self._rest) or self._paste is not None

    def feed(self, text: str, now: float) -> list[Message]:
        """What has come, at a moment in seconds."""
        self._since = now
        return list(_without_the_superseded(list(self._read(text))))

    def tick(self, now: float) -> list[Message]:
        """Nothing has come."""
        silent = now - self._since
        if self._paste is not None:
            return list(self._silent_paste(silent))
        if silent >= ESCAPE_DELAY and (self._rest == ESC or _ALONE.fullmatch(self._rest)):
            rest, self._rest = self._rest, ""
            return self._typed(rest)
        if silent >= GARBLED_S:
            self._rest = ""
        return []

    # ── cutting ──

    def _read(self, text: str) -> Iterator[Message]:
        data, at = self._rest + text, 0
        self._rest = ""
        while at < len(data):
            if self._paste is not None:
                at = yield from self._pasted(data, at)
            elif (token := _TOKEN.match(data, at)) is not None:
                at = token.end()
                yield from self._token(token.lastgroup or "", token.group())
            elif _BEGUN.match(data, at):
                self._rest = data[at:]
                if len(self._rest) > 2 and self._rest[1] not in "[O":  # what a string says is lost
                    self._rest = self._rest[:3] + (ESC if self._rest[-1] == ESC else "")
                return
            else:
                broken = _BROKEN.match(data, at)
                at = broken.end() if broken else at + 1
                if broken and broken.group() == ESC:
                    yield from self._typed(ESC)

    def _token(self, kind: str, text: str) -> Iterator[Message]:
        if text == PASTE:
            self._paste, self._quiet = [], False
        elif kind == "alt":
            yield from self._typed(text)
        elif kind == "plain" or (kind == "key" and text != PASTED and _sound(text)):
            yield from self._known(text)

    # ── what Textual knows ──

    def _known(self, text: str) -> list[Message]:
        """The events of plain characters or of one whole sequence; none of an unknown one."""
        try:
            found = list(self._parser.feed(text))
        except Exception:  # a number out of range, as of a character that there isn't
            found = []
        if not found:
            self._renew()
        return _speakable(found)

    def _typed(self, text: str) -> list[Message]:
        """Escape, or a key with Alt."""
        found = list(self._parser.feed(text)) or list(self._parser.feed(""))
        self._renew()
        return _speakable(found)

    def _renew(self) -> None:
        """A parser that waits for nothing."""
        fresh = XTermParser()
        for name in _STATE:
            setattr(fresh, name, getattr(self._parser, name))
        self._parser = fresh

    # ── pastes ──

    def _pasted(self, data: str, at: int) -> Generator[Message, None, int]:
        """Where what was pasted ends in `data`."""
        assert self._paste is not None
        end = data.find(PASTED, at)
        if end < 0 and self._quiet and data[at:] in _OUT_OF_PASTE:
            self._paste = None
            return at
        if self._quiet and data[at:] == ESC:
            self._rest = ESC
            return len(data)
        self._quiet = False
        if end >= 0:
            self._paste.append(data[at:end])
            yield from self._deliver()
            self._paste = None
            return end + len(PASTED)
        kept = next((n for n in range(len(PASTED) - 1, 0, -1) if data.endswith(PASTED[:n])), 0)
        kept = min(kept, len(data) - at)
        self._paste.append(data[at : len(data) - kept])
        self._rest = data[len(data) - kept :]
        if sum(map(len, self._paste)) > PIECE:
            yield from self._deliver()
        return len(data)

    def _silent_paste(self, silent: float) -> Iterator[Message]:
        """The rest may still come; where the end of it was lost, Escape or Ctrl-C end it."""
        if self._quiet and self._rest == ESC and silent >= ESCAPE_DELAY:
            self._paste, self._rest = None, ""
            yield from self._typed(ESC)
        elif not self._quiet and silent >= GARBLED_S:
            self._quiet = True
            yield from self._deliver()

    def _deliver(self) -> Iterator[Message]:
        if self._paste and (text := "".join(self._paste).replace("\x00", "")):
            self._paste = []
            yield events.Paste(text)


def _sound(sequence: str) -> bool:
    """Whether a sequence means what it says; the size of a window may be out of all bounds."""
    report = sequence.startswith("\x1b[48;") and sequence.endswith("t")
    return len(sequence) <= 64 and (not report or _SIZE.fullmatch(sequence) is not None)


def _speakable(found: list[Message]) -> list[Message]:
    """Without keys of characters that nobody can type: half of one, or a C1 control."""
    return [
        it
        for it in found
        if not isinstance(it, events.Key) or _NO_KEY.search(it.character or "") is None
    ]


def _without_the_superseded(found: list[Message]) -> Iterator[Message]:
    """Of moves of the mouse that came together the last one counts, and of the focus."""
    for one, after in pairwise(found):
        moved = isinstance(one, events.MouseMove) and isinstance(after, events.MouseMove)
        focus = isinstance(one, events.AppFocus | events.AppBlur)
        if moved and one.button == after.button:  # type: ignore[attr-defined]
            continue
        if focus and isinstance(after, events.AppFocus | events.AppBlur):
            continue
        yield one
    yield from found[-1:]
