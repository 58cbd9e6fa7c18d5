"""Nodes of the bench, as an SSH client finds them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.bench.namespace import NodeProcess
from tests.bench.nodes import SshFleet, SshNode

REPOSITORY = Path(__file__).parents[2]


def wait_until(reached: Callable[[], object], *, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not reached():
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.02)


def says(fleet: SshFleet, node: SshNode, command: str) -> str:
    done = fleet.ssh(node, command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def plain(module_ssh_fleet: SshFleet) -> SshNode:
    return module_ssh_fleet.add("plain1", gpus=2, env={"SITE": "lab one"})


def test_a_login_finds_a_machine_of_its_own(module_ssh_fleet: SshFleet, plain: SshNode) -> None:
    seen = says(module_ssh_fleet, plain, 'hostname; cat /etc/machine-id; echo "$HOME"; pwd; echo ~')
    assert seen.split() == ["plain1", plain.machine_id, "/root", "/root", "/root"]


def test_what_a_login_writes_lies_in_the_nodes_own_folders(
    module_ssh_fleet: SshFleet, plain: SshNode
) -> None:
    says(module_ssh_fleet, plain, "echo 1 > ~/home; echo 2 > /tmp/tmp; echo 3 > /var/tmp/var-tmp")
    assert (plain.home_folder() / "home").read_text() == "1\n"
    assert (plain.machine.tmp / "tmp").read_text() == "2\n"
    assert (plain.machine.var_tmp / "var-tmp").read_text() == "3\n"
    assert not Path("/root/home").exists()


def test_a_node_has_its_options_variables(module_ssh_fleet: SshFleet, plain: SshNode) -> None:
    assert says(module_ssh_fleet, plain, 'echo "$SITE"') == "lab one"


def test_the_nodes_gpus_answer_to_every_account(module_ssh_fleet: SshFleet, plain: SshNode) -> None:
    assert plain.gpus is not None
    program = (
        "import ctypes as c; n = c.CDLL('libnvidia-ml.so.1'); n.nvmlInit_v2(); h = c.c_void_p();"
        "n.nvmlDeviceGetHandleByIndex_v2(1, c.byref(h)); b = c.create_string_buffer(96);"
        "n.nvmlDeviceGetUUID(h, b, 96); print(b.value.decode())"
    )
    assert says(module_ssh_fleet, plain, f'python3 -c "{program}"') == plain.gpus.uuids[1]
    as_nobody = plain.run(["setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", program])
    assert as_nobody.stdout.strip() == plain.gpus.uuids[1]


def test_a_foreign_process_is_seen_by_its_variables_and_ends_by_signal(plain: SshNode) -> None:
    foreign = plain.spawn(["sleep", "1000"], env={"MARK": "one"})
    assert [p.pid for p in plain.processes(MARK="one")] == [foreign.pid]
    assert foreign.command == ("sleep", "1000")
    foreign.signal(signal.SIGKILL)
    wait_until(lambda: not plain.processes(MARK="one"))


def test_two_nodes_are_two_machines(ssh_fleet: SshFleet) -> None:
    one, other = ssh_fleet.add_many(["a", "b"], gpus=1)
    assert one.gpus is not None
    assert other.gpus is not None
    assert one.machine_id != other.machine_id
    assert one.gpus.uuids != other.gpus.uuids
    assert [says(ssh_fleet, node, "hostname") for node in (one, other)] == ["a", "b"]
    says(ssh_fleet, one, "touch /var/tmp/mine ~/mine")
    assert says(ssh_fleet, other, "ls /var/tmp ~").split() == ["/root:", "/var/tmp:"]


def test_nodes_may_share_their_homes_and_nothing_else(ssh_fleet: SshFleet) -> None:
    one, other = ssh_fleet.add_many(["a", "b"], homes=ssh_fleet.shared_homes())
    says(ssh_fleet, one, "echo hello > ~/note; touch /var/tmp/mine")
    assert says(ssh_fleet, other, "cat ~/note; ls /var/tmp") == "hello"


def test_accounts_log_in_to_homes_of_their_own(
    ssh_fleet: SshFleet, people: tuple[str, str, str]
) -> None:
    alice, bob, _ = people
    node = ssh_fleet.add("gpu1", user=alice, accounts=(bob,))
    assert says(ssh_fleet, node, "whoami; pwd; touch mine").split() == [alice, f"/home/{alice}"]
    as_bob = ssh_fleet.ssh(node, "whoami; pwd; cat /home/alice/mine", user=bob)
    assert as_bob.stdout.split() == [bob, f"/home/{bob}"]
    assert "Permission denied" in as_bob.stderr
    assert not Path(f"/home/{alice}/mine").exists()


@pytest.mark.parametrize("shell", ["/usr/bin/fish", "/usr/bin/csh", "/bin/bash"])
def test_login_shells_and_their_noise(ssh_fleet: SshFleet, shell: str) -> None:
    if not Path(shell).exists():
        pytest.skip(f"no {shell} here")
    node = ssh_fleet.add("gpu1", user="alice", shell=shell, noise="welcome", banner="keep out\n")
    own_pid = "$fish_pid" if shell.endswith("fish") else "$$"
    done = ssh_fleet.ssh(node, f"readlink /proc/{own_pid}/exe; true")
    assert done.stdout.split() == ["welcome", os.path.realpath(shell)]
    assert "keep out" in done.stderr


@pytest.mark.parametrize("user", ["root", "alice"])
def test_a_node_without_python(ssh_fleet: SshFleet, user: str) -> None:
    node = ssh_fleet.add("gpu1", user=user, python="missing")
    done = ssh_fleet.ssh(node, "python3 --version")
    assert done.returncode == 127
    assert "not found" in done.stderr
    assert says(ssh_fleet, node, "ls -d /usr/bin/python* || echo none") == "none"


def test_a_node_with_another_python(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1", user="alice", python=sys.base_prefix)
    assert says(ssh_fleet, node, "python3 --version").split()[1] == sys.version.split()[0]


@pytest.mark.parametrize(
    ("disk", "complaint"),
    [("readonly", "Read-only file system"), ("full", "No space left on device")],
)
def test_homes_that_take_nothing(ssh_fleet: SshFleet, disk: str, complaint: str) -> None:
    node = ssh_fleet.add("gpu1", home_disk=disk, tmp_disk=disk)
    for folder in ("~", "/tmp", "/var/tmp"):
        done = ssh_fleet.ssh(node, f"echo text > {folder}/file")
        assert complaint in done.stderr


def test_a_home_where_nothing_runs(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1", home_disk="noexec")
    script = "printf '#!/bin/sh\\necho ran\\n' > {0}/run; chmod +x {0}/run; {0}/run"
    assert "Permission denied" in ssh_fleet.ssh(node, script.format("~")).stderr
    assert says(ssh_fleet, node, script.format("/var/tmp")) == "ran"


def test_a_disk_that_fills_up_and_is_freed(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1", home_disk="small", noise="hi")
    assert says(ssh_fleet, node, "echo text > file; cat file") == "hi\ntext"
    node.fill(node.home())
    assert "No space left" in ssh_fleet.ssh(node, "echo text > other").stderr
    node.drain(node.home())
    assert says(ssh_fleet, node, "echo text > other; cat other") == "hi\ntext"


def test_a_home_is_hidden_and_comes_back_as_it_was(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1")
    says(ssh_fleet, node, "echo text > file")
    node.hide_home()
    assert says(ssh_fleet, node, "ls -A") == ""
    node.show_home()
    assert says(ssh_fleet, node, "cat file") == "text"


def test_a_folder_of_the_test_shows_on_the_node(ssh_fleet: SshFleet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    node = ssh_fleet.add("gpu1", binds={tmp_path: "/tmp/shared"}, own_pids=True)
    assert says(ssh_fleet, node, "cat /tmp/shared/file; echo more > /tmp/shared/other") == "text"
    assert (tmp_path / "other").read_text() == "more\n"


# ---- sshd and its sessions ----


def session(fleet: SshFleet, node: SshNode, command: str) -> subprocess.Popen[str]:
    """A login that runs on; returns once its command has said something."""
    client = subprocess.Popen(
        ["ssh", "-F", str(fleet.ssh_config), "-o", "BatchMode=yes", node.name, command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "up\n"
    return client


def test_a_stopped_sshd_refuses_logins_and_keeps_sessions(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1")
    with session(ssh_fleet, node, "echo up; cat") as client:
        node.sshd.stop()
        refused = ssh_fleet.ssh(node, "true")
        assert refused.returncode == 255
        assert "Connection refused" in refused.stderr
        assert client.communicate("still here\n", timeout=20)[0] == "still here\n"
    node.sshd.start()
    assert says(ssh_fleet, node, "echo back") == "back"


def test_killed_sessions_end_and_the_daemonised_child_lives(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1")
    command = "export MARK=daemon; setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo up; cat"
    with session(ssh_fleet, node, command) as client:
        assert node.sshd.kill_sessions() >= 1
        assert client.wait(20) == 255
    # `cat` ends a moment after its session, and `setsid` becomes `sleep` a moment after its start.
    daemon = [("sleep", "1000")]
    wait_until(lambda: [p.command for p in node.processes(MARK="daemon")] == daemon)
    wait_until(lambda: node.sshd.sessions() == [])
    assert says(ssh_fleet, node, "echo next") == "next"


def test_a_frozen_sshd_says_nothing_until_it_thaws(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1")
    with session(ssh_fleet, node, "echo up; cat") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        node.sshd.freeze()
        states = {process.state for process in node.sshd.sessions()}
        print("hello", file=client.stdin, flush=True)
        answered, _, _ = select.select([client.stdout], [], [], 0.5)
        node.sshd.thaw()
        assert states == {"T"}
        assert not answered
        assert client.stdout.readline() == "hello\n"
        client.stdin.close()


def test_a_changed_host_key_is_refused_until_it_is_known(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1")
    node.change_host_key()
    assert "HOST IDENTIFICATION HAS CHANGED" in ssh_fleet.ssh(node, "true").stderr
    ssh_fleet.write_known_hosts()
    assert ssh_fleet.ssh(node, "true").returncode == 0


# ---- boots ----


def identity(fleet: SshFleet, node: SshNode) -> list[str]:
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    return says(
        fleet, node, f"{boot_id}; readlink /proc/1/ns/pid; cut -d' ' -f22 /proc/1/stat"
    ).split()


def test_a_reboot_ends_everything_and_keeps_disks_and_name(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1", own_pids=True)
    before = identity(ssh_fleet, node)
    says(ssh_fleet, node, "touch ~/kept /var/tmp/kept /tmp/lost /dev/shm/lost")
    foreign = node.spawn(["sleep", "1000"])
    assert foreign.node_pid < foreign.pid
    node.reboot()
    after = identity(ssh_fleet, node)
    assert after[0] != before[0]
    assert after[1:] != before[1:]
    # The login's own sshd ends a moment after its client has; the sleep must be gone already.
    assert "sleep" not in {p.name for p in node.processes()}
    wait_until(lambda: [p.name for p in node.processes()] == ["sshd"])
    assert says(ssh_fleet, node, "cat /etc/machine-id") == node.machine_id
    assert says(ssh_fleet, node, "ls -A ~ /var/tmp /tmp /dev/shm | grep -v :").split() == [
        "kept",
        "kept",
    ]


def test_a_restarted_container_has_the_boot_id_of_before(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1", own_pids=True)
    before = identity(ssh_fleet, node)
    node.reboot(same_boot_id=True)
    after = identity(ssh_fleet, node)
    assert after[0] == before[0]
    assert after[2] != before[2]


def test_a_node_with_its_own_process_table_sees_no_other_process(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1", own_pids=True)
    wait_until(lambda: {p.name for p in node.processes()} == {"sshd"})
    names = set(node.run(["ps", "-eo", "comm="]).stdout.split())
    assert names == {"sshd", "sh", "cat", "ps"}  # the anchor, and ps itself


# ---- the link ----


@pytest.mark.parametrize("how", ["drop", "reset"])
def test_a_cut_link_blocks_and_one_that_is_mended_carries_on(ssh_fleet: SshFleet, how: str) -> None:
    node = ssh_fleet.add("gpu1")
    other = ssh_fleet.add("gpu2")
    node.link_down("drop" if how == "drop" else "reset")
    done = subprocess.run(
        ["ssh", "-F", str(ssh_fleet.ssh_config), "-o", "ConnectTimeout=1", "gpu1", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 255
    assert ("timed out" if how == "drop" else "refused") in done.stderr
    assert says(ssh_fleet, other, "echo fine") == "fine"
    node.link_up()
    assert says(ssh_fleet, node, "echo back") == "back"


def test_a_connection_outlives_a_short_cut(ssh_fleet: SshFleet) -> None:
    node = ssh_fleet.add("gpu1")
    with session(ssh_fleet, node, "echo up; cat") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        node.link_down("drop")
        print("hello", file=client.stdin, flush=True)
        node.link_up()
        assert client.stdout.readline() == "hello\n"
        client.stdin.close()


# ---- what clients are given ----


def test_the_inventory_tells_apart_nodes_at_one_address(
    ssh_fleet: SshFleet, tmp_path: Path
) -> None:
    one, other = ssh_fleet.add_many(["a", "b"], labels={"rack": "x"})
    text = ssh_fleet.inventory(tmp_path / "inventory.yaml", policy={"node_lost_after": "5s"})
    content = yaml.safe_load(text.read_text())
    assert content["policy"] == {"node_lost_after": "5s"}
    assert content["nodes"] == [
        {
            "host": "127.0.0.1",
            "name": node.name,
            "port": node.port,
            "user": "root",
            "labels": {"rack": "x"},
        }
        for node in (one, other)
    ]
    assert one.port != other.port


def test_a_client_with_that_home_passes_strict_host_key_checking(
    ssh_fleet: SshFleet, state_dir: Path
) -> None:
    node = ssh_fleet.add("gpu1")
    ssh_fleet.write_home(state_dir)
    program = """
