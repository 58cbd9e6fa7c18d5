"""The scripted walk: three people, one head, three sshd nodes of which two share a home.

Each person sits at a terminal of their own (tmux) and does what the README says, nothing else.
"""

from __future__ import annotations

import grp
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.accounts import python_for_everybody
from tests.bench.gpus import FakeGpus
from tests.bench.nodes import SshFleet
from tests.scenario.tmux import Window

pytestmark = [pytest.mark.requires("sshd", "tmux", "gcc"), pytest.mark.timeout(400)]

GROUP = "fxwalk"

TRAIN = f"""
name: train
run: |
  {FakeGpus.hold_memory(40000)} &
  for i in $(seq 1 1000); do echo "step $i"; test -e ~/stop && exit 0; sleep 0.3; done
resources: {{gpus: 2, gpu_model: h100, cpus: 0.2}}
where: {{node: [gpu1]}}
"""
EVAL = """
name: eval
run: echo evaluated on $CUDA_VISIBLE_DEVICES
resources: {gpus: 2, gpu_model: h100, cpus: 0.2}
"""
PROBE = """
name: probe
run: "true"
resources: {gpus: 2, gpu_model: a100, cpus: 0.1}
"""
WEB = """
name: web
type: service
run: sleep 100000
resources: {cpus: 0.1}
where: {prefer: {rack: b}}
on_node_loss: {then: reschedule, after: 3s}
---
name: long
run: sleep 100000
resources: {cpus: 0.1}
where: {node: [gpu2]}
---
name: crash
type: service
run: echo no route to $((40 + 2)) >&2; exit 3
resources: {cpus: 0.1}
restart: {attempts: 2, within: 10m, delay: 200ms}
"""


@dataclass
class Lab:
    fleet: SshFleet
    folder: Path
    alice: Window
    bob: Window
    carol: Window
    bobs_screen: Window
    head: Window
    """Where alice runs the twin."""

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    def core_pid(self) -> int:
        return int(json.loads((self.folder / "alice/state/core.lock").read_text())["pid"])


def wrapper(folder: Path) -> None:
    """`flextui` on everybody's PATH."""
    python, variables = python_for_everybody()
    script = folder / "bin" / "flextui"
    script.parent.mkdir()
    exports = "\n".join(f"export {key}='{value}'" for key, value in variables)
    script.write_text(f'#!/bin/sh\n{exports}\nexec {python} -m flextui "$@"\n')
    script.chmod(0o755)


@pytest.fixture
def lab(people: tuple[str, str, str], ssh_fleet: SshFleet, state_dir: Path) -> Iterator[Lab]:
    folder = state_dir
    folder.chmod(0o755)
    subprocess.run(["groupadd", "-f", GROUP], check=True)
    home = ssh_fleet.shared_homes()
    ssh_fleet.add("gpu1", user="lab", gpus=2, gpu_model="h100", labels={"rack": "a"})
    ssh_fleet.add("gpu2", user="lab", gpus=2, gpu_model="a100", homes=home, labels={"rack": "b"})
    ssh_fleet.add("gpu3", user="lab", homes=home, labels={"rack": "c"})
    inventory = ssh_fleet.inventory(
        folder / "inventory.yaml", fleet="walk", users={"admins": ["alice"]}
    )
    inventory.chmod(0o644)
    wrapper(folder)
    (folder / "run").mkdir()
    (folder / "run").chmod(0o777)
    with ExitStack() as stack:

        def window(who: str, name: str) -> Window:
            own = folder / who
            if not own.exists():
                own.mkdir()
                if who == "alice":
                    ssh_fleet.write_home(own)
                subprocess.run(["chown", "-R", f"{who}:{who}", str(own)], check=True)
            env = {
                "PATH": f"{folder}/bin:{os.environ['PATH']}",
                "HOME": str(own),
                "TERM": "xterm-256color",
                "LANG": "C.UTF-8",
                "PS1": "$ ",
                "FLEXTUI_STATE_DIR": str(own / "state"),
                "FLEXTUI_INVENTORY": str(inventory),
            }
            groups = ["setpriv", f"--reuid={who}", f"--regid={who}"]
            groups += [f"--groups={grp.getgrnam(GROUP).gr_gid},{grp.getgrnam(who).gr_gid}", "--"]
            return stack.enter_context(Window(folder, name, before=groups, env=env))

        yield Lab(
            ssh_fleet,
            folder,
            window("alice", "alice"),
            window("bob", "bob"),
            window("carol", "carol"),
            window("bob", "bobs-screen"),
            window("alice", "head"),
        )
    subprocess.run(["groupdel", GROUP], check=False, capture_output=True)


