"""The kinds of values that specs and inventories are made of, each with its check.

A check raises `BadValue` with what was expected. What a stored value looks like (seconds as
numbers, bytes as whole numbers) passes the same checks as what a person writes (`4h`, `64GiB`),
so there is one way in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
)

from flextui.core.model import units
from flextui.core.model.problems import BadValue

MAX_EXEC_BYTES = 128 * 1024 - 1
"""Linux's bound for one argument or one variable (MAX_ARG_STRLEN, less the final NUL)."""

EXECUTABLE = "less than 128 KiB of text without NUL characters"

_LABEL_WORDS = ("node", "not", "prefer", "placement", "apart", "pool")


class Frozen(BaseModel):
    """A value: fields can't be set, unknown ones are refused, equal content is equal."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with every default filled in: seconds and bytes as numbers."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The value that `to_json` gave. Raises `ValueError` for anything that isn't one."""
        return cls.model_validate(data)

    def to_text(self) -> str:
        """Canonical JSON text: the same for equal values, whatever order they were written in."""
        return self._text

    @cached_property
    def _text(self) -> str:
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical text, in hex."""
        return sha256(self.to_text().encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.fingerprint)


def check(predicate: Callable[[Any], bool], expected: str) -> AfterValidator:
    """A check that a value of the right type must pass."""

    def validate(value: Any) -> Any:
        if not predicate(value):
            raise BadValue(expected=expected)
        return value

    return AfterValidator(validate)


def matches(pattern: str, expected: str) -> AfterValidator:
    """A check that a text as a whole matches a regular expression."""
    import re

    compiled = re.compile(pattern)
    return check(lambda text: compiled.fullmatch(text) is not None, expected)


def _seconds(value: Any) -> Any:
    return value if type(value) is float else units.parse_duration(value)


def _bytes(value: Any) -> Any:
    return units.parse_size(value)


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def executable(text: str) -> bool:
    """Whether the kernel takes it as an argument or a variable."""
    try:
        return "\0" not in text and len(text.encode()) <= MAX_EXEC_BYTES
    except UnicodeEncodeError:
        return False


def _unitary(kind: str, forms: str) -> WithJsonSchema:
    kinds = [{"type": kind, "minimum": 0}, {"type": "string"}]
    return WithJsonSchema({"anyOf": kinds, "examples": forms.split()})


def _is_word(text: str) -> bool:
    return bool(text.strip()) and text.isprintable()


def _is_label_value(text: str) -> bool:
    return len(text) <= 253 and text.isprintable()


def _is_label_name(name: str) -> bool:
    return name not in _LABEL_WORDS


Text = Annotated[str, Strict()]
Word = Annotated[str, Strict(), check(_is_word, "a printable text")]
ExecText = Annotated[str, Strict(), check(executable, EXECUTABLE)]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Seconds = Annotated[float, BeforeValidator(_seconds), _unitary("number", "30s 90m 4h 1-00:00:00")]
Bytes = Annotated[int, BeforeValidator(_bytes), _unitary("integer", "512MiB 64GiB 64G")]
Words = Annotated[
    tuple[Word, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]
LabelName = Annotated[
    str,
    Strict(),
    check(_is_label_name, f"a label; {', '.join(_LABEL_WORDS)} can't be one"),
    matches(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", "a label of letters, digits, '.', '_', '/', '-'"),
]
AS_WRITTEN = WithJsonSchema({"type": ["string", "number", "boolean"]})
"""For editors: the text may stand without quotes, even where YAML sees a number in it."""
LabelValue = Annotated[str, Strict(), check(_is_label_value, "a short printable text"), AS_WRITTEN]
Labels = dict[LabelName, LabelValue]
