"""The reference page knows every command and option, and nothing that doesn't exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from flextui.cli.root import cli
from flextui.core.model import docs

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
SECTIONS = dict(re.findall(r"^### ([a-z-]+)\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.M | re.S))
COMMANDS = {
    name: command
    for name in cli.list_commands(click.Context(cli))
    if (command := cli.get_command(click.Context(cli), name)) and not command.hidden
}


def test_the_page_has_the_commands_that_there_are() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_told(name: str) -> None:
    section = SECTIONS[name]
    for param in COMMANDS[name].params:
        if isinstance(param, click.Option) and not param.hidden:
            told = any(re.search(rf"{re.escape(it)}\b", section) for it in param.opts)
            assert told, f"{name}: {param.opts}"


def commands_in(line: str) -> list[list[str]]:
    """The calls of flextui in a line for the shell, each as its words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    calls: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&>"):
            calls.append([])
        else:
            calls[-1].append(word)
    return [call[1:] for call in calls if call[:1] == ["flextui"]]


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_examples_that_parse(name: str) -> None:
    lines = re.findall(r"^    (.*)$", SECTIONS[name], re.M)
    calls = [call for line in lines for call in commands_in(line)]
    assert any(call[0] == name for call in calls)
    for call in calls:
        with COMMANDS[call[0]].make_context(call[0], call[1:]):
            pass


def lines_for_the_shell() -> Iterator[tuple[str, str]]:
    """(page, line) of all that the documentation shows to be typed."""
    for page in (PAGE.parents[1] / "README.md", *sorted(PAGE.parent.rglob("*.md"))):
        text = page.read_text("utf-8")
        shown = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
        shown += re.findall(r"^    (.*flextui.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.M)
        for line in "\n".join(shown).splitlines():
            calls = line.replace(".venv/bin/flextui", "flextui")
            if "[COMMAND]" not in calls and commands_in(calls):
                yield page.name, calls


@pytest.mark.parametrize(("page", "line"), list(lines_for_the_shell()))
def test_what_is_shown_to_be_typed_parses(page: str, line: str) -> None:
    for words in commands_in(line):
        with cli.make_context("flextui", list(words)) as ctx:
            rest = [*ctx._protected_args, *ctx.args]
            if rest:
                name, command, left = cli.resolve_command(ctx, rest)
                assert command is not None
                with command.make_context(name, left, parent=ctx):
                    pass


def test_the_options_before_a_command_are_told() -> None:
    text = PAGE.read_text()
    for param in cli.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert any(f"`{it}" in text for it in param.opts), param.opts


JSON = (PAGE.parent / "json.md").read_text()
SHAPES = {
    "Job": docs.JobDoc, "Task": docs.TaskDoc, "Attempt": docs.AttemptDoc, "Node": docs.NodeDoc,
    "GPU": docs.GpuDoc, "Process": docs.ProcessDoc, "Event": docs.EventDoc,
    "Problem": docs.ProblemDoc, "Revision": docs.RevisionDoc, "Check": docs.CheckDoc,
    "Reservation": docs.WindowDoc,
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_every_key_of_a_document_is_told_and_no_other(name: str) -> None:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", JSON, re.M | re.S)
    assert found
    fields = " ".join(re.findall(r"^\|([^|]*)\|", found[1], re.M)[2:])
    assert set(re.findall(r"`(\w+)`", fields)) == set(SHAPES[name].__annotations__)
    maybe = set(re.findall(r"`(\w+)`¹", fields))
    assert maybe == {
        key for key, kind in SHAPES[name].__annotations__.items() if "NotRequired[" in str(kind)
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_what_prints_json_says_what(name: str) -> None:
    if any("--json" in param.opts for param in COMMANDS[name].params):
        acts = {"scale", "priority", "drain", "undrain", "cordon", "uncordon", "takeover",
                "declare-lost", "unreserve", "shutdown"}  # fmt: skip
        table = re.findall(r"^\|([^|]*)\|", JSON.split("## Job")[0], re.M)
        assert name in acts or f"`{name}`" in " ".join(table)
