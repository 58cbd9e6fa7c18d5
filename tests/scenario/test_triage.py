"""A whole triage at the keyboard: a job has failed; find it, read why, mend it, hand it in again
and see it run. One terminal, no mouse, no other command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.cli_place import Place
from tests.scenario.tmux import Window

pytestmark = [pytest.mark.requires("tmux"), pytest.mark.timeout(300)]

TRAIN = """
name: train
env: {BATCH: "-1"}
run: |
  echo loading
  test "$BATCH" -gt 0 || { echo "ValueError: a batch of $BATCH" >&2; exit 3; }
  echo training with $BATCH
  sleep 100000
resources: {cpus: 0.1}
"""


@pytest.fixture
def place(tmp_path: Path, state_dir: Path) -> Iterator[Place]:
    """A core over this machine, where a job has failed."""
    made = Place(tmp_path, state_dir)
    (tmp_path / "inventory.yaml").write_text(
        "fleet: lab\nnodes: [{host: localhost, name: here, transport: local}]\n"
    )
    made.env["FLEXTUI_INVENTORY"] = str(tmp_path / "inventory.yaml")
    core = made.start()
    try:
        failed = made.run("submit", "--wait", "-", text=TRAIN)
        assert failed.returncode == 3, failed.stderr
        yield made
    finally:
        made.run("stop", "--yes", "--wait", "train")
        core.kill()
        core.wait()
        if core.stderr is not None:
            core.stderr.close()


def test_a_failed_job_is_found_understood_mended_and_runs(place: Place) -> None:
    wanted = ("HOME", "TERM", "PYTHONPATH", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "PATH")
    env = {key: place.env[key] for key in wanted} | {"LANG": "C.UTF-8", "PS1": "here$ "}
    env["FLEXTUI_INVENTORY"] = place.env["FLEXTUI_INVENTORY"]
    with Window(place.state, "operator", env=env) as seat:
        seat.type(" ".join(place.line()))
        seat.see("▸ fleet")

        # What is wrong?
        seat.keys("6")
        seat.see("/train: exit 3")
        seat.keys("/")
        seat.keys(*"train", "Enter")  # whatever else is wrong with the machine of this test
        seat.see("logs j1")

        # Why? The next step leads to its last lines.
        seat.keys("x")
        seat.see("ValueError: a batch of -1")

        # Back, and mend it: the editor has what was handed in.
        seat.keys("Escape")
        seat.see("▸ problems")
        seat.keys("e")
        lines = seat.see("BATCH").splitlines()
        first = next(at for at, line in enumerate(lines) if "name: train" in line)
        wrong = next(at for at, line in enumerate(lines) if "BATCH:" in line)
        seat.keys("C-Home", *["Down"] * (wrong - first), "End", *["BSpace"] * len("'-1'"))
        seat.keys("'", "8", "'")
        seat.see("BATCH: '8'")
        seat.keys("C-s")

        # It runs, and says so.
        seat.wait(lambda text: "j2" in text or "running" in text, what="the new run")
        seat.keys("2")
        seat.wait(lambda text: "● running" in text and "j2" in text, what="j2 running")
        seat.keys("g", "l")
        seat.see("training with 8")

        # Nothing of it is left to be done.
        seat.keys("6")
        seat.wait(lambda text: "▸ problems" in text and "exit 3" not in text, what="no problem")
        seat.keys("5")
        seat.see("flextui submit")
        seat.keys("q", "q")
        seat.see("here$")
