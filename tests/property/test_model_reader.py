"""Whatever a file holds, a reader answers with values or with problems; and values come back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.model.document import load
from flextui.core.model.inventory import read_inventory
from flextui.core.model.problems import BadInput
from flextui.core.model.schema import json_schema
from flextui.core.model.spec import GRAMMAR, JobSpec, read_specs, spec_from_text
from flextui.core.model.units import format_duration, format_size, parse_duration, parse_size

READERS: list[Callable[[str | bytes, str], object]] = [read_specs, read_inventory]

FIELDS = sorted({*JobSpec.model_fields, *(step for path in GRAMMAR.later for step in path)})
WORDS = [*FIELDS, "nodes", "host", "gpus", "auto", "index", "batch", "service", "on", "64GiB"]
SYNTAX = [":", ": ", "- ", "\n", "\n  ", "{", "}", "[", "]", ",", "&a ", "*a", "'", '"', "|", ">"]
SYNTAX += ["#", "\t", "---\n", "...", "!!str ", "!x ", "? ", "<<", "%YAML 1.2\n", "@", "\r", "0x"]

yamlish = st.lists(st.sampled_from(WORDS + SYNTAX), max_size=40).map("".join)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*WORDS, "4h", "10:00", "pack", "always", "wait", "x", "/tmp", "a"])
)
keys = st.sampled_from(WORDS) | st.text(max_size=5)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)
)
documents = st.dictionaries(st.sampled_from([*FIELDS, "fleet", "nodes", "users", "policy"]), trees)


def answers(text: str | bytes) -> None:
    for reader in READERS:
        try:
            reader(text, "f.yaml")
        except BadInput as refused:
            data = text if isinstance(text, bytes) else text.encode(errors="replace")
            lines = data.count(b"\n") + data.count(b"\r") + 2
            for problem in refused.problems:
                assert problem.message
                assert 1 <= problem.line <= lines
                assert problem.column >= 1
                assert str(problem).isprintable()


@given(st.text() | st.binary() | yamlish)
@settings(deadline=None, max_examples=300)
def test_any_text_and_any_bytes_get_an_answer(text: str | bytes) -> None:
    answers(text)


@given(documents)
@settings(deadline=None, max_examples=300)
def test_any_well_formed_document_gets_an_answer(data: dict[str, Any]) -> None:
    answers(yaml.safe_dump(data, allow_unicode=True))


@given(st.lists(trees, max_size=3))
@settings(deadline=None)
def test_json_is_read_as_the_data_that_it_is(values: list[Any]) -> None:
    """JSON is YAML: a loader of our own agrees with Python's on it."""
    text = json.dumps(values, allow_nan=False) if _finite(values) else "[]"
    found, problems = load(text, "f.json")
    if not problems:
        assert [document.data for document in found] == [json.loads(text)]


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return not isinstance(value, list) or all(map(_finite, value))


