"""Shells over real sshd: inside a running attempt and on a node, from a script, from a terminal,
and from the screens and back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.scenario.cli_place import Place
from tests.scenario.tmux import Window

if TYPE_CHECKING:
    from tests.bench.nodes import SshFleet

pytestmark = [pytest.mark.requires("sshd", "tmux", "gcc"), pytest.mark.timeout(300)]

TRAIN = """
name: train
run: sleep 100000
env: {LR: "0.1"}
workdir: /usr/share
resources: {gpus: 1, cpus: 0.1}
"""


@pytest.fixture
def place(ssh_fleet: SshFleet, tmp_path: Path, state_dir: Path) -> Iterator[Place]:
    """A core over one node, on which a job runs."""
    made = Place(tmp_path, state_dir)
    ssh_fleet.add("gpu1", gpus=2)
    ssh_fleet.write_home(tmp_path)
    inventory = ssh_fleet.inventory(tmp_path / "inventory.yaml")
    made.env["FLEXTUI_INVENTORY"] = str(inventory)
    core = made.start()
    try:
        made.submit(TRAIN)
        until_running(made)
        yield made
    finally:
        core.kill()
        core.wait()
        if core.stderr is not None:
            core.stderr.close()


def until_running(place: Place) -> None:
    """The stream of events tells when it has started."""
    following = subprocess.Popen(
        place.line("events", "-f", "--json"), stdout=subprocess.PIPE, text=True, env=place.env
    )
    assert following.stdout is not None
    try:
        for line in following.stdout:
            if json.loads(line)["kind"] == "attempt.started":
                return
    finally:
        following.kill()
        following.wait()
        following.stdout.close()


def window(place: Place, name: str) -> Window:
    wanted = ("HOME", "TERM", "PYTHONPATH", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "PATH")
    env = {key: place.env[key] for key in wanted} | {"LANG": "C.UTF-8", "PS1": "here$ "}
    env["FLEXTUI_INVENTORY"] = place.env["FLEXTUI_INVENTORY"]
    return Window(place.state, name, env=env)


def test_an_attempt_is_entered_from_a_script(place: Place) -> None:
    said = place.run("exec", "train", "--", "sh", "-c",
                     'echo "$LR in $PWD for $FLEXTUI_ATTEMPT"; echo oops >&2; exit 7')  # fmt: skip
    assert said.returncode == 7, said.stderr
    assert said.stdout == "0.1 in /usr/share for j1.0.1\n"
    assert said.stderr == "oops\n"
    gpus = place.ok("exec", "train", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES").strip()
    assert gpus.startswith("GPU-")
    assert len(gpus.split(",")) == 1
    blob = "many words " * 100_000
    assert place.ok("exec", "j1:0", "--", "cat", text=blob) == blob
    assert place.run("exec", "train", "--", "no-such-program").returncode == 127
    assert place.run("exec", "train", "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert place.run("exec", "train:3").returncode == 2
    on_node = place.ok("shell", "gpu1", "--", "sh", "-c", "echo ${FLEXTUI_ATTEMPT:-none}")
    assert on_node == "none\n"
    kinds = [it["kind"] for it in place.json("events")]  # type: ignore[attr-defined]
    assert {"audit.exec", "audit.shell"} <= set(kinds)
    place.ok("stop", "train", "--wait")
    gone = place.run("exec", "train", "--", "true")
    assert gone.returncode == 1
    assert "isn't running now" in gone.stderr


def test_a_shell_whose_line_breaks_says_so(place: Place, ssh_fleet: SshFleet) -> None:
    said = subprocess.Popen(
        place.line("exec", "train", "--", "sh", "-c", "echo up; exec sleep 99999"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, env=place.env,
        text=True,
    )  # fmt: skip
    assert said.stdout is not None
    assert said.stdout.readline() == "up\n"
    ssh_fleet["gpu1"].sshd.kill_sessions()
    _, why = said.communicate(timeout=60)
    assert said.returncode == 3, "no node could be reached"
    assert why.startswith("flextui: error: the connection to j1.0.1 broke")


def test_shells_in_a_terminal_and_from_the_screens_and_back(place: Place) -> None:
    flextui = " ".join(place.line())
    with window(place, "ann") as ann:
        ann.type(f"{flextui} exec train -- /bin/bash --norc --noprofile")
        ann.see("bash")
        ann.type("PS1='inside> '")
        ann.see("\ninside>")
        ann.type("stty size; echo $LR-$PWD")
        ann.see("40 120\n0.1-/usr/share")
        ann.type("sh -c 'echo $((40 + 1)) runs; exec sleep 99999'")
        ann.see("41 runs")
        ann.keys("C-c")
        ann.type("clear; exit 5")
        ann.wait(lambda text: text.rstrip().endswith("exit\nhere$"), what="the end of the shell")
        ann.type("echo status=$?")
        ann.see("status=5")
        ann.type("clear")

        ann.type(flextui)
        ann.see("gpu1")
        ann.keys("s")
        ann.wait(lambda text: text.rstrip()[-1:] in ("#", "$"), what="the prompt on the node")
        ann.type("echo on-$((40 + 2))")
        ann.see("on-42")
        ann.type("exit 0")
        ann.see("▸ fleet")
        ann.keys("5")
        ann.see("shell gpu1")
        ann.keys("q", "q")
        ann.see("here$")
