"""What an unquoted YAML value means: the core schema of YAML 1.2, and nothing more.

PyYAML's own resolver speaks YAML 1.1, where `on` is true, `22:22` is 1342 and `010` is 8. Here
they stay what they look like.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"(?P<inf>[-+]?\.(inf|Inf|INF))|\.(nan|NaN|NAN)")
_MAX_DIGITS = 100

TAG = "tag:yaml.org,2002:"
_TAGS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


def resolve(text: str) -> Scalar:
    """The value of a plain (unquoted, untagged) scalar."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > _MAX_DIGITS:  # no number that anyone means; int() would take quadratic time
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _SPECIAL.fullmatch(text):
        return float(text.replace(".", "")) if special["inf"] else float("nan")
    return text


def resolve_tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit tag. Raises `ValueError` if they don't fit."""
    name = tag.removeprefix(TAG)
    if tag == "!" or name == "str":
        return text
    value = resolve(text)
    if name not in _TAGS or type(value) not in _TAGS[name]:
        raise ValueError(tag)
    return float(value) if name == "float" and isinstance(value, int) else value
