"""Whatever a file holds, a reader answers with values or with problems; and values come back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.model.document import load
from flextui.core.model.inventory import read_inventory
from flextui.core.model.problems import BadInput
from flextui.core.model.schema import json_schema
from flextui.core.model.spec import GRAMMAR, JobSpec, read_specs, spec_from_text
from flextui.core.model.units import format_duration, format_size, parse_duration, parse_size
from flextui.core.model.windows import Window

READERS: list[Callable[[str | bytes, str], object]] = [read_specs, read_inventory]

FIELDS = sorted({*JobSpec.model_fields, *(step for path in GRAMMAR.later for step in path)})
TABLES = ["projects", "volumes", "reservations", "maintenance", "users", "policy", "fleet", "nodes"]
WORDS = [*FIELDS, *TABLES, "members", "quota", "for", "from", "to", "every", "2026-01-31T09:30"]
WORDS += ["host", "gpus", "auto", "index", "batch", "service", "on", "64GiB"]
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
documents = st.dictionaries(st.sampled_from([*FIELDS, *TABLES]), trees)


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
    lambda name: name not in ("node", "not", "prefer", "placement", "apart", "pool")
)
printable = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=10)
labels = st.dictionaries(label_names, printable, max_size=3)
words = st.lists(printable.filter(str.strip), max_size=3)
no_nul = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
argv = st.builds(lambda program, rest: [program, *rest], no_nul.filter(str.strip), st.lists(no_nul))
seconds = st.floats(0.001, 86_400) | st.integers(1, 86_400)
sizes = st.integers(2**20, 2**50)
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
days = st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1))
times = days.map(lambda day: day.isoformat(timespec="seconds"))


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A valid spec, as the mapping that a file would hold."""
    kind = draw(st.sampled_from(["batch", "service", "system"]))
    delay = draw(st.floats(0, 300))
    then = draw(st.sampled_from(["wait", "reschedule", "fail"]))
    optional = {
        "resources": st.fixed_dictionaries(
            {"gpus": st.integers(1, 8)}
            if draw(st.booleans())
            else {"gpu_share": st.floats(0.001, 0.999) | sizes},
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
                    "apart": words,
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
        "project": names | st.just(""),
        "nodes": st.integers(1, 1024) if kind == "batch" else st.just(1),
        "interactive": st.booleans() if kind == "batch" else st.just(False),
        "preempt": st.sampled_from(["never", "restart", "resume"]),
        "begin": times | st.integers(0, 3600),
        "volumes": st.lists(names, max_size=3, unique=True),
    }
    required = {
        "name": names,
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


@st.composite
def windows(draw: st.DrawFn, name: str, nodes: list[str]) -> dict[str, Any]:
    """A valid window over some of the nodes, as the mapping that a file would hold."""
    every = draw(st.sampled_from([None, "day", "week", "weekdays"]))
    start = draw(days)
    length = draw(st.integers(60, 86_400))
    window: dict[str, Any] = {
        "name": name,
        "nodes": draw(st.just("all") | st.lists(st.sampled_from(nodes), min_size=1, unique=True)),
        "from": start.isoformat(timespec="seconds"),
        "to": draw(st.sampled_from([length, f"{length}s"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])),
    }
    if every:
        window["every"] = every
        if draw(st.booleans()):
            window["until"] = (start + timedelta(days=draw(st.integers(2, 900)))).isoformat()
    return window


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    """A valid inventory of one reservation at most, as the mapping that a file would hold."""
    names = st.sampled_from(["a", "0", "gpu1", "b-2", "vision", "x" * 20])
    nodes = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    users = names | names.map(lambda it: f"group:{it}")
    people = st.lists(users, min_size=1, max_size=3, unique=True)
    hours = st.builds("{}/{}d".format, st.integers(1, 9999), st.integers(1, 366))
    quota = st.fixed_dictionaries(
        {},
        optional={
            "gpus": st.integers(1, 999) | st.floats(0.1, 99),
            "gpu_hours": hours,
            "jobs": st.integers(1, 999),
        },
    )
    project = st.fixed_dictionaries(
        {"members": people}, optional={"quota": quota, "weight": st.floats(0.1, 100)}
    )
    volume = st.fixed_dictionaries(
        {"path": names.map(lambda it: f"/{it}"), "shared": st.just(True)}
    ) | st.fixed_dictionaries(
        {"path": st.just("/d"), "nodes": st.lists(st.sampled_from(nodes), min_size=1, max_size=3)}
    )
    kept = draw(windows("kept", nodes))
    return {
        "nodes": [{"host": name} for name in nodes],
        "projects": draw(st.dictionaries(names, project, max_size=3)),
        "users": {"quota": draw(quota), "quotas": draw(st.dictionaries(names, quota, max_size=2))},
        "volumes": draw(st.dictionaries(names, volume, max_size=2)),
        "reservations": draw(st.sampled_from([[], [{**kept, "for": draw(people)}]])),
        "maintenance": draw(st.sampled_from([[], [draw(windows("care", nodes))]])),
    }


@given(inventories())
@settings(deadline=None, max_examples=100)
def test_a_valid_inventory_comes_back_from_its_own_json(data: dict[str, Any]) -> None:
    fleet = read_inventory(yaml.safe_dump(data), "f.yaml")
    assert read_inventory(fleet.to_text(), "f.yaml") == fleet
    assert read_inventory(fleet.to_text(), "f.yaml").inventory_hash == fleet.inventory_hash


@given(windows("w", ["n"]), days)
@settings(deadline=None)
def test_spans_come_in_order_never_overlap_and_are_the_same_from_anywhere(
    data: dict[str, Any], day: datetime
) -> None:
    window = Window.model_validate(data)
    after = day.replace(tzinfo=UTC).timestamp()
    found = list(islice(window.spans(after), 20))
    for start, end in found:
        assert end > after
        assert end > start
    for (_, end), (later, _) in pairwise(found):
        assert later > end - 3600 * 2  # by so much at most, where the clocks change
    for index, (start, end) in enumerate(found):
        here = window.next_span((start + end) / 2)
        assert here in found[max(0, index - 1) : index + 1]


@given(inventories(), windows("other", ["n"]))
@settings(deadline=None)
def test_reservations_that_meet_are_refused_and_no_others(
    data: dict[str, Any], other: dict[str, Any]
) -> None:
    kept = {**other, "name": "first", "nodes": "all", "for": "bob"}
    again = {**other, "name": "second", "nodes": "all", "for": "eve"}
    both = {**data, "reservations": [kept, again]}
    with pytest.raises(BadInput) as refused:
        read_inventory(yaml.safe_dump(both), "f.yaml")
    assert "keeps already" in str(refused.value)
    kept["gpus"], again["gpus"] = [0], [1]
    assert len(read_inventory(yaml.safe_dump(both), "f.yaml").reservations) == 2


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
