"""Text from workloads made safe to show: a log can't drive the operator's terminal.

SGR colours (`ESC [ … m`) stay; every other control sequence is taken out whole (CSI, OSC, DCS and
their 8-bit forms), and control characters that are left show as caret notation. Source: ECMA-48,
sections 5.3 to 5.6.
"""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"(?P<sgr>\x1b\[[0-9;:]*m)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS …
    r"|\x1b[ -/]*[0-~]"  # two-character escapes
    r"|\x1b"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def neutralise(text: str, *, colours: bool = True) -> str:
    """`text` without anything that moves cursors, sets titles or clipboards, or rings.

    Newlines and tabs stay; a carriage return before a newline goes, any other shows as `^M`.
    With `colours` False, SGR sequences go as well.
    """
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    text = _SEQUENCES.sub(lambda m: (m["sgr"] or "") if colours else "", text)
    return _CONTROLS.sub(_caret, text)


def _caret(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return "^" + chr(code + 64)
    return "^?" if code == 0x7F else f"<{code:02x}>"