import asyncio, asyncssh, sys
async def main():
    for options in ({"host": "gpu1", "config": [sys.argv[1] + "/.ssh/config"]},
                    {"host": "127.0.0.1", "port": int(sys.argv[2]), "username": "root"}):
        async with asyncssh.connect(**options) as connection:
            print((await connection.run("hostname")).stdout, end="")
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(state_dir), str(node.port)],
        env={"HOME": str(state_dir), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "gpu1\ngpu1\n", done.stderr


# ---- leaving nothing behind ----


def leftovers(mark: str) -> list[NodeProcess | str]:
    """What still runs or is mounted or filtered on behalf of a fleet's folder."""
    found: list[NodeProcess | str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "mountinfo").read_text():
                    found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return found


@pytest.mark.requires("sshd")
def test_closing_a_fleet_leaves_nothing(state_dir: Path) -> None:
    with SshFleet(state_dir / "fleet") as fleet:
        nodes = fleet.add_many(["a", "b"])
        for node in nodes:
            node.spawn(["sh", "-c", "trap '' TERM HUP; sleep 1000 & setsid sleep 1000"])
        nodes[0].link_down()
        assert leftovers(str(state_dir))
    assert leftovers(str(state_dir)) == []
    rules = subprocess.run(["iptables", "-w", "-S"], capture_output=True, text=True, check=True)
    assert str(nodes[0].port) not in rules.stdout


@pytest.mark.requires("sshd")
def test_a_killed_test_process_leaves_nothing_either(state_dir: Path) -> None:
    program = f"""
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.bench.nodes import SshFleet
fleet = SshFleet(Path({str(state_dir)!r}) / "fleet")
nodes = fleet.add("a"), fleet.add("b", own_pids=True)
for node in nodes:
    node.spawn(["sleep", "1000"])
nodes[0].link_down()
print(json.dumps(nodes[0].port), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    died = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    assert died.returncode == -signal.SIGKILL
    port = json.loads(died.stdout)
    wait_until(lambda: leftovers(str(state_dir)) == [])
    rules = subprocess.run(["iptables", "-w", "-S"], capture_output=True, text=True, check=True)
    assert str(port) not in rules.stdout
