"""From a document to a frozen model, or to every problem it has, each at its place.

What differs between kinds of files is data, a `Grammar`; how a mistake is worded is decided here,
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from flextui.core.model.problems import MAX_PROBLEMS, BadValue, Problem, nearest, quote
from flextui.core.model.tree import Document, Found, Items, Node, Place, Steps, Value

M = TypeVar("M", bound=BaseModel)

Pattern = tuple[str, ...]
"""A path in which "*" stands for any one step."""
_ByEnd = Mapping[tuple[int, str | int], Sequence[Pattern]]
"""How long they are and what they end with → patterns: few are left to compare a path with."""

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "text",
    "string_unicode": "text",
    "tuple_type": "a list",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
}
_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True)
class Grammar(Generic[M]):
    """How a kind of document is read."""

    model: type[M]
    text: frozenset[Pattern]
    """Values that are text and are taken as written where YAML sees a number or true."""
    later: Mapping[Pattern, tuple[Any, ...]]
    """Fields that can't be acted on yet → the values that mean what happens anyway."""
    nest: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """From the shape that people write to the shape of the model."""

    @cached_property
    def texts_by_end(self) -> _ByEnd:
        """`text`, found quickly."""
        return _by_end(self.text)

    @cached_property
    def later_by_end(self) -> _ByEnd:
        """The keys of `later`, found quickly."""
        return _by_end(self.later)


def read(document: Document, grammar: Grammar[M]) -> tuple[M | None, list[Problem]]:
    """The model, and no problems; or None, and all of them up to a bound. Never raises."""
    problems: list[Problem] = []
    data = _data(document, document.root, (), grammar, problems)
    if not isinstance(data, dict):
        what = f"this document is {_shown(document.root)}"
        return None, [document.problem(document.root.place, what, "a mapping of fields")]
    try:
        model = grammar.model.model_validate(grammar.nest(data))
    except ValidationError as error:
        problems += islice(_problems(document, grammar, error), MAX_PROBLEMS + 1)
        return None, problems
    return (None if problems else model), problems


def _data(
    document: Document, node: Node, path: Steps, grammar: Grammar[Any], problems: list[Problem]
) -> Any:
    """Plain data, with text as it was written and without the fields of later versions."""
    if isinstance(node, Value):
        as_written = isinstance(node.value, int | float) and _matches(path, grammar.texts_by_end)
        return node.text if as_written else node.value
    if isinstance(node, Items):
        return [
            _data(document, item, (*path, index), grammar, problems)
            for index, item in enumerate(node.items)
        ]
    data = {}
    for name, (place, value) in node.fields.items():
        below = (*path, name)
        pattern = _matches(below, grammar.later_by_end)
        if pattern is None:
            data[name] = _data(document, value, below, grammar, problems)
        elif problem := _later(document, name, place, value, grammar.later[pattern]):
            problems.append(problem)
    return data


def _later(
    document: Document, name: str, place: Place, node: Node, harmless: tuple[Any, ...]
) -> Problem | None:
    if isinstance(node, Value):
        value = node.value
        if value is None or any(type(value) is type(it) and value == it for it in harmless):
            return None
        if harmless:
            what = f"'{name}: {node.text}' is not supported yet"
            return document.problem(node.place, what, " or ".join(map(_yaml, harmless)))
    return document.problem(place, f"{quote(name)} is not supported yet")


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _by_end(patterns: Iterable[Pattern]) -> _ByEnd:
    found: dict[tuple[int, str | int], list[Pattern]] = {}
    for it in patterns:
        found.setdefault((len(it), it[-1] if it else ""), []).append(it)
    return found


def _matches(path: Steps, patterns: _ByEnd) -> Pattern | None:
    length, end = len(path), path[-1] if path else ""
    for pattern in (*patterns.get((length, end), ()), *patterns.get((length, "*"), ())):
        if all(want in ("*", step) for want, step in zip(pattern, path, strict=True)):
            return pattern
    return None


