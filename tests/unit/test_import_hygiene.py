"""What starts must start fast and run without a terminal: Textual stays where the screens are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flextui

ROOT = Path(flextui.__file__).parent
HEAVY = ("textual", "asyncssh", "docker")


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has imported after running `code`."""
    tail = "\nimport sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def line(*argv: str) -> str:
    return f"from flextui.cli.root import run\nrun({list(argv)!r})"


@pytest.mark.parametrize(
    ("argv", "never"),
    [
        (("--help",), (*HEAVY, "pydantic", "yaml", "asyncio")),
        (("--version",), (*HEAVY, "pydantic", "yaml", "asyncio")),
        (("jobs", "--help"), (*HEAVY, "pydantic", "yaml")),
        (("validate", "/nowhere.yaml"), HEAVY),
        (("--state-dir", "/nowhere/state", "jobs"), HEAVY),
        (("--state-dir", "/nowhere/state", "nodes"), HEAVY),
    ],
)
def test_a_command_imports_no_more_than_it_needs(
    argv: tuple[str, ...], never: tuple[str, ...]
) -> None:
    assert not modules_after(line(*argv)) & set(never)


def test_the_headless_core_imports_no_textual() -> None:
    assert "textual" not in modules_after("import flextui.service, flextui.cli.twin")


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("part", ["core", "cli", "agent"])
def test_textual_is_named_only_where_the_screens_are(part: str) -> None:
    files = sorted((ROOT / part).rglob("*.py"))
    assert files
    guilty = {str(f) for f in files for m in imports(f) if m.split(".")[0] == "textual"}
    assert not guilty
