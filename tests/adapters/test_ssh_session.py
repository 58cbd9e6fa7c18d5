"""Transport ssh against real sshd nodes: it works, or says exactly what is wrong."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from flextui.core.adapters.accept import file_keys, filed_as, unknown_keys
from flextui.core.adapters.backoff import Pace
from flextui.core.adapters.fleet import Fleet
from flextui.core.events import NodeDown
from flextui.core.model.inventory import Defaults, NodeSpec
from flextui.core.model.state import NodeStatus
from flextui.core.ports import StopAttempt, TailRequest
from tests.adapters.link import ALICE, Events, Session, session
from tests.bench.nodes import SshFleet
from tests.bench.sshd import make_key

pytestmark = [pytest.mark.requires("sshd")]

QUICK = Pace(first_s=0.02, most_s=0.2, person_first_s=3600.0, person_most_s=3600.0)


@pytest.fixture
def bench(ssh_fleet: SshFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SshFleet:
    """Nodes, and a home on this side from which they can be reached."""
    monkeypatch.setenv("HOME", str(ssh_fleet.write_home(tmp_path / "me")))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return ssh_fleet


def named(name: str) -> NodeSpec:
    """A node by its name in ~/.ssh/config."""
    return NodeSpec(host=name, name=name)


def behind(bench: SshFleet, tmp_path: Path, *names: str, jump: str = "bastion") -> None:
    """Put nodes behind a jump host, in ~/.ssh/config."""
    config = tmp_path / "me/.ssh/config"
    text = config.read_text()
    for name in names:
        text = text.replace(f"Host {name}\n", f"Host {name}\n  ProxyJump {jump}\n")
    config.unlink()
    config.write_text(text)


def proxied(tmp_path: Path, command: str) -> None:
    """Give the last node of ~/.ssh/config this ProxyCommand."""
    config = tmp_path / "me/.ssh/config"
    text = config.read_text()
    config.unlink()
    config.write_text(f"{text}  ProxyCommand {command}\n")


def keygen(*flags: str) -> str:
    command = ["ssh-keygen", *flags]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def down(node: Session, within: float = 30) -> NodeDown:
    return await node.events.wait(NodeDown, within=within)


# ── it works ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/fish", "/bin/csh", "/bin/sh"])
async def test_any_login_shell_noisy_start_up_and_banner(bench: SshFleet, shell: str) -> None:
    if not Path(shell).exists():
        pytest.skip(f"{shell} isn't installed here")
    bench.add("gpu1", shell=shell, noise="Welcome to the lab", banner="No entry!\n")
    async with session(named("gpu1")) as node:
        ready = await node.connected()
        assert ready.facts.hostname == "gpu1"
        node.start("j1.0.1", "echo $0 says hello; exit 3")
        ended = await node.events.record("j1.0.1", "ended")
        assert ended.record.exit is not None
        assert ended.record.exit.code == 3
        request = TailRequest("j1.0.1", last_lines=5)
        text = "".join([event["text"] async for event in node.link.tail(request)])
        assert "says hello" in text
        rows = {row["name"]: row for row in await node.link.check()}
    assert [name for name, row in rows.items() if row["ok"] is False] == []
    assert rows["host key"]["text"].startswith("ed25519 SHA256:")
    if shell != "/bin/sh":
        assert "Welcome to the lab" in rows["shell"]["text"]


async def test_address_port_and_user_of_the_inventory(
    bench: SshFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bench.add("gpu1")
    (Path(tmp_path) / "me/.ssh/config").unlink()
    spec = NodeSpec(host=machine.address, name="gpu1", port=machine.port)
    async with session(spec, defaults=Defaults(user=machine.user)) as node:
        ready = await node.connected()
    assert ready.facts.user == machine.user


async def test_a_jump_host_is_shared_by_the_nodes_behind_it(
    bench: SshFleet, tmp_path: Path
) -> None:
    bench.add_many(["bastion", "gpu1", "gpu2"])
    behind(bench, tmp_path, "gpu1", "gpu2")
    fleet = Fleet()
    nodes = []
    for name in ("gpu1", "gpu2"):
        events = Events()
        nodes.append(Session(fleet.open(named(name), ALICE, None, events), events))
    for node in nodes:
        await node.connected()
    rows = {row["name"]: row for row in await nodes[0].link.check()}
    assert "via bastion" in rows["reach"]["text"]
    assert bench["bastion"].sshd.log.count("Accepted publickey") == 1
    bench["bastion"].sshd.stop()
    bench["bastion"].sshd.kill_sessions()
    for node in nodes:
        await node.events.wait(NodeDown, lambda event: "jump host bastion" in event.text)
    bench["bastion"].sshd.start()
    for node in nodes:
        await node.connected(within=60)
    await fleet.close()


RELAY = """
import os, socket, sys, threading
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))

