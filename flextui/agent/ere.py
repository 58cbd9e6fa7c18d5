"""A Python regular expression as one that grep understands, where both mean the same.

grep reads a gigabyte in a tenth of a second and never takes more than one pass, whatever the
pattern; Python's own matcher needs ten seconds for it and can take for ever. What an extended
regular expression can't say (backward references, looking ahead or behind) is left to Python.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

_MOST_REPEATS = 255
_SPECIAL = frozenset(".^$*+?()[]{}|\\")
_CATEGORIES = {"DIGIT": "0-9", "WORD": "[:alnum:]_", "SPACE": "[:space:]"}
_PLACES = {
    "AT_BEGINNING": "^", "AT_BEGINNING_STRING": "^", "AT_END": "$", "AT_END_STRING": "$",
    "AT_BOUNDARY": "\\b", "AT_NON_BOUNDARY": "\\B",
}  # fmt: skip


class Unsaid(Exception):
    """grep has no words for it."""


def translated(pattern: str) -> Optional[str]:
    """The same as an extended regular expression, None where there is none. Raises re.error."""
    re.compile(pattern)
    try:
        from re import _parser as parser  # type: ignore[attr-defined]
    except ImportError:
        import sre_parse as parser
    tree = parser.parse(pattern)
    if tree.state.flags & ~(re.UNICODE | re.MULTILINE):
        return None
    try:
        return _sequence(tree)
    except Unsaid:
        return None


def _sequence(items: Any) -> str:
    return "".join(_item(str(op), value) for op, value in items)


def _item(op: str, value: Any) -> str:
    if op == "LITERAL":
        return _character(value)
    if op == "NOT_LITERAL":
        return _set("^", [("LITERAL", value)])
    if op == "ANY":
        return "."
    if op == "IN":
        negated = str(value[0][0]) == "NEGATE"
        return _set("^" if negated else "", value[1:] if negated else value)
    if op == "BRANCH":
        return "(%s)" % "|".join(map(_sequence, value[1]))
    if op == "SUBPATTERN":
        _, added, removed, inner = value
        if added or removed:
            raise Unsaid
        return "(%s)" % _sequence(inner)
    if op in ("MAX_REPEAT", "MIN_REPEAT"):
        return _repeat(*value)
    if op == "AT" and str(value) in _PLACES:
        return _PLACES[str(value)]
    raise Unsaid


def _character(code: int) -> str:
    char = chr(code)
    if code < 0x20 and char != "\t" or 0xD800 <= code <= 0xDFFF:
        raise Unsaid
    return "\\" + char if char in _SPECIAL else char


def _repeat(least: Any, most: Any, inner: Any) -> str:
    body = _sequence(inner)
    if len(inner) != 1 or str(inner[0][0]) not in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
        body = "(%s)" % body
    if str(most) == "MAXREPEAT":
        if least <= 1:
            return body + ("*" if least == 0 else "+")
        high = ""
    else:
        high = str(int(most))
    if int(least) > _MOST_REPEATS or (high and int(high) > _MOST_REPEATS):
        raise Unsaid
    return "%s{%d,%s}" % (body, least, high)


def _set(negated: str, items: Any) -> str:
    """A bracket expression; `]`, `^` and `-` have places of their own in it."""
    first, last = "", ""
    middle = []
    for op, value in items:
        name = str(op)
        if name == "CATEGORY":
            middle.append(_category(str(value)))
        elif name == "RANGE":
            low, high = chr(value[0]), chr(value[1])
            if {low, high} & set("]^-[\\") or value[0] < 0x20 or value[1] > 0x7E:
                raise Unsaid
            middle.append("%s-%s" % (low, high))
        elif name != "LITERAL" or value < 0x20 and value != 9 or 0xD800 <= value <= 0xDFFF:
            raise Unsaid
        elif chr(value) == "]":
            first = "]"
        elif chr(value) in "^-[":
            last = "".join(sorted(last + chr(value), key="[^-".index))
        else:
            middle.append(chr(value))
    if not negated and not first and not middle and last.startswith("^"):
        if last == "^":
            return "\\^"
        raise Unsaid
    return "[%s%s%s%s]" % (negated, first, "".join(middle), last)


def _category(name: str) -> str:
    inside = _CATEGORIES.get(name[len("CATEGORY_") :])
    if inside is None:
        raise Unsaid
    return inside