def test_the_walk(lab: Lab) -> None:
    alice, bob, carol = lab.alice, lab.bob, lab.carol
    share = f"{lab.folder}/run/walk/core.sock"
    use = f"flextui --socket {share}"

    # One head: alice's twin, shared with the group.
    start = f"flextui --headless --socket {share} --socket-group {GROUP}"
    lab.head.type(start)
    lab.head.see("flextui: ready")
    assert "done=0" in alice.run(f"{use} check")

    # Bob trains on both H100s and looks at it.
    out = bob.run(f"{use} submit {lab.write('train.yaml', TRAIN)}")
    assert "bob/train" in out
    screen = lab.bobs_screen
    screen.type(use)
    screen.see("gpu1")
    screen.keys("2")
    screen.see("● running")
    screen.keys("Enter")
    screen.see("attempt")
    screen.keys("l")
    screen.see("step 3")
    screen.keys("Escape")

    # Carol's job waits for them and says for whom.
    carol.run(f"{use} submit {lab.write('eval.yaml', EVAL)}")
    assert "bob/train" in carol.run(f"{use} why eval")

    # A process that is no job of flextui holds a GPU: it counts, and its owner is named.
    gpu2 = lab.fleet["gpu2"]
    stranger = gpu2.spawn(["sleep", "100000"])
    gpu2.gpus.add_process(0, stranger.pid, 31000, live=True)
    screen.keys("1")
    screen.see("▒")
    carol.run(f"{use} submit {lab.write('probe.yaml', PROBE)}")
    assert "root: sleep" in carol.run(f"{use} why probe")

    # Nobody stops another's job or reads the core's state.
    assert "done=4" in carol.run(f"{use} stop bob/train --yes")
    assert "ermission denied" in carol.run(f"ls {lab.folder}/alice/state")

    # A service that can't live is given up with a reason and its last lines.
    bob.run(f"{use} submit {lab.write('web.yaml', WEB)}")
    bob.run(f"{use} wait crash")
    crash = bob.run(f"{use} show crash")
    assert "crash loop" in crash
    assert "no route to 42" in crash

    # A node is lost: the service moves, the batch job waits and says so; then the node returns.
    gpu2.link_down()
    screen.keys("1")
    screen.wait(lambda text: "lost" in text or "no answer" in text, 90, "gpu2 is lost")
    wait_for(bob, f"{use} jobs", lambda text: "gpu2" in line_of(text, "long"))
    wait_for(bob, f"{use} show web", lambda text: "gpu1" in text or "gpu3" in text)
    assert "gpu2" in bob.run(f"{use} show long")
    gpu2.link_up()
    wait_for(bob, f"{use} nodes", lambda text: "ready" in line_of(text, "gpu2"))
    wait_for(bob, f"{use} jobs", lambda text: "running" in line_of(text, "long"))
    long = line_of(bob.run(f"{use} jobs"), "long").split()[0]
    assert len({p.environment["FLEXTUI_ATTEMPT"] for p in gpu2.processes(FLEXTUI_JOB=long)}) == 1

    # kill -9 of the core: nothing is lost, nothing runs twice.
    train = line_of(bob.run(f"{use} jobs"), "train").split()[0]
    gpu1 = lab.fleet["gpu1"]
    before = {p.pid for p in gpu1.processes(FLEXTUI_ATTEMPT=f"{train}.0.1")}
    os.kill(lab.core_pid(), signal.SIGKILL)
    lab.head.see("Killed")
    lab.head.type(f"clear; {start}")
    lab.head.see("flextui: ready")
    wait_for(bob, f"{use} jobs", lambda text: "running" in line_of(text, "train"))
    after = {p.pid for p in gpu1.processes(FLEXTUI_JOB=train)}
    assert before & after
    attempts = {it.environment["FLEXTUI_ATTEMPT"] for it in gpu1.processes(FLEXTUI_JOB=train)}
    assert attempts == {f"{train}.0.1"}
    screen.see("gpu1")

    # Training ends by itself; what waited for it runs.
    gpu1.run("touch ~lab/stop", account="lab")
    assert "done=0" in bob.run(f"{use} wait train")
    assert "done=0" in carol.run(f"{use} wait eval")
    assert "evaluated on GPU-" in carol.run(f"{use} logs eval")
    gpu2.gpus.remove_process(stranger.pid)
    assert "done=0" in carol.run(f"{use} wait probe")

    assert "done=0" in bob.run(f"{use} stop web long --yes")
    wait_for(bob, f"{use} jobs", lambda text: "running" not in text)
    screen.keys("q")
    alice.run(f"{use} shutdown --yes")


def line_of(text: str, name: str) -> str:
    """The first line of a table that has this word."""
    return next((line for line in text.splitlines() if name in line.split()), "")


def wait_for(window: Window, command: str, seen: Callable[[str], bool], tries: int = 60) -> None:
    """Ask again until the answer is the one wanted."""
    for _ in range(tries):
        text = window.run(command)
        if seen(text):
            return
    events = window.run(command.rpartition(" ")[0] + " events")
    raise AssertionError(f"{window.name} asks {command!r} and sees\n{text}\n{events}")