def up():
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)

threading.Thread(target=up, daemon=True).start()
while data := peer.recv(65536):
    os.write(1, data)
"""


async def test_a_proxy_command_of_the_ssh_configuration(bench: SshFleet, tmp_path: Path) -> None:
    bench.add("gpu1")
    relay = tmp_path / "relay.py"
    relay.write_text(RELAY)
    proxied(tmp_path, f"{sys.executable} {relay} %h %p")
    async with session(named("gpu1")) as node:
        ready = await node.connected()
        assert ready.facts.hostname == "gpu1"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("false", id="ends"),
        pytest.param("sh -c 'exec 0<&-; exec sleep 60'", id="reads-nothing"),
        pytest.param("/nonexistent/relay", id="missing"),
    ],
)
async def test_a_proxy_command_that_fails_is_named(
    bench: SshFleet, tmp_path: Path, command: str
) -> None:
    bench.add("gpu1")
    proxied(tmp_path, command)
    async with session(named("gpu1")) as node:
        event = await down(node)
    assert event.status is NodeStatus.LOST
    assert f"ProxyCommand for root@gpu1 ended before the login did; run it by hand: {command}" in (
        event.text
    )


async def test_a_proxy_command_may_be_gone_before_it_is_written_to(
    bench: SshFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(*where: object, **options: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    bench.add("gpu1")
    proxied(tmp_path, "false")
    monkeypatch.setattr(asyncssh, "connect", connect)
    async with session(named("gpu1")) as node:
        event = await down(node)
    assert "the ProxyCommand for root@gpu1 ended" in event.text


# ── keys ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_wrong_key_says_what_was_tried_and_is_not_loss(
    bench: SshFleet, tmp_path: Path
) -> None:
    machine = bench.add("gpu1")
    authorized = machine.machine.bench / "authorized_keys"
    right = authorized.read_text()
    authorized.write_text("")
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
        assert (event.code, event.status) == ("auth", NodeStatus.UNREACHABLE)
        assert event.text.startswith("no key accepted for root@gpu1: tried ")
        assert "id_ed25519" in event.text
        rows = await node.link.check()
        assert [(row["name"], row["ok"]) for row in rows] == [
            ("reach", True),
            ("host key", True),
            ("login", False),
        ]
        authorized.write_text(right)
        node.link.retry_now()
        await node.connected()


async def test_a_locked_key_names_its_passphrase(bench: SshFleet, tmp_path: Path) -> None:
    bench.add("gpu1")
    keygen("-q", "-p", "-N", "secret", "-P", "", "-f", str(bench.identity))
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
    assert event.code == "auth"
    assert "there was no key to try" in event.text
    assert "passphrase" in event.text


@pytest.fixture
def agent(bench: SshFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An SSH agent that holds the nodes' key, which no file holds any more."""
    path = tmp_path / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.readline()  # it says where it listens, once it does
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    subprocess.run(["ssh-add", "-q", str(bench.identity)], check=True)
    bench.identity.unlink()
    yield
    running.terminate()
    running.wait()


@pytest.mark.usefixtures("agent")
async def test_keys_of_an_ssh_agent(bench: SshFleet) -> None:
    bench.add("gpu1")
    async with session(named("gpu1")) as node:
        await node.connected()
        rows = {row["name"]: row for row in await node.link.check()}
    assert "(agent)" in rows["login"]["text"]


async def test_an_unknown_host_key_is_refused_with_its_fingerprint(bench: SshFleet) -> None:
    machine = bench.add("gpu1")
    known = bench.known_hosts.read_text()
    bench.known_hosts.write_text("")
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
        assert (event.code, event.status) == ("host_key", NodeStatus.UNREACHABLE)
        shown = keygen("-lf", str(machine.machine.bench / "host_key.pub")).split()[1]
        assert shown in event.text
        assert "flextui check --accept-new" in event.text
        bench.known_hosts.write_text(known)
        node.link.retry_now()
        await node.connected()


async def test_a_changed_host_key_is_never_accepted(bench: SshFleet) -> None:
    machine = bench.add("gpu1")
    machine.change_host_key()
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
    assert (event.code, event.status) == ("host_key_changed", NodeStatus.UNREACHABLE)
    assert "CHANGED" in event.text
    assert f"{bench.known_hosts}:1" in event.text