label_names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("node", "not", "prefer", "placement", "pool")
)
printable = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=10)
labels = st.dictionaries(label_names, printable, max_size=3)
words = st.lists(printable.filter(str.strip), max_size=3)
no_nul = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
argv = st.builds(lambda program, rest: [program, *rest], no_nul.filter(str.strip), st.lists(no_nul))
seconds = st.floats(0.001, 86_400) | st.integers(1, 86_400)
sizes = st.integers(2**20, 2**50)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A valid spec, as the mapping that a file would hold."""
    kind = draw(st.sampled_from(["batch", "service", "system"]))
    delay = draw(st.floats(0, 300))
    then = draw(st.sampled_from(["wait", "reschedule", "fail"]))
    optional = {
        "resources": st.fixed_dictionaries(
            {"gpus": st.integers(1, 8)},
            optional={
                "gpu_model": words,
                "gpu_memory": sizes,
                "cpus": st.floats(0, 100),
                "memory": sizes | st.none(),
            },
        ),
        "where": st.builds(
            lambda own, rest: {**own, **rest},
            labels,
            st.fixed_dictionaries(
                {},
                optional={
                    "node": words,
                    "not": st.builds(lambda own, node: {**own, "node": node}, labels, words),
                    "prefer": labels,
                    "placement": st.sampled_from(["pack", "spread", None]),
                },
            ),
        ),
        "env": st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), no_nul),
        "workdir": no_nul.map(lambda rest: f"/{rest}"),
        "priority": st.integers(0, 100),
        "count": st.integers(0, 10) if kind == "service" else st.just(1),
        "restart": st.fixed_dictionaries(
            {"delay": st.just(delay)},
            optional={
                "on": st.sampled_from(["never", "failure", "always"]),
                "attempts": st.integers(0, 10),
                "within": seconds,
                "backoff": st.floats(1, 10),
                "max_delay": st.floats(delay, 86_400),
                "not_on_exit": st.lists(st.integers(0, 255), max_size=3),
            },
        ),
        "on_node_loss": st.fixed_dictionaries(
            {"then": st.just(then), "fence": st.booleans() if then != "wait" else st.just(False)},
            optional={"after": seconds},
        ),
        "time_limit": seconds,
        "grace": seconds,
    }
    required = {
        "name": st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
        "type": st.just(kind),
        "run": no_nul.filter(str.strip)
        | st.lists(no_nul, min_size=1).filter(lambda it: it[0].strip()),
    }
    return draw(st.fixed_dictionaries(required, optional=optional))


@given(specs())
@settings(deadline=None)
def test_a_valid_spec_comes_back_from_storage_and_from_its_own_json(data: dict[str, Any]) -> None:
    spec = JobSpec.from_json(data)
    assert spec_from_text(spec.to_text()) == spec
    assert spec_from_text(spec.to_text()).to_text() == spec.to_text()
    assert JobSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert read_specs(yaml.safe_dump(spec.to_json()), "f.yaml") == (spec,)
    assert read_specs(yaml.safe_dump(data), "f.yaml") == (spec,)


@given(specs())
@settings(deadline=None, max_examples=50)
def test_what_the_reader_accepts_the_schema_names(data: dict[str, Any]) -> None:
    schema = json_schema()

    def check(value: dict[str, Any], part: dict[str, Any]) -> None:
        for name, below in value.items():
            described = part["properties"].get(name, part["additionalProperties"])
            assert described is not False, name
            if isinstance(below, dict) and "$ref" in described:
                check(below, schema["$defs"][described["$ref"].rsplit("/", 1)[-1]])

    check(data, schema)


@given(st.floats(0, 36_500 * 86_400))
def test_a_printed_duration_reads_back_as_nearly_the_same(value: float) -> None:
    text = format_duration(value)
    assert len(text) <= 7
    again = parse_duration(text)
    assert 0 <= value - again <= max(1, value / 10)
    assert format_duration(again) == text


@given(st.integers(0, 2**62 - 1))
def test_a_printed_size_reads_back_as_nearly_the_same(value: int) -> None:
    text = format_size(value)
    assert len(text) <= 7
    if text != "4EiB":
        assert abs(parse_size(text) - value) <= value / 100


@given(st.integers(0, 999), st.sampled_from("KMGTP"), st.booleans(), st.booleans())
def test_sizes_mean_what_their_unit_says(number: int, unit: str, binary: bool, byte: bool) -> None:
    text = f"{number}{unit}{'i' if binary else ''}{'B' if byte else ''}"
    assert parse_size(text) == number * (1024 if binary else 1000) ** ("KMGTP".index(unit) + 1)


@given(st.integers(0, 300), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_both_forms_of_a_duration_agree(days: int, hours: int, minutes: int, seconds: int) -> None:
    clock = f"{days}-{hours:02}:{minutes:02}:{seconds:02}"
    assert parse_duration(clock) == parse_duration(f"{days}d{hours}h{minutes}m{seconds}s")
    assert parse_duration(f"{hours}:{minutes:02}:{seconds:02}") <= parse_duration(clock)
