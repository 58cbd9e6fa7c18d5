"""Commands that go through SSH: host keys that are new, and a core on another machine."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench.accounts import python_for_everybody
from tests.scenario.cli_place import Place, Terminal

if TYPE_CHECKING:
    from tests.bench.nodes import SshFleet, SshNode

pytestmark = pytest.mark.requires("sshd")


@pytest.fixture
def place(tmp_path: Path, state_dir: Path) -> Place:
    return Place(tmp_path, state_dir)


def rows(said: str, name: str) -> list[tuple[bool | None, str]]:
    return [(row["ok"], row["text"]) for row in json.loads(said) if row["name"] == name]


def test_new_host_keys_are_filed_on_a_yes_and_changed_ones_never(
    ssh_fleet: SshFleet, place: Place
) -> None:
    node = ssh_fleet.add("gpu1")
    inventory = str(ssh_fleet.inventory(place.home / "inventory.yaml"))
    ssh_fleet.write_home(place.home)
    (place.home / ".ssh" / "known_hosts").unlink()

    first = place.run("-i", inventory, "check", "--json")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "flextui check --accept-new" in first.stdout, first.stdout

    nobody = place.run("-i", inventory, "check", "--accept-new")
    assert nobody.returncode == 1
    assert "SHA256:" in nobody.stderr
    assert "not confirmed" in nobody.stderr
    assert not (place.state / "known_hosts").exists()

    terminal = Terminal(place, "-i", inventory, "check", "--accept-new")
    assert "SHA256:" in terminal.until("[y/N]")
    terminal.type(b"y\n")
    assert terminal.status() == 0, terminal.seen
    assert (place.state / "known_hosts").stat().st_mode & 0o077 == 0
    assert place.run("-i", inventory, "check").returncode == 0

    node.change_host_key()
    changed = place.run("-i", inventory, "check", "--accept-new", "--yes", "--json")
    assert changed.returncode == 1
    assert "CHANGED" in rows(changed.stdout, "host key")[0][1]


@pytest.fixture
def head(ssh_fleet: SshFleet, place: Place) -> SshNode:
    """A machine on which a core runs, and a place from which ssh reaches it as `head`."""
    _, variables = python_for_everybody()
    shared = dict(variables)
    # Our modules may lie below a folder that the node has of its own, such as /tmp.
    folders = [Path(path) for path in shared["PYTHONPATH"].split(":")]
    binds = {folder: f"/run/modules-{number}" for number, folder in enumerate(folders)}
    shared["PYTHONPATH"] = ":".join(binds.values())
    node = ssh_fleet.add("head", user="alice", python=sys.base_prefix, binds=binds)
    shown = " ".join(f"{name}={value}" for name, value in shared.items())
    remote = f"env {shown} python3 -m flextui --state-dir s"
    started = ssh_fleet.ssh(node, f"{remote} run -q --name first -- true")
    assert started.returncode == 0, started.stderr
    (place.home / "bin").mkdir()
    ssh = place.home / "bin" / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {ssh_fleet.ssh_config} "$@"\n')
    ssh.chmod(0o755)
    place.env["FLEXTUI_REMOTE"] = remote
    return node


def test_a_core_elsewhere_is_used_as_if_it_were_here(head: SshNode, place: Place) -> None:
    whoami = place.json("--connect", "head", "whoami")
    assert isinstance(whoami, dict)
    assert whoami["user"] == head.user
    done = place.run("--connect", "head", "run", "-q", "--", "sh", "-c", "hostname; exit 5")
    assert (done.returncode, done.stdout) == (5, "head\n")
    assert place.run("--connect", "head", "wait", "first").returncode == 0
    assert not place.state.exists() or not list(place.state.iterdir())


def test_ctrl_c_reaches_the_job_and_not_the_link(head: SshNode, place: Place) -> None:
    line = ["--connect", "head", "run", "--", "sh", "-c", "echo up; sleep 600"]
    terminal = Terminal(place, *line)
    terminal.until("up")
    terminal.type(b"\x03")
    terminal.until("Ctrl-C again stops it")
    terminal.type(b"\x03")
    assert terminal.status() == 128 + signal.SIGTERM


def test_a_head_without_a_core_or_without_flextui_says_so(head: SshNode, place: Place) -> None:
    place.ok("--connect", "head", "shutdown")
    place.run("--connect", "head", "whoami")
    place.env["FLEXTUI_REMOTE"] += "-other"
    gone = place.run("--connect", "head", "whoami")
    assert gone.returncode == 3
    assert "no core answers on head" in gone.stderr
    place.env["FLEXTUI_REMOTE"] = "flextui-that-is-not-there"
    missing = place.run("--connect", "head", "whoami")
    assert missing.returncode == 3
    assert "FLEXTUI_REMOTE" in missing.stderr
    assert sys.executable not in missing.stderr