async def test_a_new_host_key_is_filed_on_a_yes_and_a_changed_one_never(
    bench: SshFleet, tmp_path: Path
) -> None:
    bench.add_many(["bastion", "gpu1", "gpu2"])
    behind(bench, tmp_path, "gpu1")
    entries = bench.known_hosts.read_text().splitlines()
    bench.known_hosts.write_text("".join(f"{line}\n" for line in entries[2:]))
    bench["gpu2"].change_host_key()
    own = tmp_path / "own_known_hosts"
    nodes = [named("gpu1"), named("gpu2")]
    asked = []
    while unknown := await unknown_keys(nodes, Defaults(), own):
        asked += [filed_as(key) for key in unknown]
        file_keys(own, unknown)
    assert asked == [f"[127.0.0.1]:{bench[name].port}" for name in ("bastion", "gpu1")]
    assert own.stat().st_mode & 0o777 == 0o600
    async with session(named("gpu1"), known_hosts=own) as node:
        await node.connected()
    async with session(named("gpu2"), known_hosts=own, pace=QUICK) as node:
        assert (await down(node)).code == "host_key_changed"


# ── silence ────────────────────────────────────────────────────────────────────────────────────


async def test_a_stopped_sshd_refuses_and_a_started_one_is_found_again(bench: SshFleet) -> None:
    machine = bench.add("gpu1")
    machine.sshd.stop()
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
        assert (event.code, event.status) == ("refused", NodeStatus.LOST)
        machine.sshd.start()
        await node.connected()


async def test_a_killed_sshd_session_comes_back_with_the_same_attempt(bench: SshFleet) -> None:
    machine = bench.add("gpu1")
    async with session(named("gpu1"), pace=QUICK) as node:
        await node.connected()
        node.start("j1.0.1", "exec sleep 600")
        before = await node.events.record("j1.0.1", "running")
        assert machine.sshd.kill_sessions() > 0
        event = await down(node)
        assert (event.code, event.status) == ("closed", NodeStatus.LOST)
        ready = await node.connected()
        assert [(r.attempt, r.state, r.pid) for r in ready.records] == [
            ("j1.0.1", "running", before.record.pid)
        ]
        node.link.send(StopAttempt("j1.0.1", 1.0, "stopped"))
        ended = await node.events.record("j1.0.1", "ended")
        assert ended.record.exit is not None
        assert ended.record.exit.signal == signal.SIGTERM


async def test_a_frozen_machine_is_noticed_within_fifteen_seconds(bench: SshFleet) -> None:
    machine = bench.add("gpu1")
    async with session(named("gpu1"), pace=Pace(first_s=0.02)) as node:
        await node.connected()
        machine.sshd.freeze()
        try:
            event = await down(node, within=15)
            assert (event.code, event.status) == ("timeout", NodeStatus.LOST)
        finally:
            machine.sshd.thaw()
        await node.connected(within=60)


async def test_a_cut_link_is_noticed_within_fifteen_seconds(bench: SshFleet) -> None:
    machine = bench.add("gpu1")
    async with session(named("gpu1"), pace=Pace(first_s=0.02, most_s=1.0)) as node:
        await node.connected()
        machine.link_down("drop")
        event = await down(node, within=15)
        assert event.status is NodeStatus.LOST
        machine.link_up()
        await node.connected(within=60)


async def test_a_name_that_nobody_knows(bench: SshFleet) -> None:
    spec = NodeSpec(host="no-such-host.invalid", name="gpu1")
    async with session(spec) as node:
        event = await down(node)
    assert (event.code, event.status) == ("dns", NodeStatus.LOST)
    assert "no-such-host.invalid" in event.text


