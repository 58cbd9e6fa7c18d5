"""The command line with real processes on this machine: no part is played, nothing is timed."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.cli_place import PATIENCE_S, Place, Terminal


@pytest.fixture
def place(tmp_path: Path, state_dir: Path) -> Iterator[Place]:
    made = Place(tmp_path, state_dir)
    yield made
    made.end()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place whose core runs."""
    folder = tmp_path_factory.mktemp("cli")
    made = Place(folder, folder / "s")
    core = made.start()
    yield made
    made.end()
    assert core.wait(PATIENCE_S) == 0


def test_submit_starts_a_core_in_the_background_and_says_so(place: Place) -> None:
    done = place.run("submit", "--wait", "-", text="name: hello\nrun: echo hello\n")
    assert done.returncode == 0
    assert "started a core in the background" in done.stderr
    assert done.stdout.startswith("j1 ")
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o700
    assert stat.S_IMODE((place.state / "core.log").stat().st_mode) == 0o600
    again = place.run("submit", "--wait", "-", text="name: hello\nrun: exit 9\n")
    assert again.returncode == 9
    assert "started a core" not in again.stderr


def test_commands_at_once_start_one_core(place: Place) -> None:
    spec = place.home / "job.yaml"
    spec.write_text("name: same\nrun: 'true'\n")
    several = [
        subprocess.Popen(
            place.line("submit", str(spec)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=place.env,
        )
        for _ in range(4)
    ]  # fmt: skip
    said = [process.communicate(timeout=PATIENCE_S) for process in several]
    assert [process.returncode for process in several] == [0] * 4
    assert sum("started a core" in err for _, err in said) == 1
    assert len({out.split()[0] for out, _ in said}) == 4


def test_without_a_core_lookers_read_the_store_and_others_exit_3(place: Place) -> None:
    for words in (["jobs"], ["show", "x"], ["events"], ["nodes"], ["stop", "x"], ["logs", "x"]):
        done = place.run(*words)
        assert done.returncode == 3, words
        assert done.stderr.startswith("flextui: error: no core runs")
    job = place.submit("name: gone\nrun: exit 4\n")
    assert place.run("wait", job).returncode == 4
    before = place.json("show", job)
    place.ok("shutdown")
    done = place.run("show", job, "--json")
    assert json.loads(done.stdout) == before
    assert "no core runs; this is what the store says as of" in done.stderr
    assert place.run("wait", "gone").returncode == 4
    assert "gone" in place.ok("jobs")
    assert "job.failed" in place.ok("events")
    assert place.run("logs", job).returncode == 3
    assert place.run("show", "nonesuch").returncode == 2


def test_a_wrong_spec_starts_no_core(place: Place) -> None:
    for words in (["submit", "-"], ["plan", "-"]):
        done = place.run(*words, text="name: a\nrun: b\ngpus: 2\n")
        assert done.returncode == 2, done.stderr
        assert "<stdin>:3:1: unknown field 'gpus'" in done.stderr
    assert place.run("run", "--time-limit", "10:00", "--", "true").returncode == 2
    assert place.run("plan", "-", text="name: a\nrun: b\n").returncode == 3
    assert place.run("whoami").returncode == 3
    assert not place.state.exists() or not list(place.state.iterdir())


def test_check_needs_no_core_and_leaves_none(place: Place) -> None:
    done = place.run("check", "--json")
    assert done.returncode == 0
    assert {row["name"] for row in json.loads(done.stdout)} >= {"reach", "python", "disk"}
    assert "checking from here" in done.stderr
    assert place.run("whoami").returncode == 3


def test_another_inventory_is_refused_and_both_are_named(place: Place) -> None:
    ours, theirs = place.home / "ours.yaml", place.home / "theirs.yaml"
    ours.write_text("fleet: lab\nnodes: [{host: localhost, transport: local}]\n")
    theirs.write_text("fleet: other\nnodes: [{host: localhost, transport: local}]\n")
    core = place.start("-i", str(ours))
    done = place.run("-i", str(theirs), "jobs")
    assert done.returncode == 2
    assert str(ours) in done.stderr
    assert str(theirs) in done.stderr
    assert place.run("-i", str(ours), "jobs").returncode == 0
    assert place.run("jobs").returncode == 0
    assert place.run("-i", str(place.home / "nowhere.yaml"), "jobs").returncode == 2
    place.ok("shutdown")
    assert core.wait(PATIENCE_S) == 0


def test_a_wrong_inventory_is_told_line_by_line(place: Place) -> None:
    bad = place.home / "bad.yaml"
    bad.write_text("fleet: lab\nnodes:\n  - hots: gpu1\n")
    for words in (["--headless"], ["submit", "-"]):
        done = place.run("-i", str(bad), *words, text="name: a\nrun: 'true'\n")
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("flextui: error: ")
        assert f"{bad}:3:5:" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_second_core_of_a_state_directory_is_refused(running: Place) -> None:
    done = running.run("--headless")
    assert done.returncode == 1
    assert "is in use by process" in done.stderr


def test_a_head_elsewhere_is_reached_by_ssh(place: Place, running: Place) -> None:
    """The inventory's head is used through ssh; a stand-in for ssh runs the command here."""
    (place.home / "bin").mkdir()
    ssh = place.home / "bin" / "ssh"
    bridge = " ".join(running.line("bridge"))
    ssh.write_text(f'#!/bin/sh\necho "$@" > {place.home}/asked\nexec {bridge}\n')
    ssh.chmod(0o755)
    inventory = place.home / "lab.yaml"
    inventory.write_text("fleet: lab\nhead: head.invalid\nnodes: [{host: gpu1}]\n")
    done = place.run("--connect", "alice@head.invalid", "whoami", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["core"] == running.json("whoami")["core"]  # type: ignore[index,call-overload]
    assert re.search(
        r"-T .*-- alice@head.invalid flextui bridge", (place.home / "asked").read_text()
    )
    refused = place.run("-i", str(inventory), "jobs")
    assert refused.returncode == 2
    assert "serves the fleet" in refused.stderr
    ssh.write_text("#!/bin/sh\necho 'no route' >&2\nexit 255\n")
    gone = place.run("-i", str(inventory), "submit", "-", text="name: a\nrun: 'true'\n")
    assert gone.returncode == 3
    assert "no route" in gone.stderr
    assert not (place.state / "core.log").exists()


def test_run_copies_both_streams_and_ends_as_the_command_did(running: Place) -> None:
    done = running.run("run", "-q", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    killed = running.run("run", "-q", "--", "sh", "-c", "kill -KILL $$")
    assert killed.returncode == 128 + signal.SIGKILL
    missing = running.run("run", "-q", "--", "no-such-program-here")
    assert missing.returncode == 127
    never = running.run("run", "--workdir", "/no/such/folder", "--", "true")
    assert never.returncode == 1
    (said,) = [it for it in never.stderr.splitlines() if "pending" not in it]
    assert said.endswith("run-true failed: workdir /no/such/folder: No such file or directory")


def test_run_passes_bytes_on_unchanged(running: Place) -> None:
    job = running.submit("name: raw\nrun: printf '\\377\\000\\033]0;x\\007end'\n")
    assert running.run("wait", job).returncode == 0
    done = subprocess.run(
        running.line("logs", job), capture_output=True, env=running.env, timeout=PATIENCE_S
    )
    assert done.stdout == b"\xff\x00\x1b]0;x\x07end"


def test_ctrl_c_first_explains_then_stops(running: Place) -> None:
    terminal = Terminal(running, "run", "--name", "ctrl-c", "--", "sh", "-c", "echo up; sleep 600")
    terminal.until("up")
    terminal.type(b"\x03")
    assert "Ctrl-C again stops it" in terminal.until("detaches")
    terminal.type(b"\x03")
    assert terminal.status() == 128 + signal.SIGTERM
    assert running.json("show", "ctrl-c")["state"] == "stopped"  # type: ignore[index,call-overload]


def test_a_detached_job_goes_on(running: Place) -> None:
    terminal = Terminal(running, "run", "--name", "detach", "--", "sh", "-c", "echo up; sleep 600")
    terminal.until("up")
    terminal.type(b"\x1c")
    assert terminal.status() == 0
    assert "flextui logs -f" in terminal.seen
    shown = running.json("show", "detach")
    assert isinstance(shown, dict)
    assert shown["state"] == "running", shown
    running.ok("stop", "--wait", "detach")


def test_logs_on_a_terminal_cannot_drive_it(running: Place) -> None:
    nasty = r"printf '\033]0;owned\007\033[2J\033[31mred\033[0m\n'"
    job = running.submit(f"name: nasty\nrun: {json.dumps(nasty)}\n")
    assert running.run("wait", job).returncode == 0
    terminal = Terminal(running, "logs", job)
    assert terminal.status() == 0
    assert "owned" not in terminal.seen
    assert "\x1b[2J" not in terminal.seen
    assert "\x1b[31mred\x1b[0m" in terminal.seen


def test_logs_follow_a_job_to_its_end(running: Place) -> None:
    job = running.submit("name: steps\nrun: for i in 1 2 3; do echo step $i; sleep 0.2; done\n")
    assert running.ok("logs", "-f", job) == "step 1\nstep 2\nstep 3\n"
    assert running.ok("logs", "-n", "1", job) == "step 3\n"


def test_a_person_is_asked_before_several_jobs_are_stopped(running: Place) -> None:
    ids = [running.submit(f"name: many{n}\nrun: sleep 600\n") for n in range(2)]
    for answer, status in ((b"n\n", 1), (b"y\n", 0)):
        terminal = Terminal(running, "stop", *ids)
        assert "many1" in terminal.until("[y/N]")
        terminal.type(answer)
        assert terminal.status() == status
    assert running.run("wait", *ids).returncode == 128 + signal.SIGTERM


def test_json_has_what_is_promised(running: Place) -> None:
    job = running.submit("name: shape\nrun: 'true'\n")
    running.run("wait", job)
    shown = running.json("show", job)
    assert isinstance(shown, dict)
    assert {"id", "name", "type", "owner", "project", "state", "reason", "spec", "tasks"} <= set(
        shown
    )
    (task,) = shown["tasks"]
    assert {"index", "state", "reason", "attempts"} <= set(task)
    assert {"id", "node", "gpus", "state", "exit_code", "started_at", "ended_at"} <= set(
        task["attempts"][0]
    )
    listed = running.json("jobs")
    assert isinstance(listed, list)
    assert all("spec" not in it for it in listed)
    (node,) = running.json("nodes")  # type: ignore[misc]
    assert {"name", "state", "reason", "cpus", "memory_bytes", "gpus"} <= set(node)
    assert isinstance(running.json("gpus"), list)
    assert isinstance(running.json("events"), list)
    assert isinstance(running.json("why", job), dict)


def test_the_shell_completes_live_names(running: Place) -> None:
    running.submit("name: complete-me\nrun: 'true'\n")
    (node,) = running.json("nodes")  # type: ignore[misc]

    def completed(typed: str) -> list[str]:
        words = ["flextui", "--state-dir", str(running.state), *typed.split(" ")]
        env = {**running.env, "_FLEXTUI_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words),
               "COMP_CWORD": str(len(words) - 1)}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "flextui"], env=env, capture_output=True, text=True,
            timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.stderr == ""
        return [it.partition(",")[2] for it in done.stdout.splitlines()]

    assert completed("show complete-") == ["complete-me"]
    assert node["name"] in completed("drain ")
    assert "declare-lost" in completed("decl")


def test_completion_is_silent_without_a_core(place: Place) -> None:
    words = f"flextui --state-dir {place.state} show x"
    env = {
        **place.env,
        "_FLEXTUI_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": "4",
    }
    done = subprocess.run(
        [sys.executable, "-m", "flextui"], env=env, capture_output=True, text=True,
        timeout=PATIENCE_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_scale_and_priority_and_drain_are_seen(running: Place) -> None:
    spec = "name: web\ntype: service\nrun: sleep 600\nresources: {cpus: 0.1}\n"
    job = running.submit(spec)
    running.ok("scale", "web", "2")
    running.ok("wait", "--for", "running", "--timeout", "50s", "web")
    running.ok("priority", "web", "80")
    shown = running.json("show", job)
    assert isinstance(shown, dict)
    assert (shown["count"], shown["priority"]) == (2, 80)
    (node,) = running.json("nodes")  # type: ignore[misc]
    running.ok("cordon", node["name"], "--why", "dust")
    assert "dust" in running.ok("nodes")
    running.ok("uncordon", node["name"])
    running.ok("stop", "--wait", "web")


def test_bad_requests_change_nothing(running: Place) -> None:
    before = running.json("jobs")
    for words, text in (
        (["submit", "-"], "name: Bad Name\nrun: x\n"),
        (["submit", "-"], ""),
        (["show", "nonesuch"], None),
        (["scale", "nonesuch", "3"], None),
        (["drain", "nonesuch"], None),
    ):
        done = running.run(*words, text=text)
        assert done.returncode == 2, (words, done.stderr)
        assert done.stderr.startswith("flextui: error: ")
    assert running.json("jobs") == before


def test_shutdown_ends_a_terminal_that_holds_the_core(place: Place) -> None:
    terminal = Terminal(place)
    terminal.until("(admin)")
    place.ok("shutdown")
    assert terminal.status() == 0
    assert "was told to end" in terminal.seen
    assert place.run("whoami").returncode == 3


@pytest.mark.parametrize("inside", [False, True], ids=["on a screen", "in a shell"])
def test_a_terminal_that_is_lost_ends(place: Place, inside: bool) -> None:
    terminal = Terminal(place)
    terminal.until("ready")
    if inside:
        terminal.type(b"s")
        terminal.until("\x1b[?1049l")
        terminal.type(b"echo $((40 + 2))nd\r")
        terminal.until("42nd")
    assert terminal.hang_up() == 0
    assert not list(place.state.rglob("crash-*")), "the program inside is not hurt either"


def test_the_terminal_needs_a_terminal(place: Place) -> None:
    done = place.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no terminal here" in done.stderr


def test_a_job_outlives_the_core_that_it_was_followed_through(place: Place) -> None:
    core = place.start()
    gate = place.home / "gate"
    script = f"echo up; while [ ! -e {gate} ]; do sleep 0.1; done; echo down; exit 6"
    terminal = Terminal(place, "run", "--name", "long", "--", "sh", "-c", script)
    terminal.until("up")
    core.kill()
    assert terminal.status() == 3
    assert "goes on" in terminal.seen
    core.wait(PATIENCE_S)
    gate.touch()
    place.start()
    assert place.run("wait", "long").returncode == 6, place.json("show", "long")
    logs = place.run("logs", "long")
    assert logs.stdout == "up\ndown\n", logs.stderr
    (task,) = place.json("show", "long")["tasks"]  # type: ignore[index,call-overload]
    assert len(task["attempts"]) == 1
