"""YAML as it is written: the core schema, the places, and what a hostile file gets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from flextui.core.model.document import MAX_BYTES, MAX_VALUES, load, read_file
from flextui.core.model.problems import BadInput, Problem
from flextui.core.model.tree import Place


def data(text: str) -> Any:
    """The one document of a text that has nothing wrong."""
    documents, problems = load(text, "f.yaml")
    assert problems == []
    assert len(documents) == 1
    return documents[0].data


def problems(text: str | bytes) -> list[Problem]:
    found = load(text, "f.yaml")[1]
    assert found, "nothing was refused"
    return found


def places(text: str | bytes) -> list[tuple[int, int]]:
    return [(problem.line, problem.column) for problem in problems(text)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("22:22", "22:22"),
        ("4:00:00", "4:00:00"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("0b11", "0b11"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("007", 7),
        ("010", 10),
        ("-12", -12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("'7'", "7"),
        ('"true"', "true"),
        ("! 7", "7"),
        ("!!str 7", "7"),
        ("!!float 7", 7.0),
        pytest.param("9" * 5000, "9" * 5000, id="thousands of digits"),
    ],
)
def test_values_are_those_of_the_core_schema(written: str, value: object) -> None:
    found = data(f"a: {written}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(data("a: .nan")["a"])


def test_keys_such_as_on_stay_text() -> None:
    assert data("on: 1\nno: 2\nyes: 3") == {"on": 1, "no": 2, "yes": 3}


def test_every_name_and_value_knows_its_place() -> None:
    (document,), _ = load("a: 1\nlist:\n  - x\n  - {é: 2, b: 3}\n", "f.yaml")
    assert document.find(("a",)).node.place == Place(1, 4)
    assert document.find(("list",)).key_place == Place(2, 1)
    assert document.find(("list", 0)).node.place == Place(3, 5)
    deep = document.find(("list", 1, "b"))
    assert (deep.key_place, deep.node.place) == (Place(4, 12), Place(4, 15))


def test_a_step_that_does_not_exist_is_skipped() -> None:
    (document,), _ = load("a: {b: 1}", "f.yaml")
    found = document.find(("a", "missing", 7, "b"))
    assert found.path == ("a", "b")


def test_an_alias_repeats_what_it_names() -> None:
    assert data("a: &x {k: [1, 2]}\nb: *x") == {"a": {"k": [1, 2]}, "b": {"k": [1, 2]}}


def test_a_byte_order_mark_is_ignored() -> None:
    assert data("\ufeffa: 1") == {"a": 1}
    (document,), _ = load(b"\xef\xbb\xbfa: 1", "f.yaml")
    assert document.find(("a",)).key_place == Place(1, 1)


def test_several_documents_and_empty_ones() -> None:
    documents, found = load("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n", "f.yaml")
    assert [document.data for document in documents] == [{"a": 1}, {"b": 2}]
    assert found == []
    assert load("", "f.yaml") == ((), [])


def test_all_mistakes_of_structure_are_told_at_once() -> None:
    text = (
        "a: 1\na: 2\n1: x\n? [k]\n: v\n<<: {}\nb: *no\nc: !!python/name:os.system x\nd: &r [*r]\n"
    )
    assert places(text) == [(2, 1), (3, 1), (4, 3), (6, 1), (7, 4), (8, 4), (9, 8)]
    assert [problem.message for problem in problems(text)] == [
        "'a' is given twice",
        "the name '1' isn't text",
        "a field's name can't be a list or a mapping",
        "merge keys ('<<') aren't part of YAML 1.2",
        "the alias '*no' names nothing above",
        "'x' can't have the tag 'tag:yaml.org,2002:python/name:os.system'",
        "the alias '*r' stands inside what it names",
    ]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a:\n\tb: 1", (2, 1), "a tab can't indent"),
        ("a:\n- host: x\n\tb: c", (3, 1), "a tab can't indent"),
        ("a: [1", (2, 1), "a list is still open here"),
        ("a: {b: 1", (2, 1), "a mapping is still open here"),
        ("a: [1\n}", (2, 1), "a list is still open here"),
        ("a: [", (2, 1), "a value is missing"),
        ("a: [1,", (2, 1), "a value is missing"),
        ('a: "\\q"', (1, 5), "an unknown escape in a quoted text"),
        ("%YAML 3.0\n---\na: 1", (1, 1), "found incompatible YAML document"),
        ("a: 'x", (1, 6), "a quote is opened and never closed"),
        ("a: b: c", (1, 5), "a ':' where no field can start"),
        ("a: @x", (1, 4), "an unquoted value can't start with '@'"),
        ("a:\n  b: 1\n c: 2", (3, 2), "this line doesn't fit the ones above"),
        ("k: - a", (1, 4), "a '-' where no list can start"),
    ],
)
def test_syntax_is_told_with_its_place(text: str, place: tuple[int, int], message: str) -> None:
    (found,) = problems(text)
    assert (found.message, found.line, found.column) == (message, *place)


def test_documents_before_a_mistake_of_syntax_are_kept() -> None:
    documents, found = load("a: 1\n---\nb: [\n", "f.yaml")
    assert [document.data for document in documents] == [{"a": 1}]
    assert len(found) == 1


def test_what_is_not_utf8_is_told_with_its_place() -> None:
    (found,) = problems("é: 1\nab: ".encode() + b"\xff\n")
    assert (found.line, found.column) == (2, 5)
    assert "0xff is not UTF-8" in found.message


def test_control_characters_are_refused_each_at_its_place() -> None:
    assert places("a: \x1b[31m\nb: \x07\n") == [(1, 4), (2, 4)]
    assert places("a: \ud800") == [(1, 4)]


def bomb(levels: int) -> str:
    """Nine lists of ten aliases of the one before: a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(levels):
        lines.append(f"a{level + 1}: &a{level + 1} [{', '.join([f'*a{level}'] * 10)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(9), "too many values"),
        ("[" * 1000, "nested too deeply"),
        ("- " * 1000, "nested too deeply"),
        ("a: &a [x]\n" + "b: [" + "*a," * MAX_VALUES + "]", "too many values"),
        ("---\n" + "a: &a [" + "x," * 40_000 + "]\n---\n" + "[" + "y," * 60_000 + "]", "too many"),
        ("x" * (MAX_BYTES + 1), "the file is too big"),
        (b"x" * (MAX_BYTES + 1), "the file is too big"),
    ],
    ids=["aliases", "lists", "items", "one alias", "two documents", "long text", "long bytes"],
)
def test_files_that_explode_are_refused(text: str | bytes, message: str) -> None:
    (found,) = problems(text)
    assert found.message.startswith(message)


def test_an_alias_counts_for_depth() -> None:
    deep = "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20
    (found,) = problems(deep)
    assert found.message == "nested too deeply"
    assert found.line == 2


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"x" * 100)
    assert read_file(file, 100) == b"x" * 100
    with pytest.raises(BadInput, match=r"f\.yaml:1:1: the file is too big; expected at most 99"):
        read_file(file, 99)


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(2**40)  # more than any memory
    with pytest.raises(BadInput, match="at most 1024 KiB"):
        read_file(file)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_can_not_be_read_says_why(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"can't be read: (No such file|Is a directory)"):
        read_file(tmp_path / name)


def test_a_problem_prints_on_one_line_and_harmlessly() -> None:
    problem = Problem("a\x1b[2J.yaml", 3, 7, "x is 'y'", "a number", "z")
    assert str(problem) == r"a\x1b[2J.yaml:3:7: x is 'y'; expected a number; did you mean 'z'?"


def test_refused_input_lists_its_problems_in_order_and_stops_somewhere() -> None:
    many = [Problem("f", line, 1, "bad") for line in range(500, 0, -1)]
    refused = BadInput([*many, *many])
    assert refused.problems[0].line == 1
    assert len(refused.problems) == 101
    assert str(refused).endswith("there are more problems")
