"""Several people on one head: each acts on their own jobs, sees everybody's, and reads no state."""

from __future__ import annotations

import grp
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.accounts import as_account, python_for_everybody
from tests.scenario.cli_place import PATIENCE_S, Place

INVENTORY = """\
fleet: shared
users: {admins: [carol]}
policy: {node_lost_after: 60s}
nodes: [{host: localhost, name: here, transport: local}]
trust_users: true
"""


class Shared:
    """A core with a shared socket, and commands that other accounts give it."""

    def __init__(self, place: Place, group: str) -> None:
        self.place = place
        place.home.chmod(0o755)
        self.folder = place.home / "run"
        self.socket = self.folder / "lab.sock"
        self.group = group

    def run(self, person: str, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        python, variables = python_for_everybody()
        line = [*as_account(person), python, "-m", "flextui", "--socket", str(self.socket), *words]
        env = {**dict(variables), "PATH": "/usr/bin:/bin", "HOME": f"/home/{person}"}
        return subprocess.run(
            line, input=text, capture_output=True, text=True, timeout=PATIENCE_S, env=env, cwd="/"
        )


@pytest.fixture
def shared(people: tuple[str, ...], state_dir: Path, tmp_path: Path) -> Iterator[Shared]:
    folder = state_dir / "p"
    folder.mkdir()
    state_dir.chmod(0o755)
    place = Place(folder, folder / "state")
    group = grp.getgrnam("alice").gr_name
    made = Shared(place, group)
    inventory = folder / "inventory.yaml"
    inventory.write_text(INVENTORY)
    place.start("-i", str(inventory), "--socket", str(made.socket), "--socket-group", group)
    yield made
    place.end()


def test_who_is_not_in_the_group_stays_out(shared: Shared) -> None:
    done = shared.run("alice", "whoami", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["user"] == "alice"
    refused = shared.run("bob", "whoami")
    assert refused.returncode == 4
    assert "isn't open to you" in refused.stderr


def test_nobody_acts_on_the_jobs_of_others(shared: Shared) -> None:
    assert shared.place.run("submit", "-", text="name: mine\nrun: sleep 600\n").returncode == 0
    seen = shared.run("alice", "show", "root/mine")
    assert seen.returncode == 0, seen.stderr
    stopped = shared.run("alice", "stop", "root/mine")
    assert stopped.returncode == 4
    assert stopped.stderr.startswith("flextui: error: root/mine is root's")
    ended = shared.run("alice", "shutdown")
    assert ended.returncode == 4
    ambiguous = shared.run("alice", "show", "mine")
    assert ambiguous.returncode == 2
    assert "root/mine" in ambiguous.stderr


def test_the_state_directory_is_closed_to_others(shared: Shared) -> None:
    tried = subprocess.run(
        [*as_account("alice"), "ls", str(shared.place.state)], capture_output=True, text=True
    )
    assert tried.returncode != 0
    assert "ermission denied" in tried.stderr
