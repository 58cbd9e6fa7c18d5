"""The zipapp's bytes and the texts around them; real shells are in adapters/."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from flextui.agent import boot
from flextui.core.adapters import bootstrap, zipapp
from flextui.core.adapters.bootstrap import BootAnswer, explain_boot_failure, parse_answer

AGENT = sorted(Path(boot.__file__).parent.glob("*.py"))


def test_the_same_sources_give_the_same_bytes() -> None:
    first = zipapp.agent_zip()
    zipapp.agent_zip.cache_clear()
    again = zipapp.agent_zip()

    assert again == first
    assert first.sha256 == hashlib.sha256(first.data).hexdigest()
    assert first.size == len(first.data)


def test_the_bytes_depend_on_no_process() -> None:
    code = "from flextui.core.adapters.zipapp import agent_zip; print(agent_zip().sha256)"
    for seed, more in (("1", ""), ("2", "import asyncio, json, decimal; ")):
        done = subprocess.run(
            [sys.executable, "-c", more + code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == zipapp.agent_zip().sha256


def test_order_of_the_files_makes_no_difference() -> None:
    files = {"b.py": b"2", "a.py": b"1"}

    assert zipapp.pack(files) == zipapp.pack(dict(reversed(files.items())))


def test_the_zipapp_holds_the_agent_under_its_own_name_and_nvidias_module() -> None:
    with zipfile.ZipFile(io.BytesIO(zipapp.agent_zip().data)) as archive:
        names = archive.namelist()

    assert names == sorted(names)
    assert {"__main__.py", "pynvml.py"} <= set(names)
    assert {path.name for path in AGENT} == {
        name.split("/")[1] for name in names if name.startswith("flextui_agent/")
    }


@pytest.mark.parametrize("path", AGENT, ids=lambda path: path.name)
def test_the_agent_needs_python_3_8_and_its_standard_library_only(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    compile(tree, path.name, "exec")
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1, "only imports within the package survive its renaming"

    elsewhere = {"gpus.py": {"pynvml"}, "boot.py": {"_sha2"}}  # the latter from 3.12 on
    assert imported <= set(sys.stdlib_module_names) | elsewhere.get(path.name, set())


@pytest.mark.parametrize("source", [bootstrap._STUB, bootstrap._OLDER])
def test_what_meets_an_old_python_parses_there(source: str) -> None:
    ast.parse(source, feature_version=(3, 4))


def test_the_loader_is_one_line_of_ascii() -> None:
    line = bootstrap.loader_line("ab" * 32, 12345)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    ast.parse(line, feature_version=(3, 4))


def test_the_command_means_the_same_in_every_shell() -> None:
    command = bootstrap.remote_command()
    head, script, tail = command.split("'")

    assert (head, tail) == ("exec /bin/sh -c ", "")
    assert not set("!\\\n`") & set(script)


def test_an_answer_is_found_behind_whatever_was_printed_before_it() -> None:
    body = b'{"have": true, "python": "3.11.2", "cache": null, "text": "why"}\n'

    assert parse_answer(b"Last login: yesterday\n") is None
    expected = BootAnswer(True, "3.11.2", None, "why")
    assert parse_answer(b"\x1eflextui-boot " + body) == expected
    assert parse_answer(b"no newline\x1eflextui-boot " + body) == expected


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"have": true}', b"\xff"])
def test_an_answer_that_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="loader answered"):
        parse_answer(b"\x1eflextui-boot " + body + b"\n")


@pytest.mark.parametrize(
    ("status", "stderr", "expected"),
    [
        (97, "flextui: no python3 in PATH=/bin\n", "no python3 was found: install Python 3.8"),
        (96, "flextui: /usr/bin/python3 is Python 3.6\n", "(/usr/bin/python3 is Python 3.6)"),
        (95, "flextui: nodes run Linux, this is darwin\n", "Linux only"),
        (98, "flextui: the agent arrived damaged\n", "arrived damaged: try again"),
        (1, "This account is currently not available.\n", "no login shell: `chsh`"),
        (127, "bash: line 1: /bin/sh: No such file or directory\n", "no /bin/sh"),
        (1, "ModuleNotFoundError: No module named 'json'\n", "full python3 package"),
        (1, "OSError: [Errno 28] No space left on device\n", "the disk is full"),
        (127, "pyenv: python3: command not found\n", "pyenv global"),
        (2, "bash: fork: retry: Resource temporarily unavailable\n", "ulimit -u"),
        (-9, "", "signal 9, nothing said"),
        (3, "Traceback\nKeyError: 'x'\n", "exit status 3: Traceback · KeyError: 'x'"),
        (None, "", "closed before the agent started"),
        (1, "rc: warning\n", "exit status 1: rc: warning"),
    ],
)
def test_a_failed_start_is_explained_with_its_mend(
    status: int | None, stderr: str, expected: str
) -> None:
    said = explain_boot_failure(status, stderr)

    assert expected in said
    assert "\n" not in said


def test_a_file_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "stored"

    assert boot.store(str(target), b"whole" * 1000)
    assert target.read_bytes() == b"whole" * 1000
    assert target.stat().st_mode & 0o777 == 0o600
    assert not boot.store(str(tmp_path / "gone" / "stored"), b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]


def test_only_old_copies_of_other_versions_are_cleared_away(tmp_path: Path) -> None:
    current, other, recent = "a" * 64, "b" * 64, "c" * 64
    long_ago = time.time() - boot.LEFTOVER_AGE_S - 1
    for name, old in (
        (f"{current}.pyz", True),
        (f"{other}.pyz", True),
        (f"{other}.cpython-38-3413", True),
        (f"{recent}.pyz", False),
        ("notes.txt", True),
    ):
        (tmp_path / name).touch()
        if old:
            os.utime(tmp_path / name, (long_ago, long_ago))

    boot.clear_leftovers(str(tmp_path), current)

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{current}.pyz", f"{recent}.pyz", "notes.txt"}
