"""How every run begins and ends: help with an example, one form of error, no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flextui.cli import listed
from flextui.cli.listed import LATER
from flextui.cli.root import cli, run
from flextui.cli.verb import Verb
from flextui.core.commands import Stop
from tests.screens.fake_client import job, task
from tests.unit.cli_fakes import FakeCore, piece

Captured = pytest.CaptureFixture[str]
COMMANDS = cli.list_commands(click.Context(cli))
PROMISED = [
    "submit", "plan", "validate", "run", "jobs", "show", "logs", "wait", "stop", "restart", "scale",
    "priority", "why", "nodes", "gpus", "cordon", "uncordon", "drain", "undrain", "takeover",
    "declare-lost", "events", "check", "simulate", "schema", "whoami", "completion", "shutdown",
]  # fmt: skip


def flextui(*line: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "flextui", *line],
        capture_output=kwargs.pop("capture_output", True),
        text=True,
        timeout=60,
        **kwargs,
    )


def test_every_promised_command_is_there() -> None:
    assert set(PROMISED) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_that_the_parser_takes(name: str, capfd: Captured) -> None:
    assert run([name, "--help"]) == 0
    shown = capfd.readouterr().out
    examples = shown.split("Example:\n", 1)[1].strip().splitlines()
    assert examples
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, Verb)
    for example in examples:
        assert name in example.split()


@pytest.mark.parametrize("name", LATER)
def test_what_isnt_there_yet_says_so_and_what_does_it_meanwhile(name: str, capfd: Captured) -> None:
    assert run([name, "x"]) == 2
    assert f"flextui: error: '{name}' is not supported yet; {LATER[name]}" in capfd.readouterr().err


def test_what_should_be_a_number_is_told_in_plain_words(capfd: Captured) -> None:
    assert run(["scale", "web", "many"]) == 2
    assert run(["run", "--cpus", "few", "--", "true"]) == 2
    said = capfd.readouterr().err
    assert "'many' is not a whole number" in said
    assert "'few' is not a number" in said


def test_the_help_without_a_command_has_one_too(capfd: Captured) -> None:
    assert run(["--help"]) == 0
    assert "Example:" in capfd.readouterr().out


def test_an_unknown_command_names_the_nearest(capfd: Captured) -> None:
    assert run(["sumbit", "x.yaml"]) == 2
    assert capfd.readouterr().err.startswith(
        "flextui: error: no command 'sumbit'; did you mean 'submit'?"
    )


@pytest.mark.parametrize(
    "line",
    [["jobs", "--nonsense"], ["scale", "x", "many"], ["submit"], ["--headless", "jobs"],
     ["--headless", "--connect", "a@b"], ["--socket-group", "lab", "jobs"], ["takeover"],
     ["cordon", "gpu1:"]],
)  # fmt: skip
def test_wrong_usage_is_status_2_in_the_one_form(line: list[str], capfd: Captured) -> None:
    assert run(line) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"flextui: error: .+ \(see: flextui[a-z -]* --help\)\n", err)


def test_a_fault_of_ours_leaves_a_private_file_and_no_traceback(
    state_dir: Path, capfd: Captured
) -> None:
    core = FakeCore()
    core.answers[Stop] = ZeroDivisionError("secret-free")
    assert run(["--state-dir", str(state_dir), "stop", "x"], core.connect) == 1
    err = capfd.readouterr().err
    assert err.startswith(
        "flextui: error: internal error: ZeroDivisionError: secret-free; details:"
    )
    assert err.count("\n") == 1
    (kept,) = state_dir.glob("crash-*.txt")
    assert str(kept) in err
    assert kept.stat().st_mode & 0o077 == 0
    assert "Traceback" in kept.read_text()


def test_ctrl_c_is_130(capfd: Captured) -> None:
    core = FakeCore()
    core.answers[Stop] = KeyboardInterrupt()
    assert run(["stop", "x"], core.connect) == 130
    assert "Traceback" not in capfd.readouterr().err


def test_a_reader_that_leaves_is_no_error() -> None:
    line = f"{sys.executable} -m flextui schema | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.stdout == "{"
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_a_reader_that_is_gone_before_the_first_byte(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = flextui("schema", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_said() -> None:
    with open("/dev/full", "w") as full:
        done = flextui("schema", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "flextui: error: stdout: No space left on device\n"


def test_help_into_a_closed_pipe_is_quiet_as_well() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = flextui("--help", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_logs_end_when_their_reader_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    core = FakeCore(jobs=[job(1, "train", "alice", "running", [task(0, "running", [])])])
    core.log = [piece("x" * 100)] * 3
    saved = os.dup(1)
    try:
        os.dup2(writer, 1)
        monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115
        assert run(["logs", "train"], core.connect) == 141
    finally:
        os.dup2(saved, 1)
        for fd in (saved, writer):
            os.close(fd)


def test_no_signal_handler_is_left_behind() -> None:
    ours = (signal.default_int_handler, signal.SIG_IGN)  # ignored: started behind a script's `&`
    assert signal.getsignal(signal.SIGINT) in ours


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_a_command_by_its_own_words(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    own = "" if command.hidden else command.get_short_help_str(100)
    assert listed.COMMANDS[name].summary == own