async def test_a_port_of_something_else(bench: SshFleet, tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with session(NodeSpec(host="127.0.0.1", name="gpu1", port=port)) as node:
        event = await down(node)
    server.close()
    assert (event.code, event.status) == ("protocol", NodeStatus.UNREACHABLE)
    assert "no SSH server" in event.text


async def test_logins_that_sshd_drops_are_no_complaint(bench: SshFleet) -> None:
    machine = bench.add("gpu1", max_startups="1:100:1")
    idle = socket.create_connection((machine.address, machine.port))
    while idle.recv(4) != b"SSH-":  # the bench's own visit may still count
        idle.close()
        idle = socket.create_connection((machine.address, machine.port))
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
        assert event.status is NodeStatus.LOST
        assert "Exceeded MaxStartups" in event.text or "MaxStartups" in event.text
        idle.close()
        await node.connected()


# ── what is wrong on the node ──────────────────────────────────────────────────────────────────


async def test_no_python(bench: SshFleet) -> None:
    bench.add("gpu1", python="missing")
    async with session(named("gpu1")) as node:
        event = await down(node)
    assert (event.code, event.status) == ("python", NodeStatus.UNREACHABLE)
    assert "install Python 3.8" in event.text


async def test_the_python_that_the_inventory_names(bench: SshFleet) -> None:
    home = bench.add("gpu1").home_folder()
    own = home / "own-python"
    own.write_text('#!/bin/sh\ntouch ~/it-was-me\nexec /usr/bin/python3 "$@"\n')
    own.chmod(0o755)
    async with session(NodeSpec(host="gpu1", name="gpu1", python="~/own-python")) as node:
        await node.connected()
    assert (home / "it-was-me").exists()
    async with session(NodeSpec(host="gpu1", name="gpu1", python="/opt/none/python3")) as node:
        event = await down(node)
    assert event.code == "python"
    assert "/opt/none/python3, which the inventory names" in event.text


async def test_a_read_only_home_works(bench: SshFleet) -> None:
    bench.add("gpu1", home_disk="readonly")
    async with session(named("gpu1")) as node:
        await node.connected()
        node.start("j1.0.1", "true")
        await node.events.record("j1.0.1", "ended")


async def test_a_noexec_home_works(bench: SshFleet) -> None:
    bench.add("gpu1", home_disk="noexec")
    async with session(named("gpu1")) as node:
        await node.connected()
        node.start("j1.0.1", "true")
        await node.events.record("j1.0.1", "ended")


async def test_full_disks_are_named(bench: SshFleet) -> None:
    bench.add("gpu1", home_disk="full", tmp_disk="full")
    async with session(named("gpu1")) as node:
        event = await down(node)
    assert (event.code, event.status) == ("disk", NodeStatus.UNREACHABLE)
    assert "No space left" in event.text


async def test_an_account_without_a_login_shell(bench: SshFleet) -> None:
    bench.add("gpu1", shell="/usr/sbin/nologin")
    async with session(named("gpu1")) as node:
        event = await down(node)
    assert (event.code, event.status) == ("shell", NodeStatus.UNREACHABLE)
    assert "no login shell" in event.text


async def test_no_session_left_names_max_sessions(bench: SshFleet) -> None:
    bench.add("gpu1", max_sessions=0)
    async with session(named("gpu1")) as node:
        event = await down(node)
    assert (event.code, event.status) == ("sessions", NodeStatus.UNREACHABLE)
    assert "MaxSessions" in event.text


async def test_an_account_for_file_transfer_alone(bench: SshFleet) -> None:
    bench.add("gpu1", sshd_options=("ForceCommand internal-sftp",))
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node, within=60)
    assert (event.code, event.status) == ("shell", NodeStatus.UNREACHABLE)


async def test_a_jump_host_that_refuses_is_named(bench: SshFleet, tmp_path: Path) -> None:
    bench.add_many(["bastion", "gpu1"])
    behind(bench, tmp_path, "gpu1")
    bench["gpu1"].sshd.stop()
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
        assert event.status is NodeStatus.LOST
        assert "jump host bastion can't reach" in event.text
        bench["bastion"].sshd.stop()
        bench["bastion"].sshd.kill_sessions()
        refused = await node.events.wait(NodeDown, lambda e: "refuses connections" in e.text)
        assert refused.text.startswith("jump host bastion: ")
        bench["bastion"].change_host_key()
        changed = await node.events.wait(NodeDown, lambda e: e.code == "host_key_changed")
        assert changed.status is NodeStatus.UNREACHABLE
        assert changed.text.startswith("jump host bastion: ")


async def test_a_key_that_is_not_there_is_named(bench: SshFleet, tmp_path: Path) -> None:
    bench.add("gpu1")
    config = tmp_path / "me/.ssh/config"
    text = config.read_text().replace(str(bench.identity), "~/.ssh/id_gone")
    config.unlink()
    config.write_text(text)
    make_key(tmp_path / "me/.ssh/id_other")
    async with session(named("gpu1"), pace=QUICK) as node:
        event = await down(node)
    assert event.code == "auth"
    assert "~/.ssh/id_gone doesn't exist" in event.text