def _problems(
    document: Document, grammar: Grammar[Any], error: ValidationError
) -> Iterator[Problem]:
    """What the model refused; a field that is missing because its name is mistyped counts once."""
    details = error.errors(include_url=False)
    meant = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            problem = _unknown(document, grammar, detail["loc"])
            meant.add((*detail["loc"][:-1], problem.nearest))
            yield problem
    for detail in details:
        if detail["type"] != "extra_forbidden" and detail["loc"] not in meant:
            yield _problem(document, grammar, detail)


def _problem(document: Document, grammar: Grammar[Any], detail: Any) -> Problem:
    kind: str = detail["type"]
    loc: tuple[str | int, ...] = detail["loc"]
    about_key = loc[-1:] == ("[key]",)
    found = document.find(loc[:-1] if about_key else loc)
    if kind == "missing":
        inside = f" in {dotted(found.path)}" if found.path else ""
        field = _field_model(grammar.model, loc[:-1]).model_fields.get(str(loc[-1]))
        expected = (field.description or "").split(".")[0] if field else ""
        what = f"{quote(str(loc[-1]))} is missing{inside}"
        return document.problem(found.node.place, what, _lower(expected))
    message, expected, like = _wrong(kind, found, detail)
    subject = f"the name {quote(found.path[-1])}" if about_key else dotted(found.path)
    if not message:
        message = f"{subject} is not allowed" if about_key else f"{subject} is {_shown(found.node)}"
    elif found.path:
        message = f"{subject}: {message}"
    place = found.key_place if about_key else found.node.place
    return document.problem(place, message, expected, like)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _unknown(document: Document, grammar: Grammar[Any], loc: tuple[str | int, ...]) -> Problem:
    found = document.find(loc)
    name, path = str(found.path[-1]), found.path[:-1]
    model = _field_model(grammar.model, loc[:-1])
    known = sorted(_field_names(model))
    later = [it[-1] for it in grammar.later if _matches(path, _by_end([it[:-1]])) is not None]
    inside = f" in {dotted(path)}" if path else ""
    return document.problem(
        found.key_place,
        f"unknown field {quote(name)}{inside}",
        f"one of {', '.join(known)}",
        _nearest_field(name, model, [*known, *later]),
    )


def _nearest_field(name: str, model: type[BaseModel], names: list[str]) -> str:
    """The field that was meant: of the same name one level deeper, or of a like name."""
    deeper = {
        inner: f"{field.alias or outer}.{inner}"
        for outer, field in model.model_fields.items()
        if (part := _model_in(field.annotation))
        for inner in _field_names(part)
    }
    return deeper.get(name) or nearest(name, names) or deeper.get(nearest(name, deeper), "")


def _wrong(kind: str, found: Found, detail: Any) -> tuple[str, str, str]:
    """What is wrong with a value, what was expected, and the nearest that is valid."""
    value = found.node.value if isinstance(found.node, Value) else None
    context = detail.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, BadValue):
        return cause.message, cause.expected, cause.nearest
    if kind == "literal_error":
        choices = context["expected"].replace(" or ", ", ").split(", ")
        names = [choice.strip("'") for choice in choices]
        like = nearest(value, names) if isinstance(value, str) else ""
        return "", f"one of {', '.join(names)}", like
    like = _BOOLEANS.get(str(value).lower(), "") if kind == "bool_type" else ""
    expected = _EXPECTED.get(kind)
    if expected is None:
        return str(detail["msg"]), "", like
    return "", expected.format(**context), like


def _shown(node: Node) -> str:
    if isinstance(node, Value):
        return "empty" if node.value is None else quote(node.value)
    return "a list" if isinstance(node, Items) else "a mapping"


def dotted(path: Steps) -> str:
    """`nodes[2].host`: a path as messages name it."""
    text = ""
    for step in path:
        name = str(step) if str(step).isprintable() else quote(step)
        text += f"[{step}]" if isinstance(step, int) else f".{name}"
    return text.removeprefix(".")


def _field_names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _field_model(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """The model that a path within a model leads to."""
    for step in path:
        for name, field in model.model_fields.items():
            if step in (name, field.alias):
                model = _model_in(field.annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((it for it in map(_model_in, get_args(annotation)) if it), None)
